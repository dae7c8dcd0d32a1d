"""The delivery threads of one settings object, with the 1 s and 30 s rules for slow subscribers.

One thread is *active*: it runs job after job. It starts when there is something to deliver, and ends when there is
nothing. When a subscriber has run for more than 1 s, its thread is *detached*: it serves this subscriber only, and a
new thread becomes active for the others.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol

from liveconfig import _clock
from liveconfig._delivery.subjects import Version
from liveconfig._delivery.subscribers import SLOW, Subscriber
from liveconfig._locks import is_held_here
from liveconfig._watching import Timer, Timers, WaitableThread, call_user_code, start_thread


class Job:
    """One delivery to one subscriber, up to one version. The event is computed when the subscriber is called."""

    __slots__ = ("awaitable", "event", "subscriber", "target")

    def __init__(self, subscriber: Subscriber, target: Version) -> None:
        self.subscriber = subscriber
        self.target = target
        self.event: Any = None
        self.awaitable: Any = None  # the result of a plain callable, to be awaited on a loop


class JobSource(Protocol):
    """The source of jobs. All methods but `serve` are called under the lock."""

    def next(self) -> deque[Job]:
        """Return the next jobs for the active thread, in order; empty if there is nothing to deliver."""
        ...

    def next_for(self, done: Job) -> Job | None:
        """Return the next job for the subscriber of a detached thread."""

    def serve(self, job: Job) -> None:
        """Call the subscriber, once for each event that is due."""

    def requeue(self, jobs: Iterable[Job]) -> None:
        """Put jobs back that a thread did not start."""

    def on_detach(self, job: Job) -> Timer | None:
        """Schedule the log line about the subscriber of a detached thread."""
        ...


class DeliveryThread:
    """One delivery thread, its present job, and its next jobs.

    The jobs are removed one by one without the lock, which would cost as much as the call itself: a deque gives each
    job to one thread only.
    """

    __slots__ = ("job", "jobs", "look", "thread", "watch")

    def __init__(self) -> None:
        self.thread: WaitableThread | None = None
        self.job: Job | None = None
        self.jobs: deque[Job] = deque()
        self.look: Timer | None = None
        self.watch: Timer | None = None

    def take(self) -> Job | None:
        """Remove and return the next job; None if another thread has them."""
        try:
            self.job = job = self.jobs.popleft()
        except IndexError:
            return None
        return job

    def drop_jobs(self) -> list[Job]:
        """Remove and return the jobs that it has not started. It may remove one of them at the same time."""
        dropped = []
        with contextlib.suppress(IndexError):
            while True:
                dropped.append(self.jobs.popleft())
        return dropped

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self.thread is not None and self.thread.is_alive()


class DeliveryThreads:
    """The delivery threads of one settings object.

    Args:
        jobs: The source of their jobs.
        lock: Held for each step, never while a subscriber runs.
        timers: For later checks of a thread.
    """

    def __init__(self, jobs: JobSource, lock: threading.RLock, timers: Timers) -> None:
        self._source = jobs
        self._lock = lock
        self._timers = timers
        self._active: DeliveryThread | None = None
        self._ending: WaitableThread | None = None  # the last active one, which has nothing left to do
        self._detached: set[DeliveryThread] = set()
        self._late: Timer | None = None  # set while no thread can be started
        self._starting_in: int | None = None  # the id of the thread that is starting the active one

    def start(self) -> bool:
        """Start the active thread if there is none, or if it never started (KeyboardInterrupt). Called under the lock.

        Return whether there is one: sometimes no thread can be started.
        """
        self._replace_dead()
        if self._active is None:
            delivery = self._active = DeliveryThread()
            delivery.thread = WaitableThread(partial(self._run, delivery), "liveconfig-delivery")
            self._starting_in = threading.get_ident()
            try:
                start_thread(delivery.thread)
            except RuntimeError:  # no more threads for now, or for ever: none starts at exit
                self._active = None
                if self._late is None:
                    self._late = self._timers.later(SLOW, self._start_late)
            finally:
                self._starting_in = None
        return self._active is not None

    def _replace_dead(self) -> None:
        """Requeue the jobs of threads that have died."""
        for delivery in self._dead():
            self._detached.discard(delivery)
            if delivery is self._active:
                self._active = None
            unfinished, delivery.job = delivery.job, None
            self._source.requeue([*([unfinished] if unfinished is not None else []), *delivery.drop_jobs()])

    def _dead(self) -> list[DeliveryThread]:
        threads = [delivery for delivery in (self._active, *self._detached) if delivery is not None]
        return [delivery for delivery in threads if not delivery.is_alive()]

    def are_active(self) -> bool:
        """Return whether there is an active thread."""
        return self._active is not None

    def have_died(self) -> bool:
        """Return whether a thread has died before its work was done: other code threw an exception into it."""
        return bool(self._dead())

    def _start_late(self) -> None:
        with self._lock:
            self._late = None
            self.start()

    def check_slow(self) -> bool:
        """Detach a slow thread now, because a blocked scheduler thread would do it late. Called under the lock.

        Return whether there is an active thread that the caller can wait for. A signal handler that has interrupted the
        start of the thread cannot: `Thread.start` holds a lock that the thread needs to begin.
        """
        delivery = self._active
        if delivery is not None and delivery.job is not None and delivery.job.subscriber.ran() >= SLOW:
            self._detach(delivery)
        return self.start() and self._starting_in != threading.get_ident()

    def current(self) -> DeliveryThread | None:
        """Return the delivery thread that calls this; None for other threads."""
        with self._lock:
            return self._of_this_thread()

    def forking(self) -> Subscriber | None:
        """In a forked child: return the subscriber that forked. Without the lock, which may be held for ever."""
        delivery = self._of_this_thread()
        return None if delivery is None or delivery.job is None else delivery.job.subscriber

    def _of_this_thread(self) -> DeliveryThread | None:
        current = threading.current_thread()
        threads = [delivery for delivery in (self._active, *self._detached) if delivery is not None]
        return next((delivery for delivery in threads if delivery.thread is current), None)

    def close(self) -> None:
        """Wait at most 1 s for the active thread to end, unless it is the caller; then detach it."""
        delivery, ending = self._active, self._ending
        self._late = None  # its timer was cancelled
        if self.current() is not None:
            return
        if delivery is not None and delivery.thread is not None:
            self._join(delivery.thread)
            self._detach(delivery, go_on=False)
        elif ending is not None:
            self._join(ending)

    def _join(self, thread: WaitableThread) -> None:
        # The caller may be a signal handler that has interrupted its start, or other code under the lock.
        if thread.is_alive() and thread is not threading.current_thread() and not is_held_here(self._lock):
            thread.wait(SLOW)

    def _run(self, delivery: DeliveryThread) -> None:
        while True:
            with self._lock:
                if not self._has_jobs(delivery):
                    self._timers.cancel(delivery.look)
                    return
                if delivery.look is None:
                    delivery.look = self._timers.later(SLOW, lambda: self._check(delivery))
            while (job := delivery.take()) is not None:
                if job.subscriber.started is None:
                    job.subscriber.started = _clock.monotonic()
                try:  # noqa: SIM105
                    call_user_code(self._source.serve, job)
                except BaseException:  # noqa: BLE001, S110 - of a log filter; `suppress` costs as much as a call
                    pass

    def _has_jobs(self, delivery: DeliveryThread) -> bool:
        done, delivery.job = delivery.job, None
        self._timers.cancel(delivery.watch)
        if delivery is self._active:
            delivery.jobs = self._source.next()
            if not delivery.jobs:
                self._active, self._ending = None, delivery.thread
        elif delivery in self._detached and done is not None:
            job = self._source.next_for(done)
            if job is None:
                self._detached.discard(delivery)
            else:
                job.subscriber.started = _clock.monotonic()  # `on_detach` needs the start of the call
                delivery.jobs.append(job)
                delivery.watch = self._source.on_detach(job)
        return bool(delivery.jobs)  # also empty in a child that was forked inside a subscriber

    def _check(self, delivery: DeliveryThread) -> None:
        """Detach the thread if it has been inside the same call for 1 s."""
        with self._lock:
            ran = delivery.job.subscriber.ran() if delivery.job is not None else 0.0
            if ran >= SLOW:
                self._detach(delivery)
            elif delivery is self._active:
                delivery.look = self._timers.later(SLOW - ran, lambda: self._check(delivery))

    def _detach(self, delivery: DeliveryThread, *, go_on: bool = True) -> None:
        with self._lock:
            if delivery is self._active and delivery.job is not None:
                self._active = None
                self._detached.add(delivery)
                self._source.requeue(delivery.drop_jobs())
                delivery.watch = self._source.on_detach(delivery.job)
                if go_on:
                    self.start()
