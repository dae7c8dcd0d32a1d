"""redis-py: clients, sync and async, whose connections log in with the newest user and password.

`bind` does everything for one client. `LiveCredentials` alone, for a cluster or a sentinel, only returns the newest
login: it drops no connection and retries no refused login.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from liveconfig import Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import Login, login_reader
from liveconfig.integrations._login import Logins
from liveconfig.integrations._pool_renewal import AsyncRenewal, Renewal
from liveconfig.settings import live_of

with extra_of(__name__):
    from redis import BlockingConnectionPool, Redis
    from redis import asyncio as aredis
    from redis.credentials import CredentialProvider
    from redis.exceptions import AuthenticationError

__all__ = ["LiveCredentials", "bind"]


class LiveCredentials(CredentialProvider):
    """Hands the newest user and password of live settings to each new connection, sync or async.

    Args:
        settings: Live settings.
        user: The dotted name of the field that holds the user; None for Redis' default user.
        password: The dotted name of the field that holds the password.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """

    def __init__(
        self,
        settings: Settings,
        user: str | None = "db.user",
        password: str | None = "db.password",  # noqa: S107 - the name of a field
    ) -> None:
        self._live = live_of(settings)
        self._read = login_reader(settings, user, password)

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """The user (unless it is the default one) and the password, from the newest snapshot."""
        return _credentials(self._read(self._live.latest()))

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same: nothing in it waits."""
        return self.get_credentials()


def bind(
    client: Redis | aredis.Redis,
    settings: Settings,
    user: str | None = "db.user",
    password: str | None = "db.password",  # noqa: S107 - the name of a field
    patience: float = 5.0,
) -> None:
    """Make the connections of a client log in with the newest user and password of live settings.

    New connections take both from one snapshot. When they change and the server accepts the new login, idle connections
    are dropped at once, busy ones when they are released. So a rotation never loses what a connection has to remember
    between two commands: a transaction, a subscription, the database of a ``SELECT``. A refused login is retried as the
    documentation of credentials describes.

    Args:
        client: A client that has no connection yet. Its own password is removed. Over a Unix socket only a sync client
            works. A sync ``single_connection_client`` connects when it is made, which is too early.
        settings: Live settings.
        user: The dotted name of the field that holds the user; None: the one that the client was given, or Redis'
            default user. A field that is None means the same.
        password: The dotted name of the field that holds the password.
        patience: Seconds that a new connection may wait, from its first refusal, for a login that the server accepts.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or the settings are a snapshot.
        TypeError: It is no client with a pool of its own (a cluster).
        ValueError: The client has connections already, or they are asyncio's on a Unix socket, which call no hook
            before they log in.
    """
    if not isinstance(client, Redis | aredis.Redis):
        name = type(client).__name__
        raise TypeError(f"{name} makes its pools itself: give it LiveCredentials as its credential_provider")
    pool = client.connection_pool
    if _has_connections(pool):
        raise ValueError("the client is connected already: bind it before its first command")
    if issubclass(pool.connection_class, aredis.UnixDomainSocketConnection):
        raise ValueError("redis-py calls no hook for the login of an asyncio connection on a Unix socket: use TCP")
    login = _async_login if isinstance(client, aredis.Redis) else _login
    bind_pool(pool, logins_of(settings, user, password, patience), LiveCredentials(settings, user, password), login)


def logins_of(settings: Settings, user: str | None, password: str | None, patience: float) -> Logins:
    """The logins of one Redis server, which several pools may share.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """
    return Logins(settings, user, password, patience, _refused)


def bind_pool(pool: Any, logins: Logins, credentials: LiveCredentials, login: Callable[..., Any] | None = None) -> None:
    """Let the connections of a pool that has none yet log in with the newest login; sync unless ``login`` is given."""
    connections = _Connections(pool.connection_kwargs.pop("username", None))
    pool.connection_kwargs.pop("password", None)
    connect = (login or _login)(pool, logins, connections)
    pool.connection_kwargs.update(credential_provider=credentials, redis_connect_func=connect)


def _has_connections(pool: Any) -> bool:
    names = "_available_connections", "_in_use_connections", "_connections"  # the last is a sync blocking pool's
    return any(getattr(pool, name, None) for name in names)


def _renew_on_release(pool: Any, logins: Logins) -> None:
    """Have a connection with an older login reconnect when it is released, and no sooner.

    Marked while it is busy, redis-py would reconnect it between two commands of a transaction or a subscription.
    """
    release, weak = type(pool).release, weakref.ref(pool)

    def release_outdated(connection: Any) -> None:
        if _is_outdated(connection, logins):
            connection.mark_for_reconnect()
        release(weak(), connection)

    pool.release = release_outdated


def _drop_after_release(pool: Any, logins: Logins) -> None:
    """Drop a connection with an older login after it was released, for an event loop.

    Marked before, redis-py would close it under the lock of its pool. The release of another connection would wait for
    that lock, and redis-py never returns a connection whose release is cancelled while it waits.
    """
    release, weak = type(pool).release, weakref.ref(pool)

    async def release_and_drop(connection: Any) -> None:
        pool: Any = weak()
        await release(pool, connection)
        if _is_outdated(connection, logins) and connection in pool._available_connections:  # noqa: SLF001
            await connection.disconnect(nowait=True)

    pool.release = release_and_drop


def _is_outdated(connection: Any, logins: Logins) -> bool:
    """Whether a connection has an older login; one that has never logged in has none."""
    given = _given_of(connection)
    return given is not None and logins.superseded(given.login)


class _Given(CredentialProvider):
    """Hands one login to one connection.

    redis-py cuts a connection that is refused. The next try then connects anew, from inside the connecting of before:
    that inner one has only to log in.
    """

    login: Login
    busy = tried = False
    _retries = 0  # of the connection, which has none left after a refusal

    def __init__(self, username: str | None) -> None:
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        return _credentials(self.login, self._username)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()

    @contextmanager
    def course(self, retry: Any) -> Iterator[None]:
        """While the login is found out redis-py does not retry; nor after a refusal, as that was retried for long."""
        self.busy, self.tried = True, False
        retries = self._retries = retry.get_retries() or self._retries  # the application may have set them meanwhile
        retry.update_retries(0)
        try:
            yield
        except AuthenticationError:
            retries = 0
            raise
        finally:
            self.busy = False
            retry.update_retries(retries)

    def next(self, login: Login) -> bool:
        """Use this login from now on. Return whether the connection has to be replaced for it."""
        self.login, again, self.tried = login, self.tried, True
        return again


def _given_of(connection: Any) -> _Given | None:
    """Return the object that gave the login to a connection; redis-py wraps a connection with a cache."""
    provider = getattr(connection, "_conn", connection).credential_provider
    return provider if isinstance(provider, _Given) else None


class _Connections:
    """The connections of one pool, each with the login that it was given last."""

    def __init__(self, username: str | None) -> None:
        self._username = username
        self._known: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def given(self, connection: Any) -> _Given:
        """Return the object that gives the login to a connection."""
        given = _given_of(connection)
        if given is None:
            given = connection.credential_provider = _Given(self._username)
            self._known[id(connection)] = connection
        return given

    def in_use(self, _pool: Any) -> bool:
        """Whether one of them is connected: the client was not closed. Old redis-py's sync connections do not say."""
        there = [connection for each in self._known.valuerefs() if (connection := each()) is not None]
        return any(getattr(connection, "is_connected", True) for connection in there)

    def spare(self, pool: Any, login: Login) -> Any:
        """A connection beside the pool, that tries a login once."""
        given = _Given(self._username)
        given.login = login
        once = {"credential_provider": given, "redis_connect_func": None, "retry": None}
        return pool.connection_class(**pool.connection_kwargs | once)


def _drop_idle(pool: Any) -> None:
    if isinstance(pool, BlockingConnectionPool):
        with pool.pool.mutex:  # not `pool.disconnect`: it cuts connections that others have taken out meanwhile
            for connection in filter(None, pool.pool.queue):
                connection.disconnect()
    else:
        pool.disconnect(inuse_connections=False)


async def _adrop_idle(pool: Any) -> None:
    # not `pool.disconnect`: it cuts connections that others take meanwhile. Nobody comes between without waiting.
    while there := [each for each in pool._available_connections if each.is_connected]:  # noqa: SLF001
        await there[0].disconnect(nowait=True)


def _login(pool: Any, logins: Logins, connections: _Connections) -> Any:
    """Log in. A connection calls this instead of its own `on_connect`."""
    _renew_on_release(pool, logins)
    weak = weakref.proxy(pool)

    def probe(login: Login) -> None:
        spare = connections.spare(weak, login)
        try:
            spare.connect()
        finally:
            spare.disconnect()

    renewal = Renewal(pool, logins, _drop_idle, connections.in_use)

    def connect(connection: Any) -> None:
        given = connections.given(connection)

        def attempt(login: Login) -> None:
            (connection.connect if given.next(login) else connection.on_connect)()

        if given.busy:
            connection.on_connect()
            return
        with given.course(connection.retry):
            logins.connect(attempt)
        renewal.connected(given.login, probe)

    return connect


def _async_login(pool: Any, logins: Logins, connections: _Connections) -> Any:
    """As `_login`, for an event loop."""
    _drop_after_release(pool, logins)
    weak = weakref.proxy(pool)

    async def probe(login: Login) -> None:
        spare = connections.spare(weak, login)
        try:
            await spare.connect()
        finally:
            await spare.disconnect()

    renewal = AsyncRenewal(pool, logins, _adrop_idle, connections.in_use)

    async def connect(connection: Any) -> None:
        given = connections.given(connection)

        async def attempt(login: Login) -> None:
            await (connection.connect if given.next(login) else connection.on_connect)()

        if given.busy:
            await connection.on_connect()
            return
        with given.course(connection.retry):
            await logins.aconnect(attempt)
        renewal.connected(given.login, probe)

    return connect


def _refused(error: BaseException) -> bool:
    return isinstance(error, AuthenticationError)


def _credentials(login: Login, username: str | None = None) -> tuple[str] | tuple[str, str]:
    given = {"user": username or "", "password": ""} | login.arguments()
    return (given["user"], given["password"]) if given["user"] else (given["password"],)
