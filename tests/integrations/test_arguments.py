"""What each integration refuses: a field that does not exist, one that holds no single value, and a snapshot."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pkgutil import iter_modules
from time import monotonic
from typing import Any

import asyncpg
import fastapi
import flask
import psycopg_pool
import pytest
import redis
import sqlalchemy
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from pydantic import BaseModel, SecretStr

import liveconfig.integrations
from liveconfig import LiveConfigError, Settings
from liveconfig.integrations import aiohttp as live_aiohttp
from liveconfig.integrations import asgi as live_asgi
from liveconfig.integrations import asyncpg as live_asyncpg
from liveconfig.integrations import celery as live_celery
from liveconfig.integrations import credentials, keys, openfeature, tls
from liveconfig.integrations import fastapi as live_fastapi
from liveconfig.integrations import flask as live_flask
from liveconfig.integrations import grpc as live_grpc
from liveconfig.integrations import httpx as live_httpx
from liveconfig.integrations import psycopg as live_psycopg
from liveconfig.integrations import redis as live_redis
from liveconfig.integrations import requests as live_requests
from liveconfig.integrations import sqlalchemy as live_sqlalchemy
from liveconfig.integrations.django._configuration import configuration
from liveconfig.integrations.django._database import logins_of
from liveconfig.integrations.django._mirror import readers
from liveconfig.testing import KubeletVolume

pytestmark = pytest.mark.usefixtures("django_project")

Make = Callable[[Settings, str], object]


class Db(BaseModel):
    user: str
    password: SecretStr


class AppSettings(Settings):
    db: Db
    hosts: list[str] = []


@pytest.fixture
def settings(kubelet_volume: KubeletVolume, canary: str) -> Iterator[AppSettings]:
    kubelet_volume.write({"db.user": "app", "db.password": canary, "hosts": '["one"]'})
    settings = AppSettings.load(_volumes=kubelet_volume.path)
    with settings.live:
        yield settings


def celery_app() -> Celery:
    return Celery(broker="amqp://", backend="redis://", set_as_current=False)


def django_database(settings: Settings, field: str) -> object:
    with override_settings(LIVECONFIG={"SETTINGS": settings}):
        return logins_of("arguments", {"OPTIONS": {"liveconfig": {"password": field}}})


def django_mirror(settings: Settings, field: str) -> object:
    with override_settings(LIVECONFIG={"SETTINGS": settings, "MIRROR": {"SECRET_KEY": field}}):
        return readers(configuration())


def redis_client() -> redis.Redis:
    return redis.Redis(retry=None)


# What reads one value from a field, by what it is called in this table.
FIELDS: dict[str, Make] = {
    "aiohttp": lambda settings, field: live_aiohttp.TokenAuth(settings, field),
    "asyncpg, password": lambda settings, field: live_asyncpg.bind(pool_of_asyncpg(), settings, password=field),
    "asyncpg, user": lambda settings, field: live_asyncpg.bind(pool_of_asyncpg(), settings, user=field),
    "celery, user": lambda settings, field: live_celery.bind(celery_app(), settings, field, "db.password"),
    "celery, password": lambda settings, field: live_celery.bind(celery_app(), settings, "db.user", field),
    "celery, result_user": lambda settings, field: live_celery.bind(
        celery_app(), settings, None, None, field, "db.password"
    ),
    "celery, result_password": lambda settings, field: live_celery.bind(
        celery_app(), settings, None, None, "db.user", field
    ),
    "credentials": credentials.credential,
    "django, database": django_database,
    "grpc, TokenAuth": lambda settings, field: live_grpc.TokenAuth(settings, field),
    "grpc, cert": lambda settings, field: live_grpc.server_credentials(settings, field, "db.password"),
    "grpc, key": lambda settings, field: live_grpc.server_credentials(settings, "db.user", field),
    "grpc, ca": lambda settings, field: live_grpc.server_credentials(settings, "db.user", "db.password", ca=field),
    "httpx": lambda settings, field: live_httpx.TokenAuth(settings, field),
    "psycopg, user": lambda settings, field: live_psycopg.bind(pool_of_psycopg(), settings, user=field),
    "psycopg, password": lambda settings, field: live_psycopg.bind(pool_of_psycopg(), settings, password=field),
    "redis, user": lambda settings, field: live_redis.bind(redis_client(), settings, user=field),
    "redis, password": lambda settings, field: live_redis.bind(redis_client(), settings, password=field),
    "redis, LiveCredentials": lambda settings, field: live_redis.LiveCredentials(settings, password=field),
    "requests": lambda settings, field: live_requests.TokenAuth(settings, field),
    "sqlalchemy, user": lambda settings, field: live_sqlalchemy.bind(engine(), settings, user=field),
    "sqlalchemy, password": lambda settings, field: live_sqlalchemy.bind(engine(), settings, password=field),
    "tls, cert": lambda settings, field: tls.server_context(settings, field, "db.password"),
    "tls, key": lambda settings, field: tls.server_context(settings, "db.user", field),
    "tls, ca": lambda settings, field: tls.client_context(settings, ca=field),
    "tls, client cert": lambda settings, field: tls.client_context(settings, ca=None, cert=field),
    "tls, client key": lambda settings, field: tls.client_context(settings, ca=None, cert="db.user", key=field),
}
# What reads values of other kinds from a field.
OTHER_FIELDS: dict[str, Make] = {
    "django, mirror": django_mirror,
    "flask, mirror": lambda settings, field: live_flask.LiveConfig(settings, mirror={"SECRET_KEY": field}).init_app(
        flask.Flask("shop")
    ),
    "keys, key": keys.KeyRing,
    "keys, previous": lambda settings, field: keys.KeyRing(settings, "db.password", previous=field),
    "openfeature": openfeature.LiveConfigProvider,
    "openfeature, flagd": lambda settings, field: openfeature.LiveConfigProvider(settings, flagd=field),
}
# What takes settings, and no field.
WHOLE: dict[str, Make] = {
    "asgi, lifespan": lambda settings, _: live_asgi.lifespan(settings),
    "asgi, status_app": lambda settings, _: live_asgi.status_app(settings),
    "asgi, PinnedMiddleware": lambda settings, _: live_asgi.PinnedMiddleware(fastapi.FastAPI(), settings),
    "fastapi, pinned": lambda settings, _: live_fastapi.pinned(settings),
    "fastapi, router": lambda settings, _: live_fastapi.router(settings),
    "flask": lambda settings, _: live_flask.LiveConfig(settings).init_app(flask.Flask("shop")),
}
WITHOUT_SETTINGS = {"opentelemetry", "prometheus"}
EACH = {**FIELDS, **OTHER_FIELDS, **WHOLE}


def pool_of_asyncpg() -> asyncpg.Pool:
    return asyncpg.create_pool(host="db")


def pool_of_psycopg() -> psycopg_pool.ConnectionPool[Any]:
    return psycopg_pool.ConnectionPool(open=False)


def engine() -> sqlalchemy.Engine:
    return sqlalchemy.create_engine("postgresql+psycopg://db/shop")


def test_each_integration_is_in_the_table() -> None:
    """Each integration that takes settings is in the tables of this file."""
    modules = {each.name for each in iter_modules(liveconfig.integrations.__path__) if not each.name.startswith("_")}
    assert {name.partition(",")[0] for name in EACH} == modules - WITHOUT_SETTINGS


def refusal(name: str, settings: Settings, field: str) -> str:
    """What can be read in the error that an integration raises."""
    with pytest.raises((LiveConfigError, ImproperlyConfigured)) as caught:
        EACH[name](settings, field)
    return everything(caught.value)


@pytest.mark.parametrize("name", [*FIELDS, *OTHER_FIELDS])
async def test_a_field_that_does_not_exist(name: str, settings: AppSettings, canary: str) -> None:
    """A field that does not exist is an error at once that names the nearest, and leaves no subscription."""
    text = refusal(name, settings, "db.pasword")
    assert "did you mean 'db.password'" in text
    assert canary not in text
    assert no_subscribers(settings)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("field", ["db", "hosts"])
async def test_a_field_that_holds_several_values(name: str, field: str, settings: AppSettings, canary: str) -> None:
    """A field that holds a model or a list is an error at once, and not a login that no server accepts."""
    text = refusal(name, settings, field)
    assert f"`{field}` must hold one value" in text
    assert canary not in text
    assert no_subscribers(settings)


@pytest.mark.parametrize("name", EACH)
async def test_a_snapshot(name: str, settings: AppSettings, canary: str) -> None:
    """A snapshot in place of live settings is an error at once."""
    text = refusal(name, settings.live.snapshot(), "db.password")
    assert "snapshot" in text
    assert canary not in text


WITH_OTHER_ERRORS = "django"  # its own


@pytest.mark.parametrize("name", [name for name in EACH if not name.startswith(WITH_OTHER_ERRORS)])
@pytest.mark.parametrize(
    ("given", "found"), [(AppSettings, "the class AppSettings"), ("app:settings", "str")], ids=["class", "text"]
)
async def test_what_is_no_settings_object(name: str, given: Any, found: str) -> None:
    """A settings class, or something else, in place of the live object is an error that says what was expected."""
    with pytest.raises(TypeError, match=rf"expected live settings, which `load\(\)` returns, found {found}"):
        EACH[name](given, "db.password")


PATIENT: dict[str, Callable[..., object]] = {
    "asyncpg": lambda *given, **patience: live_asyncpg.bind(pool_of_asyncpg(), *given, **patience),
    "celery": lambda *given, **patience: live_celery.bind(celery_app(), *given, **patience),
    "psycopg": lambda *given, **patience: live_psycopg.bind(pool_of_psycopg(), *given, **patience),
    "redis": lambda *given, **patience: live_redis.bind(redis_client(), *given, **patience),
    "sqlalchemy": lambda *given, **patience: live_sqlalchemy.bind(engine(), *given, **patience),
}


@pytest.mark.parametrize("name", PATIENT)
@pytest.mark.parametrize("patience", [-1.0, float("nan"), "5"])
async def test_a_patience_that_is_no_time(name: str, patience: Any, settings: AppSettings) -> None:
    """A patience that is no number of seconds is an error of `bind` that says what was expected."""
    with pytest.raises(LiveConfigError, match=f"`patience` must be a number of seconds, 0 or more, not {patience!r}"):
        PATIENT[name](settings, "db.user", "db.password", patience=patience)


@pytest.mark.parametrize("name", PATIENT)
async def test_a_class_without_fields(name: str) -> None:
    """Where the client's own configuration has the login, a settings class is an error of `bind` as well."""
    with pytest.raises(TypeError, match="found the class AppSettings"):
        PATIENT[name](AppSettings, None, None)


@pytest.mark.parametrize("module", [live_aiohttp, live_grpc, live_httpx, live_requests])
@pytest.mark.parametrize("header", ["", "X Api Key", "X-Key:", "X-Key\r\nHost"])
def test_a_header_that_cannot_be(module: Any, header: str, settings: AppSettings) -> None:
    """The name of a header that no request can have is an error of each `TokenAuth` at once."""
    with pytest.raises(LiveConfigError, match="`header` must be the name of a header"):
        module.TokenAuth(settings, "db.password", header=header)


def no_subscribers(settings: Settings) -> bool:
    """Whether nothing is subscribed, as soon as a call that is under way has ended."""
    deadline = monotonic() + 10
    while settings.live.status().subscribers and monotonic() < deadline:
        gc.collect()
        threading.Event().wait(0.01)
    return settings.live.status().subscribers == ()


def everything(error: BaseException | None) -> str:
    """What can be read in an error, its causes and its context."""
    if error is None:
        return ""
    own = f"{error}{error.args}{vars(error)}"
    return own + everything(error.__cause__) + everything(error.__context__)
