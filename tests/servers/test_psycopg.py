"""The story of psycopg's pools, on a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
            release.wait(10)
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
