"""Reports of processes: programs that have one, and foreign memory files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PATIENCE = 60.0
PROGRAM = """
import os, sys
from pydantic import SecretStr
from liveconfig import Settings, SettingsConfigDict

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1])
    message: str = "unset"
    port: int = 1
    password: SecretStr | None = None

settings = App.load()
print(os.getpid(), flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Program:
    """A process with live settings that runs given lines of Python."""

    def __init__(self, volume: Any, *arguments: str) -> None:
        command = [sys.executable, "-c", PROGRAM, str(volume), *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.pid = int(self._line())

    def do(self, code: str) -> None:
        """Execute Python code there, and wait until it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"exec({code!r})\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self) -> None:
        """End it."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait(PATIENCE)


@pytest.fixture
def program(kubelet_volume: Any) -> Iterator[Callable[..., Program]]:
    """Start a program that follows ``kubelet_volume``; it is ended with the test."""
    running: list[Program] = []

    def start(*arguments: str) -> Program:
        running.append(Program(kubelet_volume.path, *arguments))
        return running[-1]

    yield start
    for each in running:
        each.stop()
