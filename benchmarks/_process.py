"""The outer end of `_serve`: a contender in its process, asked over pipes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.contenders import Contender

__all__ = ["Channel", "ContenderError", "Process", "TooSlowError"]

_ROOT = Path(__file__).parent.parent


class ContenderError(Exception):
    """The contender raised; the message is its own."""


class TooSlowError(Exception):
    """No answer in time; the process is gone."""


class Channel:
    """A process that serves JSON lines. As a context manager it ends with the block.

    Args:
        command: The program and its arguments.
    """

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if "BENCHMARKS_VERBOSE" in os.environ else subprocess.DEVNULL,
            cwd=_ROOT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._received = b""
        self.receive(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, do: str, **arguments: Any) -> None:
        """Begin an operation of the worker; `receive` brings its answer."""
        self._stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._stdin.flush()

    def receive(self, timeout: float = 60) -> Any:
        """The next line of the worker.

        Raises:
            ContenderError: The contender raised.
            TooSlowError: Nothing came in that many seconds.
        """
        line = self._line(time.monotonic() + timeout)
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise ContenderError(answer["error"])
        return answer["value"] if isinstance(answer, dict) else answer

    def answered(self) -> bool:
        """Whether `receive` would return at once."""
        return b"\n" in self._received or bool(select.select([self._stdout], [], [], 0)[0])

    def ask(self, do: str, timeout: float = 60, **arguments: Any) -> Any:
        """`send`, then `receive`."""
        self.send(do, **arguments)
        return self.receive(timeout)

    def end(self) -> None:
        """End the process; it is not asked."""
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._stdout], [], [], left)[0]:
                self.end()
                raise TooSlowError
            chunk = os.read(self._stdout.fileno(), 65536)
            if not chunk:
                raise ContenderError(f"the process ended with {self._process.wait()}")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line


class Process(Channel):
    """One contender.

    Args:
        python: The interpreter that has the contender installed.
        contender: Who runs.
    """

    def __init__(self, python: str, contender: Contender) -> None:
        self.contender = contender
        super().__init__(python, "-m", "benchmarks._worker", contender.module)
