"""Real servers that the tests start themselves, and the story that each client has to live through."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Self

import amqp
import pymysql
import pytest
import redis
from pydantic import BaseModel, SecretStr

from liveconfig import Settings
from liveconfig.testing import KubeletVolume

EXAMPLE = Path(__file__).parents[2] / "examples" / "password_rotation" / "rotated_postgres.py"
spec = importlib.util.spec_from_file_location("password_rotation_server", EXAMPLE)
assert spec is not None
assert spec.loader is not None
server = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = server
spec.loader.exec_module(server)


class MariaDB:
    """MariaDB of the system, in a directory of its own, with one login that is rotated."""

    user = "app"

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="liveconfig-")
        self.home = Path(self._directory.name)
        self.socket = str(self.home / "socket")
        common = ["--no-defaults", f"--datadir={self.home / 'data'}"] + ["--user=root"] * (os.geteuid() == 0)
        install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, capture_output=True)
        options = [f"--socket={self.socket}", "--skip-networking", "--innodb-buffer-pool-size=16M"]
        self._server = server.Server(["mariadbd", *common, *options], "ready for connections")
        self._admin = pymysql.connect(unix_socket=self.socket, user="root", autocommit=True)
        self._fetch("CREATE USER app@localhost")

    def stop(self) -> None:
        self._admin.close()
        self._server.stop()
        self._directory.cleanup()

    def set_password(self, password: str) -> None:
        self._fetch("ALTER USER app@localhost IDENTIFIED BY %s", password)

    def takes(self, password: str) -> bool:
        try:
            pymysql.connect(unix_socket=self.socket, user=self.user, password=password, ssl_disabled=True).close()
        except pymysql.OperationalError:
            return False
        return True

    def sessions(self) -> set[object]:
        return set(self._fetch("SELECT id FROM information_schema.processlist WHERE user = 'app'"))

    def url(self, driver: str) -> str:
        return f"mysql+{driver}://{self.user}@/information_schema?unix_socket={self.socket}&ssl_disabled=1"

    def _fetch(self, statement: str, *values: str) -> Any:
        with self._admin.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()


class Redis:
    """Redis of the system, in memory only, with one login that is rotated."""

    user = "app"

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="liveconfig-")
        self.home = Path(self._directory.name)
        self.where = {"host": "127.0.0.1", "port": free_port()}
        options = f"--bind {self.where['host']} --port {self.where['port']} --dir {self.home}".split()
        self._server = server.Server(["redis-server", *options, "--save", ""], "Ready to accept connections")
        self._admin = redis.Redis(**self.where, decode_responses=True)
        self._admin.execute_command("ACL", "SETUSER", self.user, "on", "~*", "&*", "+@all")

    def stop(self) -> None:
        self._admin.close()
        self._server.stop()
        self._directory.cleanup()

    def set_password(self, password: str) -> None:
        self._admin.execute_command("ACL", "SETUSER", self.user, "resetpass", f">{password}")

    def takes(self, password: str) -> bool:
        with redis.Redis(**self.where, username=self.user, password=password, retry=None) as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return False

    def cut(self) -> None:
        """Cut every connection but our own."""
        self._admin.client_kill_filter(_type="normal", skipme=True)

    def subscribers(self) -> list[Any]:
        return self._admin.client_list(_type="pubsub")

    def cut_subscribers(self) -> None:
        """Cut every connection that waits for messages."""
        self._admin.client_kill_filter(_type="pubsub", skipme=True)

    def length(self, key: str) -> int:
        return int(self._admin.llen(key))

    def sessions(self) -> set[object]:
        return {client["id"] for client in self._admin.client_list() if client["user"] == self.user}


class RabbitMQ:
    """RabbitMQ of the system, in a directory of its own, with one login that is rotated."""

    user = "app"

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="liveconfig-")
        home = Path(self._directory.name)
        self.port, self._api_port, distribution, epmd = (free_port() for _ in range(4))
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", f"management.tcp.port = {self._api_port}"]
        lines += ["management.tcp.ip = 127.0.0.1", "log.console = true", "log.file = false", ""]
        (home / "rabbitmq.conf").write_text("\n".join(lines))
        (home / "plugins").write_text("[rabbitmq_management].\n")
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": str(home),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_ALLOW_INPUT": "true",  # the script becomes the server, so that it can be stopped
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home),
            "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_MNESIA_BASE": str(home),
            "RABBITMQ_NODENAME": "liveconfig@localhost",
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }
        names = ["epmd", "-d", "-address", "127.0.0.1", "-port", str(epmd)]
        self._epmd = server.Server(names, "epmd running", env=environment)
        program = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one in the path becomes another user
        self._server = server.Server([program], "Server startup complete", env=environment)
        self.set_password("")
        self._ask("PUT", "permissions/%2F/app", configure=".*", write=".*", read=".*")

    def stop(self) -> None:
        self._server.stop()
        self._epmd.stop()
        self._directory.cleanup()

    def set_password(self, password: str) -> None:
        self._ask("PUT", "users/app", password=password, tags="")

    def takes(self, password: str) -> bool:
        try:
            amqp.Connection(f"127.0.0.1:{self.port}", self.user, password).connect()
        except amqp.AccessRefused:
            return False
        return True

    def sessions(self) -> set[object]:
        return {each["name"] for each in self._ask("GET", "connections") if each.get("user") == self.user}

    def cut(self) -> None:
        """Cut every connection."""
        for name in self.sessions():
            try:
                self._ask("DELETE", f"connections/{urllib.parse.quote(str(name), safe='')}")
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 404:  # it has ended by itself
                    raise

    def _ask(self, method: str, path: str, **body: str) -> Any:
        login = base64.b64encode(b"guest:guest").decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        url, data = f"http://127.0.0.1:{self._api_port}/api/{path}", json.dumps(body).encode() if body else None
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


class TwoServers:
    """A broker on RabbitMQ and results on Redis, each with a login of its own."""

    user = "app"

    def __init__(self, rabbitmq: RabbitMQ, redis_server: Redis) -> None:
        self._rabbitmq, self._redis = rabbitmq, redis_server
        self.where = {"port": rabbitmq.port, "redis_port": redis_server.where["port"]}

    def set_password(self, password: str) -> None:
        self._rabbitmq.set_password(password)
        self._redis.set_password(f"{password}-of-results")

    def more_keys(self, password: str) -> dict[str, str]:
        """What the volume holds beside the login of the broker."""
        return {"results.user": self._redis.user, "results.password": f"{password}-of-results"}

    def sessions(self) -> set[object]:
        return self._rabbitmq.sessions() | self._redis.sessions()

    def cut(self) -> None:
        """Cut every connection."""
        self._rabbitmq.cut()
        self._redis.cut()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def started(make: Callable[[], Any], program: str | None = None, package: str | None = None) -> Iterator[Any]:
    """A server for the whole session. On a laptop without it the tests are skipped, in CI they fail."""
    if program is not None and shutil.which(program) is None:
        assert not os.environ.get("CI"), f"CI has to install {package}"
        pytest.skip(f"needs {program}: apt-get install {package}")
    one = make()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    yield from started(server.PostgreSQL)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    yield from started(MariaDB, "mariadbd", "mariadb-server")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from started(Redis, "redis-server", "redis-server")


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    yield from started(RabbitMQ, "rabbitmq-server", "rabbitmq-server")


@pytest.fixture(scope="session")
def two_servers(rabbitmq: RabbitMQ, redis_server: Redis) -> TwoServers:
    return TwoServers(rabbitmq, redis_server)


BOTH = ("server first", "volume first")
# Seconds between two rotations where there is no inotify: a process reads the volume every 2 s, and while a connection
# waits for a login, every second. The story itself rotates again after a tenth of a second, which only events show.
WITHOUT_EVENTS = 2.5


class Db(BaseModel):
    user: str
    password: SecretStr


class DbSettings(Settings):
    db: Db


class Rotation:
    """One login in a server and in a volume, and what rotates it in both."""

    def __init__(self, server: Any, volume: KubeletVolume) -> None:
        self.server, self.volume = server, volume
        self.renew()
        self.in_server()
        self.in_volume()
        self.settings = DbSettings.load(_volumes=volume.path)

    def renew(self) -> None:
        """Think up the next password."""
        self._next = f"CANARY-{uuid.uuid4()}"

    def in_server(self) -> None:
        self.server.set_password(self._next)

    def in_volume(self) -> None:
        more = getattr(self.server, "more_keys", lambda _: {})
        self.volume.write({"db.user": self.server.user, "db.password": self._next, **more(self._next)})

    def rotate(self, order: str, gap: float, load: Load, *, all_move: bool) -> None:
        """Rotate once under load: all is soon on the new login, and a busy connection is not cut."""
        self.renew()
        first, second = self.in_server, self.in_volume
        if order == "volume first":
            first, second = second, first
        held, release = threading.Event(), threading.Event()
        busy = load.hold(held, release)
        assert held.wait(30), "no connection for the busy one"
        first()
        threading.Event().wait(gap)  # part of the story: this is how far apart the two are
        old = self.server.sessions()
        second()
        done = monotonic()
        release.set()
        before, after = busy.result(30)
        assert before == after, "the busy connection was cut"
        while all_move and (left := self.server.sessions() & old):
            assert monotonic() - done < 30, f"{len(left)} connections on the old login after 30 s"
            threading.Event().wait(0.02)
        load.go_on(20)
        if self.settings.live.status().watcher == "polling":
            threading.Event().wait(WITHOUT_EVENTS)  # part of the story: each login is there until it was seen


class Load:
    """Eight workers that do one operation after the other, and count."""

    def __init__(self, operate: Callable[[], Any], hold: Callable[[threading.Event, threading.Event], Any]) -> None:
        self.failures: list[BaseException] = []
        self.operations = 0
        self._counted = threading.Condition()
        self._operate, self._hold = operate, hold
        self._end = threading.Event()
        self._executor = ThreadPoolExecutor(9)

    def count(self) -> None:
        with self._counted:
            self.operations += 1
            self._counted.notify_all()

    def go_on(self, more: int) -> None:
        """Wait for some more operations."""
        with self._counted:
            goal = self.operations + more
            assert self._counted.wait_for(lambda: self.operations >= goal, 30), "the load came to a halt"

    def hold(self, held: threading.Event, release: threading.Event) -> Future[Any]:
        """Have one connection busy from now until the release: the result is its identity then and at the end."""
        return self._executor.submit(self._hold, held, release)

    def __enter__(self) -> Self:
        for _ in range(8):
            self._executor.submit(self._work)
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._executor.shutdown()

    def _work(self) -> None:
        while not self._end.is_set():
            try:
                self._operate()
                self.count()
            except Exception as error:
                self.failures.append(error.with_traceback(None))  # whose frames hold connections
            self._end.wait(0.01)


class AsyncLoad(Load):
    """The same with tasks, on an event loop in a thread of its own.

    Args:
        client: Opens the client on the loop.
        operate: One operation with it.
        hold: Keeps one connection busy.
    """

    def __init__(
        self,
        client: Callable[[], contextlib.AbstractAsyncContextManager[Any]],
        operate: Callable[[Any], Awaitable[Any]],
        hold: Callable[[Any, threading.Event, threading.Event], Any],
    ) -> None:
        super().__init__(lambda: None, lambda *_: None)
        self._client, self._aoperate, self._ahold = client, operate, hold
        self._open: Future[Any] = Future()

    def hold(self, held: threading.Event, release: threading.Event) -> Future[Any]:
        loop, client = self._open.result(30)
        return asyncio.run_coroutine_threadsafe(self._ahold(client, held, release), loop)

    def __enter__(self) -> Self:
        self._main = self._executor.submit(asyncio.run, self._run())
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._main.result(30)
        super().__exit__(*exc)

    async def _run(self) -> None:
        async with self._client() as client:
            self._open.set_result((asyncio.get_running_loop(), client))
            await asyncio.gather(*(self._atask(client) for _ in range(8)))

    async def _atask(self, client: Any) -> None:
        while not self._end.is_set():
            try:
                await self._aoperate(client)
                self.count()
            except Exception as error:
                self.failures.append(error.with_traceback(None))  # whose frames hold connections
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)


@pytest.fixture(scope="session")
def on(request: pytest.FixtureRequest) -> Any:
    """The server whose fixture the test names as its parameter."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def rotation(on: Any, kubelet_volume: KubeletVolume) -> Iterator[Rotation]:
    """The rotation of that server's login."""
    one = Rotation(on, kubelet_volume)
    with one.settings.live:
        yield one


@pytest.fixture
def tell() -> Callable[..., None]:
    """The story: ten rotations under load; nothing fails, and the newest login is soon everywhere."""

    def tell(rotation: Rotation, load: Load, gap: float, *, orders: Any = BOTH, all_move: bool = True) -> None:
        with load:
            for order in (10 // len(orders)) * orders:
                rotation.rotate(order, gap, load, all_move=all_move)
        assert load.failures == []

    return tell


@pytest.fixture
def make_load() -> type[Load]:
    return Load


@pytest.fixture
def make_async_load() -> type[AsyncLoad]:
    return AsyncLoad
