"""Celery: the broker and the result back end with the newest login, and one snapshot for each task."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from liveconfig import Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import Login
from liveconfig.integrations._global import global_name, global_settings
from liveconfig.integrations._login import Logins
from liveconfig.integrations._pool_renewal import Renewal

with extra_of(__name__):
    from amqp import AccessRefused
    from celery import Celery, signals
    from celery.app import backends
    from kombu.connection import Connection, ConnectionPool, PooledConnection
    from kombu.transport.filesystem import Transport as FilesystemTransport
    from kombu.transport.memory import Transport as MemoryTransport
    from kombu.transport.pyamqp import Transport as AmqpTransport
    from kombu.utils.collections import HashedSeq

_redis: Any = None
with suppress(ModuleNotFoundError):  # without redis-py neither the broker nor the back end is Redis
    from liveconfig.integrations import _celery_redis

    _redis = _celery_redis

__all__ = ["bind"]

WITHOUT_LOGIN = (FilesystemTransport, MemoryTransport)


def bind(
    app: Celery,
    settings: Settings,
    user: str | None = "broker.user",
    password: str | None = "broker.password",  # noqa: S107 - the name of a field
    result_user: str | None = None,
    result_password: str | None = None,
    patience: float = 5.0,
) -> None:
    """Make the connections of an application log in with the newest user and password, and pin each task.

    New connections take both from one snapshot. When they change and the broker accepts the new login, idle
    connections of the producers are closed at once, busy ones when they are released. The consumer connection of a
    worker and the connection of beat are never closed: they log in again after a loss. A refused login is retried as
    the documentation of credentials describes.

    During a task ``settings.live.snapshot()`` returns one snapshot.

    A bound application can be pickled where the settings object is a global variable of a module: workers whose
    ``worker_pool_start_method`` is ``spawn`` need that.

    Args:
        app: An application that is configured and has no connection yet. Its broker is RabbitMQ or another AMQP server
            (py-amqp), or Redis; those in memory and in a directory have no login.
        settings: Live settings.
        user: The dotted name of the field that holds the broker's user; None where the URL has it. A field that is
            None leaves it to the URL as well.
        password: The dotted name of the field that holds the broker's password; likewise.
        result_user: The same for a result back end on Redis. ``rpc://`` uses the broker's connections.
        result_password: Likewise.
        patience: Seconds that a new connection may wait, from its first refusal, for a login that the server accepts.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or the settings are a snapshot.
        ValueError: The application has connections already, or the transport of its broker or result back end does not
            support new logins.
    """
    if app._pool is not None or app._backend is not None:  # noqa: SLF001 - Celery has no public name for them
        raise ValueError("the application has connections already: bind it before it sends its first task")
    broker = _Broker(settings, user, password, patience)
    transport = app.connection_for_write().get_transport_cls()
    if not broker.knows(transport):
        raise ValueError(f"the broker's transport {transport.__module__} does not support a new login")
    options = {"user": user, "password": password, "result_user": result_user, "result_password": result_password}
    bound = _picklable(app, settings, **options, patience=patience)
    if (result_user or result_password) is not None:
        backend: Any = _live_backend(app, settings, result_user, result_password, patience)
        app.backend_cls = backend
    app.amqp.Connection = broker.connection_class(app.amqp.Connection)
    broker.pins = _Pins(app, settings)
    app.__class__ = bound


def _picklable(app: Celery, settings: Settings, **options: Any) -> type[Celery]:
    """Return a class of the application whose pickle is bound again: a worker passes it to processes that it spawns."""
    base: Any = type(app)
    backend = app.backend_cls

    class Bound(base):
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            unbound: Any = object.__new__(base)
            vars(unbound).update(vars(self) | {"backend_cls": backend})
            make, arguments = unbound.__reduce__()
            return _restore, (make, arguments, global_name(settings), options)

    Bound.__name__ = Bound.__qualname__ = base.__name__
    return Bound


def _restore(
    make: Callable[..., Celery], arguments: tuple[Any, ...], name: tuple[str, str], options: dict[str, Any]
) -> Celery:
    """Make an application from its pickle."""
    app = make(*arguments)
    bind(app, global_settings(*name), **options)
    return app


class _Broker:
    """The login of one application's broker, and the pools whose idle connections move to a new one."""

    pins: _Pins  # as long as the application

    def __init__(self, settings: Settings, user: str | None, password: str | None, patience: float) -> None:
        self.logins = Logins(settings, user, password, patience, _refused)
        self.pools: weakref.WeakSet[Any] = weakref.WeakSet()
        self.renewal = Renewal(self, self.logins, _Broker.close_idle, lambda _: True)
        self._bind_redis = lambda: _redis.pool_binder(settings, user, password, patience)
        self._live_transports: dict[type, type] = {}

    def knows(self, transport: type) -> bool:
        """Whether this transport supports new logins."""
        return self.live_transport(transport) is not transport or issubclass(transport, WITHOUT_LOGIN)

    def live_transport(self, transport: type) -> type:
        """Return the transport with the newest login; unchanged if it does not support one."""
        if transport not in self._live_transports:
            self._live_transports[transport] = self._make_transport(transport)
        return self._live_transports[transport]

    def _make_transport(self, transport: type) -> type:
        if issubclass(transport, AmqpTransport):
            return type(transport.__name__, (_LiveAmqp, transport), {"broker": self})
        if transport.__module__ == "kombu.transport.redis" and _redis.is_redis(transport):
            live: type = _redis.live_transport(transport, self._bind_redis())
            return live
        return transport

    def connection_class(self, base: type) -> type:
        """Return the class of the application's connections."""
        pooled = type("PooledConnection", (_LiveConnection, PooledConnection), {"broker": self})
        pool = type("ConnectionPool", (_LivePool,), {"broker": self, "connection_class": pooled})
        return type("Connection", (_LiveConnection, base), {"broker": self, "pool_class": pool})

    def close_idle(self) -> None:
        """Close the idle connections of the pools, one at a time, so that no pool is ever empty."""
        for pool in list(self.pools):
            while pool.close_one():
                pass


class _LiveConnection:
    """A mixin for kombu's ``Connection``.

    Attributes:
        broker: The broker with its login.
        login: The login of the connection.
    """

    broker: _Broker
    pool_class: Callable[..., Any]
    login: Login | None = None

    def get_transport_cls(self) -> type:
        """As kombu's; after a failover too, which takes the transport from the next URL."""
        return self.broker.live_transport(super().get_transport_cls())  # type: ignore[misc]

    def Pool(self, limit: int | None = None, **options: Any) -> Any:  # noqa: N802 - kombu's name
        """As kombu's, of connections of our own."""
        return self.pool_class(self, limit, **options)

    def __eqhash__(self) -> HashedSeq:
        """As kombu's, and the broker: kombu keeps one pool for each key, and Celery's URLs hold no login here."""
        return HashedSeq(*super().__eqhash__(), self.broker)  # type: ignore[misc]


class _LivePool(ConnectionPool):
    """Closes connections with an older login when they are released; idle ones are closed by the broker."""

    broker: _Broker
    connection_class: Callable[..., Any]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.broker.pools.add(self)

    def new(self) -> Any:
        """As kombu's."""
        return self.connection_class(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001

    def release(self, resource: Any) -> None:
        """As kombu's."""
        self._close_outdated(resource)
        super().release(resource)

    def close_one(self) -> bool:
        """Close an idle connection with an older login, and put it where it is used last; False: there was none."""
        queue, mutex = self._resource.queue, self._resource.mutex
        with mutex:
            index = next((index for index, idle in enumerate(queue) if self._is_outdated(idle)), None)
            if index is None:
                return False
            idle = queue.pop(index)
        self._close_outdated(idle)
        with mutex:
            queue.insert(0, idle)
            self._resource.not_empty.notify()
        return True

    def _is_outdated(self, resource: Any) -> bool:
        login = getattr(resource, "login", None)  # what was never used has none
        return login is not None and self.broker.logins.superseded(login)

    def _close_outdated(self, resource: Any) -> None:
        if self._is_outdated(resource):
            with suppress(Exception):
                resource._close()  # noqa: SLF001 - `close` would only give it back
            resource.login = None


class _LiveAmqp:
    """A mixin for kombu's AMQP transport: connects with a login that the broker accepts."""

    broker: _Broker
    client: Any

    def establish_connection(self) -> Any:
        """As kombu's."""
        client, connect = self.client, super().establish_connection  # type: ignore[misc]
        before = client.userid, client.password

        def attempt(login: Login) -> tuple[Login, Any]:
            client.userid, client.password = _given(login, *before)
            return login, connect()

        try:
            client.login, connection = self.broker.logins.connect(attempt)
        finally:
            client.userid, client.password = before
        self.broker.renewal.connected(client.login, _probe(dict(client._info(resolve=False))))  # noqa: SLF001
        return connection


def _given(login: Login, user: str | None, password: str | None) -> tuple[str | None, str | None]:
    given = login.arguments()
    if any("\0" in value for value in given.values()):
        raise ValueError("AMQP separates the user from the password by a null character")  # the broker would hang up
    return given.get("user", user), given.get("password", password)


def _probe(where: dict[str, Any]) -> Callable[[Login], None]:
    """Return a function that tries a login on a separate connection."""
    before = where["userid"], where["password"]

    def probe(login: Login) -> None:
        given: dict[str, Any] = dict(zip(("userid", "password"), _given(login, *before), strict=True))
        with Connection(**where | given) as connection:
            connection.connect()

    return probe


def _refused(error: BaseException) -> bool:
    return isinstance(error, AccessRefused)


def _live_backend(app: Celery, settings: Settings, user: str | None, password: str | None, patience: float) -> type:
    given = app.backend_cls or app.conf.result_backend
    backend, url = backends.by_url(given, app.loader)
    if backend.__module__ == "celery.backends.redis" and _redis.is_redis_backend(backend):
        live: type = _redis.live_backend(backend, url, _redis.pool_binder(settings, user, password, patience))
        return live
    advice = (
        "it uses the broker's connections" if backend.__name__ == "RPCBackend" else "it does not support a new login"
    )
    raise ValueError(f"result_user and result_password are for Redis, not for {backend.__name__}: {advice}")


class _Pins:
    """Pins one snapshot for each task of an application, from its start to its end."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = weakref.ref(app)
        self._live = settings.live
        self._pinned = _Pinned()
        signals.task_prerun.connect(self.begin)  # Celery holds these methods weakly
        signals.task_postrun.connect(self.end)

    def begin(self, task: Any, **_: Any) -> None:
        if task.app is self._app():
            self._pinned.by_task.append(self._live.pinned())
            self._pinned.by_task[-1].__enter__()

    def end(self, task: Any, **_: Any) -> None:
        if task.app is self._app() and self._pinned.by_task:
            self._pinned.by_task.pop().__exit__(None, None, None)


class _Pinned(threading.local):
    """The pins of the tasks of one thread: a task can run another one inside."""

    def __init__(self) -> None:
        self.by_task: list[AbstractContextManager[Any]] = []
