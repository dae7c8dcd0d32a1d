"""`changes()`, `reloads()`, `wait_for()` and `wait()`: events as streams and waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Generic, TypeVar

from liveconfig._delivery.publisher import Publisher
from liveconfig._delivery.subjects import Subject
from liveconfig._delivery.subscribers import SLOW, described
from liveconfig._watching import call_user_code, start_thread
from liveconfig.exceptions import LiveConfigError

E = TypeVar("E")
R = TypeVar("R")

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
        waiting = running_loop(), woken
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


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that runs in this thread.

    Raises:
        LiveConfigError: No asyncio event loop runs here.
    """
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    raise LiveConfigError("this needs a running asyncio event loop, and none runs in this thread (is it trio?)")


async def in_thread(function: Callable[[], R]) -> R:
    """Call a function on a separate thread without blocking the loop."""
    loop = running_loop()
    result: asyncio.Future[R] = loop.create_future()

    def finish(value: R | None, error: BaseException | None) -> None:
        if result.cancelled():
            return
        if error is None:
            result.set_result(value)  # type: ignore[arg-type]
        else:
            result.set_exception(error)

    def run() -> None:
        value, failure = None, None
        try:
            value = call_user_code(function)
        except BaseException as error:  # noqa: BLE001 - it is raised in the coroutine
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits there
            loop.call_soon_threadsafe(finish, value, failure)

    start_thread(threading.Thread(target=run, name="liveconfig-reload", daemon=True))
    return await result


async def finished(publisher: Publisher) -> None:
    """Wait for the coroutine subscribers that run on this loop, except those that have run for over a second.

    It waits twice, because one that was busy with an older version is called again.
    """
    for _ in range(2):
        for subscriber in publisher.running_on(running_loop()):
            task, left = subscriber.task, SLOW - subscriber.ran()
            if task is not None and task is not asyncio.current_task() and left > 0:
                await asyncio.wait({task}, timeout=left)
        await in_thread(publisher.barrier)


class _Versions:
    """The subject of `wait_for`: every snapshot, including the current one."""

    seen = 0
    several: ClassVar[bool] = False

    def has_event(self, target: Any) -> bool:
        return bool(target.number > self.seen)

    def take(self, target: Any, *, again: bool) -> Any:  # noqa: ARG002
        return target.snapshot

    def settle(self, target: Any, event: Any) -> None:
        pass

    tried = settle


async def wait_for(publisher: Publisher, predicate: Callable[[Any], bool], timeout: float | None) -> Any:
    """Return the first snapshot for which the predicate is true.

    Raises:
        TimeoutError: There was none within ``timeout`` seconds.
    """
    stream: Stream[Any] = Stream(publisher, _Versions(), lambda: False)
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            async for snapshot in stream:
                if predicate(snapshot):
                    return snapshot
    except TimeoutError:
        if limit.expired():  # else the predicate raised it
            raise _missed(timeout) from None
        raise
    raise AssertionError  # pragma: no cover - the stream has no end


def wait(
    publisher: Publisher, predicate: Callable[[Any], bool], timeout: float | None, clock: Callable[[], float]
) -> Any:
    """Return the first snapshot for which the predicate is true; blocks the thread.

    Raises:
        TimeoutError: There was none within ``timeout`` seconds.
    """
    deadline = None if timeout is None else clock() + timeout
    while True:
        version = publisher.newest
        if predicate(version.snapshot):
            return version.snapshot
        left = None if deadline is None else min(deadline - clock(), threading.TIMEOUT_MAX)
        with publisher.lock:
            if not publisher.moved.wait_for(lambda version=version: publisher.newest is not version, left):  # type: ignore[misc]
                raise _missed(timeout)


def _missed(timeout: float | None) -> TimeoutError:
    return TimeoutError(f"the settings did not fulfil the condition within {timeout} s")
