"""The subscribers of one settings object, and the delivery of each version to them.

A *pass* brings every subscriber, in their order, to one version. User code is never called under the lock.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from liveconfig._delivery.calls import Calls
from liveconfig._delivery.loops import Loops, running_loop
from liveconfig._delivery.subjects import EventQueue, LogQueue, Version
from liveconfig._delivery.subscribers import SLOW, Pass, Subscriber
from liveconfig._delivery.threads import DeliveryThreads, Job
from liveconfig._watching import Scheduler, Timer, Timers
from liveconfig.events import Recovered

AT_ONCE = 256
"""Subscribers that a delivery thread takes at once."""


class Waker(Protocol):
    """Something that waits for versions on an event loop."""

    def wake(self) -> None:
        """There is a new version, or the settings were closed. Called under the publisher's lock: only set a flag."""

    def renew(self) -> None:
        """In a forked child: the waiting code is in the parent."""


class Publisher:
    """The subscribers of one settings object.

    Args:
        settings: The name of the settings class, with which each log line begins.
        first: The version of the first load.
        worker: Runs timers: the 1 s rule for slow subscribers, and back-off.
        first_of_all: Called before all subscribers, with each version and its predecessor, and with each rejection.
        others: The subscribers after those held here: the signal receivers at each pass.
    """

    def __init__(
        self,
        settings: str,
        first: Version,
        worker: Scheduler,
        first_of_all: Callable[[Any], None],
        others: Callable[[Version], tuple[Subscriber, ...]],
    ) -> None:
        self.settings = settings
        self.newest = first
        self.subscribers: list[Subscriber] = []
        self._every = LogQueue()
        self._own = Subscriber(self._every, first_of_all, initial=False, retry=False)
        self._others = others
        self._other_subscribers: tuple[Subscriber, ...] = ()
        self._reached = first  # by the last whole pass
        self._wakers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._timers = Timers(worker)
        self._loops = Loops()
        self._calls = Calls(settings, self._timers, self._kick, self._loops.running_one)
        self._set_up()

    def _set_up(self) -> None:
        # `with` on the lock itself, never on the condition: that one is Python code, and a KeyboardInterrupt inside it
        # would leave the lock taken for ever.
        self.lock = threading.RLock()
        self.moved = threading.Condition(self.lock)
        self._threads = DeliveryThreads(self, self.lock, self._timers)
        self._news: deque[Callable[[], None]] = deque()
        self._recovered: deque[Recovered] = deque()  # delivered after the version that ended the rejection
        self._pass: Pass | None = None
        self._wanted = self._covered = 0

    def renew(self) -> None:
        """In a forked child: a new lock, and no subscriber inside a call."""
        forking = self._threads.forking()
        self._timers.forget()
        self._loops.forget()
        self._set_up()
        self._every.forget()
        for waker in self._wakers:
            waker.renew()
        for subscriber in (self._own, *self.subscribers, *self._other_subscribers):
            subscriber.renew()
        if forking is not None and forking.event is not None:
            # The subscriber forked: it is inside its call in the child too, and a second call would fork again.
            forking.subscriber.succeeded(forking.target, forking.event)

    def resume(self) -> None:
        """In a forked child, or after a restart: deliver what is due."""
        self._calls.rest(False)
        with self.lock:
            subscribers = self.everybody()
            for subscriber in subscribers:
                subscriber.waits = False
            if any(subscriber.behind(self.newest) for subscriber in subscribers):
                self._kick()

    def everybody(self) -> tuple[Subscriber, ...]:
        """The subscribers, and the signal receivers that are connected now."""
        with self.lock:
            if any(subscriber.cancelled for subscriber in self.subscribers):
                self._drop_cancelled()
            self._other_subscribers = self._others(self._reached)
            return (*self.subscribers, *self._other_subscribers)

    # What comes in

    def publish(self, version: Version) -> None:
        """Deliver a new version to every subscriber; one that comes after a newer one is ignored."""
        self._bring(partial(self._publish, version))

    def reject(self, rejected: Any) -> None:
        """Log a rejection, and deliver it."""
        self._bring(partial(self._every.put, rejected), partial(self._post, rejected))

    def recover(self, recovered: Recovered) -> None:
        """Log the end of a rejection, and deliver it after the version that ended it."""
        self._bring(partial(self._every.put, recovered), partial(self._recover, recovered))

    def log(self, event: Any) -> None:
        """Bring an event to our own log alone."""
        self._bring(partial(self._log, event))

    def post(self, notice: Any) -> None:
        """Deliver a `Stale` record."""
        self._bring(partial(self._post, notice))

    def _bring(self, *news: Callable[[], None]) -> None:
        """Record new versions and events. The caller holds the transaction, so it waits for the lock for 1 s at most.

        In the main thread, a signal handler may interrupt code that holds the lock, and wait for that transaction.
        """
        self._news.extend(news)
        if threading.current_thread() is threading.main_thread():
            with self.lock:
                self._take_in()
        elif self.lock.acquire(timeout=SLOW):
            try:
                self._take_in()
            finally:
                self.lock.release()
        else:
            self._timers.later(SLOW, self._bring)

    def _take_in(self) -> None:
        while self._news:
            self._news.popleft()()

    def _publish(self, version: Version) -> None:
        if version.number <= self.newest.number:
            if version.number == self.newest.number:
                self.newest = version  # no field differs: there is nothing to deliver
            return
        self._every.put((self.newest, version))
        self.newest = version
        for waker in self._wakers:
            waker.wake()
        self.moved.notify_all()
        self._kick()

    def _recover(self, recovered: Recovered) -> None:
        self._recovered.append(recovered)
        self._kick()

    def _log(self, event: Any) -> None:
        self._every.put(event)
        self._kick()

    def _post(self, notice: Any) -> None:
        for subscriber in self.everybody():
            if isinstance(subscriber.subject, EventQueue):
                subscriber.subject.put(notice)
        self._kick()

    def add(self, subscriber: Subscriber, standing: Callable[[], Iterable[Any]] = tuple) -> None:
        """Deliver to it from now on.

        Args:
            subscriber: The subscriber.
            standing: Gives the standing events, for a subscriber that asks for an initial delivery of events.
        """
        subscriber.loop = running_loop()  # of a plain callable, too: it may return an awaitable
        with self.lock:
            subscriber.begin(standing)
            self.subscribers.append(subscriber)
        if subscriber.behind(self.newest):
            self._kick()
            if not subscriber.coroutine:
                self.barrier()

    def remove(self, subscriber: Subscriber) -> None:
        """Deliver no more to it. Waits for no lock: a finalizer may call this, whatever lock its thread holds."""
        subscriber.cancelled = True
        self._calls.forget(subscriber)
        if self.lock.acquire(blocking=False):
            try:
                self._drop_cancelled()
            finally:
                self.lock.release()

    def has_subscribers(self) -> bool:
        """Whether there are subscribers; receivers of signals do not count."""
        return any(not subscriber.cancelled for subscriber in self.subscribers)

    def _drop_cancelled(self) -> None:
        self.subscribers = [subscriber for subscriber in self.subscribers if not subscriber.cancelled]

    def wake_with_versions(self, waker: Waker) -> None:
        """Wake it at each version, until it is collected."""
        with self.lock:
            self._wakers.add(waker)

    def bind_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use a loop for the coroutine subscribers whose own does not run, until `unbind_loop`."""
        with self.lock:
            self._loops.enter(loop)
            for subscriber in self.subscribers:
                subscriber.parked = False
            self._kick()

    def unbind_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Undo one `bind_loop`; the subscribers that moved to the loop stay there."""
        with self.lock:
            self._loops.leave(loop)

    def running_on(self, loop: asyncio.AbstractEventLoop) -> tuple[Subscriber, ...]:
        """The coroutine subscribers that are inside a call on a loop."""
        with self.lock:
            return tuple(each for each in self.subscribers if each.on_loop and each.loop is loop)

    def _kick(self) -> None:
        with self.lock:
            self._wanted += 1
            self._threads.start()

    # Waiting

    def barrier(self) -> None:
        """Return when every subscriber has received the newest version, except coroutines and slow ones.

        Where no thread can be started for 1 s, the deliveries come later, and the barrier does not wait for them.
        """
        if self._threads.here() is not None:
            return
        with self.lock:
            wanted = self._wanted
            if self._covered < wanted:
                self._threads.start()  # it runs already, unless a KeyboardInterrupt prevented its start
            while not self.moved.wait_for(lambda: self._covered >= wanted, SLOW):
                if not self._threads.see():
                    break

    def close(self) -> None:
        """Cancel every wait and timer, and wait briefly for the active thread to end."""
        self._calls.rest(True)
        self._timers.cancel_all()
        with self.lock:
            for waker in self._wakers:
                waker.wake()
        self._threads.close()

    # The source of jobs

    def next(self) -> deque[Job]:
        """The next jobs of the pass, or of a new one."""
        jobs: deque[Job] = deque()
        while not jobs and (self._pass is not None or self._begin()):
            assert self._pass is not None
            target = self._pass.target
            for subscriber in self._pass.rest:
                if subscriber.on_loop and not subscriber.has_loop():
                    self._calls.coroutines.left(subscriber)
                if subscriber.due(target):
                    jobs.append(self._job(subscriber, target))
                    if len(jobs) == AT_ONCE:
                        return jobs
            if not jobs:
                self._end()
        return jobs

    def give_back(self, jobs: Iterable[Job]) -> None:
        """The active thread was left to one subscriber: these jobs are the next ones of the pass."""
        subscribers = [job.subscriber for job in jobs]
        for subscriber in subscribers:
            subscriber.rest()
        if self._pass is not None:
            self._pass.rest = itertools.chain(subscribers, self._pass.rest)

    def more(self, done: Job) -> Job | None:
        """The next job for a subscriber that keeps a thread to itself."""
        return self._job(done.subscriber, self.newest) if done.subscriber.due(self.newest) else None

    def serve(self, job: Job) -> None:
        """Call a subscriber, until it has received every event that is due."""
        subscriber = job.subscriber
        try:
            if not subscriber.cancelled:
                self._calls.call(job)
                if subscriber.subject.several:
                    while not subscriber.on_loop and subscriber.wants(job.target):
                        self._calls.call(job)
        finally:  # also when a log filter raised
            if not subscriber.on_loop:
                subscriber.rest()

    def left(self, job: Job) -> Timer | None:
        """The subscriber keeps its thread to itself: log when its call goes on."""
        return self._calls.hung(job.subscriber)

    def _job(self, subscriber: Subscriber, target: Version) -> Job:
        subscriber.busy = True
        return Job(subscriber, target)

    def _begin(self) -> bool:
        if self._covered >= self._wanted:
            return False
        self._pass = Pass(self.newest, (self._own, *self.everybody()), self._wanted)
        return True

    def _end(self) -> None:
        assert self._pass is not None
        self._reached, covers = self._pass.target, self._pass.covers
        self._pass = None
        if self._recovered and self._recovered[0].version <= self._reached.number:
            # Every subscriber has now received the version that ended the rejection. The next pass covers this one.
            while self._recovered and self._recovered[0].version <= self._reached.number:
                self._post(self._recovered.popleft())
            return
        self._covered = covers
        self.moved.notify_all()
