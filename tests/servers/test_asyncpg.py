"""asyncpg's pools on a real server."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg
import pytest

from liveconfig.integrations.asyncpg import bind

ON_POSTGRES = pytest.mark.parametrize("on", ["postgres"], indirect=True)


def pool_of(rotation: Any, **how: Any) -> asyncpg.Pool:
    return asyncpg.create_pool(host=rotation.server.host, database="postgres", **how)


@ON_POSTGRES
def test_a_pool_lives_through_rotations(rotation: Any, make_async_load: Any, tell: Callable[..., None]) -> None:
    """A pool under load loses no operation while its password is rotated ten times in both orders, a second apart."""

    @asynccontextmanager
    async def client() -> AsyncIterator[asyncpg.Pool]:
        pool = pool_of(rotation, min_size=9)
        bind(pool, rotation.settings)
        async with pool:
            yield pool

    async def operate(pool: asyncpg.Pool) -> None:
        await pool.execute("SELECT 1")

    async def hold(pool: asyncpg.Pool, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with pool.acquire() as connection:
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return connection.get_server_pid(), await connection.fetchval("SELECT pg_backend_pid()")

    tell(rotation, make_async_load(client, operate, hold), 1.0)


@ON_POSTGRES
async def test_idle_connections_move_without_being_used(rotation: Any) -> None:
    """After a rotation, idle connections move to the new login, although none is acquired."""
    pool = pool_of(rotation, min_size=5)
    bind(pool, rotation.settings)
    async with pool:
        old = rotation.server.sessions()
        assert len(old) == 5
        rotate(rotation)
        deadline = monotonic() + 30
        while rotation.server.sessions() & old:
            assert monotonic() < deadline, "idle connections on the old login after 30 s"
            await asyncio.sleep(0.02)
        assert await pool.fetchval("SELECT 1") == 1


@ON_POSTGRES
async def test_a_connection_in_the_hands_of_setup_is_not_cut(rotation: Any) -> None:
    """A connection that the pool prepares for a user counts as busy: a rotation does not close it."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def setup(connection: Any) -> None:
        entered.set()
        await go_on.wait()
        await connection.execute("SELECT 1")

    pool = pool_of(rotation, min_size=2, max_size=2, setup=setup)
    bind(pool, rotation.settings)
    async with pool:
        old = rotation.server.sessions()
        using = asyncio.create_task(pool.fetchval("SELECT 'done'"))
        await entered.wait()
        rotate(rotation)
        deadline = monotonic() + 30
        while len(rotation.server.sessions() & old) == 2:
            assert monotonic() < deadline, "the idle connection stays on the old login"
            await asyncio.sleep(0.02)
        go_on.set()
        assert await using == "done"


@ON_POSTGRES
async def test_a_connection_that_is_just_being_released_moves(rotation: Any) -> None:
    """A connection whose release began before a rotation and ended after it does not stay on the old login."""
    resetting, go_on = asyncio.Event(), asyncio.Event()

    async def reset(connection: Any) -> None:
        resetting.set()
        await go_on.wait()

    pool = pool_of(rotation, min_size=2, max_size=2, reset=reset)
    bind(pool, rotation.settings)
    async with pool:
        old = rotation.server.sessions()
        using = asyncio.create_task(pool.fetchval("SELECT 1"))
        await resetting.wait()
        rotate(rotation)
        await until(lambda: len(rotation.server.sessions() & old) == 1)
        go_on.set()
        assert await using == 1
        await until(lambda: not rotation.server.sessions() & old)


@ON_POSTGRES
@pytest.mark.parametrize("while_", ["the pool is opened", "it is acquired"])
async def test_a_connection_in_a_slow_init_moves(rotation: Any, while_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the pool initializes during a rotation does not stay on the old login."""
    made: list[Any] = []
    initializing, go_on, expired = asyncio.Event(), asyncio.Event(), asyncio.Event()
    expire = asyncpg.Pool.expire_connections

    async def expire_connections(pool: asyncpg.Pool) -> None:
        await expire(pool)
        expired.set()

    monkeypatch.setattr(asyncpg.Pool, "expire_connections", expire_connections)

    async def init(connection: Any) -> None:
        made.append(connection)
        if len(made) == 2:
            initializing.set()
            await go_on.wait()

    async def use() -> None:
        async with pool.acquire(), pool.acquire():
            pass

    async def opened() -> None:
        await pool

    pool = pool_of(rotation, min_size=2 if "opened" in while_ else 1, max_size=3, init=init)
    bind(pool, rotation.settings)
    try:
        waiting = asyncio.create_task(opened())
        if "acquired" in while_:
            await waiting
            waiting = asyncio.create_task(use())
        await initializing.wait()
        old = rotation.server.sessions()
        assert len(old) == 2
        rotate(rotation)
        await asyncio.wait_for(expired.wait(), 30)
        go_on.set()
        await waiting
        await until(lambda: not rotation.server.sessions() & old)
        assert await pool.fetchval("SELECT 1") == 1
    finally:
        pool.terminate()


@ON_POSTGRES
async def test_a_login_that_is_never_taken_makes_the_settings_unhealthy(rotation: Any) -> None:
    """While the server refuses the newest login, the pool keeps its connections and the status names the failure."""
    pool = pool_of(rotation, min_size=2)
    bind(pool, rotation.settings, patience=0)
    async with pool:
        old = rotation.server.sessions()
        rotation.renew()
        rotation.in_volume()
        await until(lambda: not rotation.settings.live.status().healthy)
        assert rotation.server.sessions() == old
        assert await pool.fetchval("SELECT 1") == 1
        rotation.in_server()
        await until(lambda: rotation.settings.live.status().healthy)
        await until(lambda: not rotation.server.sessions() & old)


@ON_POSTGRES
async def test_the_connect_function_of_the_pool_is_kept(rotation: Any) -> None:
    """A `connect` that was given to the pool makes the connections, with the newest login."""
    made = []

    async def connect(*arguments: Any, **options: Any) -> Any:
        made.append(options["user"])
        return await asyncpg.connect(*arguments, **options)

    pool = pool_of(rotation, min_size=1, connect=connect, user="nobody", password="wrong")
    bind(pool, rotation.settings)
    async with pool:
        assert await pool.fetchval("SELECT current_user") == rotation.server.user
    assert made == [rotation.server.user]


@ON_POSTGRES
async def test_a_closed_pool_is_left_alone(rotation: Any) -> None:
    """A rotation after the pool was closed makes no connection and no failure."""
    pool = pool_of(rotation, min_size=1)
    bind(pool, rotation.settings)
    async with pool:
        pass
    rotation.renew()
    rotation.in_volume()
    assert await asyncio.to_thread(rotation.settings.live.reload)
    assert rotation.settings.live.status().healthy


@ON_POSTGRES
async def test_a_pool_that_is_open_is_refused(rotation: Any) -> None:
    """`bind` raises for a pool that was awaited, with connections or without."""
    async with pool_of(rotation, min_size=0, user="app") as pool:
        with pytest.raises(ValueError, match="open already: call create_pool"):
            bind(pool, rotation.settings)


@ON_POSTGRES
def test_a_pool_that_is_gone_is_forgotten(rotation: Any) -> None:
    """The settings keep neither a collected pool nor a subscription for it."""

    async def story() -> None:
        pool = pool_of(rotation, min_size=1)
        bind(pool, rotation.settings)
        async with pool:
            pass

    asyncio.run(story())
    gc.collect()
    assert rotation.settings.live.status().subscribers == ()


def rotate(rotation: Any) -> None:
    rotation.renew()
    rotation.in_server()
    rotation.in_volume()


async def until(holds: Callable[[], object]) -> None:
    deadline = monotonic() + 30
    while not holds():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)
