"""`bind` with a psycopg pool, whose connections log in to a replacement for a server."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest
from psycopg import AsyncConnection, Connection, OperationalError
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


def plain_pool(login_server: Any, drained: Drained) -> ConnectionPool[Any]:
    class Guarded(Connection[Any]):
        closed = False

        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            login_server.log_in(kwargs.get("user"), kwargs.get("password"))
            return cls.__new__(cls)

        def close(self) -> None:
            self.closed = True

        def __repr__(self) -> str:
            return "<a connection>"

        def __del__(self, *_: Any) -> None:
            pass

    class Counting(ConnectionPool[Any]):
        closed: Any = True

        def drain(self) -> None:
            drained.note()

    return Counting("host=db", connection_class=Guarded, open=False)


def async_pool(login_server: Any, drained: Drained) -> AsyncConnectionPool[Any]:
    class Guarded(AsyncConnection[Any]):
        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            login_server.log_in(kwargs.get("user"), kwargs.get("password"))
            return cls.__new__(cls)

        async def close(self) -> None:
            pass

        def __repr__(self) -> str:
            return "<a connection>"

        def __del__(self, *_: Any) -> None:
            pass

    class Counting(AsyncConnectionPool[Any]):
        closed: Any = True

        async def drain(self) -> None:
            drained.note()

    return Counting("host=db", connection_class=Guarded, open=False)


def bind_and_open(pool: Any, settings: Any, **how: Any) -> None:
    """No connection is made for it: the pools here have no server."""
    bind(pool, settings, **how)
    pool.closed = False


@pytest.fixture
def drained() -> Drained:
    return Drained()


def swap(volume: Any, settings: Any, password: str) -> None:
    volume.write({"db.user": "app", "db.password": password})
    assert settings.live.reload()


def test_the_pool_is_drained_when_the_server_takes_the_new_login(
    settings: Any, volume: Any, login_server: Any, drained: Drained
) -> None:
    """On a change one connection tries the new login; once the server takes it, and no sooner, the pool is drained."""
    pool = plain_pool(login_server, drained)
    bind_and_open(pool, settings)
    pool.connection_class.connect("host=db")
    refusals = threading.Semaphore(0)
    log_in = login_server.log_in

    def log_in_and_record(user: str | None, password: str | None) -> None:
        try:
            log_in(user, password)
        except Exception:
            refusals.release()
            raise

    login_server.log_in = log_in_and_record
    swap(volume, settings, "two")
    assert refusals.acquire(timeout=10)
    assert refusals.acquire(timeout=10)
    assert drained.count == 0
    login_server.takes = {("app", "two")}
    assert drained.wait_for(1)


def test_an_async_pool_is_drained_as_well(settings: Any, volume: Any, login_server: Any, drained: Drained) -> None:
    """An async pool is drained on the event loop that it connects on now, wherever it was bound."""
    pool = async_pool(login_server, drained)
    bind_and_open(pool, settings)  # no loop is running here

    async def connect() -> None:
        await pool.connection_class.connect("host=db")

    async def run() -> None:
        await connect()
        login_server.takes = {("app", "two")}
        await asyncio.to_thread(swap, volume, settings, "two")
        assert await asyncio.to_thread(drained.wait_for, 1)

    asyncio.run(connect())  # on a loop that is gone
    asyncio.run(run())


@pytest.mark.parametrize("make", [plain_pool, async_pool])
def test_a_login_that_is_never_taken_makes_the_settings_unhealthy(
    settings: Any, volume: Any, login_server: Any, drained: Drained, eventually: Any, make: Any
) -> None:
    """When the patience is at its end, the subscriber fails: the status says so until the server takes the login."""
    pool = make(login_server, drained)
    bind_and_open(pool, settings, patience=0)

    def story() -> None:
        swap(volume, settings, "two")
        assert eventually(lambda: not settings.live.status().healthy)
        assert "_renewal" in settings.live.status().problems[0]
        assert drained.count == 0
        login_server.takes = {("app", "two")}
        assert drained.wait_for(1)
        assert eventually(lambda: settings.live.status().healthy)

    run_with_a_connection(pool, story)


def run_with_a_connection(pool: Any, story: Callable[[], None]) -> None:
    """Tell a story of a pool that has made a connection, whatever its kind."""
    made = pool.connection_class.connect("host=db")
    if not inspect.iscoroutine(made):
        return story()

    async def run() -> None:
        await made
        await asyncio.to_thread(story)

    return asyncio.run(run())


@pytest.mark.parametrize("make", [plain_pool, async_pool])
def test_others_are_told_while_pools_are_renewed(
    settings: Any, volume: Any, login_server: Any, drained: Drained, make: Any
) -> None:
    """E160: six pools try the new login on other threads, so that the delivery does not wait."""
    pools = [make(login_server, drained) for _ in range(6)]
    for pool in pools:
        bind_and_open(pool, settings)

    def story() -> None:
        login_server.takes = set()
        swap(volume, settings, "two")
        assert [each.name for each in settings.live.status().subscribers if each.running_since] == []
        login_server.takes = {("app", "two")}
        assert drained.wait_for(6)

    def all_connected(rest: list[Any]) -> None:
        if rest:
            run_with_a_connection(rest[0], lambda: all_connected(rest[1:]))
        else:
            story()

    all_connected(pools)


@pytest.mark.parametrize("make", [plain_pool, async_pool])
def test_a_closed_pool_is_left_alone(
    settings: Any, volume: Any, login_server: Any, drained: Drained, make: Any
) -> None:
    """For a pool that was closed nothing is tried, and nothing fails."""
    closed, other = make(login_server, drained), plain_pool(login_server, drained)
    for pool in (closed, other):
        bind_and_open(pool, settings)

    def story() -> None:
        closed.closed = True
        login_server.tried.clear()
        login_server.takes = {("app", "two")}
        swap(volume, settings, "two")
        assert drained.wait_for(1)
        assert login_server.tried == [("app", "two")]
        assert settings.live.status().healthy

    run_with_a_connection(other, lambda: run_with_a_connection(closed, story))


def test_a_pool_whose_event_loop_is_gone_is_left_alone(
    settings: Any, volume: Any, login_server: Any, drained: Drained, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections of an event loop that is closed are gone with it: nothing is tried for them, and nothing promised."""
    pool = async_pool(login_server, drained)
    bind_and_open(pool, settings)
    run_with_a_connection(pool, lambda: None)
    swap(volume, settings, "two")
    assert settings.live.status().healthy
    assert "event loop" not in caplog.text
    assert login_server.tried == [("app", "one")]


@pytest.mark.parametrize("end", ["the settings are closed", "the pool is closed", "the pool is gone"])
def test_a_renewal_ends(
    settings: Any, volume: Any, login_server: Any, drained: Drained, eventually: Any, end: str
) -> None:
    """E162: a renewal that waits for the server ends when the settings or the pool are closed, or the pool is gone."""
    threads = set(threading.enumerate())
    pools = [plain_pool(login_server, drained)]
    bind_and_open(pools[0], settings, patience=3600)
    pools[0].connection_class.connect("host=db")
    swap(volume, settings, "two")
    assert eventually(lambda: login_server.tried.count(("app", "two")) > 1)
    if end == "the settings are closed":
        settings.live.close()
    elif end == "the pool is closed":
        pools[0].closed = True
    else:
        pools.clear()
        gc.collect()
    assert eventually(lambda: not [each for each in set(threading.enumerate()) - threads if "renewal" in each.name])


@pytest.mark.parametrize("kind", [ConnectionPool, AsyncConnectionPool])
async def test_a_pool_that_is_open_is_refused(settings: Any, kind: Any) -> None:
    """An open pool, whose connections have an unknown login, is an error."""
    pool = kind("host=db", min_size=0, max_size=1, open=False)
    opened = pool.open()
    if opened is not None:
        await opened
    with pytest.raises(ValueError, match="open already"):
        bind(pool, settings)
    closed = pool.close()
    if closed is not None:
        await closed


def test_a_change_before_the_first_connection_is_not_lost(
    settings: Any, volume: Any, login_server: Any, drained: Drained
) -> None:
    """The login changed between the binding and the first connection, which had to take the one before."""
    pool = plain_pool(login_server, drained)
    bind_and_open(pool, settings)
    swap(volume, settings, "two")
    pool.connection_class.connect("host=db")
    assert login_server.tried[:2] == [("app", "two"), ("app", "one")]
    login_server.takes = {("app", "two")}
    assert drained.wait_for(1)


def test_what_the_pool_was_given_is_kept(settings: Any, login_server: Any, drained: Drained) -> None:
    """The pool's own class of connections and arguments are kept; user and password are the newest."""
    pool = plain_pool(login_server, drained)
    guarded = pool.connection_class
    bind(pool, settings, user=None)
    assert issubclass(pool.connection_class, guarded)
    login_server.takes = {("of-the-pool", "one")}
    pool.connection_class.connect("host=db", user="of-the-pool", password="old")
    assert login_server.tried == [("of-the-pool", "one")]


def test_a_field_that_is_not_there_is_named(settings: Any, login_server: Any, drained: Drained) -> None:
    """The name of a field that does not exist is an error at once, that names the nearest."""
    with pytest.raises(LiveConfigError, match=r"db\.password"):
        bind(plain_pool(login_server, drained), settings, password="db.pasword")


def test_a_pool_that_is_gone_is_forgotten(settings: Any, login_server: Any, drained: Drained) -> None:
    """The settings keep neither a collected pool nor a subscription for it."""
    pool = plain_pool(login_server, drained)
    bind_and_open(pool, settings)
    pool.connection_class.connect("host=db")
    del pool
    gc.collect()
    assert settings.live.status().subscribers == ()


@pytest.mark.parametrize("make", [plain_pool, async_pool])
def test_a_connection_that_is_outdated_when_it_is_made(
    settings: Any, volume: Any, login_server: Any, drained: Drained, make: Any
) -> None:
    """A connection that logged in while the server began to take a newer login is not given to the pool."""
    pool = make(login_server, drained)
    bind_and_open(pool, settings)
    log_in, others = login_server.log_in, []

    def rotated_meanwhile(user: str | None, password: str | None) -> None:
        log_in(user, password)
        if not others:
            others.append(threading.Thread(target=another))
            others[0].start()
            others[0].join(10)

    def another() -> None:
        swap(volume, settings, "two")
        login_server.takes = {("app", "two")}
        connect()

    def connect() -> None:
        connection = pool.connection_class.connect("host=db")
        if inspect.isawaitable(connection):
            asyncio.run(finished(connection))

    login_server.log_in = rotated_meanwhile
    connect()
    assert login_server.tried[-1] == ("app", "two")
    assert [password for _, password in login_server.tried if password == "one"] == ["one"]
    assert len(login_server.tried) >= 3


async def finished(awaitable: Any) -> Any:
    return await awaitable


def test_an_error_of_a_server_that_is_down_holds_no_password(settings: Any) -> None:
    """The error of a server that does not answer comes at once; psycopg keeps the password in it, and it is removed."""
    pool = ConnectionPool("host=127.0.0.1 port=1", open=False)
    bind(pool, settings, patience=60)
    with pytest.raises(OperationalError, match="port 1 failed") as caught:
        pool.connection_class.connect(str(pool.conninfo))
    assert caught.value.pgconn is not None
    assert caught.value.pgconn.password == b""
