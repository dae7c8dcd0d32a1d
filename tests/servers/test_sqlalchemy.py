"""The story of SQLAlchemy's engines, on real servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from liveconfig.integrations.sqlalchemy import bind

IDENTITY = {"postgresql": text("SELECT pg_backend_pid()"), "mysql": text("SELECT CONNECTION_ID()")}


@pytest.mark.parametrize(
    ("on", "driver", "gap"),
    [("postgres", "psycopg", 1.0), ("postgres", "psycopg2", 0.2), ("mariadb", "pymysql", 0.2)],
    indirect=["on"],
)
def test_an_engine_lives_through_rotations(
    rotation: Any, driver: str, gap: float, make_load: Any, tell: Callable[..., None]
) -> None:
    """A sync engine under load loses no operation while its password is rotated ten times."""
    engine = create_engine(rotation.server.url(driver), pool_size=9)
    identity = IDENTITY[engine.dialect.name]
    bind(engine, rotation.settings)

    def operate() -> None:
        with engine.begin() as connection:
            connection.execute(identity).scalar_one()

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        with engine.begin() as connection:
            before = connection.execute(identity).scalar_one()
            held.set()
            release.wait(30)
            return before, connection.execute(identity).scalar_one()

    tell(rotation, make_load(operate, hold), gap)
    engine.dispose()


@pytest.mark.parametrize(("on", "driver"), [("postgres", "asyncpg"), ("postgres", "psycopg")], indirect=["on"])
def test_an_async_engine_lives_through_rotations(
    rotation: Any, driver: str, make_async_load: Any, tell: Callable[..., None]
) -> None:
    """An async engine under load loses no operation while its password is rotated ten times."""

    @asynccontextmanager
    async def client() -> AsyncIterator[AsyncEngine]:
        engine = create_async_engine(rotation.server.url(driver), pool_size=9)
        bind(engine, rotation.settings)
        yield engine
        await engine.dispose()

    async def operate(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(IDENTITY["postgresql"])

    async def hold(engine: AsyncEngine, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with engine.begin() as connection:
            before = await connection.scalar(IDENTITY["postgresql"])
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return before, await connection.scalar(IDENTITY["postgresql"])

    tell(rotation, make_async_load(client, operate, hold), 0.2)


@pytest.mark.parametrize(
    ("on", "driver"), [("postgres", "psycopg"), ("postgres", "psycopg2"), ("mariadb", "pymysql")], indirect=["on"]
)
def test_what_is_connected_outlives_a_login_that_no_server_takes(rotation: Any, driver: str) -> None:
    """The server has moved on and the volume got another password: idle connections still work, and stay."""
    engine = create_engine(rotation.server.url(driver), pool_size=3)
    identity = IDENTITY[engine.dialect.name]
    bind(engine, rotation.settings, patience=0)
    with engine.connect() as one, engine.connect() as other:
        there = {one.scalar(identity), other.scalar(identity)}
    lose_the_password(rotation)
    for _ in range(3):
        with engine.connect() as connection:
            assert connection.scalar(identity) in there
    engine.dispose()


@pytest.mark.parametrize(("on", "driver"), [("postgres", "asyncpg"), ("postgres", "psycopg")], indirect=["on"])
async def test_what_an_async_engine_has_outlives_a_login_that_no_server_takes(rotation: Any, driver: str) -> None:
    """The same for async engines, where the newest login is tried without blocking the event loop."""
    engine = create_async_engine(rotation.server.url(driver), pool_size=3)
    bind(engine, rotation.settings, patience=0)
    async with engine.connect() as one, engine.connect() as other:
        there = {await one.scalar(IDENTITY["postgresql"]), await other.scalar(IDENTITY["postgresql"])}
    await asyncio.to_thread(lose_the_password, rotation)
    for _ in range(3):
        async with engine.connect() as connection:
            assert await connection.scalar(IDENTITY["postgresql"]) in there
    await engine.dispose()


def lose_the_password(rotation: Any) -> None:
    """One password in the server, and another, that it does not take, in the volume."""
    rotation.renew()
    rotation.in_server()
    rotation.renew()
    rotation.in_volume()
    assert rotation.settings.live.reload()
