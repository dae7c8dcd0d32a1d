"""The transaction: read, load, verify, apply, publish.

One turn at a time: whoever wants a look takes the turn, or finds that a turn that began later than the wish has just
ended. Readers of settings never wait for a turn. No subscriber is called in one: publishing only leaves a note for the
delivery.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import Version
from liveconfig._engine.acceptance import find_fault
from liveconfig._engine.candidate import Candidate, VerifierRunner
from liveconfig._engine.reader import VolumesReader
from liveconfig._engine.rejections import Rejection, Rejections
from liveconfig._engine.single_flight import SingleFlight
from liveconfig._engine.state import AppliedState
from liveconfig._engine.verifiers import Attempt, Verdict, Verifier
from liveconfig._loading import Fault, Feeds, Loaded, Loader, Origins, Overrides, equal, named, new_generations
from liveconfig._watching import DelayedCall, Scheduler
from liveconfig.events import Recovered, Rejected
from liveconfig.status import CandidateStatus

S = TypeVar("S", bound=BaseSettings)

RESTLESS_PAUSE = 1.0
"""Seconds until a volume is looked at again that does not come to rest."""


class Engine(Generic[S]):
    """Holds what is applied, and replaces it by what is better.

    Args:
        loader: Makes instances.
        origins: Tells whether a key that vanished mattered.
        worker: Looks again later.

    Raises:
        StartupFailure: There is nothing to begin with.
    """

    def __init__(self, loader: Loader[S], origins: Origins, worker: Scheduler) -> None:
        self.loader = loader
        self.origins = origins
        self.intake = VolumesReader(loader)
        self.bench = VerifierRunner(self, worker)
        self.publish: Callable[[Version], None] = lambda _: None
        self.post: Callable[[Rejected], None] = lambda _: None
        self.recover: Callable[[Recovered], None] = lambda _: None
        self.candidate: Candidate | None = None
        self.rejections = Rejections()
        self._unread: tuple[Rejection, ...] = ()
        self._rejected: Rejection | None = None
        self._worker = worker
        self._again = DelayedCall(worker, self.look)
        self._restless = False
        self._tried: Feeds | None = None  # what stands rejected, or before the verifiers
        self.resting = True  # until somebody watches
        self._unlooked = False  # a candidate was dropped by `rest`: what is on disk is neither applied nor rejected
        self.renew()
        began = _clock.monotonic()
        self.in_use = AppliedState(self.intake.first_load(), began)

    @property
    def applied(self) -> Loaded[S]:
        """What is in use."""
        return self.in_use.loaded

    @property
    def version(self) -> Version:
        """The same as a version."""
        return self.in_use.version

    def renew(self) -> None:
        """A new lock and nobody's turn: at the start, and in a forked child."""
        self._turns = SingleFlight(self._look_again)
        self._delay: float | None = None
        self._again.forget()
        # An attempt runs in the parent: the child looks for itself.
        self.candidate = None

    def resume(self) -> None:
        """In a forked child: publish what another thread of the parent had applied and not published yet."""
        self.publish(self.version)

    def add_verifier(self, verifier: Verifier) -> None:
        """Ask it before anything is applied from now on."""
        self.bench.verifiers = [*self.bench.verifiers, verifier]

    def remove_verifier(self, verifier: Verifier) -> None:
        """Ask it no more, and look again: what it rejected may be good for the others."""
        self.bench.verifiers = [each for each in self.bench.verifiers if each is not verifier]

    # Looking

    def look(self) -> bool:
        """Look now, for the scheduler thread: without waiting for another look, which a validator may hold up.

        Returns:
            Whether it looked; if not, it looks again as soon as the other look is over.
        """
        if self._turns.mine():
            self._look_again()
            return False
        with self._turns.visit():
            self.intake.refresh(self.applied.feeds)
            if not self._turns.take_now():
                return False
            try:
                delay = self._take_or_share(insist=False)
            finally:
                self._turns.give_back()
        if delay is None and self._restless:
            delay = RESTLESS_PAUSE
        if delay is not None and not self.resting:
            self._again.later(delay)
        return True

    def looking_for(self) -> float | None:
        """Seconds for which the longest look that is under way has been running; None if there is none."""
        return self._turns.longest()

    def _look_again(self) -> None:
        if not self.resting:
            self._again.later(0.01)

    def reload(self, wait: bool) -> bool:
        """Look now; with ``wait`` until a writer has finished and the verifiers have spoken.

        Returns:
            Whether what is on disk is applied.
        """
        pause = threading.Event()
        while (delay := self._look()) is not None:
            if not wait or self._turns.mine():
                if not self.resting:
                    self._again.later(delay)
                break
            pause.wait(delay)
        if wait:
            self._wait_for_verdicts()
        return self.is_settled()

    def is_settled(self) -> bool:
        """Whether what was on disk at the last look is applied."""
        return not self.rejections.standing() and self.candidate is None and not self._unlooked

    def verifying_for(self) -> float | None:
        """Seconds for which there has been content that the verifiers have not decided on; None if there is none."""
        candidate = self.candidate
        return None if candidate is None or self._rejected is not None else _clock.monotonic() - candidate.began

    def unreadable(self) -> dict[int, Fault]:
        """What is wrong with each volume that cannot be read or parsed, by index."""
        return {index: each.fault for each in self._unread for index in each.contents}

    def candidate_status(self) -> CandidateStatus | None:
        """What is on disk and not applied, as the status shows it."""
        rejected = next(iter(self.rejections.standing()), None)
        if rejected is not None:
            return CandidateStatus(rejected.generations, rejected.attempt, rejected.reason, rejected.held)
        candidate = self.candidate
        return None if candidate is None else CandidateStatus(candidate.generations, candidate.attempt, None, ())

    def _wait_for_verdicts(self) -> None:
        """Until no attempt is under way: newer content puts the candidate aside, and may make another."""
        waited = None
        while (candidate := self.candidate) is not None:
            running = candidate.running
            if running is None or running is waited or not running.wait():
                break
            waited = running

    def rest(self) -> None:
        """Look no more by itself; a candidate is dropped, the next look makes a new one of it."""
        self.resting = True
        self._again.cancel()
        if self._turns.free_within(1.0):  # a validator that hangs must not keep close() from returning
            with self._turns.taken():
                self._unlooked = self._unlooked or self.candidate is not None
                self._drop_candidate()

    def wake(self) -> None:
        """Undo `rest`."""
        self.resting = False

    # SingleFlight

    def in_turn(self) -> bool:
        """Whether the caller is in the middle of a turn, as a validator is: what waits for the turn waits for it."""
        return self._turns.mine()

    def _look(self) -> float | None:
        """Read, then take a turn, or share one. Returns after how many seconds to look again."""
        if self._turns.mine():
            return 0.01
        with self._turns.visit():
            # Not in the turn: a volume whose file calls do not return holds up this caller, and no other look.
            self.intake.refresh(self.applied.feeds)
            return self._take_or_share(insist=True)

    def _take_or_share(self, *, insist: bool) -> float | None:
        """Take a turn, or share one; then publish."""
        number = self._turns.draw()
        with self._publishing():
            wanted = insist or not self.resting  # a hint that comes late, to settings that were closed, is not
            if wanted and not self._turns.covered(number):
                covers = self._turns.drawn(number)
                self._delay = self._take_turn(insist)
                self._turns.cover(covers)
            return self._delay

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """Have the turn; what came of it is published before it is over.

        So versions go out in their order, and whoever shared the turn finds everything published.
        """
        with self._turns.taken():
            try:
                yield
            finally:
                self._report()

    def _report(self) -> None:
        """Publish what came of a turn: rejections, the version, then the ends of rejections."""
        found = [*self._unread, *([self._rejected] if self._rejected is not None else [])]
        undecided: dict[int, object] = {}
        if self.candidate is not None and self._rejected is None:
            undecided = self._contents(self.candidate.loaded.feeds)
        self.rejections.update(found, undecided)
        self.publish(self.version)
        for rejected in self.rejections.take_rejected():
            self.post(rejected)
        generations = named(each.revision for each in self.applied.feeds)
        for recovered in self.rejections.take_recovered(self.version.number, generations):
            self.recover(recovered)

    def _contents(self, feeds: Feeds) -> dict[int, object]:
        """What the volumes hold that is not applied, by index."""
        pairs = enumerate(zip(self.applied.feeds, feeds, strict=True))
        contents: dict[int, object] = {index: new.revision.files for index, (old, new) in pairs if new != old}
        if self.loader.overrides is not self.applied.overrides:
            contents[len(feeds)] = id(self.loader.overrides)
        return contents

    def _reject(self, feeds: Feeds, fault: Fault) -> None:
        paths = {index: each.revision.path for index, each in enumerate(feeds)}
        contents = self._contents(feeds)
        at_fault = {index: each for index, each in contents.items() if paths.get(index) in fault.generations}
        self._rejected = Rejection(fault, at_fault or contents)

    def _take_turn(self, insist: bool) -> float | None:
        began = _clock.monotonic()
        taken = self.intake.look(self.applied.feeds)
        self._unread = taken.rejections
        self._restless, self._unlooked = taken.restless, False
        if self._tried is not None and taken.tells_nothing_beside(self._tried):
            return taken.delay
        self._tried = None
        if self._would_be(self.applied, taken.feeds):
            self._drop_candidate()
            self._rejected = None
        elif self.candidate is None or not self._would_be(self.candidate.loaded, taken.feeds):
            self._drop_candidate()
            self._try(taken.feeds, began)
        else:
            self._tried = taken.feeds
            if insist and self.candidate.running is None:
                self.bench.ask(self.candidate, self.applied.snapshot)
        return taken.delay

    def _would_be(self, loaded: Loaded[S], feeds: Feeds) -> bool:
        """Whether the same would be loaded now."""
        return feeds == loaded.feeds and self.loader.overrides is loaded.overrides

    def _try(self, feeds: Feeds, began: float) -> None:
        if self._same_bytes(feeds):
            self._adopt(replace(self.applied, feeds=feeds))
            return
        self._tried = feeds
        loaded = self.loader.load(feeds, self.applied.snapshot)
        fault = find_fault(self.loader, self.origins, self.applied, feeds, loaded)
        if fault is not None:
            self._reject(feeds, fault)
        else:
            assert isinstance(loaded, Loaded)
            self._accept(loaded, began)

    def _same_bytes(self, feeds: Feeds) -> bool:
        same = all(new.values is old.values for old, new in zip(self.applied.feeds, feeds, strict=True))
        return same and self.loader.overrides is self.applied.overrides

    # Accepting and rejecting

    def _accept(self, loaded: Loaded[S], began: float) -> None:
        if equal(self.applied.snapshot, loaded.snapshot):
            self._adopt(loaded)
        elif self.bench.concerned(self.applied.snapshot, loaded.snapshot):
            self._rejected = None
            generations = new_generations(self.applied.feeds, loaded.feeds)
            self.candidate = Candidate(loaded, generations, began)
            self.bench.ask(self.candidate, self.applied.snapshot)
        else:
            self._apply(loaded, began)

    def _adopt(self, loaded: Loaded[S]) -> None:
        self._tried = None
        self._rejected = None
        self.in_use.adopt(loaded)

    def _apply(self, loaded: Loaded[S], began: float) -> None:
        self._tried = None
        self._rejected = None
        self.in_use.replace(loaded, began)

    # The candidate

    def heard(self, candidate: Candidate, attempt: Attempt, verdict: Verdict) -> None:
        """A verdict; that on a candidate which is no longer on disk is dropped."""
        with self._publishing():
            if candidate is not self.candidate or candidate.running is not attempt:
                return
            candidate.running = None
            if verdict.reason is None:
                self.candidate = None
                self._apply(candidate.loaded, candidate.began)
                return
            self._reject(candidate.loaded.feeds, candidate.refuse(verdict, self.applied.snapshot))
            if not self.resting:
                self.bench.later(candidate)

    def try_again(self, candidate: Candidate) -> None:
        """A candidate's back-off is over."""
        with self._turns.taken():
            if candidate is self.candidate and candidate.running is None:
                self.bench.ask(candidate, self.applied.snapshot)

    def _drop_candidate(self) -> None:
        if self.candidate is not None:
            self.bench.rest(self.candidate)
            if self.candidate.running is not None:
                self.candidate.running.abandon()
        self.candidate = None

    def override(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        """Put other overrides above all sources, and look."""
        with self._turns.taken():
            self.loader.overrides = change(self.loader.overrides)
        self.reload(wait=True)

    def revert(self, feeds: Feeds) -> None:
        """Go back to what the volumes gave before; what they give now was good under an override only.

        It was in use already, so no verifier is asked.
        """
        with self._publishing():
            loaded = self.loader.load(feeds, self.applied.snapshot)
            if isinstance(loaded, Loaded):
                self.in_use.replace(loaded, _clock.monotonic())
                if self.candidate is not None and self._would_be(self.candidate.loaded, feeds):
                    self._drop_candidate()
                    self._rejected = None
