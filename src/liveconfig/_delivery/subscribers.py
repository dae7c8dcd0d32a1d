"""One subscriber: its callback, its event loop, and the result of its last call."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from liveconfig import _clock
from liveconfig._delivery.subjects import EventQueue, Subject, Version
from liveconfig._traceback import frames, text_of
from liveconfig._watching import Timer
from liveconfig.exceptions import Refusal

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0

SLOW = 1.0
"""Seconds after which a subscriber gets a thread of its own."""

HUNG = 30.0
"""Seconds after which a call of a subscriber counts as one that does not return."""


def is_coroutine(callback: Callable[..., Any]) -> bool:
    """Whether a call returns a coroutine: a coroutine function, a partial of one, an object with such a call."""
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004


def name_of(callback: Callable[..., Any]) -> str:
    """Return the name of a callback for the log and the status."""
    module, name = getattr(callback, "__module__", None), getattr(callback, "__qualname__", None)
    return ".".join(filter(None, (module, name))) if name else type(callback).__qualname__


def described(error: BaseException, then: str) -> str:
    """Describe an exception of user code for a log line: its type, what happens next, and where it was raised.

    The message is shown for a `Refusal` only.
    """
    if isinstance(error, Refusal):
        return f"{type(error).__name__}; {then}: {text_of(error)}"
    places = "".join(f"\n    {frame}" for frame in frames(error))
    return f"{type(error).__name__}; {then} (its message is withheld: it may hold a secret){places}"


class Subscriber:
    """A callback and its progress.

    It is changed under the publisher's lock, or, while it is ``busy``, by the thread that calls it.

    Attributes:
        subject: The subject of its subscription.
        coroutine: Whether it is called on an event loop.
        loop: The loop where it was subscribed, or to which it has moved.
        received: The newest version that it received.
        error: The type of the exception that it raised last; None once it has succeeded.
        owed: Whether an event is due even if nothing has changed: it raised, or it asked for an initial delivery.
        waits: Whether it waits for its retry.
        pauses: Whether its call was cancelled just now, maybe because its loop is being closed.
        parked: Whether it waits for an event loop.
        busy: Whether it is inside a call, or about to be.
        on_loop: Whether that call runs on its loop.
        current_job: The job that runs on its loop.
        started: When its present call began (monotonic).
        thread: The thread of the loop on which its coroutine runs.
    """

    def __init__(self, subject: Subject, callback: Callable[[Any], Any], *, initial: bool, retry: bool) -> None:
        self.subject = subject
        self.callback = callback
        self.name = name_of(callback)
        self.retry = retry
        self.coroutine = is_coroutine(callback)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.cancelled = False
        self.again: Timer | None = None
        self.error: str | None = None
        self.received = subject.seen
        self.owed = initial
        self.failures = 0
        self.renew()

    def renew(self) -> None:
        """Reset it: at the start, and in a forked child, where the loop is the parent's."""
        self.loop = None
        self.parked = self.waits = self.pauses = False
        self.reset()

    def resume(self) -> None:
        """Wait no longer: after a restart, the timers for which it waited do not come."""
        self.waits = self.pauses = False

    def begin(self, standing: Callable[[], Sequence[tuple[Any, Any]]]) -> None:
        """Start with the standing events, if it asked for an initial delivery of events."""
        if self.owed and isinstance(self.subject, EventQueue):
            self.owed = False
            self.subject.begin_with(standing())

    def reset(self) -> None:
        """Record that it is in no call."""
        self.busy = self.on_loop = False
        self.current_job: Any = None
        self.task: asyncio.Task[Any] | None = None
        self.watch: Timer | None = None
        self.started: float | None = None
        self.thread: int | None = None

    def is_running_here(self) -> bool:
        """Whether this is called inside its coroutine."""
        running = self.task is None or getattr(self.task.get_coro(), "cr_running", False)
        return self.thread == threading.get_ident() and running

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Move it to another loop; a call on the old one is abandoned."""
        self.loop, self.parked = loop, False
        self.resume()
        self.reset()

    def ran(self) -> float:
        """Return the seconds since its call began; 0 if it is in no call."""
        started = self.started
        return 0.0 if started is None else _clock.monotonic() - started

    def hangs(self) -> bool:
        """Whether its call has not returned for long; on a loop that does not run, no call is running."""
        return self.ran() >= HUNG and (not self.on_loop or self.has_loop())

    def fails(self) -> bool:
        """Whether it raised or hangs, so that it has not received the newest version."""
        return self.error is not None or self.hangs()

    def returns(self) -> bool:
        """Record that its call returns, or raises. Return whether it was hanging."""
        hung = self.hangs()
        if hung:
            self.started = _clock.monotonic()  # of the next call, if there is one at once
        return hung

    def running_since(self) -> datetime | None:
        """Return when its call began; None if it is in no call."""
        return None if self.started is None else _clock.now() - timedelta(seconds=self.ran())

    def has_loop(self) -> bool:
        """Whether its loop runs."""
        return self.loop is not None and self.loop.is_running()

    def due(self, target: Version) -> bool:
        """Whether it should be called now."""
        return not self.busy and self.wants(target)

    def wants(self, target: Version) -> bool:
        """Whether an event is due, even while it is inside a call."""
        if self.cancelled or self.parked or (self.pauses and self.has_loop()):
            return False
        return self.subject.has_event(target) or (self.owed and not self.waits)

    def behind(self, target: Version) -> bool:
        """Whether it has to be called, now or later."""
        return not self.cancelled and (self.owed or self.subject.has_event(target))

    def succeeded(self, target: Version, event: Any) -> None:
        """Record that it returned normally."""
        self.subject.settle(target, event)
        if target.number > self.subject.seen:
            self.subject.seen = target.number
        self.received = self.subject.seen
        if self.owed or self.error is not None:
            self.error, self.owed, self.waits, self.failures = None, False, False, 0

    def skipped(self, target: Version) -> None:
        """Record that there was nothing to deliver, or that the selector raised. A delivery that is due stays due."""
        self.subject.seen = max(self.subject.seen, target.number)
        if self.owed:
            self.waits = True
        else:
            self.received = self.subject.seen

    def failed(self, target: Version, event: Any, error: BaseException) -> float | None:
        """Record that it raised. Return the seconds until the retry; None for none."""
        self.error = type(error).__name__
        self.subject.seen = max(self.subject.seen, target.number)
        if not self.retry:
            self.subject.settle(target, event)
            self.owed = False
            return None
        self.subject.tried(target, event)
        self.owed, self.waits, self.failures = True, True, self.failures + 1
        return min(FIRST_RETRY * 2.0 ** min(self.failures - 1, 16), LONGEST_RETRY)


class Pass:
    """One delivery of one version to all subscribers, in order."""

    def __init__(self, target: Version, subscribers: tuple[Subscriber, ...], covers: int) -> None:
        self.target = target
        self.remaining: Iterator[Subscriber] = iter(subscribers)
        self.covers = covers
