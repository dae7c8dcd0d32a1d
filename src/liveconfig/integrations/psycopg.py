"""psycopg: connection pools, sync and async, whose connections log in with the newest user and password."""

from __future__ import annotations

import weakref
from typing import Any

from liveconfig import Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import Login
from liveconfig.integrations._login import Logins
from liveconfig.integrations._pool_renewal import AsyncRenewal, Renewal

with extra_of(__name__):
    from psycopg import AsyncConnection, Connection
    from psycopg_pool import AsyncConnectionPool, ConnectionPool
    from psycopg_pool.pool import AddConnection
    from psycopg_pool.pool_async import AddConnection as AsyncAddConnection

__all__ = ["bind"]


def bind(
    pool: ConnectionPool[Any] | AsyncConnectionPool[Any],
    settings: Settings,
    user: str | None = "db.user",
    password: str | None = "db.password",  # noqa: S107 - the name of a field
    patience: float = 5.0,
) -> None:
    """Let the connections of a pool log in with the newest user and password of live settings.

    New connections take both from one snapshot. When they change and the server accepts the new login, the pool is
    drained: idle connections are replaced at once, busy ones when they are returned. A refused login is retried as the
    documentation of credentials describes.

    Args:
        pool: A pool that is not open yet (``open=False``).
        settings: Live settings.
        user: The dotted name of the field that holds the user; None where the connection string has it. A field that
            is None leaves it to the connection string as well.
        password: The dotted name of the field that holds the password; likewise.
        patience: Seconds that a new connection may wait, from its first refusal, for a login that the server accepts.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or the settings are a snapshot.
        ValueError: The pool is open: its connections would keep the old login.
    """
    if not pool.closed:
        raise ValueError("the pool is open already: make it with open=False, bind it, and open it then")
    logins = Logins(settings, user, password, patience)
    if isinstance(pool, AsyncConnectionPool):
        arenewal = AsyncRenewal(pool, logins, lambda pool: pool.drain(), _is_open)
        pool.connection_class = _async_class(pool.connection_class, arenewal)
        _async_replace_outdated(pool, logins)
    else:
        renewal = Renewal(pool, logins, lambda pool: pool.drain(), _is_open)
        pool.connection_class = _class(pool.connection_class, renewal)
        _replace_outdated(pool, logins)


def _is_open(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> bool:
    return not pool.closed


def _class(base: type[Connection[Any]], renewal: Renewal[Any]) -> type[Connection[Any]]:
    """The pool's class of connections, with a ``connect`` that knows the newest login."""

    class Following(base):  # type: ignore[misc, valid-type]
        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            connect: Any = super().connect

            def make(login: Login) -> Any:
                connection = connect(conninfo, **kwargs | login.arguments())
                connection.liveconfig_login = login
                return connection

            return renewal.connect(make)

    return Following


def _async_class(base: type[AsyncConnection[Any]], renewal: AsyncRenewal[Any]) -> type[AsyncConnection[Any]]:
    """As `_class`, for an event loop."""

    class Following(base):  # type: ignore[misc, valid-type]
        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            connect: Any = super().connect

            async def make(login: Login) -> Any:
                connection = await connect(conninfo, **kwargs | login.arguments())
                connection.liveconfig_login = login
                return connection

            return await renewal.connect(make)

    return Following


def _is_outdated(connection: Any, logins: Logins) -> bool:
    """Whether a connection has an older login; one that the pool's own class made in another way has none."""
    login = getattr(connection, "liveconfig_login", None)
    return login is not None and logins.superseded(login)


def _replace_outdated(pool: Any, logins: Logins) -> None:
    """Have a connection with an older login replaced when the pool adds it to the idle ones.

    `drain` does not reach a connection that the pool is configuring or checking meanwhile.
    """
    add, weak = type(pool)._add_to_pool, weakref.ref(pool)  # noqa: SLF001 - psycopg_pool has no public name for it

    def add_newest(connection: Any) -> None:
        pool: Any = weak()
        if _is_outdated(connection, logins):
            pool._close_connection(connection)  # noqa: SLF001
            pool.run_task(AddConnection(pool))
        else:
            add(pool, connection)

    pool._add_to_pool = add_newest  # noqa: SLF001


def _async_replace_outdated(pool: Any, logins: Logins) -> None:
    """As `_replace_outdated`, for an event loop."""
    add, weak = type(pool)._add_to_pool, weakref.ref(pool)  # noqa: SLF001

    async def add_newest(connection: Any) -> None:
        pool: Any = weak()
        if _is_outdated(connection, logins):
            await pool._close_connection(connection)  # noqa: SLF001
            pool.run_task(AsyncAddConnection(pool))
        else:
            await add(pool, connection)

    pool._add_to_pool = add_newest  # noqa: SLF001
