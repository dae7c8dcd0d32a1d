"""The pages."""

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from .live import settings


def greet(request: HttpRequest) -> HttpResponse:
    user = request.session.get("user")
    return HttpResponse(settings.live.snapshot().message + (f", {user}" if user else ""), content_type="text/plain")


def enter(request: HttpRequest, user: str) -> HttpResponse:
    request.session["user"] = user
    return HttpResponse(status=204)


def checkout(_request: HttpRequest) -> HttpResponse:
    if not settings.live.snapshot().checkout_enabled:
        return HttpResponse("checkout is closed", status=503)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (user,) = cursor.fetchone()
    return JsonResponse({"order": "accepted", "as": user})


urlpatterns = [
    path("", greet),
    path("enter/<user>", enter),
    path("checkout", checkout),
    path("liveconfig/", include("liveconfig.integrations.django.urls")),
]
