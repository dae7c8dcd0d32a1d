"""A call in a forked child, with a time limit.

The kernel can hold a file call on a mount in uninterruptible sleep. The thread that made it cannot be killed, and the
process of that thread does not end either. A child can be left behind.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

MOST_LEFT = 3
"""Children that may be left behind before no more are made."""

_ENDING = 0.2
"""Seconds that a child which has answered may take to end."""


class NoAnswer(Exception):  # noqa: N818 - shown to the user as one line
    """The child did not answer within its time, or there is none. The message says why, as the end of a sentence."""


class ChildCalls:
    """Makes calls in children, and counts those that do not end.

    Args:
        seconds: How long one call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left: list[int] = []

    def run(self, work: Callable[[], T]) -> T:
        """Make one call. Where there is no fork, it is made here.

        Args:
            work: Its result must be picklable.

        Raises:
            NoAnswer: There can be no child, or it failed, or did not answer within its time. It is killed, and left if
                it does not end.
        """
        if not hasattr(os, "fork"):
            return work()
        self._left = [child for child in self._left if not _has_ended(child)]
        late = f"did not answer within {self._seconds:g} s"
        if len(self._left) >= MOST_LEFT:
            raise NoAnswer(late)
        try:
            child, reading = _start(work)
        except OSError as error:  # a limit of processes or of descriptors
            raise NoAnswer(f"cannot be looked at: {error.strerror}") from None
        self._left.append(child)
        try:
            answer = _read(reading, time.monotonic() + self._seconds)
        finally:
            os.close(reading)
            self._end(child)
        with contextlib.suppress(EOFError, pickle.UnpicklingError):  # none, or a part: it was killed while it wrote
            result: T = pickle.loads(answer)  # noqa: S301 - our own child wrote it
            return result
        raise NoAnswer(late)

    def _end(self, child: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # this process ignores SIGCHLD: the kernel has released the child
            os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + _ENDING
        while not _has_ended(child):
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)
        self._left.remove(child)


def _start(work: Callable[[], Any]) -> tuple[int, int]:
    """Return the number of a child that does the work, and the descriptor of its answer."""
    reading, writing = os.pipe()
    try:
        child = os.fork()
        if not child:
            _answer(work, writing)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return child, reading


def _answer(work: Callable[[], Any], writing: int) -> None:
    """In the child: answer and end, whatever happens. A reader of our standard streams must not wait for the child."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        with open(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
    finally:
        os._exit(0)


def _read(descriptor: int, deadline: float) -> bytes:
    """Everything up to the end; nothing if that does not come before the deadline."""
    chunks: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
        chunk = os.read(descriptor, 1024 * 1024)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
    return b""


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True
