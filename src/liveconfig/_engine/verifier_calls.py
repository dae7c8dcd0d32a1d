"""Verifiers: functions of the user that check a candidate before it is applied, on a separate thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel

from liveconfig import _clock
from liveconfig._delivery import diff, name_of
from liveconfig._loading import equal, same, with_leaf_of
from liveconfig._traceback import came_by_signal, redacted_traceback, summarize, text_of
from liveconfig._watching import Scheduler, Timer, WaitableThread, call_user_code, is_ending, start_thread
from liveconfig.exceptions import Refusal

MOST_CALLS = 8
"""The largest number of calls of one verifier that may hang at one time."""

LOOK_AT_THREAD = 0.02
"""Seconds between two checks whether a thread has a verdict."""

_log = logging.getLogger("liveconfig")


class Call:
    """A call of a verifier.

    Attributes:
        candidate: The snapshot that the verifier gets.
        deadline: When it has taken too long (monotonic).
        process: The process in which it runs.
        thread: The thread in which it runs.
        has_returned: Whether it has returned.
        reason: Why the verifier rejects the candidate; None if it accepts it.
    """

    def __init__(self, candidate: BaseModel, deadline: float) -> None:
        self.candidate = candidate
        self.deadline = deadline
        self.process = os.getpid()  # a call of the parent does not count in a forked child
        self.thread = threading.current_thread()
        self.has_returned = False
        self.reason: str | None = "its earlier call has not returned"

    def is_running(self) -> bool:
        """Whether it has not returned."""
        return not self.has_returned and self.process == os.getpid() and self.thread.is_alive()

    def wait(self, is_over: Callable[[], bool]) -> str | None:
        """Wait until it has returned or taken too long, or the caller is over. Return the reason."""
        # Not a `threading.Event`: a process may be forked while a thread holds the lock of it.
        while self.is_running() and _clock.monotonic() < self.deadline and not is_over():
            self.thread.join(LOOK_AT_THREAD)
        return self.reason


class Verifier:
    """A check function of the user, and the value that it watches.

    Args:
        check: The function, called with a candidate.
        select: Returns the value; None for everything.
        timeout: Seconds that one call may take.
    """

    def __init__(self, check: Callable[[Any], Any], select: Callable[[Any], Any] | None, timeout: float) -> None:
        self.check = check
        self.timeout = timeout
        self.name = name_of(check)
        self._select = select
        self._logged: str | None = None
        self._calls: set[Call] = set()

    @property
    def watches_everything(self) -> bool:
        """Whether it is called for every change."""
        return self._select is None

    def running(self) -> list[Call]:
        """Return the calls that have not returned."""
        for call in list(self._calls):
            if not call.is_running():
                self._calls.discard(call)
        return list(self._calls)

    def running_with(self, candidate: BaseModel) -> Call | None:
        """Return a call with the same value that has not returned."""

        def has_same_value(old: BaseModel) -> bool:
            return old is candidate or not self.concerns(old, candidate)

        return next((call for call in self.running() if has_same_value(call.candidate)), None)

    def is_inside(self) -> bool:
        """Whether this is called inside one of its calls."""
        return any(call.thread is threading.current_thread() for call in self.running())

    def enter(self, candidate: BaseModel) -> Call:
        """Register a call on this thread."""
        call = Call(candidate, _clock.monotonic() + self.timeout)
        self._calls.add(call)
        return call

    def leave(self, call: Call) -> None:
        """Unregister a call that has returned."""
        call.has_returned = True
        self._calls.discard(call)

    def log(self, settings: str, text: str | None) -> None:
        """Log an exception of the verifier, once while it is the same; None: it raised nothing."""
        if text is not None and text != self._logged:
            _log.error("%s: verifier %s raised: %s", settings, self.name, text)
        self._logged = text

    def concerns(self, old: BaseModel, new: BaseModel) -> bool:
        """Whether its value differs. True if the selector raises, so that nothing is applied unverified."""
        if self._select is None:
            return not equal(old, new)
        try:
            return not same(call_user_code(self._select, old), call_user_code(self._select, new))
        except BaseException as error:  # a selector of the user
            if came_by_signal(error):
                raise
            return True

    def fields(self, old: BaseModel, new: BaseModel) -> tuple[str, ...]:
        """Return the changed fields that change its value, each changed alone."""
        names = [change.field for change in diff(old, new, 0) if change.field]
        if self._select is None:
            return tuple(names)
        return tuple(name for name in names if self.concerns(old, with_leaf_of(new, name, old)))


class Verdict(NamedTuple):
    """The result of an attempt; without a reason, all verifiers accepted the candidate.

    Attributes:
        reason: Why the candidate is rejected.
        verifier: The verifier that rejected it.
        accepted: The verifiers that accepted it.
    """

    reason: str | None
    verifier: Verifier | None
    accepted: tuple[Verifier, ...]


class Attempt:
    """One call of some verifiers with one candidate, on a separate thread.

    Args:
        verifiers: The verifiers, in the order in which they are called.
        candidate: The snapshot that they get.
        ended: Called after the verdict: on the attempt's thread, or by the scheduler after a timeout.

    Attributes:
        verdict: The result; None while a verifier runs.
        thread: The thread that calls the verifiers.
    """

    def __init__(self, verifiers: Sequence[Verifier], candidate: BaseModel, ended: Callable[[bool], None]) -> None:
        self.verdict: Verdict | None = None
        self._verifiers = tuple(verifiers)
        self._candidate = candidate
        self._ended = ended
        self._timer: Timer | None = None
        self._lock = threading.RLock()  # a signal handler may enter it again
        self._abandoned = False
        self.thread = WaitableThread(self._run, "liveconfig-verify")

    def start(self, scheduler: Scheduler) -> None:
        """Start the thread; each verifier gets its timeout."""
        self._scheduler = scheduler
        try:
            start_thread(self.thread)
        except RuntimeError:
            self._decide("no thread could be started for it", 0)

    def is_lost(self) -> bool:
        """Whether there will be no verdict, because a signal handler raised before the thread was started."""
        return self.verdict is None and not self.thread.is_alive()

    def abandon(self) -> None:
        """Drop the verdict, and release the callers that wait for it."""
        with self._lock:
            self._abandoned = True
        if self._timer is not None:
            self._scheduler.cancel(self._timer)

    def wait(self) -> None:
        """Wait until there is a verdict, or none will come; not for long when the interpreter ends."""
        # Not a `threading.Event`: a signal handler that raises in the middle of `wait` leaves it locked.
        while not self._is_over() and self.thread.is_alive():
            self.thread.wait(LOOK_AT_THREAD)
            if is_ending():
                break

    def _is_over(self) -> bool:
        return self._abandoned or self.verdict is not None

    def _run(self) -> None:
        reason, place = None, 0
        try:
            for place, verifier in enumerate(self._verifiers):
                if self._is_over():
                    return
                self._timer = self._scheduler.call_later(verifier.timeout, partial(self._time_up, verifier, place))
                reason = self._ask(verifier)
                self._scheduler.cancel(self._timer)
                if reason is not None:
                    break
        except BaseException as error:  # noqa: BLE001 - of a handler of the log
            reason = f"it raised {summarize(error)}"
        if self._decide(reason, place):
            self._report(by_time=False)

    def _ask(self, verifier: Verifier) -> str | None:
        """Call a verifier, or share the call with the same value that runs. Return why it rejects the candidate."""
        earlier = verifier.running_with(self._candidate)
        if earlier is not None:
            return earlier.wait(self._is_over)
        if len(verifier.running()) >= MOST_CALLS:
            return f"{MOST_CALLS} calls of it have not returned"
        call = verifier.enter(self._candidate)
        try:
            call.reason = self._check(verifier)
        finally:
            verifier.leave(call)
        return call.reason

    def _check(self, verifier: Verifier) -> str | None:
        settings = type(self._candidate).__name__
        try:
            verdict = call_user_code(contextvars.Context().run, _call, verifier.check, self._candidate)
        except Refusal as refusal:
            return text_of(refusal)
        except BaseException as error:  # noqa: BLE001 - a user's code
            verifier.log(settings, redacted_traceback(error))
            return f"it raised {summarize(error)}"
        verifier.log(settings, None)
        if inspect.isgenerator(verdict) or inspect.isasyncgen(verdict):
            return "it returned a generator, whose body nothing runs"
        return "it returned False" if verdict is False else None

    def _time_up(self, verifier: Verifier, place: int) -> None:
        if self._decide(f"it took longer than {verifier.timeout:g} s", place):
            self._report(by_time=True)

    def _decide(self, reason: str | None, place: int) -> bool:
        """Set the verdict, unless there is one or it was abandoned. Return whether it was set."""
        with self._lock:
            if self.verdict is not None or self._abandoned:
                return False
            rejects = None if reason is None else self._verifiers[place]
            self.verdict = Verdict(reason, rejects, self._verifiers if reason is None else self._verifiers[:place])
        return True

    def _report(self, *, by_time: bool) -> None:
        try:
            self._ended(by_time)
        except BaseException as error:  # noqa: BLE001 - no other code logs it
            _log.error("liveconfig: internal error; please report it: %s", redacted_traceback(error))


def _call(check: Callable[[Any], Any], candidate: BaseModel) -> Any:
    verdict = check(candidate)
    return asyncio.run(_finished(verdict)) if inspect.isawaitable(verdict) else verdict


async def _finished(verdict: Any) -> Any:
    while inspect.isawaitable(verdict):  # a verifier may return another one, without awaiting it
        verdict = await verdict
    return verdict
