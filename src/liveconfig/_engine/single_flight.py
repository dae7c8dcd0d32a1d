"""One transaction at a time; concurrent requests share one.

A signal handler may raise anywhere (a time limit of Celery does). Therefore each lock is released by a ``finally`` in
the frame that acquired it, never by a context manager written in Python: an exception can come between its last line
and the body of the ``with``.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TypeVar

from liveconfig import _clock
from liveconfig._locks import is_held_here

T = TypeVar("T")

NO_LIMIT = -1
"""No time limit, for `threading.RLock.acquire`."""


class SingleFlight:
    """Runs transactions. Each request has a number; a transaction serves all numbers drawn before it began.

    Args:
        again: Called after a transaction if a caller that does not wait was turned away.
        ended: Called after each look, outside of all transactions.
    """

    def __init__(self, again: Callable[[], None], ended: Callable[[], None]) -> None:
        self._again = again
        self._ended = ended
        self._lock = threading.RLock()
        self._inside: dict[int, float] = {}  # start time by thread
        self._numbers = itertools.count(1)
        self._drawn = self._served = self._insisted = 0
        self._turned_away = False
        self._put_off: list[Callable[[], object]] = []

    def draw(self) -> int:
        """Return the number of a new request."""
        self._drawn = number = next(self._numbers)  # no lock: a late store of a low one makes a transaction serve fewer
        return number

    def is_served(self, number: int, *, insist: bool) -> bool:
        """Whether a transaction that began after the number was drawn has ended. Call it in a transaction.

        Args:
            number: The number of the request.
            insist: Whether only a transaction counts that tried again what is rejected.
        """
        return (self._insisted if insist else self._served) >= number

    def newest(self, number: int) -> int:
        """Return the highest number that a transaction serves if it begins now."""
        return max(self._drawn, number)

    def serve(self, number: int, *, insist: bool) -> None:
        """Record that all numbers up to this one are served."""
        self._served = number
        if insist:
            self._insisted = number

    def enter(self, work: Callable[[], T]) -> T:
        """Run a look, which this thread must not begin again inside it."""
        here = threading.get_ident()
        outermost = here not in self._inside
        try:
            self._inside.setdefault(here, _clock.monotonic())
            return work()
        finally:
            if outermost:
                self._inside.pop(here, None)
                self._ended()

    def is_inside(self) -> bool:
        """Whether this thread runs a look already: the caller is a validator that reloads, or a signal handler."""
        return threading.get_ident() in self._inside

    def longest(self) -> float | None:
        """Return the seconds for which the oldest running look has been running; None if none runs."""
        since = min(list(self._inside.values()), default=None)
        return None if since is None else _clock.monotonic() - since

    def run(self, transaction: Callable[[], object]) -> None:
        """Run a transaction; wait for the running one to end, unless it is the caller's own."""
        if is_held_here(self._lock):
            transaction()
        else:
            self._run_alone(transaction, NO_LIMIT)

    def run_now(self, transaction: Callable[[], object]) -> bool:
        """Run a transaction if no other thread runs one. Otherwise call ``again`` after that one has ended.

        Returns:
            Whether it was run.
        """
        if is_held_here(self._lock):
            transaction()
            return True
        if self._run_alone(transaction, 0):
            return True
        self._turned_away = True  # seen at the end of the running one, unless that has just ended: try once more
        return self._run_alone(transaction, 0)

    def run_within(self, seconds: float, transaction: Callable[[], object]) -> bool:
        """Run a transaction if the running one ends within some seconds.

        Called inside a transaction, by a validator or a signal handler, it runs the new one when that one ends.

        Returns:
            Whether it was run, or will be.
        """
        if is_held_here(self._lock):
            self._put_off.append(transaction)
            return True
        return self._run_alone(transaction, seconds)

    def is_free_within(self, seconds: float) -> bool:
        """Whether no other thread runs a transaction, or the running one ends within some seconds."""
        return is_held_here(self._lock) or self._run_alone(lambda: None, seconds)

    def _run_alone(self, transaction: Callable[[], object], seconds: float) -> bool:
        try:
            if not self._lock.acquire(timeout=seconds):
                return False
            self._perform(transaction)
            return True
        finally:
            try:
                self._lock.release()
            except RuntimeError:  # it was not acquired
                pass
            else:
                if self._put_off:  # one that came after the last look for them, or that a signal handler cut short
                    self._run_alone(lambda: None, 0)
                self._look_again()

    def _perform(self, transaction: Callable[[], object]) -> None:
        try:
            transaction()
        finally:
            while self._put_off:
                self._put_off.pop(0)()

    def _look_again(self) -> None:
        if self._turned_away:
            self._turned_away = False
            self._again()
