"""File calls that are under way on each volume: where one does not return, no other thread begins another.

A file call on a network or FUSE mount whose server is gone never returns, and cannot be cancelled. The thread that made
it is lost until the mount answers; `FileCalls` keeps the number of such threads small, and the volume from holding up
others.
"""

from __future__ import annotations

import errno
import threading
from datetime import datetime
from types import TracebackType
from typing import NamedTuple

from liveconfig import _clock

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


class _Section:
    """The length of a ``with``: this thread makes file calls on a volume."""

    __slots__ = ("_calls", "_key")

    def __init__(self, calls: dict[tuple[str, int], _Call], key: tuple[str, int]) -> None:
        self._calls = calls
        self._key = key

    def __enter__(self) -> None:
        self._calls[self._key] = _Call(threading.current_thread(), _clock.monotonic(), _clock.now())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.pop(self._key, None)


class FileCalls:
    """The file calls of this process on volumes."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, int], _Call] = {}

    def on(self, path: str) -> _Section:
        """``with file_calls.on(path):`` around file calls on the volume at a path.

        Raises:
            Unresponsive: One of another thread has not returned for `HUNG` seconds.
        """
        since = self.hung_since(path) if self._calls else None
        if since is not None:
            raise Unresponsive(since)
        return _Section(self._calls, (path, threading.get_ident()))

    def hung_since(self, path: str) -> datetime | None:
        """Since when a file call of another thread does not return; None if all do."""
        here, now = threading.get_ident(), _clock.monotonic()
        for (other, thread), call in list(self._calls.items()):
            # In a forked child the threads of the parent do not live.
            if other == path and thread != here and now - call.began >= HUNG and call.thread.is_alive():
                return call.at
        return None


file_calls = FileCalls()
"""Those of the process: beside the watcher, the one place where state of the whole process is held."""
