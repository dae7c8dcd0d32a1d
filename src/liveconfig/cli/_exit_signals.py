"""Ending in order, whichever way somebody asks for it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_in_order() -> Iterator[Callable[[], None]]:
    """Turn the first signal to end into a `SystemExit`, so that every ``with`` is left, and ignore those that follow.

    Yields:
        A function that ignores them from now on: what is put away should be put away whole.
    """
    # What our parent has us ignore (nohup) stays ignored.
    before = {number: old for number in _ASKED_TO_END if (old := signal.getsignal(number)) is not signal.SIG_IGN}

    def ignore() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    def end(number: int, _: FrameType | None) -> None:
        ignore()
        raise SystemExit(128 + number)

    for number in before:
        signal.signal(number, end)
    try:
        yield ignore
    finally:
        for number, old in before.items():
            signal.signal(number, old)
