"""An orderly end of a command after a signal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ASKED_TO_END = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Windows has no SIGHUP."""


@contextmanager
def ending_in_order() -> Iterator[Callable[[], None]]:
    """Raise `SystemExit` at the first signal, so that every ``with`` is left, and ignore later signals.

    Yields:
        A function that ignores all signals from now on, so that the clean-up is complete.
    """
    # Signals that the parent set to be ignored (nohup) stay ignored.
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
