"""One call of one subscriber, on a thread or on its event loop, and the retries after an exception."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from liveconfig._delivery.subscribers import FIRST_RETRY, Subscriber, described
from liveconfig._delivery.threads import Job
from liveconfig._watching import Timer, Timers

HUNG = 30.0
"""Seconds after which a subscriber that still runs is named in the log."""

_log = logging.getLogger("liveconfig")


class Calls:
    """Calls subscribers.

    Args:
        settings: The name of the settings class, with which each log line begins.
        timers: For calling again what raised, and for looking at what does not return.
        again: Called when a subscriber may be due again.
        another_loop: An open loop on which the settings are in use, for coroutines whose own is closed; or None.
    """

    def __init__(
        self,
        settings: str,
        timers: Timers,
        again: Callable[[], None],
        another_loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self._settings = settings
        self._timers = timers
        self._again = again
        self._another_loop = another_loop
        self.resting = False  # the settings are closed: nothing is called again by itself

    def call(self, job: Job) -> None:
        """Tell the subscriber what is new for it. User code is isolated: nothing that it raises leaves here."""
        subscriber = job.subscriber
        again = subscriber.owed and not subscriber.waits
        try:
            event = job.event = subscriber.subject.take(job.target, again=again)
        except BaseException as error:  # noqa: BLE001 - a user's selector
            subscriber.skipped(job.target)
            if again:  # it is owed an event still
                self._put_off(subscriber, FIRST_RETRY)
            _log.error(
                "%s: the selector of subscriber %s raised %s",
                self._settings,
                subscriber.name,
                described(error, "this version counts as no change"),
            )
            return
        if event is None or subscriber.cancelled:
            subscriber.skipped(job.target)
        elif subscriber.coroutine:
            self._hand_over(job)
        else:
            try:
                contextvars.Context().run(subscriber.callback, event)
            except BaseException as error:  # noqa: BLE001 - a user's callback; sys.exit() must not end the lane
                self._failed(job, error)
            else:
                subscriber.succeeded(job.target, event)

    def hung(self, subscriber: Subscriber) -> Timer | None:
        """Have a subscriber named that will still be inside its present call."""
        started = subscriber.started

        def look() -> None:
            if subscriber.started == started:
                _log.warning(
                    "%s: subscriber %s has been running for %d s; it gets the changes that it misses, merged, when it "
                    "returns",
                    self._settings,
                    subscriber.name,
                    HUNG,
                )

        return None if self.resting else self._timers.later(max(0.0, HUNG - subscriber.ran()), look)

    def _failed(self, job: Job, error: BaseException) -> None:
        subscriber = job.subscriber
        delay = self._later(job, error)
        then = "not retrying" if delay is None else f"retrying in {delay:.0f} s"
        _log.error("%s: subscriber %s raised %s", self._settings, subscriber.name, described(error, then))

    def _later(self, job: Job, error: BaseException) -> float | None:
        """Have it called again after its pause, unless it wants no second call."""
        subscriber = job.subscriber
        delay = subscriber.failed(job.target, job.event, error)
        return None if delay is None else self._put_off(subscriber, delay)

    def _put_off(self, subscriber: Subscriber, delay: float) -> float | None:
        self._timers.cancel(subscriber.again)
        if subscriber.cancelled or self.resting:
            return None
        subscriber.again = self._timers.later(delay, lambda: self._call_again(subscriber))
        return delay

    def _call_again(self, subscriber: Subscriber) -> None:
        subscriber.waits = False
        self._again()

    def forget(self, subscriber: Subscriber) -> None:
        """It is not subscribed any more."""
        self._timers.cancel(subscriber.again)

    # Coroutines

    def _hand_over(self, job: Job) -> None:
        subscriber, loop = job.subscriber, job.subscriber.loop
        if loop is not None and not loop.is_closed():
            subscriber.on_loop = True
            try:
                loop.call_soon_threadsafe(self._begin, job)
                return
            except RuntimeError:  # closed just now
                subscriber.on_loop = False
        if subscriber.loop is not loop:  # it was given another one meanwhile
            subscriber.busy = True
            self._hand_over(job)
            return
        other = self._another_loop()
        if other is not None:
            subscriber.bind(other)
            subscriber.busy = True
            self._hand_over(job)
            return
        subscriber.parked = True
        _log.warning(
            "%s: subscriber %s is a coroutine function and has no running event loop; it gets the changes that it "
            "misses at the next `async with settings.live`",
            self._settings,
            subscriber.name,
        )

    def _begin(self, job: Job) -> None:
        subscriber = job.subscriber
        if subscriber.cancelled:
            subscriber.rest()
            return
        try:
            task = contextvars.Context().run(_task, subscriber.callback, job.event)
        except Exception as error:  # noqa: BLE001 - it cannot be called with one event
            try:
                self._failed(job, error)
            finally:
                self._over(subscriber)
            return
        subscriber.task = task  # the loop itself refers to its tasks weakly
        watch = self.hung(subscriber)
        task.add_done_callback(lambda done: self._ended(job, done, watch))

    def _ended(self, job: Job, task: asyncio.Task[Any], watch: Timer | None) -> None:
        subscriber = job.subscriber
        self._timers.cancel(watch)
        if subscriber.task is not task:
            return  # of a loop that was closed; it has another one by now
        if task.cancelled():  # by somebody, or because its loop is being closed: the second call will find out
            self._later(job, asyncio.CancelledError())
            if not self.resting:  # what is begun at once would be dropped with that loop
                self._timers.later(FIRST_RETRY, lambda: self._over(subscriber))
            return
        try:
            if (error := task.exception() or task.result()) is None:
                subscriber.succeeded(job.target, job.event)
            else:
                self._failed(job, error)
        finally:  # of a log filter that raised too
            self._over(subscriber)

    def _over(self, subscriber: Subscriber) -> None:
        subscriber.rest()
        self._again()


def _task(callback: Callable[[Any], Any], event: Any) -> asyncio.Task[Any]:
    """In an empty context, that the task copies: a task factory need not know of contexts."""
    inner = callback(event)
    outer = _outcome(inner)
    try:
        return asyncio.get_running_loop().create_task(outer)
    except BaseException:
        outer.close()  # it never began: it does not close what it would have awaited
        inner.close()
        raise


async def _outcome(coroutine: Awaitable[Any]) -> BaseException | None:
    """What it raised, as a result: asyncio has words of its own, with the message, for a task that raised."""
    try:
        await coroutine
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a user's callback; sys.exit() must not end the loop
        return error
    return None
