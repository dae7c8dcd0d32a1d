"""The demo's application, as a process of its own: started, asked and ended."""

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
"""Seconds that it has to start; an import of pydantic from a cold disk is slow."""

ANSWERING = 5.0
"""Seconds that it has to answer one request."""

ENDING = 3.0
"""Seconds that it has to end by itself."""

_LAST_LINES = 12


class ChildFailed(Exception):  # noqa: N818 - it is told of, not raised at users
    """The application does not run (any more); the message says why, with the last lines of its log."""


class Child:
    """The running application."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid
        self.url = self._address()

    def ask(self, path: str) -> dict[str, Any]:
        """What it answers.

        Raises:
            ChildFailed: It does not, or it is another process.
        """
        try:
            answer: dict[str, Any] = get_json(self.url + path, timeout=ANSWERING)
        except NoAnswer as error:
            raise ChildFailed(f"{error}{self.last_words()}") from None
        if answer["pid"] != self.pid:
            raise ChildFailed(f"process {answer['pid']} answers, {self.pid} was started")
        return answer

    def last_words(self) -> str:
        """How it ended, if it did, and the last lines of its log."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # its sockets close a moment before it has ended
        code = self._process.returncode
        lines = self._log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        ended = "" if code is None else f"\nThe application has ended with exit code {code}."
        return ended + "".join(["\nThe last lines of its log:", *(f"\n  {line}" for line in lines)] if lines else [])

    def _address(self) -> str:
        """The first line that it prints."""
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
    """A module of ours as a process that sees these volumes; it is ended at the end of the ``with``.

    It ends when its standard input does: when we close it, and when we die. A Ctrl-C of the terminal goes to us alone.

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
    """As we were started: whatever lies in the current directory stands before the library only if it did so for us."""
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
