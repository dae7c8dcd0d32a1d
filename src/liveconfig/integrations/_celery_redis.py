"""Celery on Redis: the pools of kombu's channels and of the result back end log in with the newest login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend
from kombu.transport.redis import Transport

from liveconfig import Settings
from liveconfig.integrations.redis import LiveCredentials, bind_pool, logins_of

BindPool = Callable[[Any], None]


def is_redis(transport: type) -> bool:
    """Whether a transport is kombu's for one Redis server; a sentinel creates its pools itself."""
    return issubclass(transport, Transport) and "sentinel" not in transport.__module__ + transport.__name__.lower()


def is_redis_backend(backend: type) -> bool:
    """Whether a back end is Celery's for one Redis server."""
    return issubclass(backend, RedisBackend) and not issubclass(backend, SentinelBackend)


def pool_binder(settings: Settings, user: str | None, password: str | None, patience: float) -> BindPool:
    """Return a function that binds the pools of one server; they share the server's answers to logins.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """
    logins = logins_of(settings, user, password, patience)
    credentials = LiveCredentials(settings, user, password)
    return lambda pool: bind_pool(pool, logins, credentials)


def live_transport(base: Any, bind: BindPool) -> type:
    """Return a transport whose channels have pools with the newest login."""

    class LiveChannel(base.Channel):
        def _get_pool(self, asynchronous: bool = False) -> Any:
            pool = super()._get_pool(asynchronous)
            bind(pool)
            return pool

    return type(base.__name__, (base,), {"Channel": LiveChannel})


def live_backend(base: Any, url: str | None, bind: BindPool) -> type:
    """Return a back end whose pools have the newest login.

    After a cut connection, Celery reads the stored results and then subscribes to the next ones. One that is stored in
    between is announced to nobody, and its sender would wait for ever, so the stored ones are read once more.

    Args:
        base: The class of the back end.
        url: Its URL, because Celery passes none to a given class.
        bind: Binds a pool.
    """

    class LiveConsumer(base.ResultConsumer):
        def _reconnect_pubsub(self) -> None:
            super()._reconnect_pubsub()
            if keys := list(self.subscribed_to):
                for stored in filter(None, self.backend.client.mget(keys)):
                    self.on_state_change(self._decode_result(stored), None)

    class LiveBackend(base):
        ResultConsumer = LiveConsumer

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options | {"url": options.get("url") or url})

        def _get_pool(self, **parameters: Any) -> Any:
            pool = super()._get_pool(**parameters)
            bind(pool)
            return pool

    return LiveBackend
