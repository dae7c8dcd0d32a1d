"""Refused logins at a real server: the same tests for each client, sync and async."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import amqp
import asyncpg
import django.db
import psycopg
import pymysql
import pytest
import redis
import sqlalchemy.exc
from celery import Celery
from django.db.utils import ConnectionHandler
from django.test import override_settings
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from liveconfig import LiveConfigError
from liveconfig.integrations.asyncpg import bind as bind_asyncpg
from liveconfig.integrations.celery import bind as bind_celery
from liveconfig.integrations.psycopg import bind as bind_pool
from liveconfig.integrations.redis import bind as bind_redis
from liveconfig.integrations.sqlalchemy import bind as bind_engine

pymysql.install_as_MySQLdb()  # for Django

Connect = Callable[[], Awaitable[Any]]

pytestmark = pytest.mark.usefixtures("django_project")


@dataclass
class Kind:
    """A kind of client: where it connects to, how, and its own error for a refused login."""

    on: str
    open: Callable[..., AbstractAsyncContextManager[Connect]]
    error: type[Exception] | tuple[type[Exception], ...]


def sync_engine(driver: str) -> Callable[..., AbstractAsyncContextManager[Connect]]:
    @asynccontextmanager
    async def opened(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
        engine = create_engine(server.url(driver), poolclass=NullPool)
        bind_engine(engine, settings, patience=patience)
        yield lambda: asyncio.to_thread(lambda: engine.connect().close())

    return opened


def async_engine(driver: str) -> Callable[..., AbstractAsyncContextManager[Connect]]:
    @asynccontextmanager
    async def opened(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
        engine = create_async_engine(server.url(driver), poolclass=NullPool)
        bind_engine(engine, settings, patience=patience)

        async def connect() -> None:
            async with engine.connect():
                pass

        yield connect

    return opened


def django_engine(engine: str) -> Callable[..., AbstractAsyncContextManager[Connect]]:
    @asynccontextmanager
    async def opened(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
        options: dict[str, Any] = {"liveconfig": {"patience": patience}}
        if engine == "mysql":
            where, options["ssl_disabled"] = {"HOST": server.socket, "NAME": "information_schema"}, True
        else:
            where = {"HOST": server.host, "NAME": "postgres"}
        how = {"ENGINE": f"liveconfig.integrations.django.{engine}", "OPTIONS": options}
        handler = ConnectionHandler({"default": where | how})

        def connect() -> None:
            with handler["default"].wrap_database_errors:
                handler["default"].connect()
            handler["default"].close()

        with override_settings(LIVECONFIG={"SETTINGS": settings}):
            await asyncio.to_thread(connect)  # as an application does when it starts
            yield lambda: asyncio.to_thread(connect)

    return opened


@asynccontextmanager
async def sync_pool(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
    pool = ConnectionPool(f"host={server.host} dbname=postgres", open=False)
    bind_pool(pool, settings, patience=patience)
    yield lambda: asyncio.to_thread(lambda: pool.connection_class.connect(str(pool.conninfo)).close())


@asynccontextmanager
async def async_pool(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
    pool = AsyncConnectionPool(f"host={server.host} dbname=postgres", open=False)
    bind_pool(pool, settings, patience=patience)

    async def connect() -> None:
        await (await pool.connection_class.connect(str(pool.conninfo))).close()

    yield connect


@asynccontextmanager
async def asyncpg_pool(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
    pool = asyncpg.create_pool(host=server.host, database="postgres", min_size=0)
    bind_asyncpg(pool, settings, patience=patience)

    async def connect() -> None:
        await pool.expire_connections()
        await pool.execute("SELECT 1")

    async with pool:
        yield connect


def celery_broker(url: str) -> Callable[..., AbstractAsyncContextManager[Connect]]:
    @asynccontextmanager
    async def opened(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
        app = Celery(broker=url.format(server=server), set_as_current=False)
        bind_celery(app, settings, "db.user", "db.password", patience=patience)

        def connect() -> None:
            with app.connection_for_write() as connection:
                connection.connect()

        yield lambda: asyncio.to_thread(connect)
        app.close()

    return opened


@asynccontextmanager
async def celery_results(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
    url = f"redis://127.0.0.1:{server.where['port']}/0"
    app = Celery(broker="memory://", backend=url, set_as_current=False)
    fields = {"result_user": "db.user", "result_password": "db.password"}
    bind_celery(app, settings, None, None, **fields, patience=patience)

    def connect() -> None:
        client = app._get_backend().client
        try:
            client.ping()
        finally:  # each thread has a back end, and a pool, of its own
            client.connection_pool.disconnect()

    yield lambda: asyncio.to_thread(connect)
    app.close()


@asynccontextmanager
async def sync_redis(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
    with redis.Redis(**server.where) as client:
        bind_redis(client, settings, patience=patience)

        def connect() -> None:
            client.connection_pool.disconnect()
            client.ping()

        yield lambda: asyncio.to_thread(connect)


@asynccontextmanager
async def async_redis(server: Any, settings: Any, patience: float) -> AsyncIterator[Connect]:
    async with redis.asyncio.Redis(**server.where) as client:
        bind_redis(client, settings, patience=patience)

        async def connect() -> None:
            await client.connection_pool.disconnect()
            await client.ping()

        yield connect


KINDS = {
    "engine, psycopg": Kind("postgres", sync_engine("psycopg"), sqlalchemy.exc.OperationalError),
    "engine, psycopg2": Kind("postgres", sync_engine("psycopg2"), sqlalchemy.exc.OperationalError),
    "engine, pymysql": Kind("mariadb", sync_engine("pymysql"), sqlalchemy.exc.OperationalError),
    "async engine, asyncpg": Kind(
        "postgres", async_engine("asyncpg"), (sqlalchemy.exc.DBAPIError, asyncpg.PostgresError)
    ),
    "async engine, psycopg": Kind("postgres", async_engine("psycopg"), sqlalchemy.exc.OperationalError),
    "pool": Kind("postgres", sync_pool, psycopg.OperationalError),
    "async pool": Kind("postgres", async_pool, psycopg.OperationalError),
    "pool of asyncpg": Kind("postgres", asyncpg_pool, asyncpg.InvalidAuthorizationSpecificationError),
    "Django, postgresql": Kind("postgres", django_engine("postgresql"), django.db.OperationalError),
    "Django, mysql": Kind("mariadb", django_engine("mysql"), django.db.OperationalError),
    "Celery, amqp": Kind("rabbitmq", celery_broker("amqp://127.0.0.1:{server.port}"), amqp.AccessRefused),
    "Celery, redis": Kind(
        "redis_server", celery_broker("redis://127.0.0.1:{server.where[port]}/0"), redis.AuthenticationError
    ),
    "Celery, results": Kind("redis_server", celery_results, redis.AuthenticationError),
    "redis": Kind("redis_server", sync_redis, redis.AuthenticationError),
    "async redis": Kind("redis_server", async_redis, redis.AuthenticationError),
}
EACH_KIND = pytest.mark.parametrize(("on", "kind"), [(kind.on, name) for name, kind in KINDS.items()], indirect=["on"])


def run(rotation: Any, kind: str, body: Callable[[Connect], Awaitable[None]], patience: float = 10.0) -> None:
    """Run a body with a client of this kind."""

    async def opened() -> None:
        async with KINDS[kind].open(rotation.server, rotation.settings, patience) as connect:
            await asyncio.wait_for(body(connect), 30)

    asyncio.run(opened())


@EACH_KIND
def test_a_connection_takes_the_newest_login_and_no_pinned_one(
    rotation: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection made while a request has pinned the old password logs in with the new one, at the first try."""

    def refused(wait: bool = True) -> bool:
        raise AssertionError("only after a refusal the volume is read")

    async def body(connect: Connect) -> None:
        with rotation.settings.live.pinned():
            rotation.renew()
            rotation.in_server()
            rotation.in_volume()
            assert rotation.settings.live.reload()
            monkeypatch.setattr(rotation.settings.live, "reload", refused)
            await connect()

    run(rotation, kind, body, patience=0)


@EACH_KIND
def test_a_volume_ahead_of_its_server(rotation: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The server does not know the new login yet: connections are made with the one before, which is said once."""

    async def body(connect: Connect) -> None:
        rotation.renew()
        rotation.in_volume()
        rotation.settings.live.reload()
        await connect()
        await connect()
        assert caplog.text.count("the server refuses the newest login (db.user, db.password)") == 1
        rotation.in_server()
        await connect()

    run(rotation, kind, body, patience=0)


@EACH_KIND
def test_a_volume_that_was_swapped_without_an_event(rotation: Any, kind: str) -> None:
    """D04: a refused login has the volume read, so that a lost event does no harm."""

    async def body(connect: Connect) -> None:
        rotation.settings.live.close()
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        await connect()

    run(rotation, kind, body, patience=0)


@EACH_KIND
def test_a_server_ahead_of_its_volume(rotation: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The volume does not have the new login yet: the connection waits for it, and the event loop goes on meanwhile."""

    async def body(connect: Connect) -> None:
        loop, loop_thread = asyncio.get_running_loop(), threading.current_thread()
        looked = asyncio.Semaphore(0)

        def watched(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                assert threading.current_thread() is not loop_thread, "this would block the event loop"
                try:
                    return method(*arguments, **named)
                finally:
                    loop.call_soon_threadsafe(looked.release)

            return call

        for name in ("reload", "wait"):
            monkeypatch.setattr(rotation.settings.live, name, watched(getattr(rotation.settings.live, name)))
        rotation.renew()
        rotation.in_server()
        connecting = asyncio.create_task(connect())
        await looked.acquire()
        await looked.acquire()  # it has been refused, has found nothing new, and has waited
        assert not connecting.done()
        rotation.in_volume()
        await connecting

    run(rotation, kind, body)


@EACH_KIND
def test_a_login_that_is_wrong(rotation: Any, kind: str) -> None:
    """F50: at the end of the patience the client's own error comes, once, with no password wherever one looks."""

    async def body(connect: Connect) -> None:
        rotation.renew()
        rotation.in_server()
        with pytest.raises(KINDS[kind].error) as caught:
            await connect()
        text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert "CANARY" not in text + reachable(caught.value)

    run(rotation, kind, body, patience=0.3)


@EACH_KIND
@pytest.mark.parametrize("password", ["", "CANARY\0", "CANARY " * 100, "CANARY='\"\\%@:/?#[]"], ids=repr)
def test_a_password_that_is_odd(rotation: Any, kind: str, password: str) -> None:
    """A password that is empty, long, or has a NUL or quotes is a refused one: the login before is used."""

    async def body(connect: Connect) -> None:
        rotation.volume.write({"db.user": rotation.server.user, "db.password": password})
        assert rotation.settings.live.reload()
        await connect()

    run(rotation, kind, body, patience=0)


@pytest.mark.parametrize("on", ["mariadb"], indirect=True)
def test_a_password_that_the_driver_cannot_encode(rotation: Any, canary: str) -> None:
    """F52: PyMySQL sends latin-1; a password beyond that is a refused one, and nowhere in the error."""

    async def body(connect: Connect) -> None:
        rotation.volume.write({"db.user": rotation.server.user, "db.password": f"{canary}€"})
        assert rotation.settings.live.reload()
        await connect()
        rotation.renew()
        rotation.in_server()
        with pytest.raises(LiveConfigError, match="cannot send the login") as caught:
            await connect()
        frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
        assert canary not in "".join(str(frame.locals) for frame in frames if frame.filename != __file__)
        assert canary not in reachable(caught.value)

    run(rotation, "engine, pymysql", body, patience=0)


def reachable(error: BaseException | None) -> str:
    """What is to be read in an error, its cause and its context: their arguments and attributes."""
    seen: list[str] = []
    todo: list[Any] = [error]
    while todo:
        if isinstance(one := todo.pop(), BaseException):
            seen += [repr(one), repr(one.args)]
            todo += [one.__cause__, one.__context__, *vars(one).values()]
        else:
            seen.append(repr(one))
    return "\n".join(seen)


@EACH_KIND
def test_with_a_verifier_the_last_good_login_stays(rotation: Any, kind: str) -> None:
    """A login that is wrong in the volume does not get past a verifier that tries it."""
    good = rotation.settings.db.password

    async def body(connect: Connect) -> None:
        @rotation.settings.live.verify(on="db.password")
        def try_it(candidate: Any) -> bool:
            return rotation.server.takes(candidate.db.password.get_secret_value())

        rotation.renew()
        rotation.in_volume()
        assert not rotation.settings.live.reload()
        assert rotation.settings.db.password == good
        await connect()

    run(rotation, kind, body, patience=0)
