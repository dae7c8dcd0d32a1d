"""asyncpg: connection pools whose connections log in with the newest user and password."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from liveconfig import Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._login import Logins
from liveconfig.integrations._pool_renewal import AsyncRenewal

with extra_of(__name__):
    from asyncpg import Pool

__all__ = ["bind"]


def bind(
    pool: Pool,
    settings: Settings,
    user: str | None = "db.user",
    password: str | None = "db.password",  # noqa: S107 - the name of a field
    patience: float = 5.0,
) -> None:
    """Make the connections of a pool log in with the newest user and password of live settings.

    New connections take both from one snapshot. When they change and the server accepts the new login, idle
    connections are closed at once, busy ones when they are released. A refused login is retried as the documentation
    of credentials describes.

    Args:
        pool: A pool from ``create_pool`` that is not open yet: neither awaited nor entered.
        settings: Live settings.
        user: The dotted name of the field that holds the user; None where the pool's own arguments name it. A field
            that is None leaves it to the pool's arguments as well.
        password: The dotted name of the field that holds the password; likewise.
        patience: Seconds that a new connection may wait, from its first refusal, for a login that the server accepts.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or the settings are a snapshot.
        ValueError: The pool is open: its connections would keep the old login.
    """
    if pool._initialized or pool._initializing:  # noqa: SLF001 - asyncpg has no public name for it
        raise ValueError("the pool is open already: call create_pool() without await, bind the pool, then open it")
    connector = _Connector(pool, Logins(settings, user, password, patience))
    pool._connect = connector  # noqa: SLF001 - where `create_pool` stores its argument `connect`
    if pool._init is not None:  # noqa: SLF001
        pool._init = connector.initialize  # noqa: SLF001


class _Connector:
    """The pool's `connect`. It lives as long as the pool, which does not support weak references."""

    def __init__(self, pool: Any, logins: Logins) -> None:
        self.pool = pool
        self._connect = pool._connect  # noqa: SLF001 - the one that the pool was given, or asyncpg's own
        self._init = pool._init  # noqa: SLF001
        self._renewal = AsyncRenewal(self, logins, _expire, _is_open)

    async def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Connect as the pool does, with the newest login."""
        connect = self._connect  # the renewal keeps the function, which must not keep the pool
        return await self._renewal.connect(lambda login: connect(*arguments, **options | login.arguments()))

    async def initialize(self, connection: Any) -> None:
        """Initialize a connection as the pool does. If the pool was expired meanwhile, it is expired as well."""
        generation = self.pool._generation  # noqa: SLF001
        await self._init(connection)
        if self.pool._generation != generation:  # noqa: SLF001
            asyncio.get_running_loop().call_soon(_expire_one, self.pool, connection)  # when its holder has it


def _is_open(connector: _Connector) -> bool:
    return not connector.pool.is_closing()


async def _expire(connector: _Connector) -> None:
    """Close the idle connections now; the pool closes each busy one when it is released."""
    pool = connector.pool
    await pool.expire_connections()
    _close_expired(pool)
    for holder in pool._holders:  # noqa: SLF001
        if holder._in_use is not None:  # noqa: SLF001 - the pool may have begun to release it, and will keep it open
            holder._in_use.add_done_callback(lambda _: _close_expired(pool))  # noqa: SLF001


def _expire_one(pool: Any, connection: Any) -> None:
    """Close a connection now if it is idle; the pool closes it when it is released."""
    for holder in pool._holders:  # noqa: SLF001
        if holder._con is connection:  # noqa: SLF001
            holder._generation = None  # noqa: SLF001 - older than every generation of the pool
    _close_expired(pool)


def _close_expired(pool: Any) -> None:
    """Close the idle connections that were opened before the last `expire_connections`."""
    idle = []
    with suppress(asyncio.QueueEmpty):
        while True:  # nothing is awaited here, so that no connection is acquired meanwhile
            idle.append(pool._queue.get_nowait())  # noqa: SLF001 - a holder outside of the queue may be in use
    for holder in reversed(idle):
        if holder._generation != pool._generation:  # noqa: SLF001
            holder.terminate()
        pool._queue.put_nowait(holder)  # noqa: SLF001
