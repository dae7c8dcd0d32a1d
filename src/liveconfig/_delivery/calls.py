"""One call of one subscriber on a delivery thread, and the retries after an exception."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from functools import partial

from liveconfig._delivery.coroutines import CoroutineCalls
from liveconfig._delivery.subscribers import FIRST_RETRY, HUNG, Subscriber, described
from liveconfig._delivery.threads import Job
from liveconfig._watching import Timer, Timers, call_user_code

_log = logging.getLogger("liveconfig")


class Calls:
    """Calls subscribers.

    Args:
        settings: The name of the settings class, with which each log line begins.
        timers: For retries, and for calls that do not return.
        again: Called when a subscriber may be due.
        another_loop: Returns a running loop that has entered the settings, for coroutines without one; or None.
        changed: Called when a subscriber raises or hangs that did not, or the other way round.
    """

    def __init__(
        self,
        settings: str,
        timers: Timers,
        again: Callable[[], None],
        another_loop: Callable[[], asyncio.AbstractEventLoop | None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._timers = timers
        self.again = again
        self._changed = changed
        self.coroutines = CoroutineCalls(settings, timers, self, another_loop)

    def set_closed(self, closed: bool) -> None:
        """Set whether the settings are closed; then there are no retries."""
        self.coroutines.closed = closed

    def call(self, job: Job) -> None:
        """Deliver what is new to a subscriber. No exception of user code leaves this method."""
        subscriber = job.subscriber
        again = subscriber.owed and not subscriber.waits
        try:
            event = job.event = call_user_code(partial(subscriber.subject.take, again=again), job.target)
        except BaseException as error:  # noqa: BLE001 - a selector of the user
            subscriber.skipped(job.target)
            if again:  # an event is still due
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
            self.coroutines.schedule(job)
        else:
            self._call(job)

    def _call(self, job: Job) -> None:
        subscriber = job.subscriber
        try:
            result = call_user_code(contextvars.Context().run, subscriber.callback, job.event)
        except BaseException as error:  # noqa: BLE001 - a callback of the user; sys.exit() must not end the thread
            self.failed(job, error)
            return
        if result is not None and inspect.isawaitable(result):
            job.awaitable = result  # of a decorator around a coroutine function, or of a lambda
            self.coroutines.schedule(job)
            return
        if inspect.isasyncgen(result) or inspect.isgenerator(result):
            self._returned_generator(subscriber)
        self.succeeded(job)

    def _returned_generator(self, subscriber: Subscriber) -> None:
        _log.error(
            "%s: subscriber %s returned a generator, whose body nothing runs; subscribe a function or a coroutine "
            "function",
            self._settings,
            subscriber.name,
        )

    def hung(self, subscriber: Subscriber) -> Timer | None:
        """Schedule the log line about a subscriber that is then still inside its present call."""
        started = subscriber.started

        def look() -> None:
            if subscriber.started == started:
                self.report_hung(subscriber)

        return self.coroutines.later(max(0.0, HUNG - subscriber.ran()), look)

    def report_hung(self, subscriber: Subscriber) -> None:
        """Log that a subscriber has been inside its call for long."""
        _log.warning(
            "%s: subscriber %s has been running for %d s; it gets the changes that it misses, merged, when it returns",
            self._settings,
            subscriber.name,
            HUNG,
        )
        self._changed()

    def succeeded(self, job: Job) -> None:
        """Record that a call returned normally."""
        subscriber = job.subscriber
        hung, before = subscriber.returns(), subscriber.error
        subscriber.succeeded(job.target, job.event)
        if hung or before is not None:
            self._changed()

    def failed(self, job: Job, error: BaseException) -> None:
        """Log an exception of a subscriber, and schedule a retry."""
        subscriber = job.subscriber
        delay = self.retry(job, error)
        then = "not retrying" if delay is None else f"retrying in {delay:.0f} s"
        _log.error("%s: subscriber %s raised %s", self._settings, subscriber.name, described(error, then))

    def retry(self, job: Job, error: BaseException) -> float | None:
        """Schedule a retry, unless the subscriber has ``retry=False``. Return the delay; None for no retry."""
        subscriber = job.subscriber
        hung, before = subscriber.returns(), subscriber.error
        delay = subscriber.failed(job.target, job.event, error)
        if hung or subscriber.error != before:
            self._changed()
        return None if delay is None else self._put_off(subscriber, delay)

    def _put_off(self, subscriber: Subscriber, delay: float) -> float | None:
        self._timers.cancel(subscriber.again)
        if subscriber.cancelled:
            return None
        subscriber.again = self.coroutines.later(delay, lambda: self._call_again(subscriber))
        return None if self.coroutines.closed else delay

    def _call_again(self, subscriber: Subscriber) -> None:
        subscriber.waits = False
        self.again()

    def forget(self, subscriber: Subscriber) -> None:
        """Cancel the retry of a removed subscriber."""
        self._timers.cancel(subscriber.again)
