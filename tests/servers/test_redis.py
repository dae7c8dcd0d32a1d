"""The story of redis-py's clients, on a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from liveconfig.integrations.redis import bind

ON_REDIS = pytest.mark.parametrize("on", ["redis_server"], indirect=True)
EACH_POOL = pytest.mark.parametrize("pool", ["ConnectionPool", "BlockingConnectionPool"])


@ON_REDIS
def test_a_client_lives_through_rotations(rotation: Any, make_load: Any, tell: Callable[..., None]) -> None:
    """A client under load loses no operation while its password is rotated ten times."""
    client = redis.Redis(**rotation.server.where)
    bind(client, rotation.settings)

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        with client.client() as alone:
            before = alone.client_id()
            held.set()
            release.wait(30)
            return before, alone.client_id()

    with client:
        tell(rotation, make_load(client.ping, hold), 0.2)


@ON_REDIS
def test_an_async_client_lives_through_rotations(
    rotation: Any, make_async_load: Any, tell: Callable[..., None]
) -> None:
    """An async client under load loses no operation while its password is rotated ten times."""

    @asynccontextmanager
    async def client() -> AsyncIterator[redis.asyncio.Redis]:
        async with redis.asyncio.Redis(**rotation.server.where) as one:
            bind(one, rotation.settings)
            yield one

    async def hold(client: redis.asyncio.Redis, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with client.client() as alone:
            before = await alone.client_id()
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return before, await alone.client_id()

    tell(rotation, make_async_load(client, lambda client: client.ping(), hold), 0.2)


class Moved:
    """A rotation that is over when the server has no session left of those that were idle before it."""

    def __init__(self, rotation: Any) -> None:
        self._rotation = rotation

    def __call__(self, idle: set[object]) -> None:
        self._rotation.renew()
        self._rotation.in_server()
        self._rotation.in_volume()
        deadline = monotonic() + 30
        while left := self._rotation.server.sessions() & idle:
            assert monotonic() < deadline, f"{len(left)} idle connections on the old login"
            threading.Event().wait(0.01)


@pytest.fixture
def rotate(rotation: Any) -> Moved:
    return Moved(rotation)


@ON_REDIS
def test_a_busy_connection_keeps_what_it_has_to_remember(rotation: Any, rotate: Moved) -> None:
    """The state between two commands of one connection (SELECT, MULTI, WATCH) survives a rotation."""
    with redis.Redis(**rotation.server.where) as client:
        bind(client, rotation.settings)
        with client.client() as one, client.pipeline() as pipeline, client.client() as other:
            busy = one.client_id()
            one.execute_command("SELECT", 3)
            other.execute_command("MULTI")
            pipeline.watch("watched")
            client.ping()
            idle = {str(client.client_id())}
            rotate(idle)
            assert one.client_info()["db"] == 3
            assert one.client_id() == busy
            client.set("watched", "by somebody else")
            pipeline.multi()
            pipeline.set("watched", "by us")
            with pytest.raises(redis.WatchError):
                pipeline.execute()
            assert other.execute_command("ECHO", "still here") == b"QUEUED"
            assert other.execute_command("EXEC") == [b"still here"]
            assert str(busy) in rotation.server.sessions()
        asyncio.run(asyncio.wait_for(until(lambda: str(busy) not in rotation.server.sessions()), 30))


@ON_REDIS
async def test_a_busy_connection_of_an_async_client_keeps_what_it_has_to_remember(rotation: Any, rotate: Moved) -> None:
    """The same for an asyncio client; the connection is replaced when it is released."""
    async with redis.asyncio.Redis(**rotation.server.where) as client:
        bind(client, rotation.settings)
        async with client.client() as one:
            busy = await one.client_id()
            await one.execute_command("SELECT", 3)
            await client.ping()
            await asyncio.to_thread(rotate, {str(await client.client_id())})
            assert (await one.client_info())["db"] == 3
            assert await one.client_id() == busy
        await asyncio.wait_for(until(lambda: str(busy) not in rotation.server.sessions()), 30)


@ON_REDIS
def test_a_subscription_loses_no_message(rotation: Any, rotate: Moved) -> None:
    """A message that is published after a rotation reaches an earlier subscriber."""
    with redis.Redis(**rotation.server.where) as client:
        bind(client, rotation.settings)
        with client.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe("news")
            subscription.get_message(timeout=30)
            rotate({str(client.client_id())})
            client.publish("news", "one")
            message = subscription.get_message(timeout=30)
    assert message is not None
    assert message["data"] == b"one"


@ON_REDIS
def test_idle_connections_of_a_blocking_pool_are_dropped(rotation: Any, rotate: Moved) -> None:
    """At a rotation, all idle connections of a blocking pool are dropped at once."""
    pool = redis.BlockingConnectionPool(**rotation.server.where)
    with redis.Redis.from_pool(pool) as client:
        bind(client, rotation.settings)
        with client.client() as one, client.client() as other:
            idle = {str(one.client_id()), str(other.client_id())}
        rotate(idle)
        assert client.ping()


@ON_REDIS
@EACH_POOL
def test_a_connection_that_logs_in_during_a_rotation_moves(rotation: Any, rotate: Moved, pool: str) -> None:
    """A client whose first connection has logged in, and is not ready yet, moves it to the new login."""
    connecting, go_on = threading.Event(), threading.Event()

    class Slow(redis.Connection):
        def on_connect(self) -> None:
            super().on_connect()
            if not connecting.is_set():
                connecting.set()
                assert go_on.wait(30)

    made = getattr(redis, pool)(connection_class=Slow, **rotation.server.where)
    with redis.Redis.from_pool(made) as client, ThreadPoolExecutor(1) as executor:
        bind(client, rotation.settings)
        using = executor.submit(client.ping)
        assert connecting.wait(30)
        before = rotation.settings.db
        rotation.settings.live.subscribe(lambda new: new.db, lambda _: go_on.set())
        rotate(rotation.server.sessions())
        assert using.result(30)
        assert rotation.settings.db != before


@ON_REDIS
@EACH_POOL
async def test_a_connection_whose_release_waits_for_another_moves(rotation: Any, pool: str) -> None:
    """A release that began before a rotation and waits for a slow one does not leave its connection behind."""
    async with redis.asyncio.Redis.from_pool(getattr(redis.asyncio, pool)(**rotation.server.where)) as client:
        bind(client, rotation.settings)
        connections = client.connection_pool
        slow, waiting, idle = [await connections.get_connection() for _ in range(3)]
        closing, go_on = make_slow_to_close(slow)
        slow.mark_for_reconnect()
        await connections.release(idle)
        releases = [asyncio.create_task(connections.release(each)) for each in (slow, waiting)]
        await closing.wait()
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        await asyncio.wait_for(until(lambda: not idle.is_connected), 30)
        go_on.set()
        await asyncio.gather(*releases)
        await asyncio.wait_for(until(lambda: not waiting.is_connected), 30)
        assert await client.ping()


@ON_REDIS
@EACH_POOL
async def test_a_release_that_is_cancelled_returns_its_connection(rotation: Any, pool: str) -> None:
    """After a rotation, a release that is cancelled while another connection is closed does not lose its own."""
    made = getattr(redis.asyncio, pool)(max_connections=3, **rotation.server.where)
    async with redis.asyncio.Redis.from_pool(made) as client:
        bind(client, rotation.settings)
        slow, other = [await made.get_connection() for _ in range(2)]
        closing, go_on = make_slow_to_close(slow)
        before = rotation.settings.db
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        await rotation.settings.live.wait_for(lambda new: new.db != before, 30)
        newest = await made.get_connection()  # with the newest login, so that the others are outdated
        releases = [asyncio.create_task(made.release(each)) for each in (slow, other)]
        await closing.wait()
        releases[1].cancel()
        go_on.set()
        await asyncio.gather(*releases, return_exceptions=True)
        await made.release(newest)
        again = [await asyncio.wait_for(made.get_connection(), 30) for _ in range(3)]
        for each in again:
            await made.release(each)


def make_slow_to_close(connection: Any) -> tuple[asyncio.Event, asyncio.Event]:
    """Let a connection close slowly, as one does over TLS. Return when it begins, and what ends it."""
    closing, go_on = asyncio.Event(), asyncio.Event()
    disconnect = connection.disconnect

    async def slow_disconnect(*arguments: Any, **options: Any) -> None:
        closing.set()
        await go_on.wait()
        await disconnect(*arguments, **options)

    connection.disconnect = slow_disconnect
    return closing, go_on


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.02)


@ON_REDIS
def test_retries_that_are_set_later_stay(rotation: Any, rotate: Moved) -> None:
    """Retries that the application sets between two logins of a connection hold after the second one."""
    with redis.Redis(**rotation.server.where) as client:
        bind(client, rotation.settings)
        idle = {str(client.client_id())}
        client.set_retry(Retry(NoBackoff(), 7))
        rotate(idle)
        with client.client() as one:
            assert str(one.client_id()) not in idle
            assert one.connection.retry.get_retries() == 7


@ON_REDIS
@pytest.mark.parametrize("how", ["it was used", "it connects when it is made"])
def test_a_client_that_is_connected_is_refused(rotation: Any, how: str) -> None:
    """A client that has a connection already is an error of `bind`."""
    with redis.Redis(**rotation.server.where, single_connection_client="made" in how) as client:
        if "used" in how:
            client.connection_pool.release(client.connection_pool.get_connection())
        with pytest.raises(ValueError, match="connected already"):
            bind(client, rotation.settings)
