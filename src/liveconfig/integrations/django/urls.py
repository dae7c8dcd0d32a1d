"""``path("liveconfig/", include("liveconfig.integrations.django.urls"))``: the probe and the status page."""

from __future__ import annotations

from django.urls import path

from liveconfig.integrations.django.views import ready, status

app_name = "liveconfig"
urlpatterns = [path("ready", ready, name="ready"), path("status", status, name="status")]
