"""Celery with real brokers: a worker, its clients and beat live through rotations of the login."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import kombu.pools
import pytest

APPS = Path(__file__).parent / "apps"
BROKERS = {
    "rabbitmq": ("amqp://127.0.0.1:{port}//", "rpc://"),
    "redis_server": ("redis://{host}:{port}/0",) * 2,
    "two_servers": ("amqp://127.0.0.1:{port}//", "redis://127.0.0.1:{redis_port}/0"),
}

# Celery leaves the connections of its result consumers, one for each thread, to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

EACH_BROKER = pytest.mark.parametrize("on", BROKERS, indirect=True)


@pytest.fixture
def environment(rotation: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of the application, here and in the programs that a test starts."""
    urls = BROKERS[request.node.callspec.params["on"]]
    where = getattr(rotation.server, "where", None) or {"port": rotation.server.port}
    broker, results = (url.format(**where) for url in urls)
    variables = {"APP_VOLUME": str(rotation.volume.path), "APP_BROKER": broker, "APP_RESULTS": results}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def client(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application's module, loaded here as a web server would."""
    spec = importlib.util.spec_from_file_location("celery_client", APPS / "celery_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    with module.settings.live:
        yield module
        module.app.close()
        kombu.pools.reset()
    vars(module).clear()  # pytest refers to the module, and so to the application, until the test is over


# The exception of a traceback in a log. Celery and kombu log those of connections that a test has cut.
TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \n].*\n?)+?(\S.*)", re.MULTILINE)


@contextmanager
def running(command: str, log: Path, ready: str, **variables: str) -> Iterator[Any]:
    """A program of Celery, from when it says that it is ready."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "--app", "celery_app", *command.split(), "--loglevel", "INFO"],
            cwd=APPS,
            env=os.environ | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until(lambda: ready in log.read_text(), log)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its own way to end takes seconds
            process.wait()
    text = log.read_text()
    assert "CANARY" not in text
    assert not [error for error in TRACEBACK.findall(text) if "onnection" not in error and "BrokenPipe" not in error]


def until(holds: Callable[[], object], log: Path, seconds: float = 30) -> None:
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, log.read_text()
        threading.Event().wait(0.02)


def worker(pool: str, log: Path) -> Any:
    """A worker with this pool; of `spawn`, a prefork pool whose processes are started anew."""
    start = {"APP_START": "spawn"} if pool == "spawn" else {}
    return running(f"worker --pool {pool.replace('spawn', 'prefork')} --concurrency 3", log, " ready.", **start)


STORIES = [(name, pool) for name in ("rabbitmq", "redis_server") for pool in ("prefork", "threads")]
STORIES += [("two_servers", "prefork"), ("two_servers", "spawn")]


@pytest.mark.parametrize(("on", "pool"), STORIES, indirect=["on"])
def test_tasks_go_on(
    rotation: Any, client: Any, pool: str, make_load: Any, tell: Callable[..., None], tmp_path: Path
) -> None:
    """No task and no result is lost while the login is rotated ten times in both orders, and no connection is cut."""
    flags = iter(range(100))

    def operate() -> None:
        assert client.add.delay(1, 2).get(timeout=30) == 3

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        flag = tmp_path / f"flag-{next(flags)}"
        result = client.hold.delay(str(flag))
        until(flag.exists, log)
        held.set()
        release.wait(30)
        flag.unlink()
        return tuple(result.get(timeout=30))

    with worker(pool, log := tmp_path / "log"):
        tell(rotation, make_load(operate, hold), 1.0, all_move=False)
    assert "Connection to broker lost" not in log.read_text()


@EACH_BROKER
def test_idle_connections_of_the_producers_move(rotation: Any, client: Any) -> None:
    """After a rotation, idle connections of producers and of the results move to the new login."""
    with client.app.producer_pool.acquire(block=True) as one, client.app.producer_pool.acquire(block=True) as other:
        for producer in (one, other):
            producer.publish({}, routing_key="nobody")
    if client.app.backend.__class__.__name__ == "LiveBackend":
        client.app.backend.client.ping()
    wait_until(rotation.server.sessions)
    old = rotation.server.sessions()
    rotation.renew()
    rotation.in_server()
    rotation.in_volume()
    wait_until(lambda: not rotation.server.sessions() & old)
    client.add.delay(1, 2)


@pytest.mark.parametrize("on", ["rabbitmq"], indirect=True)
def test_a_busy_connection_moves_when_it_is_released(rotation: Any, client: Any, until_ended: Any) -> None:
    """A producer that is in use keeps its connection during a rotation, which is replaced when it is released."""
    with client.app.producer_pool.acquire(block=True) as producer:
        producer.publish({}, routing_key="nobody")
        wait_until(rotation.server.sessions)
        old, before = rotation.server.sessions(), client.settings.db
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        client.settings.live.wait(lambda newest: newest.db != before, 10)
        until_ended("liveconfig-renewal")
        producer.publish({}, routing_key="nobody")
        assert rotation.server.sessions() & old
    client.add.delay(1, 2)
    wait_until(lambda: not rotation.server.sessions() & old)


@pytest.mark.parametrize("on", ["rabbitmq"], indirect=True)
def test_a_release_during_the_renewal_leaves_no_idle_connection_behind(rotation: Any, client: Any) -> None:
    """A connection that is released while an idle one is closed does not keep another idle one on the old login."""
    pool = client.app.connection_for_write().Pool(3)
    one, other, busy = connections = [pool.acquire() for _ in range(3)]
    closing, go_on = threading.Event(), threading.Event()
    for connection in connections:
        connection.connect()
    close = other.connection.close

    def slow_close(*arguments: Any, **options: Any) -> None:
        closing.set()
        assert go_on.wait(30)
        close(*arguments, **options)

    other.connection.close = slow_close
    one.release()
    other.release()
    rotation.renew()
    rotation.in_server()
    rotation.in_volume()
    assert closing.wait(30)
    busy.release()
    go_on.set()
    wait_until(lambda: not any(connection.connected for connection in connections))


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # by Celery
@pytest.mark.parametrize("on", ["redis_server"], indirect=True)
def test_a_result_that_comes_while_its_sender_subscribes_again(
    rotation: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that is stored between Celery's look and its new subscription reaches its sender."""
    backend, result = client.app.backend, client.app.AsyncResult(str(uuid.uuid4()))
    subscribe, cut = backend.client.pubsub, threading.Event()

    def store_then(**options: Any) -> Any:
        if cut.is_set():  # Celery has looked for results
            cut.clear()
            backend.store_result(result.id, 7, "SUCCESS")
        return subscribe(**options)

    def cut_subscriber() -> None:
        wait_until(rotation.server.subscribers)
        cut.set()
        rotation.server.cut_subscribers()

    monkeypatch.setattr(backend.client, "pubsub", store_then)
    cutting = threading.Thread(target=cut_subscriber)
    cutting.start()
    try:
        assert result.get(timeout=30) == 7
    finally:
        cutting.join()


@EACH_BROKER
def test_a_worker_comes_back_with_the_newest_login(rotation: Any, client: Any, tmp_path: Path) -> None:
    """When the broker cuts every connection after a rotation, the worker and its clients log in with the new one."""
    with worker("prefork", tmp_path / "log"):
        assert client.add.delay(1, 2).get(timeout=30) == 3
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        rotation.server.cut()
        assert client.add.delay(3, 4).get(timeout=60) == 7


@EACH_BROKER
def test_beat_goes_on(rotation: Any, client: Any, tmp_path: Path) -> None:
    """Beat sends its tasks through rotations in both orders, and after its connection was cut."""
    ticks = tmp_path / "ticks"
    schedule = f"beat --schedule {tmp_path / 'schedule'}"

    def more() -> None:
        goal = ticks.stat().st_size + 3
        until(lambda: ticks.stat().st_size >= goal, tmp_path / "beat")

    ticks.touch()
    with worker("threads", tmp_path / "log"), running(schedule, tmp_path / "beat", "Sending", APP_BEAT=str(ticks)):
        more()
        for steps in ([rotation.in_server, rotation.in_volume], [rotation.in_volume, rotation.in_server]):
            rotation.renew()
            for step in steps:
                step()
                more()
        rotation.server.cut()
        more()


@pytest.mark.parametrize("on", ["redis_server"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "spawn", "threads"])
def test_a_task_has_one_snapshot(rotation: Any, client: Any, pool: str, tmp_path: Path) -> None:
    """During a task `snapshot` returns one version, although the volume is swapped."""
    flag = tmp_path / "flag"
    with worker(pool, tmp_path / "log"):
        result = client.pinned.delay(str(flag))
        until(flag.exists, tmp_path / "log")
        rotation.renew()
        rotation.in_server()
        rotation.in_volume()
        assert result.get(timeout=30) == [True, True]


def wait_until(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline
        threading.Event().wait(0.02)
