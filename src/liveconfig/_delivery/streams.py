"""`changes()` and `reloads()`: events as asynchronous iterators."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from liveconfig._delivery.loops import needed_loop
from liveconfig._delivery.publisher import Publisher
from liveconfig._delivery.subjects import Subject
from liveconfig._delivery.subscribers import described

E = TypeVar("E")

_log = logging.getLogger("liveconfig")


class Stream(AsyncIterator[E], Generic[E]):
    """An asynchronous iterator over events: subscribed when it is created, dropped when nothing refers to it.

    A slow consumer gets merged changes. The stream ends when the settings are closed.
    """

    def __init__(self, publisher: Publisher, subject: Subject, closed: Callable[[], bool]) -> None:
        self._publisher = publisher
        self._subject = subject
        self._closed = closed
        self._ended = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        publisher.wake_with_versions(self)

    def wake(self) -> None:
        """Wake the waiting code, from any thread."""
        for loop, woken in tuple(self._waiting):
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits there
                loop.call_soon_threadsafe(woken.set)

    def renew(self) -> None:
        """In a forked child: forget the loops of the parent, because waking them would wake the parent."""
        self._waiting = set()

    def __aiter__(self) -> Stream[E]:
        return self

    async def __anext__(self) -> E:
        woken = asyncio.Event()
        waiting = needed_loop(), woken
        self._waiting.add(waiting)
        try:
            while not self._ended:
                woken.clear()
                event = self._next()
                if event is not None:
                    return event
                if self._closed():
                    break
                await woken.wait()
        finally:
            self._waiting.discard(waiting)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the stream, also for code that waits on it now. ``contextlib.aclosing`` calls this."""
        self._ended = True
        self.wake()

    def _next(self) -> E | None:
        """Return the next event; None if there is none."""
        target = self._publisher.newest
        with self._publisher.lock:
            if not self._subject.has_event(target):
                return None
            self._subject.seen = target.number
        try:
            event: Any = self._subject.take(target, again=False)
        except Exception as error:  # noqa: BLE001 - a user's selector
            then = "this version counts as no change"
            _log.error("%s: the selector of a stream raised %s", self._publisher.settings, described(error, then))
            return None
        if event is not None:
            self._subject.settle(target, event)
        return event  # type: ignore[no-any-return]
