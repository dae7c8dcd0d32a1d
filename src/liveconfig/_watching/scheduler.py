"""The scheduler thread of the process: runs posted calls and timers.

Everything that waits here waits on this thread: re-checks, back-offs, the look at a subscriber after its second. It
calls short functions of ours only, never a user's. It ends when nothing is left to wait for.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import queue
import threading
import weakref
from collections.abc import Callable

from liveconfig import _clock
from liveconfig._traceback import redacted_traceback

_log = logging.getLogger("liveconfig")

Call = Callable[[], object]


class Timer:
    """Something to be called once, unless it is cancelled before."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Call) -> None:
        self.due = due
        self.call: Call | None = call


class Timers:
    """What one owner waits for, so that it can be called off as a whole."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waiting: set[Timer] = set()

    def later(self, delay: float, call: Call) -> Timer:
        """Have something called ``delay`` seconds from now, unless it is called off."""

        def once() -> None:
            self._waiting.discard(timer)
            call()

        timer = self._worker.call_later(delay, once)
        self._waiting.add(timer)
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Forget one; harmless for None and for what was called already."""
        if timer is not None:
            self._waiting.discard(timer)
            self._worker.cancel(timer)

    def cancel_all(self) -> None:
        """Forget all."""
        for timer in list(self._waiting):
            self.cancel(timer)

    def forget(self) -> None:
        """In a forked child: they are the parent's."""
        self._waiting = set()


class Worker:
    """One thread, its mailbox and its timers."""

    def __init__(self) -> None:
        # SimpleQueue.put may be called anywhere, from a signal handler and a finalizer too (docs.python.org, queue).
        self._mailbox: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._counter = itertools.count()
        self._lock = threading.RLock()  # a signal handler may come back in
        self._thread: threading.Thread | None = None
        self._kept = 0

    def post(self, call: Call) -> None:
        """Have something called by the worker as soon as may be. Takes no lock while the worker is kept and runs."""
        self._mailbox.put(call)
        if not self._kept or self._thread is None:
            with contextlib.suppress(RuntimeError):  # out of threads: it waits for the next who wants something
                self._start()

    def note(self, call: Call) -> None:
        """Have something called if the worker runs. Takes no lock and starts nothing, so a finalizer may do it."""
        self._mailbox.put(call)

    def call_later(self, delay: float, call: Call) -> Timer:
        """Have something called ``delay`` seconds from now."""
        timer = Timer(_clock.monotonic() + delay, call)
        if self.inside():
            self._add(timer)
        else:
            self.post(lambda: self._add(timer))
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget something that was to be called later; harmless when it has been called already."""
        timer.call = None
        if not self._kept:
            self._mailbox.put(None)  # it may have been all that the thread lived for

    def keep(self) -> None:
        """Keep the thread alive until `release`, even with nothing to wait for.

        If no thread can be had, `is_alive` says so, and the next `post` tries again.
        """
        with self._lock:
            self._kept += 1
            with contextlib.suppress(RuntimeError):
                self._start()

    def release(self) -> None:
        """Undo one `keep`; the thread ends when it has nothing left to do."""
        with self._lock:
            self._kept -= 1
        self._mailbox.put(None)

    def inside(self) -> bool:
        """Whether the caller is the worker."""
        return threading.current_thread() is self._thread

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, if it is about to, and the caller is not that thread."""
        thread = self._thread
        if thread is not None and thread.is_alive() and not self._kept and not self.inside():
            thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def renew(self) -> None:
        """In a forked child: a new lock, an empty mailbox, no thread; what was kept is kept again by its owner."""
        self.__init__()  # type: ignore[misc]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="liveconfig", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # out of threads, for now
                    self._thread = None
                    raise

    def _add(self, timer: Timer) -> None:
        heapq.heappush(self._timers, (timer.due, next(self._counter), timer))

    def _run(self) -> None:
        # Asked before the first wait too: what it was started for may have been done by the thread before it.
        while not self._finished():
            self._call(self._next())

    def _finished(self) -> bool:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if self._kept or self._timers:
            return False
        with self._lock:
            if self._kept or not self._mailbox.empty():
                return False
            self._thread = None
            return True

    def _next(self) -> Call | None:
        if self._due():  # before the mail, or a flood of it would hold up what is due
            return heapq.heappop(self._timers)[2].call
        left = self._timers[0][0] - _clock.monotonic() if self._timers else None
        wait = None if left is None else min(max(0.0, left), threading.TIMEOUT_MAX)
        try:
            call = self._mailbox.get(timeout=wait)
        except queue.Empty:
            return None
        return call

    def _due(self) -> bool:
        return bool(self._timers) and self._timers[0][0] <= _clock.monotonic()

    def _call(self, call: Call | None) -> None:
        if call is None:
            return
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the worker must live; what is told of the error is redacted
            with contextlib.suppress(BaseException):  # of a log handler
                _log.error("liveconfig: an error of its own, please report it: %s", redacted_traceback(error))


class DelayedCall:
    """One call that is put off; while it waits it is not put off a second time.

    Args:
        worker: Calls it.
        call: A bound method; its owner is held weakly.
    """

    def __init__(self, worker: Worker, call: Call) -> None:
        self._worker = worker
        self._call: Callable[[], Call | None] = weakref.WeakMethod(call)
        self._timer: Timer | None = None

    def later(self, delay: float) -> None:
        """Have it called ``delay`` seconds from now, or when it was to be called already."""
        if self._timer is None:
            self._timer = self._worker.call_later(delay, self._now)

    def cancel(self) -> None:
        """Do not have it called."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self._worker.cancel(timer)

    def forget(self) -> None:
        """In a forked child: the timer is the parent's."""
        self._timer = None

    def _now(self) -> None:
        self._timer = None
        call = self._call()
        if call is not None:
            call()
