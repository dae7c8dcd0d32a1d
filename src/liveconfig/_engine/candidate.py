"""A valid configuration that waits for its verifiers, and its retries."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from liveconfig._delivery import diff
from liveconfig._engine.verifiers import Attempt, Verdict, Verifier
from liveconfig._loading import Fault, Loaded
from liveconfig._watching import Scheduler, Timer

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0


@dataclass(slots=True, eq=False)
class Candidate:
    """What is on disk, valid, and before the verifiers.

    Attributes:
        loaded: What would be applied.
        generations: Its generations that are not applied.
        began: When the reading of it began (monotonic).
        attempt: How often the verifiers were asked.
        running: The attempt under way; None between attempts.
        fault: Why it was refused last; None before the first verdict.
        retry: When it is tried again.
    """

    loaded: Loaded[Any]
    generations: dict[str, str]
    began: float
    attempt: int = 0
    running: Attempt | None = None
    fault: Fault | None = None
    retry: Timer | None = None

    def refuse(self, verdict: Verdict, applied: BaseModel) -> Fault:
        """Take a verdict that refuses it."""
        assert verdict.verifier is not None
        fields = verdict.verifier.fields(applied, self.loaded.snapshot)
        changed = [str(change.field) for change in diff(applied, self.loaded.snapshot, 0)]
        held = tuple(name for name in changed if name not in fields)
        reason = f"verifier {verdict.verifier.name}: {verdict.reason}"
        self.fault = Fault("verify", reason, fields, self.generations, held)
        return self.fault

    def pause(self) -> float:
        """Seconds until it is tried again."""
        return min(FIRST_RETRY * 2.0 ** min(self.attempt - 1, 16), LONGEST_RETRY)


class VerdictHandler(Protocol):
    """Whom a verdict is told."""

    def heard(self, candidate: Candidate, attempt: Attempt, verdict: Verdict) -> None:
        """A verdict came; that on a candidate which is no longer on disk is to be dropped."""

    def try_again(self, candidate: Candidate) -> None:
        """A candidate's back-off is over."""


class VerifierRunner:
    """Brings candidates before the verifiers.

    Args:
        handler: Told of verdicts; weakly held.
        worker: Counts the time of verifiers and back-offs.
    """

    def __init__(self, handler: VerdictHandler, worker: Scheduler) -> None:
        self._handler: Callable[[], VerdictHandler | None] = weakref.ref(handler)
        self._worker = worker
        self.verifiers: list[Verifier] = []

    def concerned(self, old: BaseModel, new: BaseModel) -> list[Verifier]:
        """The verifiers that must be asked before ``new`` takes the place of ``old``."""
        return [verifier for verifier in self.verifiers if verifier.concerns(old, new)]

    def ask(self, candidate: Candidate, applied: BaseModel) -> None:
        """Begin one more attempt."""
        self.rest(candidate)
        candidate.attempt += 1
        snapshot = candidate.loaded.snapshot
        attempt = Attempt(self.concerned(applied, snapshot), snapshot, lambda verdict: self._heard(candidate, verdict))
        candidate.running = attempt
        attempt.start(self._worker)

    def _heard(self, candidate: Candidate, verdict: Verdict) -> None:
        handler, attempt = self._handler(), candidate.running
        if handler is not None and attempt is not None:
            handler.heard(candidate, attempt, verdict)

    def later(self, candidate: Candidate) -> None:
        """Try it again after its pause."""

        def again() -> None:
            handler = self._handler()
            if handler is not None:
                handler.try_again(candidate)

        candidate.retry = self._worker.call_later(candidate.pause(), again)

    def rest(self, candidate: Candidate | None) -> None:
        """Do not try it again by itself."""
        if candidate is not None and candidate.retry is not None:
            self._worker.cancel(candidate.retry)
            candidate.retry = None
