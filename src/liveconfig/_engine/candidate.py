"""A candidate: changes that have to be verified before they are applied, and the progress of their verification."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from liveconfig._engine.composition import Composition
from liveconfig._engine.rejections import Rejection
from liveconfig._engine.verifier_calls import Attempt, Verdict, Verifier
from liveconfig._loading import Fault, Loaded


class Candidate:
    """Some parts of a composition that wait for the same verifiers.

    In each *round*, all parts are verified together. A rejected part is held back until the next round; the others are
    verified again without it.

    Attributes:
        composition: The content of the volumes, which includes the parts that wait.
        waiting: The parts that are not applied.
        began: When the reading of them began (monotonic).
        rounds: How many rounds have begun.
        queue: The sets of parts to verify next in this round.
        asked: The parts that were verified last.
        loaded: The configuration with these parts.
        base: The configuration that was in use when `loaded` was made.
        attempt: The attempt under way.
        joint: The verdict that rejected several parts together; each of them is then verified alone.
        rejections: The parts that are held back, with the reasons.
        asked_alone: The parts that were verified without the others.
        retry_at: When the next round is due (monotonic).
        suspended: Whether a volume is being written, so that the content that waits may be out of date.
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
        """Return the content that waits, by the index of the part."""
        return self.composition.contents(self.waiting)

    @property
    def undecided(self) -> frozenset[int]:
        """The parts that wait and are not rejected."""
        return self.waiting.difference(*(each.contents for each in self.rejections))

    @property
    def is_idle(self) -> bool:
        """Whether a round has ended and the next one has not begun."""
        return self.attempt is None and not self.queue

    def begin_round(self) -> None:
        """Begin to verify all waiting parts together."""
        self.rounds += 1
        self.retry_at = self.joint = None
        self._accepted, self._put_off = {}, frozenset()
        self.queue = deque([self.waiting])

    def continue_from(self, others: Iterable[Candidate]) -> None:
        """Copy the progress of content that waited before."""
        contents = self.contents
        for other in others:
            known = {index for index, content in other.contents.items() if contents.get(index) == content}
            self.asked_alone |= other.asked_alone & known
            self.rejections += tuple(each for each in other.rejections if each.contents.keys() <= known)

    def accept(self, verifiers: Iterable[Verifier]) -> None:
        """Record that verifiers accepted the parts that were verified last."""
        assert self.loaded is not None
        snapshot: BaseModel = self.loaded.snapshot
        self._accepted.update((verifier, snapshot) for verifier in verifiers)

    def is_accepted_by(self, verifier: Verifier, snapshot: BaseModel) -> bool:
        """Whether a verifier has accepted its value in this round."""
        accepted = self._accepted.get(verifier)
        return accepted is not None and (accepted is snapshot or not verifier.concerns(accepted, snapshot))

    def split(self, verdict: Verdict) -> bool:
        """Queue the verification of each part alone after several were rejected together; once for each content.

        Returns:
            Whether anything was queued.
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
        """Queue parts that are invalid alone behind the others, once. Return whether they were queued."""
        if not self.queue or parts <= self._put_off:
            return False
        self._put_off |= parts
        self.queue.append(parts)
        return True

    def hold_back(self, parts: frozenset[int], fault: Fault) -> None:
        """Hold back some parts until the next round. Parts that were rejected separately stay separate."""
        covered = [each for each in self.rejections if each.contents.keys() <= parts]
        if parts == frozenset[int]().union(*(each.contents for each in covered)):
            faults = (each.fault._replace(stage=fault.stage, reason=fault.reason) for each in covered)
            held = tuple(replace(each, fault=fault) for each, fault in zip(covered, faults, strict=True))
        else:
            held = (Rejection(fault, self.composition.contents(parts)),)
        others = (each for each in self.rejections if not each.contents.keys() & parts)
        self.rejections = (*others, *held)

    def applied(self) -> None:
        """Record that the parts that were verified last are in use."""
        self.waiting -= self.asked
        self.rejections = tuple(each for each in self.rejections if each.contents.keys() <= self.waiting)

    def drop(self) -> None:
        """Drop everything that waits."""
        self.queue.clear()
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.abandon()
