"""A candidate: changes that have to be verified before they are applied, and what is known of them."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from liveconfig._engine.composition import Composition
from liveconfig._engine.rejections import Rejection
from liveconfig._engine.verifiers import Attempt, Verdict, Verifier
from liveconfig._loading import Fault, Loaded

FIRST_RETRY, LONGEST_RETRY, JITTER = 1.0, 300.0, 0.2


def pause_after(attempts: int) -> float:
    """Seconds until content that was rejected is tried again.

    The jitter keeps processes that were started together from trying in step: an account must not be locked out.
    """
    pause = min(FIRST_RETRY * 2.0 ** min(attempts - 1, 16), LONGEST_RETRY)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


class Candidate:
    """Some parts of a composition that wait for the same verifiers.

    In each *round* the verifiers are asked about all parts together. A rejected part is held back until the next
    round; they are asked about the others again without it.

    Attributes:
        composition: What the volumes hold; the parts that wait are taken from it.
        waiting: The parts that are not applied.
        began: When the reading of them began (monotonic).
        rounds: How many rounds have begun.
        queue: The sets of parts to be asked about next, in this round.
        asked: The parts that were asked about last.
        loaded: What would be applied with these.
        base: What was in use when that was loaded.
        attempt: The attempt under way.
        joint: The verdict that rejected several parts together, of which each is asked about alone since.
        rejections: What is held back, and why.
        asked_alone: The parts about which a verifier was asked without the others.
        retry_at: When the next round is due (monotonic).
        suspended: Whether it is not known if what waits is still on the volumes.
    """

    def __init__(self, composition: Composition, waiting: frozenset[int], began: float) -> None:
        self.composition = composition
        self.waiting = waiting
        self.began = began
        self.rounds = 0
        self.queue: deque[frozenset[int]] = deque()
        self.asked: frozenset[int] = frozenset()
        self.loaded: Loaded[Any] | None = None
        self.base: Loaded[Any] | None = None
        self.attempt: Attempt | None = None
        self.joint: Verdict | None = None
        self.rejections: tuple[Rejection, ...] = ()
        self.retry_at: float | None = None
        self.suspended = False
        self.asked_alone: frozenset[int] = frozenset()
        self._put_off: frozenset[int] = frozenset()
        self._accepted: dict[Verifier, BaseModel] = {}
        self.begin_round()

    @property
    def contents(self) -> dict[int, object]:
        """What waits, by the index of the part."""
        return self.composition.contents(self.waiting)

    @property
    def undecided(self) -> frozenset[int]:
        """The parts that wait and are not rejected."""
        return self.waiting.difference(*(each.contents for each in self.rejections))

    @property
    def is_idle(self) -> bool:
        """Whether a round is over, and the next one has not begun."""
        return self.attempt is None and not self.queue

    def begin_round(self) -> None:
        """Ask about everything that waits, together."""
        self.rounds += 1
        self.retry_at = self.joint = None
        self._accepted, self._put_off = {}, frozenset()
        self.queue = deque([self.waiting])

    def continue_from(self, others: Iterable[Candidate]) -> None:
        """Take over what is known of the content that waited before."""
        contents = self.contents
        for other in others:
            known = {index for index, content in other.contents.items() if contents.get(index) == content}
            self.asked_alone |= other.asked_alone & known
            self.rejections += tuple(each for each in other.rejections if each.contents.keys() <= known)

    def accept(self, verifiers: Iterable[Verifier]) -> None:
        """Remember that verifiers accepted what was asked about."""
        assert self.loaded is not None
        snapshot: BaseModel = self.loaded.snapshot
        self._accepted.update((verifier, snapshot) for verifier in verifiers)

    def is_accepted_by(self, verifier: Verifier, snapshot: BaseModel) -> bool:
        """Whether a verifier has accepted, in this round, the value that it watches."""
        accepted = self._accepted.get(verifier)
        return accepted is not None and (accepted is snapshot or not verifier.concerns(accepted, snapshot))

    def split(self, verdict: Verdict) -> bool:
        """Ask about each part alone that was rejected together with others; once for each content.

        Returns:
            Whether there is one to be asked about.
        """
        assert verdict.verifier is not None
        alone = self.asked - self.asked_alone
        if len(self.asked) == 1:
            self.asked_alone |= self.asked
        if not verdict.verifier.watches_everything or len(self.asked) < 2 or not alone:
            return False
        self.joint = verdict
        self.queue.extendleft(frozenset([index]) for index in sorted(alone, reverse=True))
        return True

    def put_off(self, parts: frozenset[int]) -> bool:
        """Ask about parts that cannot be applied alone after the others, once. Returns whether they are put off."""
        if not self.queue or parts <= self._put_off:
            return False
        self._put_off |= parts
        self.queue.append(parts)
        return True

    def hold_back(self, parts: frozenset[int], fault: Fault) -> None:
        """Hold back some parts until the next round. Those that are held back already, one by one, stay apart."""
        covered = [each for each in self.rejections if each.contents.keys() <= parts]
        if parts == frozenset[int]().union(*(each.contents for each in covered)):
            held = tuple(replace(each, fault=replace(each.fault, reason=fault.reason)) for each in covered)
        else:
            held = (Rejection(fault, self.composition.contents(parts)),)
        others = (each for each in self.rejections if not each.contents.keys() & parts)
        self.rejections = (*others, *held)

    def applied(self) -> None:
        """What was asked about is in use now."""
        self.waiting -= self.asked
        self.rejections = tuple(each for each in self.rejections if each.contents.keys() <= self.waiting)

    def drop(self) -> None:
        """Wait for nothing more."""
        self.queue.clear()
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.abandon()
