"""The running file calls of each volume: if one does not return, no other thread begins another.

A file call on a network or FUSE mount whose server is gone never returns, and cannot be cancelled. The thread that made
it is blocked until the mount answers. `FileCalls` keeps the number of such threads small, so that the volume does not
block others.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from liveconfig import _clock

T = TypeVar("T")

HUNG = 1.0
"""Seconds after which a file call counts as one that does not return."""


class Unresponsive(TimeoutError):  # noqa: N818 - caught inside, never seen by users
    """A file call of another thread on this volume does not return, so this thread makes none.

    Attributes:
        since: When that call began.
    """

    def __init__(self, since: datetime) -> None:
        super().__init__(errno.ETIMEDOUT, f"a file call has not returned since {since:%H:%M:%S} UTC")
        self.since = since


class _Call(NamedTuple):
    thread: threading.Thread
    began: float
    at: datetime


class FileCalls:
    """The file calls of this process on volumes."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, int], _Call] = {}

    def run(self, path: str, work: Callable[[], T]) -> T:
        """Make file calls on the volume at a path. The entry is removed even if a signal handler raises.

        Raises:
            Unresponsive: A call of another thread has not returned for `HUNG` seconds.
        """
        since = self.hung_since(path) if self._calls else None
        if since is not None:
            raise Unresponsive(since)
        key = path, threading.get_ident()
        if key in self._calls:  # the outer one counts
            return work()
        try:
            self._calls[key] = _Call(threading.current_thread(), _clock.monotonic(), _clock.now())
            return work()
        finally:
            self._calls.pop(key, None)

    def hung_since(self, path: str) -> datetime | None:
        """Return since when a file call of another thread has not returned; None if all return."""
        here, now = threading.get_ident(), _clock.monotonic()
        for (other, thread), call in list(self._calls.items()):
            # The threads of the parent do not run in a forked child.
            if other == path and thread != here and now - call.began >= HUNG and call.thread.is_alive():
                return call.at
        return None


file_calls = FileCalls()
"""The running file calls of the process."""
