"""One transaction at a time; concurrent requests share one.

A signal handler may raise anywhere (a time limit of Celery does). So what is taken is given back by a ``finally`` in
the frame that took it, never by a context manager written in Python: an exception can come between its last line and
the body of the ``with``.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from liveconfig import _clock

T = TypeVar("T")


class SingleFlight:
    """Runs transactions. Each request has a number; a transaction serves all numbers drawn before it began.

    Args:
        again: Called after a transaction during which somebody came who does not wait.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        self._again = again
        self._lock: Any = threading.RLock()
        self._inside: dict[int, float] = {}  # since when, by thread
        self._numbers = itertools.count(1)
        self._drawn = self._served = 0
        self._turned_away = False

    def draw(self) -> int:
        """A number. Drawn without a lock: a late store of a low one makes a transaction serve fewer requests."""
        self._drawn = number = next(self._numbers)
        return number

    def is_served(self, number: int) -> bool:
        """Whether a transaction that began after the number was drawn is over. To be asked in a transaction."""
        return self._served >= number

    def newest(self, number: int) -> int:
        """The highest number that a transaction which begins now serves."""
        return max(self._drawn, number)

    def serve(self, number: int) -> None:
        """All numbers up to this one are served."""
        self._served = number

    def enter(self, work: Callable[[], T]) -> T:
        """Do some work that this thread must not begin again inside it: a look, with its reading."""
        here = threading.get_ident()
        outermost = here not in self._inside
        try:
            self._inside.setdefault(here, _clock.monotonic())
            return work()
        finally:
            if outermost:
                self._inside.pop(here, None)

    def is_inside(self) -> bool:
        """Whether this thread is in the middle of such work: a validator that reloads, a signal handler."""
        return threading.get_ident() in self._inside

    def longest(self) -> float | None:
        """Seconds for which the longest such work under way has been running; None if there is none."""
        since = min(list(self._inside.values()), default=None)
        return None if since is None else _clock.monotonic() - since

    def run(self, transaction: Callable[[], T]) -> T:
        """Run a transaction, after the one under way."""
        try:
            with self._lock:
                return transaction()
        finally:
            self._look_again()

    def run_now(self, transaction: Callable[[], object]) -> bool:
        """Run a transaction if none is under way. Otherwise ``again`` is called when that one is over.

        Returns:
            Whether it was run.
        """
        if self._is_mine():
            transaction()
            return True
        self._turned_away = True  # before it is tried, so that the one under way cannot miss it
        try:
            if not self._lock.acquire(blocking=False):
                return False
            self._turned_away = False
            transaction()
            return True
        finally:
            self._give_back()

    def is_free_within(self, seconds: float) -> bool:
        """Whether the transaction that is under way, if one is, ends within so many seconds."""
        if self._is_mine():
            return True
        try:
            return bool(self._lock.acquire(timeout=seconds))
        finally:
            self._give_back()

    def _is_mine(self) -> bool:
        return bool(self._lock._is_owned())  # noqa: SLF001 - as threading.Condition asks it

    def _give_back(self) -> None:
        """Release the lock if it was taken: an exception may have come before anybody could note that."""
        if self._is_mine():
            self._lock.release()
            self._look_again()

    def _look_again(self) -> None:
        if self._turned_away:
            self._turned_away = False
            self._again()
