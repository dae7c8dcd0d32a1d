"""The story of psycopg's pools, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from psycopg import Connection
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


class Named(Connection[Any]):
    """A connection of an application, with an attribute that other code may want for itself."""

    @property
    def login(self) -> str:
        return "the application's"


@ON_POSTGRES
def test_a_connection_class_keeps_its_attributes(rotation: Any) -> None:
    """`bind` takes no name from the connection class of a pool, and follows connections of another class as well."""
    pool = ConnectionPool(**where(rotation), connection_class=Named)
    bind(pool, rotation.settings)
    with pool:
        with pool.connection() as connection:
            assert connection.login == "the application's"
        pool.connection_class = Connection  # from now on, the password of the connection string counts
        pool.kwargs = {"password": rotation.settings.db.password.get_secret_value(), "user": rotation.settings.db.user}
        pool.drain()
        with pool.connection() as connection:
            connection.execute("SELECT 1")


class Slow:
    """A hook of a pool that waits, in a thread or on an event loop, when it is called for the first time."""

    def __init__(self) -> None:
        self.entered, self.go_on, self.drained = threading.Event(), threading.Event(), threading.Event()

    def plain(self, _: Any) -> None:
        if not self.entered.is_set():
            self.entered.set()
            assert self.go_on.wait(30)

    async def awaitable(self, _: Any) -> None:
        await asyncio.to_thread(self.plain, None)

    def live_through_a_rotation(self, rotation: Any) -> None:
        """Rotate the login, end the hook when the pool was drained, and wait until all connections have moved."""
        assert self.entered.wait(30)
        until(lambda: len(rotation.server.sessions()) == 3)
        old = rotation.server.sessions()
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        assert self.drained.wait(30)
        self.go_on.set()
        until(lambda: not rotation.server.sessions() & old)


def until(holds: Callable[[], object]) -> None:
    deadline = monotonic() + 30
    while not holds():
        assert monotonic() < deadline
        threading.Event().wait(0.02)


HOOKS = pytest.mark.parametrize("hook", ["configure", "reset", "check"])


@ON_POSTGRES
@HOOKS
def test_a_connection_in_a_slow_hook_of_its_pool_moves(rotation: Any, hook: str) -> None:
    """A connection that its pool configures, resets or checks during a rotation does not stay on the old login."""
    slow = Slow()

    class Pool(ConnectionPool[Any]):
        check_connection = staticmethod(slow.plain)  # type: ignore[assignment]

        def drain(self) -> None:
            super().drain()
            slow.drained.set()

    hooks = {hook: slow.plain} if hook != "check" else {}
    pool = Pool(**where(rotation) | {"min_size": 3} | hooks)
    bind(pool, rotation.settings)
    with pool, ThreadPoolExecutor(1) as executor:
        if hook != "configure":
            pool.wait()
            pool.putconn(pool.getconn())
        checking = executor.submit(pool.check) if hook == "check" else None
        slow.live_through_a_rotation(rotation)
        if checking is not None:
            checking.result(30)
        with pool.connection() as connection:
            connection.execute("SELECT 1")


@ON_POSTGRES
@HOOKS
async def test_a_connection_in_a_slow_hook_of_its_async_pool_moves(rotation: Any, hook: str) -> None:
    """The same for an async pool."""
    slow = Slow()

    class Pool(AsyncConnectionPool[Any]):
        check_connection = staticmethod(slow.awaitable)  # type: ignore[assignment]

        async def drain(self) -> None:
            await super().drain()
            slow.drained.set()

    hooks = {hook: slow.awaitable} if hook != "check" else {}
    pool = Pool(**where(rotation) | {"min_size": 3} | hooks)
    bind(pool, rotation.settings)
    async with pool:
        if hook != "configure":
            await pool.wait()
            await pool.putconn(await pool.getconn())
        checking = asyncio.create_task(pool.check()) if hook == "check" else None
        await asyncio.to_thread(slow.live_through_a_rotation, rotation)
        if checking is not None:
            await checking
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
