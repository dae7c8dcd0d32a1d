"""One transaction at a time; concurrent requests share one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SingleFlight:
    """Whoever wants something done draws a number; a turn covers all numbers drawn before it began."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._numbers = itertools.count(1)
        self._drawn = self._covered = 0

    def draw(self) -> int:
        """A number. Drawn without a lock: a late store of a low one makes a turn cover less than it could, not more."""
        self._drawn = number = next(self._numbers)
        return number

    def covered(self, number: int) -> bool:
        """Whether a turn that began after the number was drawn is over. To be asked in a turn."""
        return self._covered >= number

    def drawn(self, number: int) -> int:
        """The highest number that a turn which begins now covers."""
        return max(self._drawn, number)

    def cover(self, number: int) -> None:
        """All numbers up to this one are done."""
        self._covered = number

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn."""
        with self._lock:
            before, self._owner = self._owner, threading.get_ident()
            try:
                yield
            finally:
                self._owner = before

    def free_within(self, seconds: float) -> bool:
        """Whether the turn that is under way, if one is, ends within so many seconds."""
        free = self._lock.acquire(timeout=seconds)
        if free:
            self._lock.release()
        return free

    def mine(self) -> bool:
        """Whether this very thread is in the middle of a turn: a validator that reloads, a signal handler."""
        return self._owner == threading.get_ident()
