"""Verifiers: user code that checks a candidate before it is applied, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from liveconfig._delivery import diff, name_of
from liveconfig._loading import same, with_leaf_of
from liveconfig._traceback import redacted_traceback, summarize
from liveconfig._watching import Scheduler, Timer
from liveconfig.exceptions import Refusal

MOST_CALLS = 8
"""Calls of one verifier that may hang at one time."""

_log = logging.getLogger("liveconfig")


class Verifier:
    """A check, and what it is about."""

    def __init__(self, check: Callable[[Any], Any], select: Callable[[Any], Any] | None, timeout: float) -> None:
        self.check = check
        self.timeout = timeout
        self.name = name_of(check)
        self._select = select
        self._told: str | None = None
        self._inside: dict[threading.Thread, BaseModel] = {}  # the calls that have not returned, and what they look at

    def enter(self, candidate: BaseModel) -> str | None:
        """The caller is about to call it; or why it must not be called now.

        A call on other content that has not returned keeps nothing new from being looked at.
        """
        # In a forked child the threads of the parent do not live.
        self._inside = {thread: content for thread, content in list(self._inside.items()) if thread.is_alive()}
        if any(content is candidate for content in self._inside.values()):
            return "its earlier call has not returned"
        if len(self._inside) >= MOST_CALLS:
            return f"{MOST_CALLS} calls of it have not returned"
        self._inside[threading.current_thread()] = candidate
        return None

    def leave(self) -> None:
        """The caller's call has returned."""
        self._inside.pop(threading.current_thread(), None)

    def tell(self, text: str | None) -> None:
        """Log what it raised, once as long as it is the same; None: it raised nothing."""
        if text is not None and text != self._told:
            _log.error("verifier %s raised: %s", self.name, text)
        self._told = text

    def concerns(self, old: BaseModel, new: BaseModel) -> bool:
        """Whether what it is about differs; a selector that raises does not let anything slip by."""
        if self._select is None:
            return True
        try:
            return not same(self._select(old), self._select(new))
        except BaseException:  # noqa: BLE001 - a user's selector
            return True

    def fields(self, old: BaseModel, new: BaseModel) -> tuple[str, ...]:
        """Which of the changes it is about: those that, made alone, change what its selector returns."""
        names = [change.field for change in diff(old, new, 0) if change.field]
        if self._select is None:
            return tuple(names)
        return tuple(name for name in names if self._alone(old, new, name))

    def _alone(self, old: BaseModel, new: BaseModel, name: str) -> bool:
        return self.concerns(old, with_leaf_of(new, name, old))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an attempt; without a reason, the candidate is good."""

    reason: str | None = None
    verifier: Verifier | None = None


class Attempt:
    """One look of all verifiers concerned at one candidate.

    Args:
        verifiers: Whom to ask, in their order.
        candidate: The snapshot they are given.
        done: Called once, with the verdict: on the attempt's thread, or on the worker when time is up.
    """

    def __init__(self, verifiers: Sequence[Verifier], candidate: BaseModel, done: Callable[[Verdict], None]) -> None:
        self._verifiers = verifiers
        self._candidate = candidate
        self._done = done
        self._decided = False
        self._timer: Timer | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="liveconfig-verify", daemon=True)

    def start(self, worker: Scheduler) -> None:
        """Begin, and give each verifier its time."""
        self._worker = worker
        try:
            self.thread.start()
        except RuntimeError:
            refusal = Verdict("no thread could be started for it", self._verifiers[0])
            worker.post(lambda: self._end(refusal))

    def abandon(self) -> None:
        """Nobody wants the verdict any more: whoever waits for it goes on, and it is dropped when it comes."""
        with self._lock:
            self._decided = True
        timer = self._timer
        if timer is not None:
            self._worker.cancel(timer)
        self._ended.set()

    def wait(self) -> bool:
        """Return when there is a verdict; False, at once, when called by a verifier of this attempt."""
        return threading.current_thread() is not self.thread and self._ended.wait()

    def _run(self) -> None:
        for verifier in self._verifiers:
            self._timer = self._worker.call_later(verifier.timeout, partial(self._time_up, verifier))
            reason = self._ask(verifier)
            self._worker.cancel(self._timer)
            if reason is not None:
                self._end(Verdict(reason, verifier))
            if self._decided:
                return
        self._end(Verdict())

    def _ask(self, verifier: Verifier) -> str | None:
        if self._decided:
            return None
        blocked = verifier.enter(self._candidate)
        if blocked is not None:
            return blocked
        try:
            refused = contextvars.Context().run(_call, verifier.check, self._candidate) is False
        except Refusal as refusal:
            return str(refusal)
        except BaseException as error:  # noqa: BLE001 - a user's code
            verifier.tell(redacted_traceback(error))
            return f"it raised {summarize(error)}"
        finally:
            verifier.leave()
        verifier.tell(None)
        return "it returned False" if refused else None

    def _time_up(self, verifier: Verifier) -> None:
        self._end(Verdict(f"it took longer than {verifier.timeout:g} s", verifier))

    def _end(self, verdict: Verdict) -> None:
        with self._lock:
            if self._decided:
                return
            self._decided = True
        try:
            self._done(verdict)
        finally:
            self._ended.set()


def _call(check: Callable[[Any], Any], candidate: BaseModel) -> Any:
    verdict = check(candidate)
    return asyncio.run(_finished(verdict)) if inspect.isawaitable(verdict) else verdict


async def _finished(verdict: Awaitable[Any]) -> Any:
    return await verdict
