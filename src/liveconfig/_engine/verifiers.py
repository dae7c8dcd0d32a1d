"""Verifiers: user code that checks a candidate before it is applied, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from liveconfig._delivery import diff, name_of
from liveconfig._loading import equal, same, with_leaf_of
from liveconfig._traceback import came_by_signal, redacted_traceback, summarize
from liveconfig._watching import Scheduler, Timer, is_ending, start_thread
from liveconfig.exceptions import Refusal

MOST_CALLS = 8
"""Calls of one verifier that may hang at one time."""

LOOK_AT_THREAD = 0.02
"""Seconds between two looks at a thread for whose verdict somebody waits."""

_log = logging.getLogger("liveconfig")


class Verifier:
    """A user's check, and the value that it is about.

    Args:
        check: Called with a candidate.
        select: The value; None for everything.
        timeout: Seconds that one call may take.
    """

    def __init__(self, check: Callable[[Any], Any], select: Callable[[Any], Any] | None, timeout: float) -> None:
        self.check = check
        self.timeout = timeout
        self.name = name_of(check)
        self._select = select
        self._logged: str | None = None
        # The calls that have not returned: process and thread, and the candidate of each.
        self._inside: dict[tuple[int, threading.Thread], BaseModel] = {}

    @property
    def watches_everything(self) -> bool:
        """Whether it is asked about every change."""
        return self._select is None

    def enter(self, candidate: BaseModel) -> str | None:
        """The caller is about to call it; or why it must not be called now.

        A call about another value that has not returned does not keep it from being called.
        """
        here = os.getpid()  # what runs in the parent of a forked child is not called there
        self._inside = {
            (process, thread): content
            for (process, thread), content in list(self._inside.items())
            if process == here and thread.is_alive()
        }
        if any(content is candidate or not self.concerns(content, candidate) for content in self._inside.values()):
            return "its earlier call has not returned"
        if len(self._inside) >= MOST_CALLS:
            return f"{MOST_CALLS} calls of it have not returned"
        self._inside[here, threading.current_thread()] = candidate
        return None

    def leave(self) -> None:
        """The caller's call has returned."""
        self._inside.pop((os.getpid(), threading.current_thread()), None)

    def log(self, settings: str, text: str | None) -> None:
        """Log what it raised, once as long as it is the same; None: it raised nothing."""
        if text is not None and text != self._logged:
            _log.error("%s: verifier %s raised: %s", settings, self.name, text)
        self._logged = text

    def concerns(self, old: BaseModel, new: BaseModel) -> bool:
        """Whether its value differs; with a selector that raises, it does: nothing is applied unverified."""
        if self._select is None:
            return not equal(old, new)
        try:
            return not same(self._select(old), self._select(new))
        except BaseException as error:  # a user's selector
            if came_by_signal(error):
                raise
            return True

    def fields(self, old: BaseModel, new: BaseModel) -> tuple[str, ...]:
        """The changed fields that it is about: each of them, changed alone, changes its value."""
        names = [change.field for change in diff(old, new, 0) if change.field]
        if self._select is None:
            return tuple(names)
        return tuple(name for name in names if self.concerns(old, with_leaf_of(new, name, old)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an attempt; without a reason, every verifier accepted the candidate.

    Attributes:
        reason: Why the candidate is rejected.
        verifier: The verifier that rejected it.
        accepted: The verifiers that accepted it.
    """

    reason: str | None
    verifier: Verifier | None
    accepted: tuple[Verifier, ...]


class Attempt:
    """One call of some verifiers with one candidate, on a thread of its own.

    Args:
        verifiers: The verifiers, in the order in which they are called.
        candidate: The snapshot that they are given.
        ended: Called once there is a verdict: on the attempt's thread, or by the worker when the time is up.

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
        self._lock = threading.RLock()  # a signal handler may come back in
        self._abandoned = False
        self.thread = threading.Thread(target=self._run, name="liveconfig-verify", daemon=True)

    def start(self, worker: Scheduler) -> None:
        """Begin, and give each verifier its time."""
        self._worker = worker
        try:
            start_thread(self.thread)
        except RuntimeError:
            self._decide("no thread could be started for it", 0)

    def is_lost(self) -> bool:
        """Whether there will be no verdict: a signal handler raised before the thread was started."""
        return self.verdict is None and not self.thread.is_alive()

    def abandon(self) -> None:
        """Drop the verdict; whoever waits for it goes on."""
        with self._lock:
            self._abandoned = True
        if self._timer is not None:
            self._worker.cancel(self._timer)

    def wait(self) -> None:
        """Return when there is a verdict, or there will be none; when the interpreter ends, after a moment."""
        # Not by a `threading.Event`: a signal handler that raises in the middle of it leaves it locked.
        while not self._is_over() and self.thread.is_alive():
            self.thread.join(LOOK_AT_THREAD)
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
                self._timer = self._worker.call_later(verifier.timeout, partial(self._time_up, verifier, place))
                reason = self._ask(verifier)
                self._worker.cancel(self._timer)
                if reason is not None:
                    break
        except BaseException as error:  # noqa: BLE001 - of a handler of the log
            reason = f"it raised {summarize(error)}"
        if self._decide(reason, place):
            self._report(by_time=False)

    def _ask(self, verifier: Verifier) -> str | None:
        blocked = verifier.enter(self._candidate)
        if blocked is not None:
            return blocked
        settings = type(self._candidate).__name__
        try:
            refused = contextvars.Context().run(_call, verifier.check, self._candidate) is False
        except Refusal as refusal:
            return str(refusal)
        except BaseException as error:  # noqa: BLE001 - a user's code
            verifier.log(settings, redacted_traceback(error))
            return f"it raised {summarize(error)}"
        finally:
            verifier.leave()
        verifier.log(settings, None)
        return "it returned False" if refused else None

    def _time_up(self, verifier: Verifier, place: int) -> None:
        if self._decide(f"it took longer than {verifier.timeout:g} s", place):
            self._report(by_time=True)

    def _decide(self, reason: str | None, place: int) -> bool:
        """Set the verdict, unless there is one, or nobody wants it any more. Returns whether it was set."""
        with self._lock:
            if self.verdict is not None or self._abandoned:
                return False
            rejects = None if reason is None else self._verifiers[place]
            self.verdict = Verdict(reason, rejects, self._verifiers if reason is None else self._verifiers[:place])
        return True

    def _report(self, *, by_time: bool) -> None:
        try:
            self._ended(by_time)
        except BaseException as error:  # noqa: BLE001 - nobody else would log it
            _log.error("liveconfig: an error of its own, please report it: %s", redacted_traceback(error))


def _call(check: Callable[[Any], Any], candidate: BaseModel) -> Any:
    verdict = check(candidate)
    return asyncio.run(_finished(verdict)) if inspect.isawaitable(verdict) else verdict


async def _finished(verdict: Awaitable[Any]) -> Any:
    return await verdict
