"""The recipes of docs/credentials/callables.md, as they stand there, with the servers that they are for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from types import ModuleType
from typing import Any

import amqp
import asyncmy
import asyncpg
import kombu
import kombu.pools
import nats
import pytest
import redis
from opensearchpy import AuthenticationException
from pydantic import BaseModel, SecretStr
from tortoise import Model, Tortoise, connections
from tortoise.fields import IntField

from liveconfig import Settings
from liveconfig.testing import KubeletVolume

PAGE = (Path(__file__).parents[2] / "docs" / "credentials" / "callables.md").read_text("utf-8")


def recipe(heading: str, places: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """Run the Python of one section, with other places in it."""
    beginning = re.findall(r"^from liveconfig.integrations.credentials .*$", PAGE, re.MULTILINE)
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    code = "\n".join([*beginning, *re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)])
    for shown, real in places.items():
        assert shown in code
        code = code.replace(shown, real)
    names = {"settings": settings}
    exec(compile(code, f"<{heading}>", "exec"), names)
    return names


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Login(BaseModel):
    user: str = "app"
    password: SecretStr


class ShopSettings(Settings):
    db: Login
    broker: Login
    search: Login


class Rotated:
    """A login in a server and on a volume."""

    def __init__(self, server: Any, volume: KubeletVolume) -> None:
        self._server, self._volume = server, volume
        self.renew()
        self.in_server()
        self.in_volume()

    def renew(self) -> None:
        """Think up the next password."""
        self._password = f"CANARY-{uuid.uuid4()}"

    def in_server(self) -> None:
        self._server.set_password(self._password)

    def in_volume(self) -> None:
        names = ("db", "broker", "search")
        self._volume.write({f"{name}.password": self._password for name in names})

    def rotate(self) -> None:
        self.renew()
        self.in_server()
        self.in_volume()


@pytest.fixture
def rotated(request: pytest.FixtureRequest, kubelet_volume: KubeletVolume) -> Rotated:
    (server,) = (name for name in request.fixturenames if name in SERVERS)
    return Rotated(request.getfixturevalue(server), kubelet_volume)


@pytest.fixture
def settings(rotated: Rotated, kubelet_volume: KubeletVolume) -> Iterator[ShopSettings]:
    """Settings that nobody watches: what the client gets after a rotation, the callable itself has read."""
    settings = ShopSettings.load(_volumes=kubelet_volume.path, _watch=False)
    yield settings
    settings.live.close()


SERVERS = {"postgres", "mariadb", "redis_server", "rabbitmq", "nats_server", "search"}


async def retry(operation: Callable[[], Any], *errors: type[Exception]) -> Any:
    """Do it again until it works, as clients do."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await operation()
            except errors:
                await asyncio.sleep(0.05)


async def test_asyncpg(postgres: Any, rotated: Rotated, settings: ShopSettings) -> None:
    """A new connection of asyncpg takes the newest password; a refused one has the volume read."""
    places = {'"db"': repr(postgres.host), '"shop", user="shop"': '"postgres", user="app"'}
    connect = recipe("asyncpg", places, settings)["connect"]
    await (await connect()).close()
    rotated.rotate()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect()
    # the recipe makes a credential for each connection: one is used here for several
    password = recipe("asyncpg", places, settings)["credential"](settings, "db.password")
    where = {"host": postgres.host, "database": "postgres", "user": "app", "password": password.awaitable}
    connection = await retry(lambda: asyncpg.connect(**where), asyncpg.InvalidPasswordError)
    await connection.close()


async def test_tortoise(
    postgres: Any, rotated: Rotated, settings: ShopSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tortoise opens new connections with the newest password."""
    places = {
        '"host": "db"': f'"host": {postgres.host!r}',
        '"database": "shop"': '"database": "postgres"',
        '"user": "shop"': '"user": "app", "min_size": 1, "max_size": 1',
        '["shop.models"]': '["liveconfig_shop_models"]',
    }
    monkeypatch.setitem(sys.modules, "liveconfig_shop_models", models := ModuleType("liveconfig_shop_models"))
    models.Item = type("Item", (Model,), {"__module__": models.__name__, "id": IntField(primary_key=True)})
    config = recipe("Tortoise ORM", places, settings)["TORTOISE_ORM"]
    await Tortoise.init(config=config)
    try:
        client = connections.get("default")
        assert await client.execute_query_dict("SELECT 1 AS one") == [{"one": 1}]
        rotated.rotate()
        settings.live.reload()
        await client._pool.expire_connections()
        assert await client.execute_query_dict("SELECT 1 AS one") == [{"one": 1}]
    finally:
        await Tortoise.close_connections()


async def test_asyncmy(mariadb: Any, rotated: Rotated, settings: ShopSettings) -> None:
    """A pool of asyncmy opens a new connection with the newest password."""
    places = {'host="db", db="shop", user="shop"': f'unix_socket={mariadb.socket!r}, user="app", maxsize=2'}
    pool = await recipe("asyncmy", places, settings)["open_pool"]()
    async with pool.acquire():
        rotated.rotate()

        async def query() -> Any:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("SELECT 1")
                return await cursor.fetchone()

        assert await retry(query, asyncmy.errors.OperationalError) == (1,)
    pool.close()
    await pool.wait_closed()


def test_kombu_on_rabbitmq(rabbitmq: Any, rotated: Rotated, settings: ShopSettings) -> None:
    """A connection of kombu that was cut after a rotation comes back with the newest password, and loses no message."""
    places = {'hostname="broker", userid="shop"': f'hostname="127.0.0.1", port={rabbitmq.port}, userid="app"'}
    with recipe("kombu", places, settings)["broker_connection"]() as connection:
        publish(connection, "one")
        rotated.rotate()
        settings.live.reload()
        rabbitmq.cut()
        publish(connection, "two")
        assert received(connection, 2) == ["one", "two"]


def test_kombu_on_redis(redis_server: Any, rotated: Rotated, settings: ShopSettings) -> None:
    """The same with Redis, where redis-py's credential provider is passed on."""
    places = {"broker:6379": "{host}:{port}".format(**redis_server.where)}
    with recipe("kombu", places, settings)["redis_connection"]() as connection:
        publish(connection, "one")
        rotated.rotate()
        settings.live.reload()
        redis_server.cut()
        publish(connection, "two")
        assert received(connection, 2) == ["one", "two"]
    kombu.pools.reset()


def publish(connection: kombu.Connection, text: str) -> None:
    producer = connection.Producer()
    options = {"max_retries": 20, "interval_start": 0.1, "interval_step": 0}
    connection.ensure(producer, producer.publish, **options)(
        text, routing_key="orders", declare=[kombu.Queue("orders")]
    )


def received(connection: kombu.Connection, number: int) -> list[str]:
    queue = connection.SimpleQueue("orders")
    texts = []
    for _ in range(number):
        message = queue.get(timeout=30)
        message.ack()
        texts.append(message.payload)
    queue.close()
    return texts


class Nats:
    """NATS of the system, with one login that is rotated in its configuration."""

    user = "app"

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="liveconfig-")
        self._config = Path(self._directory.name) / "nats.conf"
        self.port = free_port()
        self._write("")
        command = ["nats-server", "--addr", "127.0.0.1", "--port", str(self.port), "--config", str(self._config)]
        self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._wait_for("Server is ready")

    def stop(self) -> None:
        self._server.kill()
        self._server.communicate()
        self._directory.cleanup()

    def set_password(self, password: str) -> None:
        self._write(password)
        self._server.send_signal(signal.SIGHUP)
        self._wait_for("Reloaded server configuration")

    def sessions(self) -> set[object]:
        """It cuts every session at a rotation."""
        return set()

    def _write(self, password: str) -> None:
        self._config.write_text(f'authorization {{ user: app, password: "{password}" }}')

    def _wait_for(self, text: str) -> None:
        assert self._server.stderr is not None
        assert any(text in line for line in self._server.stderr)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[Nats]:
    if shutil.which("nats-server") is None:
        assert not os.environ.get("CI"), "CI has to install nats-server"
        pytest.skip("needs nats-server: apt-get install nats-server")
    one = Nats()
    yield one
    one.stop()


@pytest.fixture
def close_refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """A function that closes, on their loop, the connections that were refused: nats-py does not."""
    connect, writers = asyncio.open_connection, list[asyncio.StreamWriter]()

    async def open_connection(*arguments: Any, **options: Any) -> Any:
        reader, writer = await connect(*arguments, **options)
        writers.append(writer)
        return reader, writer

    async def close() -> None:
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    monkeypatch.setattr("asyncio.open_connection", open_connection)
    return close


async def test_nats(nats_server: Nats, rotated: Rotated, settings: ShopSettings, close_refused: Any) -> None:
    """A client that the server cut, as its password was changed, comes back with the newest one."""
    places = {"broker:4222": f"127.0.0.1:{nats_server.port}", 'user="shop"': 'user="app", reconnect_time_wait=0.1'}
    client = await recipe("NATS", places, settings)["connect_to_nats"]()
    try:
        subscription = await client.subscribe("orders")

        async def pass_on(text: bytes) -> bool:
            """What is published while the server cuts the connection is lost, as anywhere with NATS."""
            await client.publish("orders", text)
            await client.flush()
            while (await subscription.next_msg(2)).data != text:  # again one that was published twice
                pass
            return True

        for text in (b"one", b"two", b"three"):
            assert await retry(lambda text=text: pass_on(text), nats.errors.Error, TimeoutError)
            await asyncio.to_thread(rotated.rotate)
            settings.live.reload()
    finally:
        await client.close()
        await close_refused()


class Search:
    """Stands in for OpenSearch: takes one login."""

    user = "app"

    def __init__(self) -> None:
        search = self
        self._password = ""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = b'{"version": {"number": "3.0.0", "distribution": "opensearch"}}'
                expected = "Basic " + base64.b64encode(f"app:{search._password}".encode()).decode()
                self.send_response(200 if self.headers.get("Authorization") == expected else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def set_password(self, password: str) -> None:
        self._password = password

    def sessions(self) -> set[object]:
        """Each request logs in by itself."""
        return set()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="session")
def search() -> Iterator[Search]:
    one = Search()
    yield one
    one.stop()


def test_opensearch(search: Search, rotated: Rotated, settings: ShopSettings) -> None:
    """Each request carries the newest login; after a refused one the next reads the volume."""
    client = recipe("OpenSearch", {"search:9200": f"127.0.0.1:{search.port}"}, settings)["search_client"]()
    assert client.info()["version"]["number"] == "3.0.0"
    rotated.rotate()
    answers: list[str] = []
    for _ in range(3):
        with contextlib.suppress(AuthenticationException):
            answers.append(client.info()["version"]["number"])
    assert answers[-1] == "3.0.0"
    client.close()


# Ten rotations under load. The callable tries no other login and does not wait, so the program retries what was refused.


def on(server: str) -> Any:
    return pytest.mark.parametrize("on", [server], indirect=True)


def retry_in_thread(operation: Callable[[], Any], *errors: type[Exception]) -> Any:
    deadline = monotonic() + 60
    while True:
        try:
            return operation()
        except errors:
            assert monotonic() < deadline
            threading.Event().wait(0.05)


@on("postgres")
def test_asyncpg_lives_through_rotations(rotation: Any, make_async_load: Any, tell: Callable[..., None]) -> None:
    """With asyncpg no operation is lost in ten rotations, a second apart, if the program retries a refused login."""
    places = {'"db"': repr(rotation.server.host), '"shop", user="shop"': '"postgres", user="app"'}
    connect = recipe("asyncpg", places, rotation.settings)["connect"]

    @contextlib.asynccontextmanager
    async def connected(_: Any) -> AsyncIterator[asyncpg.Connection]:
        connection = await retry(connect, asyncpg.InvalidPasswordError)
        yield connection
        await connection.close()

    async def operate(_: Any) -> None:
        async with connected(_) as connection:
            await connection.execute("SELECT 1")

    async def hold(_: Any, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with connected(_) as connection:
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return connection.get_server_pid(), await connection.fetchval("SELECT pg_backend_pid()")

    tell(rotation, make_async_load(contextlib.AsyncExitStack, operate, hold), 1.0)


@on("postgres")
def test_tortoise_lives_through_rotations(
    rotation: Any, make_async_load: Any, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pool of Tortoise that `bind` follows no operation is lost in ten rotations, and all connections move."""
    places = {
        '"host": "db"': f'"host": {rotation.server.host!r}',
        '"database": "shop"': '"database": "postgres"',
        '"user": "shop"': '"user": "app", "minsize": 9, "maxsize": 9',
        'tortoise.backends.asyncpg"': 'liveconfig_shop_database"',
        '["shop.models"]': '["liveconfig_shop_models"]',
    }
    for name in ("models", "database"):
        monkeypatch.setitem(sys.modules, f"liveconfig_shop_{name}", ModuleType(f"liveconfig_shop_{name}"))
    models = sys.modules["liveconfig_shop_models"]
    models.Item = type("Item", (Model,), {"__module__": models.__name__, "id": IntField(primary_key=True)})
    code = recipe("Tortoise ORM", places, rotation.settings)
    sys.modules["liveconfig_shop_database"].client_class = code["client_class"]

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[Any]:
        await Tortoise.init(config=code["TORTOISE_ORM"])
        yield connections.get("default")
        await Tortoise.close_connections()

    async def operate(client: Any) -> None:
        assert await client.execute_query_dict("SELECT 1 AS one") == [{"one": 1}]

    async def hold(client: Any, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with client.acquire_connection() as connection:
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return connection.get_server_pid(), await connection.fetchval("SELECT pg_backend_pid()")

    tell(rotation, make_async_load(client, operate, hold), 0.3)


@on("mariadb")
def test_asyncmy_lives_through_rotations(rotation: Any, make_async_load: Any, tell: Callable[..., None]) -> None:
    """A pool of asyncmy that recycles its connections loses no operation in ten rotations if the program retries."""
    where = f'unix_socket={rotation.server.socket!r}, user="app", maxsize=9, pool_recycle=1'
    open_pool = recipe("asyncmy", {'host="db", db="shop", user="shop"': where}, rotation.settings)["open_pool"]

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[asyncmy.Pool]:
        pool = await open_pool()
        yield pool
        pool.close()
        await pool.wait_closed()

    async def identity(connection: Any) -> Any:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT CONNECTION_ID()")
            return await cursor.fetchone()

    async def query(pool: asyncmy.Pool) -> None:
        async with pool.acquire() as connection:
            await identity(connection)

    async def operate(pool: asyncmy.Pool) -> None:
        await retry(lambda: query(pool), asyncmy.errors.OperationalError)

    async def hold(pool: asyncmy.Pool, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with pool.acquire() as connection:
            before = await identity(connection)
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return before, await identity(connection)

    tell(rotation, make_async_load(client, operate, hold), 0.3, all_move=False)


KOMBU = {
    "rabbitmq": (
        "broker_connection",
        lambda server: {'hostname="broker", userid="shop"': f'hostname="127.0.0.1", port={server.port}, userid="app"'},
        amqp.AccessRefused,
    ),
    "redis_server": (
        "redis_connection",
        lambda server: {"broker:6379": "{host}:{port}".format(**server.where)},
        redis.AuthenticationError,
    ),
}


@pytest.mark.parametrize(("on", "kind"), [(name, name) for name in KOMBU], indirect=["on"])
def test_kombu_lives_through_rotations(rotation: Any, kind: str, make_load: Any, tell: Callable[..., None]) -> None:
    """With kombu no message is lost in ten rotations, if the program retries a refused login."""
    name, places, refused = KOMBU[kind]
    connect = recipe("kombu", {**places(rotation.server), '"broker.': '"db.'}, rotation.settings)[name]
    queue = f"story-{uuid.uuid4()}"

    def publish_once() -> None:
        with connect() as connection:
            connection.Producer().publish("text", routing_key=queue, declare=[kombu.Queue(queue)])

    def operate() -> None:
        retry_in_thread(publish_once, refused)

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        with connect() as connection:
            channel = retry_in_thread(lambda: connection.default_channel, refused)
            held.set()
            release.wait(30)
            before = id(channel), id(connection.default_channel)
        operate()
        return before

    load = make_load(operate, hold)
    tell(rotation, load, 0.3, all_move=False)
    with connect() as connection:
        assert connection.SimpleQueue(queue).qsize() == load.operations + 10
    kombu.pools.reset()


@on("nats_server")
def test_nats_lives_through_rotations(
    rotation: Any, make_async_load: Any, tell: Callable[..., None], close_refused: Any
) -> None:
    """A client of NATS, which the server cuts at each rotation, comes back each time, and no request is lost."""
    places = {
        "broker:4222": f"127.0.0.1:{rotation.server.port}",
        'user="shop"': 'user="app", reconnect_time_wait=0.05',
        '"broker.': '"db.',
    }
    connect = recipe("NATS", places, rotation.settings)["connect_to_nats"]

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[Any]:
        client = await connect()

        async def answer(message: Any) -> None:
            await message.respond(message.data)

        await client.subscribe("orders", cb=answer)
        yield client
        await client.close()
        await close_refused()

    async def operate(client: Any) -> None:
        answer = await retry(lambda: client.request("orders", b"one", 1), nats.errors.Error)
        assert answer.data == b"one"

    async def hold(client: Any, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        held.set()
        await asyncio.to_thread(release.wait, 10)
        return None, None

    tell(rotation, make_async_load(client, operate, hold), 0.3)


@on("search")
def test_opensearch_lives_through_rotations(rotation: Any, make_load: Any, tell: Callable[..., None]) -> None:
    """With OpenSearch no request is lost in ten rotations, if the program retries a refused one."""
    places = {"search:9200": f"127.0.0.1:{rotation.server.port}", '"search.': '"db.'}
    client = recipe("OpenSearch", places, rotation.settings)["search_client"]()

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        held.set()
        release.wait(30)
        return None, None

    tell(rotation, make_load(lambda: retry_in_thread(client.info, AuthenticationException), hold), 0.3)
    client.close()
