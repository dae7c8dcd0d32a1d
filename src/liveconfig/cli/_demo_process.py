"""The process of the demo's application: starts it, sends requests and ends it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from liveconfig.cli._http import NoAnswer, get_json

STARTING = 20.0
"""Seconds for the start; an import of pydantic from a cold disk is slow."""

ANSWERING = 5.0
"""Seconds for the answer to one request."""

ENDING = 3.0
"""Seconds until it has to end by itself."""

_LAST_LINES = 12


class ChildFailed(Exception):  # noqa: N818 - it is reported as one line
    """The application does not run. The message says why, with the last lines of its log."""


class Child:
    """The running application."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid
        self.url = self._address()

    def ask(self, path: str) -> dict[str, Any]:
        """Return its answer to a request.

        Raises:
            ChildFailed: There is no answer, or another process answers.
        """
        try:
            answer: dict[str, Any] = get_json(self.url + path, timeout=ANSWERING)
        except NoAnswer as error:
            raise ChildFailed(f"{error}{self.last_words()}") from None
        if answer["pid"] != self.pid:
            raise ChildFailed(f"process {answer['pid']} answers, {self.pid} was started")
        return answer

    def last_words(self) -> str:
        """Return how it ended, if it did, and the last lines of its log."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # its sockets close a moment before it has ended
        code = self._process.returncode
        lines = self._log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        ended = "" if code is None else f"\nThe application has ended with exit code {code}."
        return ended + "".join(["\nThe last lines of its log:", *(f"\n  {line}" for line in lines)] if lines else [])

    def _address(self) -> str:
        """Return the address that it prints first."""
        stdout = self._process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], STARTING)
        address = stdout.readline().strip() if ready else ""
        if not address:
            late = "" if ready else f" within {STARTING:.0f} s"
            raise ChildFailed(f"the application did not start{late}{self.last_words()}")
        return address


@contextmanager
def started(module: str, volumes: Sequence[Path], log: Path) -> Iterator[Child]:
    """Run a module of the demo as a process with these volumes, until the end of the ``with``.

    It ends when its standard input is closed, also when this process is killed. It does not get the Ctrl-C of the
    terminal.

    Raises:
        ChildFailed: It does not start.
    """
    with log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, *_flags(), "-m", module],
            env={**os.environ, "LIVECONFIG_VOLUMES": os.pathsep.join(map(str, volumes))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    try:
        yield Child(process, log)
    finally:
        _end(process)


def _flags() -> list[str]:
    """Return the flags of this interpreter, so that the search path of modules is the same."""
    return [] if {"", os.getcwd()} & set(sys.path) else ["-P"]


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(ENDING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
