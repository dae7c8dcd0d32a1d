"""The clock: every module asks for the time here, so that tests can replace it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def monotonic() -> float:
    """Seconds that only grow, whatever happens to the wall clock."""
    return time.monotonic()


def now() -> datetime:
    """The wall clock, aware, in UTC: for people to read, never to compute a delay from."""
    return datetime.now(UTC)


def give_way() -> None:
    """Let a thread go first that waits for the interpreter: after a swap, the readers of what is new."""
    time.sleep(0)


LONG_STEP = 0.0005
"""Seconds of work after which other threads go first."""


class Pace:
    """Gives way between the steps of long work, for an event loop that waits for the interpreter meanwhile.

    Short work is not held up: to give way takes about 0.06 ms.
    """

    def __init__(self) -> None:
        self._since = monotonic()

    def step(self) -> None:
        """A step is done."""
        if monotonic() - self._since >= LONG_STEP:
            give_way()
            self._since = monotonic()


def in_words(age: timedelta) -> str:
    """A length of time as a person says it.

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
