"""Celery on Redis: kombu's channels and the result back end, whose pools follow the login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend
from kombu.transport.redis import Transport

from liveconfig import Settings
from liveconfig.integrations.redis import LiveCredentials, bind_pool, logins_of

BindPool = Callable[[Any], None]


def is_redis(transport: type) -> bool:
    """Whether it is kombu's transport for one Redis server: a sentinel makes its pools itself."""
    return issubclass(transport, Transport) and "sentinel" not in transport.__module__ + transport.__name__.lower()


def is_redis_backend(backend: type) -> bool:
    """Whether it is Celery's result back end for one Redis server."""
    return issubclass(backend, RedisBackend) and not issubclass(backend, SentinelBackend)


def pool_binder(settings: Settings, user: str | None, password: str | None, patience: float) -> BindPool:
    """What binds the pools of one server; they share what the server said to a login.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """
    logins = logins_of(settings, user, password, patience)
    credentials = LiveCredentials(settings, user, password)
    return lambda pool: bind_pool(pool, logins, credentials)


def live_transport(base: Any, bind: BindPool) -> type:
    """A transport whose channels have pools that follow the login."""

    class LiveChannel(base.Channel):
        def _get_pool(self, asynchronous: bool = False) -> Any:
            pool = super()._get_pool(asynchronous)
            bind(pool)
            return pool

    return type(base.__name__, (base,), {"Channel": LiveChannel})


def live_backend(base: Any, url: str | None, bind: BindPool) -> type:
    """A back end whose pools follow the login.

    Args:
        base: The class of the back end.
        url: Its URL: Celery hands none to a class that it is given.
        bind: Binds a pool.
    """

    class LiveBackend(base):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options | {"url": options.get("url") or url})

        def _get_pool(self, **parameters: Any) -> Any:
            pool = super()._get_pool(**parameters)
            bind(pool)
            return pool

    return LiveBackend
