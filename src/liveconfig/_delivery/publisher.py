"""The subscribers of one settings object, and the delivery of each version to them.

A *pass* delivers one version to every subscriber, in order. User code is never called under the lock.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from liveconfig._delivery.calls import Calls
from liveconfig._delivery.loops import Loops, running_loop
from liveconfig._delivery.subjects import EventQueue, LogQueue, Version
from liveconfig._delivery.subscribers import SLOW, Pass, Subscriber
from liveconfig._delivery.threads import DeliveryThreads, Job
from liveconfig._watching import Scheduler, Timer, Timers, call_user_code
from liveconfig.events import Recovered

AT_ONCE = 256
"""The number of subscribers that a delivery thread gets at once."""


class Waker(Protocol):
    """An object that waits for versions on an event loop."""

    def wake(self) -> None:
        """Set a flag: there is a new version, or the settings were closed. Called under the publisher's lock."""

    def renew(self) -> None:
        """In a forked child: forget the waiting code, which runs in the parent."""


class Publisher:
    """The subscribers of one settings object.

    Args:
        settings: The name of the settings class, with which each log line begins.
        first: The version of the first load.
        scheduler: Runs the timers: the 1 s rule for slow subscribers, and back-off.
        log_event: Writes log lines. Called before all subscribers, with each version and its predecessor, and with each
            rejection and its end.
        receivers: Returns the signal receivers, which are called after the subscribers.
        changed: Called when a subscriber raises or hangs that did not, or the other way round: on its thread, on its
            loop, or on the scheduler thread.
        is_silent: Whether ``log_event`` writes no line about an event, and calls no user code.
    """

    def __init__(
        self,
        settings: str,
        first: Version,
        scheduler: Scheduler,
        log_event: Callable[[Any], None],
        receivers: Callable[[Version], tuple[Subscriber, ...]],
        changed: Callable[[], None],
        is_silent: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self.settings = settings
        self.newest = first
        self.subscribers: list[Subscriber] = []
        self._log_queue = LogQueue()
        self._logging = Subscriber(self._log_queue, log_event, initial=False, retry=False)
        self._log_event = log_event
        self._is_silent = is_silent
        self._connected_receivers = receivers
        self._receivers: tuple[Subscriber, ...] = ()
        self._reached = first  # by the last complete pass
        self._wakers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._scheduler = scheduler
        self._timers = Timers(scheduler)
        self._loops = Loops()
        self._calls = Calls(settings, self._timers, self._kick, self._loops.running_one, changed)
        self._set_up()

    def _set_up(self) -> None:
        # Use `with` on the lock itself, never on the condition: a KeyboardInterrupt inside the Python code of the
        # condition would leave the lock acquired for ever.
        self.lock = threading.RLock()
        self.moved = threading.Condition(self.lock)
        self._threads = DeliveryThreads(self, self.lock, self._timers)
        self._queued: list[Callable[[], None]] = []
        self._recovered: list[Recovered] = []  # delivered after the version that ended the rejection
        self._pass: Pass | None = None
        self._wanted = self._covered = 0

    def renew(self) -> None:
        """In a forked child: create the lock again, and reset the subscribers."""
        subscribers = (*self.subscribers, *self._receivers)
        forking = [each for each in subscribers if each is self._threads.forking() or each.is_running_here()]
        self._timers.forget()
        self._loops.forget()
        self._set_up()
        self._log_queue.forget()
        for waker in self._wakers:
            waker.renew()
        for subscriber in (self._logging, *subscribers):
            subscriber.renew()
        for subscriber in forking:  # it is inside its call in the child too, and a second call would fork again
            subscriber.cancelled = True

    def resume(self) -> None:
        """In a forked child, or after a restart: deliver what is due."""
        self._calls.set_closed(False)
        with self.lock:
            subscribers = self.all_subscribers()
            for subscriber in subscribers:
                subscriber.resume()
            if any(subscriber.behind(self.newest) for subscriber in subscribers):
                self._kick()
        self.deliver()

    def all_subscribers(self) -> tuple[Subscriber, ...]:
        """Return the subscribers, and the signal receivers that are connected now."""
        with self.lock:
            if any(subscriber.cancelled for subscriber in self.subscribers):
                self._drop_cancelled()
            self._receivers = self._connected_receivers(self._reached)
            return (*self.subscribers, *self._receivers)

    # Events

    def publish(self, version: Version) -> None:
        """Queue a new version for every subscriber, until `deliver`; one that arrives after a newer one is ignored."""
        self._enqueue(partial(self._publish, version))

    def reject(self, rejected: Any) -> None:
        """Log a rejection, and deliver it."""
        self._enqueue(partial(self._log_queue.put, rejected), partial(self._post, rejected))

    def recover(self, recovered: Recovered) -> None:
        """Log the end of a rejection, and deliver it after the version that ended it."""
        self._enqueue(partial(self._log_queue.put, recovered), partial(self._recover, recovered))

    def log(self, event: Any) -> None:
        """Queue an event for the log, until `deliver`."""
        self._enqueue(partial(self._log, event))

    def post(self, notice: Any) -> None:
        """Deliver a `Stale` record."""
        self._enqueue(partial(self._post, notice))

    def _enqueue(self, *calls: Callable[[], None]) -> None:
        """Queue calls that record versions and events, and run them under the lock.

        The caller is inside a transaction, so it waits for the lock for 1 s at most. In the main thread, a signal
        handler may interrupt code that holds the lock, and wait for that transaction.
        """
        self._queued.extend(calls)
        if threading.current_thread() is threading.main_thread():
            with self.lock:
                self._run_queued()
        elif self.lock.acquire(timeout=SLOW):
            try:
                self._run_queued()
            finally:
                self.lock.release()
        else:
            self._timers.later(SLOW, self._enqueue_late)

    def _enqueue_late(self) -> None:
        self._enqueue()
        self.deliver()

    def _run_queued(self) -> None:
        while self._queued:
            self._queued.pop(0)()

    def _publish(self, version: Version) -> None:
        if version.number < self.newest.number:
            return
        if version.number > self.newest.number:  # else no field differs: there is nothing to deliver
            self._log_queue.put((self.newest, version))
            self._wanted += 1
        self.newest = version
        for waker in self._wakers:
            waker.wake()
        self.moved.notify_all()

    def _recover(self, recovered: Recovered) -> None:
        self._recovered.append(recovered)
        self._kick()

    def _log(self, event: Any) -> None:
        self._log_queue.put(event)
        self._wanted += 1

    def _post(self, notice: Any) -> None:
        for subscriber in self.all_subscribers():
            if isinstance(subscriber.subject, EventQueue):
                subscriber.subject.put(notice)
        self._kick()

    def add(self, subscriber: Subscriber, standing: Callable[[], Sequence[tuple[Any, Any]]] = tuple) -> None:
        """Add a subscriber.

        Args:
            subscriber: The subscriber.
            standing: Returns the standing events, for a subscriber that asks for an initial delivery of events: each
                as it is published, and as it is now.
        """
        subscriber.loop = running_loop()  # also for a plain callable, which may return an awaitable
        with self.lock:
            subscriber.begin(standing)
            self.subscribers.append(subscriber)
        if subscriber.behind(self.newest):
            self._kick()
            if not subscriber.coroutine:
                self.barrier()

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, without waiting for a lock: a finalizer may call this under any lock."""
        subscriber.cancelled = True
        self._calls.forget(subscriber)
        if self.lock.acquire(blocking=False):
            try:
                self._drop_cancelled()
            finally:
                self.lock.release()

    def is_failing(self) -> bool:
        """Whether a subscriber or a receiver raised or hangs, so that it has not received the newest version."""
        return any(subscriber.fails() for subscriber in self.all_subscribers())

    def has_subscribers(self) -> bool:
        """Whether there are subscribers; receivers of signals do not count."""
        return any(not subscriber.cancelled for subscriber in self.subscribers)

    def _drop_cancelled(self) -> None:
        self.subscribers = [subscriber for subscriber in self.subscribers if not subscriber.cancelled]

    def wake_with_versions(self, waker: Waker) -> None:
        """Wake an object at each version, until it is collected."""
        with self.lock:
            self._wakers.add(waker)

    def bind_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use a loop for the coroutine subscribers whose own loop does not run, until `unbind_loop`."""
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
        """Return the coroutine subscribers that are inside a call on a loop."""
        with self.lock:
            return tuple(each for each in self.subscribers if each.on_loop and each.loop is loop)

    def _kick(self) -> None:
        with self.lock:
            self._wanted += 1
            self._threads.start()

    def deliver(self) -> None:
        """Deliver what is queued. The caller is outside of a transaction.

        A delivery thread does that, unless there is nobody to call and nothing to log: then the scheduler thread does
        what is left to do. Another caller does not wait for that.
        """
        if self._covered >= self._wanted:
            return
        with self.lock:
            target, covers = self.newest, self._wanted
            if not self._scheduler.inside() or not self._is_nobody_to_call():
                self._threads.start()
                return
        for event in self._log_queue.take_all():
            call_user_code(self._log_event, event)
        with self.lock:
            self._reached, self._covered = target, max(self._covered, covers)
            self.moved.notify_all()

    def _is_nobody_to_call(self) -> bool:
        if self._threads.are_active() or self._recovered or self.all_subscribers():
            return False
        return all(map(self._is_silent, self._log_queue.waiting()))

    # Waiting

    def barrier(self) -> None:
        """Wait until every subscriber has received the newest version, except coroutines and slow ones.

        If no thread can be started for 1 s, the deliveries happen later, and the barrier does not wait for them.
        """
        if self._threads.current() is not None:
            return
        with self.lock:
            wanted = self._wanted
            if self._covered < wanted:
                self._threads.start()  # it runs already, unless a KeyboardInterrupt prevented its start
            while not self.moved.wait_for(lambda: self._covered >= wanted, SLOW):
                if not self._threads.check_slow():
                    break

    def revive(self) -> None:
        """Continue a delivery whose thread has died. Does not wait for the lock: the next re-check tries again."""
        if (self._covered < self._wanted or self._threads.have_died()) and self.lock.acquire(blocking=False):
            try:
                self._kick()
            finally:
                self.lock.release()

    def close(self) -> None:
        """Cancel every wait and timer, and wait briefly for the active thread to end."""
        self._calls.set_closed(True)
        self._timers.cancel_all()
        with self.lock:
            for waker in self._wakers:
                waker.wake()
        self._threads.close()

    # The source of jobs

    def next(self) -> deque[Job]:
        """Return the next jobs of the pass, or of a new one."""
        jobs: deque[Job] = deque()
        while not jobs and (self._pass is not None or self._begin()):
            assert self._pass is not None
            target = self._pass.target
            for subscriber in self._pass.remaining:
                if subscriber.on_loop and not subscriber.has_loop():
                    self._calls.coroutines.loop_stopped(subscriber)
                if subscriber.due(target):
                    jobs.append(self._job(subscriber, target))
                    if len(jobs) == AT_ONCE:
                        return jobs
            if not jobs:
                self._end()
        return jobs

    def requeue(self, jobs: Iterable[Job]) -> None:
        """Put jobs back to the front of the pass, after their thread was detached."""
        subscribers = [job.subscriber for job in jobs]
        for subscriber in subscribers:
            subscriber.reset()
        if self._pass is not None:
            self._pass.remaining = itertools.chain(subscribers, self._pass.remaining)

    def next_for(self, done: Job) -> Job | None:
        """Return the next job for a subscriber with a thread of its own."""
        return self._job(done.subscriber, self.newest) if done.subscriber.due(self.newest) else None

    def serve(self, job: Job) -> None:
        """Call a subscriber until it has received every event that is due."""
        subscriber = job.subscriber
        try:
            if not subscriber.cancelled:
                self._calls.call(job)
                if subscriber.subject.several:
                    while not subscriber.on_loop and subscriber.wants(job.target):
                        self._calls.call(job)
        finally:  # also if a log filter raises
            if not subscriber.on_loop:
                subscriber.reset()

    def on_detach(self, job: Job) -> Timer | None:
        """Schedule the log line about a subscriber with a thread of its own."""
        return self._calls.hung(job.subscriber)

    def _job(self, subscriber: Subscriber, target: Version) -> Job:
        subscriber.busy = True
        return Job(subscriber, target)

    def _begin(self) -> bool:
        if self._covered >= self._wanted:
            return False
        self._pass = Pass(self.newest, (self._logging, *self.all_subscribers()), self._wanted)
        return True

    def _end(self) -> None:
        assert self._pass is not None
        self._reached, covers = self._pass.target, self._pass.covers
        self._pass = None
        if self._recovered and self._recovered[0].version <= self._reached.number:
            # Every subscriber has received the version that ended the rejection. The next pass covers this one.
            while self._recovered and self._recovered[0].version <= self._reached.number:
                self._post(self._recovered.pop(0))
            return
        self._covered = covers
        self.moved.notify_all()
