"""A worker and its client live through rotations in both orders, with a real Redis."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from liveconfig.testing import KubeletVolume

HERE = Path(__file__).parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """Redis of the system, in memory only: it asks for a login everywhere but here."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server: apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f"redis-server --bind 127.0.0.1 --port {port} --dir {tmp_path}".split()
    with subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL) as process:
        with redis.Redis(port=port, socket_connect_timeout=5) as admin:
            wait_for(lambda: answers(admin))
            os.environ["QUEUE"] = f"127.0.0.1:{port}"
            yield admin
        process.kill()


@pytest.fixture
def volume(tmp_path: Path) -> KubeletVolume:
    volume = KubeletVolume(tmp_path / "shop")
    os.environ["LIVECONFIG_VOLUMES"] = str(volume.path)
    return volume


def test_no_order_is_lost(server: Any, volume: KubeletVolume, tmp_path: Path) -> None:
    """Orders are served through two rotations, and after every connection was cut."""

    def in_server(password: str) -> None:
        server.execute_command("ACL", "SETUSER", "shop", "on", "~*", "&*", "+@all", "resetpass", f">{password}")

    def in_volume(password: str) -> None:
        volume.write({"broker.user": "shop", "broker.password": password, "price": "12"})

    in_server("one")
    in_volume("one")
    from shop import app, sell, settings

    log = tmp_path / "log"
    command = [
        "-m",
        "celery",
        "--app",
        "shop",
        "worker",
        "--concurrency",
        "2",
        "--without-mingle",
        "--loglevel",
        "INFO",
    ]
    with settings.live, log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, *command], cwd=HERE, stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_for(lambda: " ready." in log.read_text())
            assert sell.delay(2).get(timeout=30) == 24
            for password, (first, second) in (("two", (in_server, in_volume)), ("three", (in_volume, in_server))):
                first(password)
                between = sell.delay(3)  # a process of the worker that connects only now waits for the second step
                second(password)
                assert between.get(timeout=60) == 36
                assert sell.delay(3).get(timeout=60) == 36
            server.client_kill_filter(_type="normal", skipme=True)
            assert sell.delay(4).get(timeout=60) == 48
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            app.close()


def answers(admin: Any) -> bool:
    try:
        return bool(admin.ping())
    except redis.ConnectionError:
        return False


def wait_for(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
