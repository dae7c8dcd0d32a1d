"""What a worker of gunicorn runs: a Django project in one file, for WSGI and for ASGI."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import django
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from pydantic import BaseModel, SecretStr

from liveconfig import Change, Settings, SettingsConfigDict


class Db(BaseModel):
    user: str
    password: SecretStr


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=[os.environ["APP_VOLUME"]])
    left: str = ""
    right: str = ""
    password: SecretStr | None = None
    db: Db | None = None


settings = AppSettings.load()
heard: list[str] = []


@settings.live.on_change(lambda s: s.left)
def hear(change: Change[str]) -> None:
    heard.append(change.new)


def answer(request: HttpRequest) -> JsonResponse:
    snapshot = settings.live.snapshot()
    os.sched_yield()
    return JsonResponse(
        {
            "pid": os.getpid(),
            "left": snapshot.left,
            "right": settings.live.snapshot().right,
            "version": snapshot is settings.live.snapshot(),
            "heard": heard[-1:],
            "mirrored": django_settings.EMAIL_HOST,
        }
    )


async def aanswer(request: HttpRequest) -> JsonResponse:
    await asyncio.sleep(0)
    return answer(request)


def session() -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()


def work(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"session": session()})


def busy(request: HttpRequest) -> JsonResponse:
    """Use one connection for as long as a file is there."""
    before, flag = session(), Path(request.GET["flag"])
    flag.touch()
    while flag.exists():
        time.sleep(0.01)
    return JsonResponse({"before": before, "after": session()})


urlpatterns = [
    path("", answer),
    path("async", aanswer),
    path("work", work),
    path("busy", busy),
    path("liveconfig/", include("liveconfig.integrations.django.urls")),
]

django_settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES=json.loads(os.environ.get("APP_DATABASES", "{}")),
    INSTALLED_APPS=["liveconfig.integrations.django"],
    LIVECONFIG={"SETTINGS": settings, "MIRROR": {"EMAIL_HOST": "left"}},
    MIDDLEWARE=["liveconfig.integrations.django.middleware.LiveConfigMiddleware"],
    ROOT_URLCONF=__name__,
)
django.setup()
wsgi = get_wsgi_application()
asgi = get_asgi_application()
