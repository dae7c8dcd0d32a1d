"""One transaction at a time; concurrent requests share one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from liveconfig import _clock


class SingleFlight:
    """Whoever wants something done draws a number; a turn covers all numbers drawn before it began.

    Args:
        again: Called when a turn is over during which somebody came who does not wait for turns.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        self._again = again
        self._lock = threading.RLock()
        self._visitors: dict[int, float] = {}  # since when, by thread
        self._numbers = itertools.count(1)
        self._drawn = self._covered = 0
        self._noted = False

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
    def visit(self) -> Iterator[None]:
        """Be in the middle of a look: of its reading, or of its turn."""
        here = threading.get_ident()
        try:
            self._visitors[here] = _clock.monotonic()
            yield
        finally:
            self._visitors.pop(here, None)

    def mine(self) -> bool:
        """Whether this very thread is in the middle of a look: a validator that reloads, a signal handler."""
        return threading.get_ident() in self._visitors

    def longest(self) -> float | None:
        """Seconds for which the longest look that is under way has been running; None if there is none."""
        since = min(list(self._visitors.values()), default=None)
        return None if since is None else _clock.monotonic() - since

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn."""
        try:
            with self._lock:
                yield
        finally:
            self._look_again()

    def take_now(self) -> bool:
        """Have the turn, if nobody else has it; until `give_back`. Otherwise ``again`` is called when it is free."""
        self._noted = True  # before it is tried, so that whoever has the turn cannot miss it
        taken = self._lock.acquire(blocking=False)
        if taken:
            self._noted = False
        return taken

    def give_back(self) -> None:
        """Undo `take_now`."""
        self._lock.release()
        self._look_again()

    def _look_again(self) -> None:
        if self._noted:
            self._noted = False
            self._again()

    def free_within(self, seconds: float) -> bool:
        """Whether the turn that is under way, if one is, ends within so many seconds."""
        free = self._lock.acquire(timeout=seconds)
        if free:
            self._lock.release()
        return free
