"""The running event loops of one settings object, for coroutines whose own loop does not run."""

from __future__ import annotations

import asyncio

from liveconfig.exceptions import LiveConfigError


class Loops:
    """The loops that entered the settings and have not left, the oldest first."""

    def __init__(self) -> None:
        self._entered: list[asyncio.AbstractEventLoop] = []

    def enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count one more ``async with`` on this loop."""
        self._entered.append(loop)

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count one less."""
        if loop in self._entered:
            self._entered.remove(loop)

    def forget(self) -> None:
        """In a forked child: forget the loops of the parent."""
        self._entered = []

    def running_one(self) -> asyncio.AbstractEventLoop | None:
        """Return the oldest that runs; None if none does."""
        return next((loop for loop in self._entered if loop.is_running()), None)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread; None if none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def needed_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that runs in this thread.

    Raises:
        LiveConfigError: No asyncio event loop runs here.
    """
    loop = running_loop()
    if loop is None:
        raise LiveConfigError("this needs a running asyncio event loop, and none runs in this thread (is it trio?)")
    return loop
