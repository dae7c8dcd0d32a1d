"""The delivery threads of one settings object, with the 1 s and 30 s rules for slow subscribers.

One *lane* at most is in charge: a thread that takes job after job, started when there is something to tell and ended
when there is not. A subscriber that has run for more than a second keeps its lane to itself, and a new one is put in
charge of the rest.
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
from liveconfig._watching import Timer, Timers


class Job:
    """One subscriber to be brought to one version; the event is known once it was taken."""

    __slots__ = ("awaitable", "event", "subscriber", "target")

    def __init__(self, subscriber: Subscriber, target: Version) -> None:
        self.subscriber = subscriber
        self.target = target
        self.event: Any = None
        self.awaitable: Any = None  # what a plain callable returned, to be awaited on a loop


class Work(Protocol):
    """What the lanes work through. All but `serve` is called under the lock."""

    def next(self) -> deque[Job]:
        """The next jobs for the lane in charge, in their order; empty when there is nothing to tell."""
        ...

    def more(self, done: Job) -> Job | None:
        """The next job for the same subscriber, for a lane that was left to it."""

    def serve(self, job: Job) -> None:
        """Call the subscriber, once or as often as it has something to hear."""

    def give_back(self, jobs: Iterable[Job]) -> None:
        """A lane does not come to these: they are the next ones."""

    def left(self, job: Job) -> Timer | None:
        """It has a lane to itself by now: say so when it stays inside its call."""
        ...


class DeliveryThread:
    """One delivery thread, what it is with, and what it will be with.

    Its jobs are taken one by one without the lock, which would cost each subscriber as much as its call: a deque gives
    each of them to one taker.
    """

    __slots__ = ("job", "jobs", "thread", "watch")

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.job: Job | None = None
        self.jobs: deque[Job] = deque()
        self.watch: Timer | None = None

    def take(self) -> Job | None:
        """The next job, unless another lane has been put in charge of it."""
        try:
            self.job = job = self.jobs.popleft()
        except IndexError:
            return None
        return job

    def let_go(self) -> list[Job]:
        """The jobs that it does not come to any more; it may be taking one of them at this moment."""
        left = []
        with contextlib.suppress(IndexError):
            while True:
                left.append(self.jobs.popleft())
        return left

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self.thread is not None and self.thread.is_alive()


class DeliveryThreads:
    """The threads.

    Args:
        work: What they work through.
        lock: Taken for each step, never while a subscriber runs.
        timers: For looking at a lane later.
    """

    def __init__(self, work: Work, lock: threading.RLock, timers: Timers) -> None:
        self._work = work
        self._lock = lock
        self._timers = timers
        self._in_charge: DeliveryThread | None = None
        self._left: set[DeliveryThread] = set()
        self._late: Timer | None = None  # when no thread could be had

    def start(self) -> bool:
        """Put a lane in charge, if none is, or one that never started (KeyboardInterrupt). Called under the lock.

        Returns whether one is: there may be no thread to be had.
        """
        if self._in_charge is None or not self._in_charge.is_alive():
            lane = self._in_charge = DeliveryThread()
            lane.thread = threading.Thread(target=self._run, args=(lane,), name="liveconfig-delivery", daemon=True)
            try:
                lane.thread.start()
            except RuntimeError:  # out of threads for now, or for good: Python 3.12 starts none at exit
                self._in_charge = None
                if self._late is None:
                    self._late = self._timers.later(SLOW, self._start_late)
        return self._in_charge is not None

    def _start_late(self) -> None:
        with self._lock:
            self._late = None
            self.start()

    def see(self) -> bool:
        """Do at once what the timers do late where the worker is held up, by a validator. Called under the lock.

        Returns whether a lane is in charge.
        """
        lane = self._in_charge
        if lane is not None and lane.job is not None and lane.job.subscriber.ran() >= SLOW:
            self._leave(lane)
        return self.start()

    def here(self) -> DeliveryThread | None:
        """The lane whose thread calls this."""
        with self._lock:
            return self._of_this_thread()

    def forking(self) -> Job | None:
        """In a forked child, whose lock may be held for ever: the job inside which the parent forked."""
        lane = self._of_this_thread()
        return None if lane is None else lane.job

    def _of_this_thread(self) -> DeliveryThread | None:
        current = threading.current_thread()
        lanes = [lane for lane in (self._in_charge, *self._left) if lane is not None]
        return next((lane for lane in lanes if lane.thread is current), None)

    def close(self) -> None:
        """Wait for the lane in charge to end, a second at most and not for itself; then leave it to its subscriber."""
        lane = self._in_charge
        self._late = None  # the timers are called off
        if lane is not None and lane.thread is not None and self.here() is None:
            # A signal handler may have come in the middle of its start, or of what else is done under the lock.
            if lane.is_alive() and not self._is_held_here():
                lane.thread.join(SLOW)
            self._leave(lane, go_on=False)

    def _is_held_here(self) -> bool:
        """Whether this thread holds the lock already: then no lane can go on, and to wait for one is in vain."""
        try:
            threading.Condition(self._lock).notify(0)  # raises where it is not held by the caller (docs.python.org)
        except RuntimeError:
            return False
        return True

    def _run(self, lane: DeliveryThread) -> None:
        look: Timer | None = None
        while True:
            with self._lock:
                if not self._has_jobs(lane):
                    self._timers.cancel(look)
                    return
                if look is None:
                    look = self._timers.later(SLOW, lambda: self._look_at(lane))
            while (job := lane.take()) is not None:
                if job.subscriber.started is None:
                    job.subscriber.started = _clock.monotonic()
                try:  # noqa: SIM105
                    self._work.serve(job)
                except BaseException:  # noqa: BLE001, S110 - of a log filter; `suppress` costs as much as a call
                    pass

    def _has_jobs(self, lane: DeliveryThread) -> bool:
        done, lane.job = lane.job, None
        self._timers.cancel(lane.watch)
        if lane is self._in_charge:
            lane.jobs = self._work.next()
            if not lane.jobs:
                self._in_charge = None
        elif lane in self._left and done is not None:
            job = self._work.more(done)
            if job is None:
                self._left.discard(lane)
            else:
                job.subscriber.started = _clock.monotonic()  # what is watched is a call that has a beginning
                lane.jobs.append(job)
                lane.watch = self._work.left(job)
        return bool(lane.jobs)  # none too in a child, whose parent's thread forked inside a subscriber

    def _look_at(self, lane: DeliveryThread) -> None:
        """A second has gone by: if the lane is still with one subscriber, leave it to that one."""
        with self._lock:
            ran = lane.job.subscriber.ran() if lane.job is not None else 0.0
            if ran >= SLOW:
                self._leave(lane)
            elif lane is self._in_charge:
                self._timers.later(SLOW - ran, lambda: self._look_at(lane))

    def _leave(self, lane: DeliveryThread, *, go_on: bool = True) -> None:
        with self._lock:
            if lane is self._in_charge and lane.job is not None:
                self._in_charge = None
                self._left.add(lane)
                self._work.give_back(lane.let_go())
                lane.watch = self._work.left(lane.job)
                if go_on:
                    self.start()
