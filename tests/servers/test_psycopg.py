"""The story of psycopg's pools, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from liveconfig.integrations.psycopg import bind

ON_POSTGRES = pytest.mark.parametrize("on", ["postgres"], indirect=True)


def where(rotation: Any) -> dict[str, Any]:
    return {"conninfo": f"host={rotation.server.host} dbname=postgres", "min_size": 9, "open": False}


@ON_POSTGRES
def test_a_pool_lives_through_rotations(rotation: Any, make_load: Any, tell: Callable[..., None]) -> None:
    """A pool under load loses no operation while its password is rotated ten times."""
    pool = ConnectionPool(**where(rotation))
    bind(pool, rotation.settings)

    def operate() -> None:
        with pool.connection() as connection:
            connection.execute("SELECT 1")

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        with pool.connection() as connection:
            before = connection.execute("SELECT pg_backend_pid()").fetchone()
            held.set()
            release.wait(30)
            return before, connection.execute("SELECT pg_backend_pid()").fetchone()

    with pool:
        tell(rotation, make_load(operate, hold), 0.2)


@ON_POSTGRES
def test_an_async_pool_lives_through_rotations(rotation: Any, make_async_load: Any, tell: Callable[..., None]) -> None:
    """An async pool under load loses no operation while its password is rotated ten times."""

    @asynccontextmanager
    async def client() -> AsyncIterator[AsyncConnectionPool]:
        pool = AsyncConnectionPool(**where(rotation))
        bind(pool, rotation.settings)
        async with pool:
            yield pool

    async def operate(pool: AsyncConnectionPool) -> None:
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")

    async def hold(pool: AsyncConnectionPool, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with pool.connection() as connection:
            before = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return before, await (await connection.execute("SELECT pg_backend_pid()")).fetchone()

    tell(rotation, make_async_load(client, operate, hold), 0.2)


@ON_POSTGRES
def test_a_pool_that_has_every_connection_of_its_role_moves_too(rotation: Any) -> None:
    """Where the role may have no connection beside the pool, the server's word on that is enough: it took the login."""
    rotation.server.limit(3)
    try:
        pool = ConnectionPool(**where(rotation) | {"min_size": 3})
        bind(pool, rotation.settings)
        with pool:
            pool.wait()
            old = rotation.server.sessions()
            rotation.renew()
            rotation.in_server()
            rotation.in_volume()
            deadline = monotonic() + 30
            while rotation.server.sessions() & old:
                assert monotonic() < deadline, "the pool stays on the old login"
                threading.Event().wait(0.01)
            pool.wait()
    finally:
        rotation.server.limit(-1)


@ON_POSTGRES
def test_six_pools_move_together(rotation: Any) -> None:
    """Of several pools each moves to the new login, whatever the others do."""
    pools = [ConnectionPool(**where(rotation) | {"min_size": 2}) for _ in range(6)]
    with contextlib.ExitStack() as opened:
        for pool in pools:
            bind(pool, rotation.settings)
            opened.enter_context(pool).wait()
        old = rotation.server.sessions()
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        deadline = monotonic() + 30
        while left := rotation.server.sessions() & old:
            assert monotonic() < deadline, f"{len(left)} connections on the old login after 30 s"
            threading.Event().wait(0.01)
        for pool in pools:
            pool.wait()
