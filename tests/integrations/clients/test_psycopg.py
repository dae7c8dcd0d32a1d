"""What `bind` does to a psycopg pool: its connections, without a server, stand behind a door that asks for a login."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from liveconfig import LiveConfigError
from liveconfig.integrations.psycopg import bind


class Drained:
    """How often a pool was drained."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def note(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, 10)


def plain_pool(door: Any, drained: Drained) -> ConnectionPool[Any]:
    class Guarded(Connection[Any]):
        closed = False

        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            door.enter(kwargs.get("user"), kwargs.get("password"))
            return cls.__new__(cls)

        def close(self) -> None:
            self.closed = True

        def __repr__(self) -> str:
            return "<a connection>"

        def __del__(self, *_: Any) -> None:
            pass

    class Counting(ConnectionPool[Any]):
        def drain(self) -> None:
            drained.note()

    return Counting("host=db", connection_class=Guarded, open=False)


def async_pool(door: Any, drained: Drained) -> AsyncConnectionPool[Any]:
    class Guarded(AsyncConnection[Any]):
        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            door.enter(kwargs.get("user"), kwargs.get("password"))
            return cls.__new__(cls)

        async def close(self) -> None:
            pass

        def __repr__(self) -> str:
            return "<a connection>"

        def __del__(self, *_: Any) -> None:
            pass

    class Counting(AsyncConnectionPool[Any]):
        async def drain(self) -> None:
            drained.note()

    return Counting("host=db", connection_class=Guarded, open=False)


@pytest.fixture
def drained() -> Drained:
    return Drained()


def swap(volume: Any, settings: Any, password: str) -> None:
    volume.write({"db.user": "app", "db.password": password})
    assert settings.live.reload()


def test_the_pool_is_drained_when_the_server_takes_the_new_login(
    settings: Any, volume: Any, door: Any, drained: Drained
) -> None:
    """On a change one connection tries the new login; once the server takes it, and no sooner, the pool is drained."""
    pool = plain_pool(door, drained)
    bind(pool, settings)
    pool.connection_class.connect("host=db")
    refusals = threading.Semaphore(0)
    enter = door.enter

    def enter_and_tell(user: str | None, password: str | None) -> None:
        try:
            enter(user, password)
        except Exception:
            refusals.release()
            raise

    door.enter = enter_and_tell
    swap(volume, settings, "two")
    assert refusals.acquire(timeout=10)
    assert refusals.acquire(timeout=10)
    assert drained.count == 0
    door.takes = {("app", "two")}
    assert drained.wait_for(1)


def test_an_async_pool_is_drained_as_well(settings: Any, volume: Any, door: Any, drained: Drained) -> None:
    """An async pool is drained on the event loop that it connects on now, wherever it was bound."""
    pool = async_pool(door, drained)
    bind(pool, settings)  # no loop is running here

    async def connect() -> None:
        await pool.connection_class.connect("host=db")

    async def run() -> None:
        await connect()
        door.takes = {("app", "two")}
        await asyncio.to_thread(swap, volume, settings, "two")
        assert await asyncio.to_thread(drained.wait_for, 1)

    asyncio.run(connect())  # on a loop that is gone
    asyncio.run(run())


def test_a_login_that_is_never_taken_makes_the_settings_unhealthy(
    settings: Any, volume: Any, door: Any, drained: Drained
) -> None:
    """When the patience is at its end, the subscriber fails: the status says so until the server takes the login."""
    pool = plain_pool(door, drained)
    bind(pool, settings, patience=0)
    pool.connection_class.connect("host=db")
    swap(volume, settings, "two")
    assert not settings.live.status().healthy
    assert drained.count == 0
    door.takes = {("app", "two")}
    assert drained.wait_for(1)
    settings.live.reload()
    assert settings.live.status().healthy


def test_a_change_before_the_first_connection_is_not_lost(
    settings: Any, volume: Any, door: Any, drained: Drained
) -> None:
    """The login changed between the binding and the first connection, which had to take the one before."""
    pool = plain_pool(door, drained)
    bind(pool, settings)
    swap(volume, settings, "two")
    pool.connection_class.connect("host=db")
    assert door.tried[:2] == [("app", "two"), ("app", "one")]
    door.takes = {("app", "two")}
    assert drained.wait_for(1)


def test_what_the_pool_was_given_is_kept(settings: Any, door: Any, drained: Drained) -> None:
    """The pool's own class of connections and arguments are kept; user and password are the newest."""
    pool = plain_pool(door, drained)
    guarded = pool.connection_class
    bind(pool, settings, user=None)
    assert issubclass(pool.connection_class, guarded)
    door.takes = {("of-the-pool", "one")}
    pool.connection_class.connect("host=db", user="of-the-pool", password="old")
    assert door.tried == [("of-the-pool", "one")]


def test_a_field_that_is_not_there_is_named(settings: Any, door: Any, drained: Drained) -> None:
    """The name of a field that does not exist is an error at once, that names the nearest."""
    with pytest.raises(LiveConfigError, match=r"db\.password"):
        bind(plain_pool(door, drained), settings, password="db.pasword")


def test_a_pool_that_is_gone_is_forgotten(settings: Any, door: Any, drained: Drained) -> None:
    """The settings do not keep a pool, nor hear of one, that nobody refers to any more."""
    pool = plain_pool(door, drained)
    bind(pool, settings)
    pool.connection_class.connect("host=db")
    del pool
    gc.collect()
    assert settings.live.status().subscribers == ()
