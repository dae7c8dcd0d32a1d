"""The clock: every module reads the time here, so that tests can replace it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


def monotonic() -> float:
    """Return seconds that never go back, for delays."""
    return time.monotonic()


def now() -> datetime:
    """Return the wall clock time (aware, UTC): for people to read, never for delays."""
    return datetime.now(UTC)


def give_way() -> None:
    """Let a thread run first that waits for the interpreter: a reader of the new values. It takes 0.06 ms on Linux.

    In a process without another thread, nothing waits.
    """
    if threading.active_count() > 1:
        time.sleep(0)


LONG_STEP = 0.00025
"""Seconds of work after which other threads run."""


class Pace:
    """Gives way between the steps of long work, for an event loop that waits for the interpreter meanwhile.

    Short work is not held up: a thread that computes all the time keeps the interpreter for 5 ms each time.
    """

    def __init__(self) -> None:
        self._since = monotonic()

    def step(self) -> None:
        """A step is done."""
        if monotonic() - self._since >= LONG_STEP:
            give_way()
            self._since = monotonic()


def in_words(age: timedelta) -> str:
    """Return a length of time in words.

    >>> in_words(timedelta(hours=3, minutes=12, seconds=5))
    '3 h 12 min'
    """
    seconds = max(0, int(age.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or first == 3)
