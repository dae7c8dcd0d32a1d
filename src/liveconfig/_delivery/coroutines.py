"""Coroutine subscribers: each call runs on an event loop, or waits until there is one."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from liveconfig._delivery.subscribers import FIRST_RETRY, HUNG, SLOW, Subscriber
from liveconfig._delivery.threads import Job
from liveconfig._watching import Timer, Timers, fork_count

_log = logging.getLogger("liveconfig")


class Outcomes(Protocol):
    """The methods that are called after a call."""

    def succeeded(self, job: Job) -> None:
        """Record that it returned normally."""

    def failed(self, job: Job, error: BaseException) -> None:
        """Handle an exception."""

    def retry(self, job: Job, error: BaseException) -> float | None:
        """Schedule a retry, without a log line."""

    def report_hung(self, subscriber: Subscriber) -> None:
        """Log that it has been running for long."""

    def again(self) -> None:
        """Start a delivery: a subscriber may be due."""


class CoroutineCalls:
    """Calls coroutine subscribers.

    A subscriber is *parked* while there is no running loop for it. It continues when its own loop runs again, or with
    the next ``async with settings.live``.

    Args:
        settings: The name of the settings class, with which each log line begins.
        timers: For calls that do not begin or do not return.
        outcomes: Called after each call.
        another_loop: Returns a running loop that has entered the settings, for subscribers without one; or None.
    """

    def __init__(
        self,
        settings: str,
        timers: Timers,
        outcomes: Outcomes,
        another_loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self._settings = settings
        self._timers = timers
        self._outcomes = outcomes
        self._another_loop = another_loop
        self.closed = False  # whether the settings are closed; then there are no retries

    def schedule(self, job: Job) -> None:
        """Schedule the call on the subscriber's loop, or on another one that runs."""
        subscriber = job.subscriber
        loop = subscriber.loop if subscriber.has_loop() else self._another_loop()
        if loop is None:
            self._park(subscriber)
            self._discard(job)
            return
        if loop is not subscriber.loop:
            subscriber.bind(loop)
        subscriber.busy, subscriber.on_loop, subscriber.current_job = True, True, job
        try:
            loop.call_soon_threadsafe(self._begin, job)
        except RuntimeError:  # closed meanwhile
            subscriber.on_loop, subscriber.current_job = False, None
            self.schedule(job)
        else:
            self._look_later(job, SLOW)

    # Loops that do not run

    def loop_stopped(self, subscriber: Subscriber) -> None:
        """Handle a subscriber whose loop has stopped. Called under the publisher's lock."""
        if subscriber.loop is None or subscriber.loop.is_closed():
            subscriber.reset()  # a call on it never ends
        else:
            self._timers.later(0.0, lambda: self._move(subscriber))

    def _move(self, subscriber: Subscriber) -> None:
        """Move it to another loop if its own does not run; an unfinished event is delivered again."""
        if not subscriber.on_loop or subscriber.has_loop():
            return
        other = self._another_loop()
        if other is None:
            self._park(subscriber)
        else:
            subscriber.bind(other)
            self._outcomes.again()

    def _park(self, subscriber: Subscriber) -> None:
        loop = subscriber.loop
        subscriber.busy = subscriber.on_loop = False
        subscriber.started = subscriber.current_job = None
        subscriber.parked = True
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self._unpark, subscriber, loop)
        _log.warning(
            "%s: subscriber %s is a coroutine function and no event loop runs for it; it gets the changes that it "
            "misses when its loop runs again, or at the next `async with settings.live`",
            self._settings,
            subscriber.name,
        )

    def _unpark(self, subscriber: Subscriber, loop: asyncio.AbstractEventLoop) -> None:
        """Unpark it, because its loop runs again. An unfinished call continues."""
        if not subscriber.parked or subscriber.loop is not loop:
            return
        subscriber.parked = False
        if subscriber.task is not None and not subscriber.task.done():
            subscriber.busy = subscriber.on_loop = True
        elif not self.closed:
            self._outcomes.again()

    def _discard(self, job: Job) -> None:
        """Close a coroutine for which there is no loop; the callable is called again when there is one."""
        _close(job.awaitable)
        job.awaitable = None

    def _look_later(self, job: Job, delay: float) -> None:
        subscriber = job.subscriber

        def look() -> None:
            if subscriber.current_job is not job:
                return
            if not subscriber.has_loop():
                self._move(subscriber)
            elif delay < HUNG:
                self._look_later(job, HUNG)
            else:
                self._outcomes.report_hung(subscriber)

        subscriber.watch = self.later(max(0.0, delay - subscriber.ran()), look)

    def later(self, delay: float, call: Callable[[], None]) -> Timer | None:
        """Schedule a call, unless the settings are closed; another thread may close them in between."""
        timer = None if self.closed else self._timers.later(delay, call)
        if self.closed:
            self._timers.cancel(timer)
        return timer

    # Calls on the loop

    def _begin(self, job: Job) -> None:
        subscriber = job.subscriber
        if subscriber.current_job is not job:
            return  # it was parked meanwhile, or has moved to another loop
        subscriber.thread = threading.get_ident()
        if subscriber.cancelled:
            self._discard(job)
            self._end(subscriber)
            return
        try:
            task = contextvars.Context().run(_task, subscriber.callback, job)
        except Exception as error:  # noqa: BLE001 - it cannot be called with one event
            try:
                self._outcomes.failed(job, error)
            finally:
                self._over(subscriber)
            return
        subscriber.task = task  # the loop refers to its tasks only weakly
        task.add_done_callback(lambda done: self._ended(job, done))

    def _ended(self, job: Job, task: asyncio.Task[Any]) -> None:
        subscriber = job.subscriber
        if subscriber.task is not task:  # it has moved to another loop, or this is a forked child
            if not task.cancelled():
                task.exception()  # asyncio logs an exception that is not retrieved
            return
        if task.cancelled():  # by user code, or because its loop is being closed: the second call finds out
            self._outcomes.retry(job, asyncio.CancelledError())
            self._pause(subscriber)
            return
        try:
            if (error := task.exception() or task.result()) is None:
                self._outcomes.succeeded(job)
            else:
                self._outcomes.failed(job, error)
        finally:  # a log filter raised too
            self._over(subscriber)

    def _pause(self, subscriber: Subscriber) -> None:
        """Call it a little later: a call that begins at once would be dropped with the loop."""
        subscriber.pauses = True
        self._end(subscriber)
        self.later(FIRST_RETRY, lambda: self._unpause(subscriber))

    def _unpause(self, subscriber: Subscriber) -> None:
        subscriber.pauses = False
        self._outcomes.again()

    def _over(self, subscriber: Subscriber) -> None:
        self._end(subscriber)
        self._outcomes.again()

    def _end(self, subscriber: Subscriber) -> None:
        self._timers.cancel(subscriber.watch)
        subscriber.reset()


def _task(callback: Callable[[Any], Any], job: Job) -> asyncio.Task[Any]:
    """Create the task in an empty context, which it copies: a task factory may not support contexts."""
    inner, job.awaitable = (callback(job.event) if job.awaitable is None else job.awaitable), None
    outer = _outcome(inner)
    try:
        task = asyncio.get_running_loop().create_task(outer)
    except BaseException:
        outer.close()  # it never began, so it does not close the awaitable
        _close(inner)
        raise
    task.add_done_callback(lambda _: _close(inner))  # a task that is cancelled at its start never awaited it
    return task


def _close(awaitable: Any) -> None:
    """Close a coroutine. One that has ended stays as it is; one that never began gives no warning."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


async def _outcome(coroutine: Awaitable[Any]) -> BaseException | None:
    """Return the exception as a result: asyncio logs the message of a task that raises."""
    forks = fork_count()
    try:
        await coroutine
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a callback of the user; sys.exit() must not end the loop
        if isinstance(error, SystemExit) and fork_count() != forks:
            raise  # it ends a process that was forked inside
        return error
    return None
