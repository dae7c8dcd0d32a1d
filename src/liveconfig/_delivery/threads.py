"""The delivery threads of one settings object, with the 1 s and 30 s rules for slow subscribers.

One thread is *active*: it takes job after job. It starts when there is something to deliver, and ends when there is
not. A subscriber that has run for more than 1 s keeps its thread to itself, and a new thread becomes active for the
others.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from liveconfig import _clock
from liveconfig._delivery.subjects import Version
from liveconfig._delivery.subscribers import SLOW, Subscriber
from liveconfig._watching import Timer, Timers, start_thread


class Job:
    """One delivery to one subscriber, up to one version; the event is computed when the subscriber is called."""

    __slots__ = ("awaitable", "event", "subscriber", "target")

    def __init__(self, subscriber: Subscriber, target: Version) -> None:
        self.subscriber = subscriber
        self.target = target
        self.event: Any = None
        self.awaitable: Any = None  # what a plain callable returned, to be awaited on a loop


class Work(Protocol):
    """The source of jobs. All methods but `serve` are called under the lock."""

    def next(self) -> deque[Job]:
        """The next jobs for the active thread, in their order; empty when there is nothing to deliver."""
        ...

    def more(self, done: Job) -> Job | None:
        """The next job for the same subscriber, on a thread that it keeps to itself."""

    def serve(self, job: Job) -> None:
        """Call the subscriber, once for each event that is due."""

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Jobs that a thread did not start: they come next."""

    def left(self, job: Job) -> Timer | None:
        """The subscriber keeps its thread to itself from now on: log when its call goes on."""
        ...


class DeliveryThread:
    """One delivery thread, its present job, and its next jobs.

    The jobs are taken one by one without the lock, which would cost as much as the call itself: a deque gives each job
    to one taker.
    """

    __slots__ = ("job", "jobs", "look", "thread", "watch")

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.job: Job | None = None
        self.jobs: deque[Job] = deque()
        self.look: Timer | None = None
        self.watch: Timer | None = None

    def take(self) -> Job | None:
        """The next job, unless another thread has taken over."""
        try:
            self.job = job = self.jobs.popleft()
        except IndexError:
            return None
        return job

    def let_go(self) -> list[Job]:
        """Remove the jobs that it has not started; it may be taking one of them at this moment."""
        left = []
        with contextlib.suppress(IndexError):
            while True:
                left.append(self.jobs.popleft())
        return left

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self.thread is not None and self.thread.is_alive()


class DeliveryThreads:
    """The delivery threads of one settings object.

    Args:
        work: The source of their jobs.
        lock: Taken for each step, never while a subscriber runs.
        timers: For a later look at a thread.
    """

    def __init__(self, work: Work, lock: threading.RLock, timers: Timers) -> None:
        self._work = work
        self._lock = lock
        self._timers = timers
        self._active: DeliveryThread | None = None
        self._left: set[DeliveryThread] = set()
        self._late: Timer | None = None  # set while no thread can be started

    def start(self) -> bool:
        """Start the active thread if there is none, or if it never started (KeyboardInterrupt). Called under the lock.

        Returns whether there is one: it may be that no thread can be started.
        """
        if self._active is None or not self._active.is_alive():
            delivery = self._active = DeliveryThread()
            delivery.thread = threading.Thread(
                target=self._run, args=(delivery,), name="liveconfig-delivery", daemon=True
            )
            try:
                start_thread(delivery.thread)
            except RuntimeError:  # out of threads for now, or for good: Python 3.12 starts none at exit
                self._active = None
                if self._late is None:
                    self._late = self._timers.later(SLOW, self._start_late)
        return self._active is not None

    def _start_late(self) -> None:
        with self._lock:
            self._late = None
            self.start()

    def see(self) -> bool:
        """Do now what a timer does late when the scheduler thread is blocked. Called under the lock.

        Returns whether there is an active thread.
        """
        delivery = self._active
        if delivery is not None and delivery.job is not None and delivery.job.subscriber.ran() >= SLOW:
            self._leave(delivery)
        return self.start()

    def here(self) -> DeliveryThread | None:
        """The delivery thread that calls this."""
        with self._lock:
            return self._of_this_thread()

    def forking(self) -> Job | None:
        """In a forked child: the job inside which the parent forked. The lock is not taken, it may be held for ever."""
        delivery = self._of_this_thread()
        return None if delivery is None else delivery.job

    def _of_this_thread(self) -> DeliveryThread | None:
        current = threading.current_thread()
        threads = [delivery for delivery in (self._active, *self._left) if delivery is not None]
        return next((delivery for delivery in threads if delivery.thread is current), None)

    def close(self) -> None:
        """Wait at most 1 s for the active thread to end, not from itself; then leave it to its subscriber."""
        delivery = self._active
        self._late = None  # the timers are called off
        if delivery is not None and delivery.thread is not None and self.here() is None:
            # A signal handler may interrupt its start, or other code that holds the lock.
            if delivery.is_alive() and not self._is_held_here():
                delivery.thread.join(SLOW)
            self._leave(delivery, go_on=False)

    def _is_held_here(self) -> bool:
        """Whether this thread holds the lock already: then no delivery thread can go on, and waiting is useless."""
        try:
            threading.Condition(self._lock).notify(0)  # raises where it is not held by the caller (docs.python.org)
        except RuntimeError:
            return False
        return True

    def _run(self, delivery: DeliveryThread) -> None:
        while True:
            with self._lock:
                if not self._has_jobs(delivery):
                    self._timers.cancel(delivery.look)
                    return
                if delivery.look is None:
                    delivery.look = self._timers.later(SLOW, lambda: self._look_at(delivery))
            while (job := delivery.take()) is not None:
                if job.subscriber.started is None:
                    job.subscriber.started = _clock.monotonic()
                try:  # noqa: SIM105
                    self._work.serve(job)
                except BaseException:  # noqa: BLE001, S110 - of a log filter; `suppress` costs as much as a call
                    pass

    def _has_jobs(self, delivery: DeliveryThread) -> bool:
        done, delivery.job = delivery.job, None
        self._timers.cancel(delivery.watch)
        if delivery is self._active:
            delivery.jobs = self._work.next()
            if not delivery.jobs:
                self._active = None
        elif delivery in self._left and done is not None:
            job = self._work.more(done)
            if job is None:
                self._left.discard(delivery)
            else:
                job.subscriber.started = _clock.monotonic()  # the watch needs the start of a call
                delivery.jobs.append(job)
                delivery.watch = self._work.left(job)
        return bool(delivery.jobs)  # also empty in a child that was forked inside a subscriber

    def _look_at(self, delivery: DeliveryThread) -> None:
        """After 1 s: if the thread is still inside the same call, leave it to that subscriber."""
        with self._lock:
            ran = delivery.job.subscriber.ran() if delivery.job is not None else 0.0
            if ran >= SLOW:
                self._leave(delivery)
            elif delivery is self._active:
                delivery.look = self._timers.later(SLOW - ran, lambda: self._look_at(delivery))

    def _leave(self, delivery: DeliveryThread, *, go_on: bool = True) -> None:
        with self._lock:
            if delivery is self._active and delivery.job is not None:
                self._active = None
                self._left.add(delivery)
                self._work.give_back(delivery.let_go())
                delivery.watch = self._work.left(delivery.job)
                if go_on:
                    self.start()
