"""Servers as a user starts them, on a free port of loopback, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from liveconfig.testing import KubeletVolume

HERE = Path(__file__).parent
PATIENCE = 60.0
ASKERS = 4  # at the same time, so that no worker takes all
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")

Answer = dict[str, Any]


class Program:
    """A command in a process group of its own; its lines are read as they come."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, pattern: re.Pattern[str] | str, timeout: float = PATIENCE) -> re.Match[str]:
        """The first line, of those not waited for yet, in which the pattern is found."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {pattern!r}:\n{self.log}"
            if match := re.search(pattern, line):
                return match

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, timeout: float = PATIENCE) -> int:
        """End it as the kubelet does, and return its exit code; whatever is left of its group is killed."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(timeout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(timeout)
            self._reader.join(timeout)
            if self._process.stdout:
                self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line)
            self._new.put(line)
        self._new.put(None)


class Server(Program):
    """A web server with one or more workers."""

    def __init__(self, command: list[str], *, workers: int, cwd: Path, env: dict[str, str]) -> None:
        super().__init__(command, cwd=cwd, env=env)
        self.workers = workers
        self.port = int(self.wait_for(ADDRESS).group(1))

    def ask(self, path: str = "/") -> Answer:
        """Ask one worker, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, (response.status, body)
            return json.loads(body)
        finally:
            connection.close()

    def until_all(self, holds: Callable[[Answer], bool], timeout: float = PATIENCE) -> dict[int, Answer]:
        """Ask until each worker has given an answer for which the predicate holds; those answers by process id."""
        good: dict[int, Answer] = {}
        last: Any = None
        deadline, pause = time.monotonic() + timeout, threading.Event()
        with ThreadPoolExecutor(ASKERS) as askers:
            while len(good) < self.workers:
                assert time.monotonic() < deadline, f"{good} of {self.workers} workers, last heard {last}\n{self.log}"
                for last in askers.map(self._try, range(ASKERS)):
                    if last is not None and holds(last):
                        good[last["pid"]] = last
                pause.wait(0.02)  # leaves the processor to workers that start
        return good

    def _try(self, _: int) -> Answer | None:
        with suppress(OSError, http.client.HTTPException):  # it is starting, or a worker was killed
            return self.ask()
        return None


@pytest.fixture
def volume(tmp_path: Path, canary: str) -> KubeletVolume:
    volume = KubeletVolume(tmp_path / "config")
    volume.write({"left": "one", "right": "one", "password": canary})
    return volume


@pytest.fixture
def swap(volume: KubeletVolume) -> Callable[[str], None]:
    """Put one text behind both keys, in one swap."""
    return lambda text: volume.update({"left": text, "right": text})


@pytest.fixture
def environment(volume: KubeletVolume, tmp_path: Path) -> dict[str, str]:
    """The variables of the programs: they find their volume, and write nothing into the home of who runs the tests."""
    return {**os.environ, "APP_VOLUME": str(volume.path), "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def start(environment: dict[str, str], canary: str) -> Iterator[Callable[..., Any]]:
    """Start programs; each is ended with the test, and none may have printed the secret or a traceback."""
    running: list[Program] = []

    def start(*arguments: str, kind: type[Program] = Program, **options: Any) -> Program:
        program = kind([sys.executable, *arguments], cwd=HERE / "apps", env=environment, **options)
        running.append(program)
        return program

    yield start
    for program in running:
        program.stop()
        assert canary not in program.log
        assert "Traceback" not in program.log, program.log


@pytest.fixture
def serve(start: Callable[..., Any]) -> Callable[..., Any]:
    """Start a web server with ``python -m``, and wait until it listens."""
    return lambda *command, workers: start("-m", *command, "--workers", str(workers), kind=Server, workers=workers)
