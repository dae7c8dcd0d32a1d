"""The verification of candidates: calls the verifiers, and applies or holds back the parts that they decided on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._engine.acceptance import Trials
from liveconfig._engine.candidate import Candidate
from liveconfig._engine.composition import Composition
from liveconfig._engine.rejections import Rejection, Rejections
from liveconfig._engine.verifier_calls import Attempt, Verdict, Verifier
from liveconfig._loading import Fault, Loaded
from liveconfig._watching import Scheduler

S = TypeVar("S", bound=BaseSettings)

FIRST_RETRY, LONGEST_RETRY, JITTER = 1.0, 300.0, 0.2
"""The pauses between the attempts of a verifier, in seconds: the first one, which doubles, and the longest; and the
jitter, as a share of the pause."""


class Verification(Generic[S]):
    """The candidates of one settings object that wait for verifiers. They are changed in a transaction only.

    Args:
        trials: Creates trials based on the configuration in use.
        apply: Applies a configuration; the second argument is the time when its reading began.
        scheduler: Runs the timeouts of verifiers.
        ended: Called after an attempt has a verdict; see `Attempt`.
    """

    def __init__(
        self,
        trials: Callable[[], Trials[S]],
        apply: Callable[[Loaded[S], float], None],
        scheduler: Scheduler,
        ended: Callable[[bool], None],
    ) -> None:
        self.candidates: tuple[Candidate, ...] = ()
        self._trials = trials
        self._apply = apply
        self._scheduler = scheduler
        self._ended = ended

    def replace(self, newest: Composition, trials: Trials[S], began: float, busy: frozenset[int]) -> None:
        """Verify these changes and nothing else. A part that waits with the same content keeps its progress.

        Args:
            newest: A valid composition.
            trials: Trials based on the configuration in use.
            began: When the reading of it began.
            busy: The parts whose content is unknown: their candidates stay and are not applied.
        """
        for each in self.candidates:
            each.suspended = bool(each.waiting & busy)
        now = [candidate for candidate in self.candidates if candidate.suspended]
        before = {candidate: candidate.contents for candidate in self.candidates if not candidate.suspended}
        for group in self._groups(newest, trials):
            contents = newest.contents(group)
            candidate = next((each for each, known in before.items() if known == contents), None)
            if candidate is None:
                candidate = Candidate(newest, group, began)
                candidate.continue_from(before)
            candidate.composition = newest
            now.append(candidate)
        self.candidates = tuple(now)
        for candidate in before:
            if candidate not in now:
                candidate.drop()

    def _groups(self, newest: Composition, trials: Trials[S]) -> list[frozenset[int]]:
        """Group the changed parts that one verifier watches, or that can be applied only together."""
        changed = newest.changed_from(trials.base)
        if not changed:
            return []
        watched = [each.parts for each in trials.questions(newest)]
        alone = changed.difference(*watched)

        def is_valid(parts: frozenset[int]) -> bool:
            return not trials.problems(trials.base.taking(parts, newest))

        groups = [*watched, *(frozenset([index]) for index in sorted(alone))]
        needy = frozenset[int]().union(*(each for each in groups if not is_valid(each)))
        groups = [each for each in groups if not each & needy]
        while groups and needy and not is_valid(needy):
            other = next((each for each in groups if is_valid(needy | each)), groups[0])
            groups.remove(other)
            needy |= other
        return [*groups, needy] if needy else groups

    def drop(self) -> None:
        """Drop all candidates."""
        candidates, self.candidates = self.candidates, ()
        for candidate in candidates:
            candidate.drop()

    def forget(self) -> None:
        """In a forked child: drop all candidates, because their attempts run in the parent."""
        self.candidates = ()

    # What waits

    def attempts(self) -> Iterator[Attempt]:
        """Return the running attempts."""
        return (candidate.attempt for candidate in self.candidates if candidate.attempt is not None)

    def is_inside(self) -> bool:
        """Whether this is called inside a verifier."""
        return any(attempt.thread is threading.current_thread() for attempt in self.attempts())

    def undecided(self) -> dict[int, object]:
        """Return the content that the verifiers have not decided on yet, by the index of the part."""
        contents = (each.composition.contents(each.undecided) for each in self.candidates)
        return {index: content for each in contents for index, content in each.items()}

    def rejections(self) -> list[Rejection]:
        """Return the rejections by verifiers."""
        return [each for candidate in self.candidates for each in candidate.rejections]

    # Rounds

    def begin_rounds(self, *, due: float | None = None) -> None:
        """Verify rejected content again.

        Args:
            due: Only candidates that are due by then; None for all.
        """
        for candidate in self.candidates:
            late = due is None or (candidate.retry_at is not None and candidate.retry_at <= due)
            if candidate.is_idle and late and not candidate.suspended:
                candidate.begin_round()

    def schedule(self, rejections: Rejections) -> float | None:
        """Schedule the next attempts for rejected content. Return when the first is due; None if none is."""
        for candidate in self.candidates:
            if candidate.is_idle and candidate.retry_at is None and candidate.rejections:
                attempts = min(rejections.attempts(each) for each in candidate.rejections)
                candidate.retry_at = _clock.monotonic() + pause_after(attempts)
        known = (each.retry_at for each in self.candidates if not each.suspended)
        return min((retry_at for retry_at in known if retry_at is not None), default=None)

    def proceed(self) -> bool:
        """Advance each candidate without waiting, until one is applied. Return whether one was."""
        return any(self._proceed(candidate) for candidate in self.candidates if not candidate.suspended)

    def _proceed(self, candidate: Candidate) -> bool:
        while True:
            if candidate.attempt is not None:
                if candidate.attempt.verdict is None and not candidate.attempt.is_lost():
                    return False
                self._decided(candidate, candidate.attempt.verdict)
            elif candidate.queue:
                if self._ask(candidate, candidate.queue.popleft() & candidate.waiting):
                    return True
            elif candidate.undecided:  # a signal handler raised in the middle of a step
                candidate.begin_round()
            else:
                return False

    def _ask(self, candidate: Candidate, parts: frozenset[int]) -> bool:
        """Verify some parts, or apply them if they are accepted already. Return whether they were applied."""
        trials = self._trials()
        tried = trials.base.taking(parts, candidate.composition)
        if not parts or not self._load(candidate, parts, tried, trials):
            return False
        assert candidate.loaded is not None
        snapshot = candidate.loaded.snapshot
        verifiers = [each for each in trials.concerned(snapshot) if not candidate.is_accepted_by(each, snapshot)]
        if verifiers:
            candidate.attempt = Attempt(verifiers, snapshot, self._ended)
            candidate.attempt.start(self._scheduler)
            return False
        self._apply(candidate.loaded, candidate.began)
        candidate.applied()
        return True

    def _load(self, candidate: Candidate, parts: frozenset[int], tried: Composition, trials: Trials[S]) -> bool:
        """Load the configuration with some parts. Return whether it is valid."""
        if candidate.base is trials.applied and candidate.asked == parts:
            return True  # the object that the verifiers got
        candidate.asked = parts
        problems = trials.problems(tried)
        if not problems:
            candidate.loaded, candidate.base = trials.load(tried), trials.applied
            return True
        candidate.base = None
        if candidate.put_off(parts):
            return False
        if candidate.joint is not None:
            candidate.hold_back(parts, _rejected(tried, parts, candidate.joint, (), trials))
        else:
            reason = "; ".join(problem.reason for problem in problems)
            candidate.hold_back(parts, trials.fault("validate", reason, tried, parts, ()))
        return False

    # Verdicts

    def _decided(self, candidate: Candidate, verdict: Verdict | None) -> None:
        candidate.attempt = None
        if verdict is None:
            candidate.queue.appendleft(candidate.asked)
            return
        candidate.accept(verdict.accepted)
        if verdict.verifier is None:
            candidate.queue.appendleft(candidate.asked)  # to be applied, unless more verifiers have to accept
        elif not candidate.split(verdict):
            self._reject(candidate, verdict)

    def _reject(self, candidate: Candidate, verdict: Verdict) -> None:
        assert verdict.verifier is not None
        trials = self._trials()
        asked, tried = candidate.asked, trials.base.taking(candidate.asked, candidate.composition)
        parts = asked
        fields: tuple[str, ...] = ()
        if not trials.problems(tried):
            fields = trials.fields(tried, verdict.verifier)
            parts = self._rejected_parts(tried, asked, verdict.verifier, trials)
        candidate.hold_back(parts, _rejected(tried, parts, verdict, fields, trials))
        if asked - parts:
            candidate.queue.appendleft(asked - parts)

    def _rejected_parts(
        self, tried: Composition, asked: frozenset[int], verifier: Verifier, trials: Trials[S]
    ) -> frozenset[int]:
        """Return the parts that a verifier watches; all, if the others cannot be applied without them."""
        parts = asked if verifier.watches_everything else trials.watched(tried, verifier)
        return asked if trials.problems(trials.base.taking(asked - parts, tried)) else parts


def _rejected(
    tried: Composition, parts: frozenset[int], verdict: Verdict, fields: tuple[str, ...], trials: Trials[Any]
) -> Fault:
    assert verdict.verifier is not None
    return trials.fault("verify", f"verifier {verdict.verifier.name}: {verdict.reason}", tried, parts, fields)


def pause_after(attempts: int) -> float:
    """Return the seconds until rejected content is tried again.

    The jitter spreads the attempts of processes that were started together, so that they do not lock an account.
    """
    pause = min(FIRST_RETRY * 2.0 ** min(attempts - 1, 16), LONGEST_RETRY)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
