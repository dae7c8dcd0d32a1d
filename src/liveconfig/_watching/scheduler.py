"""The scheduler thread of the process: runs posted calls and timers, so that no call blocks another.

One thread is the *leader*: it runs the posted and due calls, one after the other. A second one is the *standby*. When a
call takes longer than `PATIENCE`, the standby becomes the leader: the call keeps its thread, and the calls behind it
continue. When nothing is posted or due, both sleep, and they alternate, so that a re-check costs one wake-up. The
threads end when nothing is scheduled.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import NamedTuple, cast

from liveconfig import _clock
from liveconfig._traceback import redacted_traceback
from liveconfig._watching.fork import start_thread
from liveconfig._watching.forks_in_user_code import call_user_code
from liveconfig._watching.waitable_thread import WaitableThread

PATIENCE = 0.25
"""Seconds after which another thread takes over from a running call."""

LONG = 30.0
"""Seconds after which a running call is reported."""

FEW_TIMERS = 64
"""Timers among which the cancelled ones may stay until they are due."""

_SOON = 0.01
"""Seconds that a timer may be late, so that only one thread wakes for it."""

_log = logging.getLogger("liveconfig")

Call = Callable[[], object]


class Job(NamedTuple):
    """A call, and a second one that reports it if it is still running after `LONG` seconds."""

    call: Call
    overdue: Call | None = None


class Timer:
    """A call that is due once, unless it is cancelled.

    Attributes:
        due: When (monotonic).
        latest: The latest time, if the leader is blocked at that moment.
        job: The job; None after it was run or cancelled.
    """

    __slots__ = ("due", "job", "latest")

    def __init__(self, due: float, latest: float, job: Job) -> None:
        self.due = due
        self.latest = latest
        self.job: Job | None = job

    def take(self) -> Job | None:
        """Return the job, which is no longer the timer's; None if it was taken or cancelled."""
        job, self.job = self.job, None
        return job


class Timers:
    """The timers of one owner, who can cancel all of them."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: set[Timer] = set()

    def later(self, delay: float, call: Call) -> Timer:
        """Schedule a call in ``delay`` seconds."""

        def once() -> None:
            self._waiting.discard(timer)
            call()

        due = _clock.monotonic() + delay
        timer = Timer(due, due, Job(once))
        self._waiting.add(timer)  # before it can be due
        self._scheduler.schedule(timer)
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Cancel one timer; harmless for None and for one that has run."""
        if timer is not None:
            self._waiting.discard(timer)
            self._scheduler.cancel(timer)

    def cancel_all(self) -> None:
        """Cancel all."""
        for timer in list(self._waiting):
            self.cancel(timer)

    def forget(self) -> None:
        """In a forked child: forget the timers of the parent."""
        self._waiting = set()


class _Member:
    """One thread of the scheduler.

    Attributes:
        since: When its present call began; None between calls.
        deadline: When it wakes without `wake`, if it sleeps.
        report_at: When its present call is reported as not returning.
    """

    __slots__ = ("_bell", "deadline", "job", "report_at", "since", "thread")

    def __init__(self) -> None:
        self.thread: WaitableThread | None = None
        self.job: Job | None = None
        self.since: float | None = None
        self.deadline = -1.0
        self.report_at = math.inf
        self._bell = threading.Lock()  # unlocked means that it was woken
        self._bell.acquire()

    def is_alive(self) -> bool:
        """Whether its thread runs, or is about to."""
        return self.thread is None or self.thread.is_alive()

    def ran(self) -> float:
        """Return the seconds since its present call began."""
        since = self.since
        return 0.0 if since is None else _clock.monotonic() - since

    def wake(self) -> None:
        """Wake it, or prevent its next sleep. Uses no lock, so a finalizer and a signal handler may call it."""
        with contextlib.suppress(RuntimeError):  # it was woken already
            self._bell.release()

    def sleep(self) -> None:
        """Sleep until the deadline, or until it is woken."""
        left = self.deadline - _clock.monotonic()
        self._bell.acquire(timeout=min(max(left, 0.0), threading.TIMEOUT_MAX))


class Scheduler:
    """Runs calls on its own threads.

    Args:
        interrupted: Called after an exception that other code threw into a thread (a tracer, a time limit), or the end
            of a thread: a call may have been cut short, or lost.
    """

    def __init__(self, interrupted: Call = lambda: None) -> None:
        self._interrupted = interrupted
        self._lock = threading.RLock()  # a signal handler may enter it again
        self._posted: deque[Job | Timer] = deque()
        self._deferred: deque[Job] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._clean_up_at = FEW_TIMERS
        self._numbers = itertools.count()
        self._leader: _Member | None = None
        self._standby: _Member | None = None
        self._held: list[_Member] = []
        self._keepers: set[object] = set()

    # Scheduling

    def post(self, call: Call, *, overdue: Call | None = None) -> None:
        """Schedule a call as soon as possible. Uses no lock while the scheduler is kept and runs.

        Args:
            call: The call.
            overdue: Called once if ``call`` is still running after `LONG` seconds.
        """
        self._post(Job(call, overdue))

    def _post(self, call: Job | Timer) -> None:
        self._posted.append(call)
        if not self._attend():
            self._start()

    def note(self, call: Call) -> None:
        """Schedule a call if the scheduler runs. Uses no lock and starts no thread, so a finalizer may call it."""
        self._posted.append(Job(call))
        self._attend()

    def defer(self, call: Call, *, overdue: Call | None = None) -> None:
        """Schedule a call after all others. For calls on the scheduler itself: it wakes no thread."""
        self._deferred.append(Job(call, overdue))
        leader = self._leader
        if leader is None or leader.thread is not threading.current_thread():  # another thread is the leader now
            self._attend()

    def call_later(self, delay: float, call: Call) -> Timer:
        """Schedule a call in ``delay`` seconds."""
        return self.call_at(_clock.monotonic() + delay, call)

    def call_at(self, due: float, call: Call, *, slack: float = 0.0) -> Timer:
        """Schedule a call at a time of the monotonic clock.

        Args:
            due: When.
            call: The call.
            slack: Seconds that it may be late, if the leader is blocked at that moment.
        """
        timer = Timer(due, due + slack, Job(call))
        self.schedule(timer)
        return timer

    def schedule(self, timer: Timer) -> None:
        """Schedule the call of a timer; one without a delay is posted, whatever the clock does from now on."""
        if timer.due <= _clock.monotonic():
            self._post(timer)
            return
        with self._lock:
            if len(self._timers) >= self._clean_up_at:
                self._drop_cancelled()
            heapq.heappush(self._timers, (timer.due, next(self._numbers), timer))
        if not self._attend(timer):
            self._start()

    def _drop_cancelled(self) -> None:
        """Drop the cancelled timers now: some would be due only in a long time."""
        self._timers = [each for each in self._timers if each[2].job is not None]
        heapq.heapify(self._timers)
        self._clean_up_at = max(FEW_TIMERS, 2 * len(self._timers))

    def cancel(self, timer: Timer) -> None:
        """Cancel a timer; harmless if it has run."""
        timer.job = None
        if not self._keepers:
            self._attend()  # it may have been the last thing that was scheduled

    # Threads

    def keep(self, owner: object) -> None:
        """Keep the threads alive until `release`, even if nothing is scheduled. Calling it twice is harmless.

        If no thread can be started, `is_alive` is False, and the next `post` tries again.
        """
        with self._lock:
            self._keepers.add(owner)
        self._start()

    def is_kept_by(self, owner: object) -> bool:
        """Whether an owner keeps the threads alive."""
        return owner in self._keepers

    def release(self, owner: object) -> None:
        """Undo `keep`; the threads end when nothing is scheduled. Calling it twice is harmless."""
        with self._lock:
            self._keepers.discard(owner)
        self._attend()

    def inside(self) -> bool:
        """Whether the caller runs on the scheduler."""
        current = threading.current_thread()
        members = (self._leader, self._standby, *self._held)
        return any(member is not None and member.thread is current for member in members)

    def join(self, timeout: float) -> None:
        """Wait until the threads have ended, if they are about to end and the caller is none of them."""
        for member in (self._leader, self._standby):
            thread = None if member is None else member.thread
            if thread is not None and not self._keepers and not self.inside() and not sys.is_finalizing():
                thread.wait(timeout)

    def is_alive(self) -> bool:
        """Whether there is a leader."""
        leader = self._leader
        return leader is not None and leader.is_alive()

    def renew(self) -> None:
        """In a forked child: drop the locks, calls and threads; owners call `keep` again."""
        self.__init__(self._interrupted)  # type: ignore[misc]

    def _start(self) -> None:
        """Start a leader if there is none. If no thread can be started, the posted calls wait for the next post."""
        with self._lock:
            if self._leader is not None and not self._leader.is_alive():
                self._leader = None
                self._posted.append(Job(self._interrupted))
            if self._leader is None:
                self._leader = self._new_member("liveconfig")

    def _new_member(self, name: str) -> _Member | None:
        member = _Member()
        thread = WaitableThread(partial(self._run, member), name)
        try:
            start_thread(thread)
        except RuntimeError:
            return None
        member.thread = thread
        return member

    def _attend(self, timer: Timer | None = None) -> bool:
        """Wake the thread that has to run the call that was just added.

        Returns:
            Whether there is a leader.
        """
        leader, standby = self._leader, self._standby
        if leader is None or not leader.is_alive():
            return False
        since = leader.since
        if since is None:
            if timer is None or leader.deadline > timer.due:
                leader.wake()
        elif standby is not None and standby.deadline > (since + PATIENCE if timer is None else timer.latest):
            standby.wake()
        return True

    # The loop of a thread

    def _run(self, me: _Member) -> None:
        me.thread = cast("WaitableThread", threading.current_thread())
        while True:
            try:
                self._end(me)
                while self._has_part(me):
                    self._lead(me) if me is self._leader else self._stand_by(me)
                return
            except BaseException:  # noqa: BLE001 - raised in this thread from outside: it continues
                self._posted.append(Job(self._interrupted))

    def _has_part(self, me: _Member) -> bool:
        """Whether the thread is still needed; it becomes the leader if there is none."""
        with self._lock:
            if me is not self._leader and me is not self._standby:
                return False  # it was replaced, or it is the parent's, in a forked child
            if self._leader is None or not self._leader.is_alive():
                self._leader, self._standby = me, None
                self._posted.append(Job(self._interrupted))
            if self._keepers or self._posted or self._deferred or self._next_timer() or self._leader.since is not None:
                return True
            members, self._leader, self._standby = (self._leader, self._standby), None, None
            if self._posted or self._deferred:  # by a thread that still saw the leader, and therefore started none
                self._leader = me
            for member in members:
                if member is not None and member is not me:
                    member.wake()
            return self._leader is me

    def _next_timer(self) -> Timer | None:
        while self._timers and self._timers[0][2].job is None:
            heapq.heappop(self._timers)
        return self._timers[0][2] if self._timers else None

    def _lead(self, me: _Member) -> None:
        job = self._next_job()
        if job is not None:
            self._perform(me, job)
            return
        with self._lock:
            timer, standby = self._next_timer(), self._standby
            due = math.inf if timer is None else timer.due
            me.deadline = min([due, *(held.report_at for held in self._held)])
            if standby is not None and standby.deadline <= me.deadline + _SOON:  # it wakes in time: they swap roles
                self._leader, self._standby = standby, me
                if self._posted or self._deferred:  # the poster may have woken the wrong one
                    standby.wake()
                return
        if not self._posted and not self._deferred:
            me.sleep()

    def _next_job(self) -> Job | None:
        with self._lock:
            now, timer = _clock.monotonic(), self._next_timer()
            if timer is not None and timer.due <= now:  # first, or a flood of posts would delay it
                heapq.heappop(self._timers)
                return timer.take()
            for held in self._held:
                if held.report_at <= now and held.job is not None and held.job.overdue is not None:
                    held.report_at = math.inf
                    return Job(held.job.overdue)
            while self._posted:
                posted = self._posted.popleft()
                job = posted.take() if isinstance(posted, Timer) else posted
                if job is not None:
                    return job
            return self._deferred.popleft() if self._deferred else None

    def _perform(self, me: _Member, job: Job) -> None:
        try:
            self._begin(me, job)
            call_user_code(job.call)
        except BaseException as error:  # noqa: BLE001 - the thread must live; what is logged is redacted
            with contextlib.suppress(BaseException):  # of a log handler
                _log.error("liveconfig: internal error; please report it: %s", redacted_traceback(error))
            if job.call != self._interrupted:
                self._posted.append(Job(self._interrupted))
        finally:
            self._end(me)

    def _begin(self, me: _Member, job: Job) -> None:
        """Record that the thread begins a call, so that the standby notices if it does not return."""
        with self._lock:
            me.job, me.since = job, _clock.monotonic()
            if self._standby is None or not self._standby.is_alive():
                self._standby = self._new_member("liveconfig-standby")
            elif self._standby.deadline > self._limit():
                self._standby.wake()

    def _end(self, me: _Member) -> None:
        with self._lock:
            me.job, me.since, me.report_at = None, None, math.inf
            if me in self._held:
                self._held.remove(me)
                if self._standby is None and self._leader is not None:
                    self._standby = me

    def _stand_by(self, me: _Member) -> None:
        with self._lock:
            me.deadline = math.inf  # every later post wakes it
            leader = self._leader
            if leader is not None and leader.ran() >= PATIENCE:
                self._take_over(me, leader)
                return
            me.deadline = self._limit()
        me.sleep()

    def _limit(self) -> float:
        """Return when the standby has to check whether the leader is blocked."""
        since = None if self._leader is None else self._leader.since
        limits = [timer.latest for _, _, timer in self._timers if timer.job is not None]
        if since is not None:
            limits.append(since + (PATIENCE if self._posted else 2 * LONG))
        return min(limits, default=math.inf)

    def _take_over(self, me: _Member, leader: _Member) -> None:
        self._held.append(leader)
        self._leader, self._standby = me, None
        if leader.since is not None and leader.job is not None and leader.job.overdue is not None:
            leader.report_at = leader.since + LONG


class WeakCall:
    """Calls a bound method as long as its object is there, which it does not keep alive.

    Args:
        method: The bound method.
    """

    __slots__ = ("_function", "_owner")

    def __init__(self, method: Callable[..., object]) -> None:
        assert isinstance(method, MethodType)
        self._owner: weakref.ref[object] = weakref.ref(method.__self__)
        self._function: Callable[..., object] = method.__func__

    def __call__(self, *arguments: object) -> None:
        """Call the method, or nothing."""
        owner = self._owner()
        if owner is not None:
            self._function(owner, *arguments)


class DelayedCall:
    """A delayed call, which is scheduled at most once at a time.

    Args:
        scheduler: The scheduler.
        call: A bound method; its owner is held weakly.
    """

    def __init__(self, scheduler: Scheduler, call: Call) -> None:
        self._scheduler = scheduler
        self._call = WeakCall(call)
        self._timer: Timer | None = None

    def later(self, delay: float) -> None:
        """Schedule the call in ``delay`` seconds, unless it is scheduled for that time or an earlier one."""
        due, pending = _clock.monotonic() + delay, self._timer
        # One without a job was called, or its thread was killed just before.
        if pending is None or pending.job is None or pending.due > due:
            self._timer = self._scheduler.call_at(due, self._now)
            if pending is not None:
                self._scheduler.cancel(pending)

    def cancel(self) -> None:
        """Cancel the call."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self._scheduler.cancel(timer)

    def forget(self) -> None:
        """In a forked child: forget the timer of the parent."""
        self._timer = None

    def _now(self) -> None:
        self._timer = None
        self._call()
