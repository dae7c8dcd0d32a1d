"""The transaction: read, load, verify, apply, publish.

One turn at a time: whoever wants a look takes the turn, or finds that a turn that began later than the wish has just
ended. Readers of settings never wait for a turn. No subscriber is called in one: publishing only leaves a note for the
delivery.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import Version
from liveconfig._engine.acceptance import Trials
from liveconfig._engine.attribution import all_parts
from liveconfig._engine.composition import Composition
from liveconfig._engine.reader import VolumesReader
from liveconfig._engine.rejections import Rejection, Rejections
from liveconfig._engine.single_flight import SingleFlight
from liveconfig._engine.state import AppliedState
from liveconfig._engine.verification import Verification
from liveconfig._engine.verifiers import Attempt, Verifier
from liveconfig._loading import Fault, Feeds, Loaded, Loader, Origins, Overrides, equal, named
from liveconfig._watching import DelayedCall, Scheduler, is_ending
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
        self.publish: Callable[[Version], None] = lambda _: None
        self.post: Callable[[Rejected], None] = lambda _: None
        self.recover: Callable[[Recovered], None] = lambda _: None
        self.rejections = Rejections()
        self.verifiers: tuple[Verifier, ...] = ()
        self.verification = Verification(self._trials, self._apply, worker, _weak(self._decided))
        self._unread: tuple[Rejection, ...] = ()
        self._invalid: tuple[Rejection, ...] = ()
        self._unpublished: deque[Version] = deque()
        self._again = DelayedCall(worker, self.look)
        self._out_of_time = DelayedCall(worker, self._attend)
        self._retry = DelayedCall(worker, self._attend)
        self._restless = False
        self.resting = True  # until somebody watches
        self._unlooked = False  # candidates were dropped by `rest`: what is on disk is neither applied nor rejected
        self.renew()
        began = _clock.monotonic()
        self.in_use = AppliedState(self.intake.first_load(), began)
        self._newest = Composition.of(self.applied)
        self._busy: frozenset[int] = frozenset()
        self._overrides = self.applied.overrides

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
        self.intake.renew()
        self._transactions = SingleFlight(self._look_again)
        self._delay: float | None = None
        self._again.forget()
        self._retry.forget()
        self._out_of_time.forget()
        self._unlooked = self._unlooked or bool(self.verification.candidates)
        self.verification.forget()
        self._planned: tuple[Loaded[S], tuple[Verifier, ...]] | None = None

    def resume(self) -> None:
        """In a forked child: publish what another thread of the parent had applied and not published yet."""
        self.publish(self.version)

    def add_verifier(self, verifier: Verifier) -> None:
        """Ask it before anything is applied from now on."""
        self.verifiers = (*self.verifiers, verifier)

    def remove_verifier(self, verifier: Verifier) -> None:
        """Ask it no more, and look again: what it rejected may be good for the others."""
        self.verifiers = tuple(each for each in self.verifiers if each is not verifier)
        if not self.resting:
            self._again.later(0.0)

    # Looking

    def look(self, *, again: bool = False) -> bool:
        """Look now, for the scheduler thread: without waiting for another look, which a validator may hold up.

        Args:
            again: Try again what is rejected, though it is the same content.

        Returns:
            Whether it looked; if not, it looks again as soon as the other look is over.
        """
        if self._transactions.is_inside() or sys.is_finalizing():
            self._look_again()
            return False
        return self._transactions.enter(lambda: self._look_now(again))

    def _look_now(self, again: bool) -> bool:
        self.intake.refresh(self.applied.feeds)
        if not self._transactions.run_now(self._request(again=again, insist=False)):
            return False
        delay = self._delay
        if delay is None and self._restless:
            delay = RESTLESS_PAUSE
        if delay is not None and not self.resting:
            self._again.later(delay)
        return True

    def looking_for(self) -> float | None:
        """Seconds for which the longest look that is under way has been running; None if there is none."""
        return self._transactions.longest()

    def _look_again(self) -> None:
        if not self.resting:
            self._again.later(0.01)

    def reload(self, wait: bool) -> bool:
        """Look now; with ``wait`` until a writer has finished and the verifiers have spoken.

        Returns:
            Whether what is on disk is applied.
        """
        if is_ending() and not self._transactions.is_free_within(1.0):  # nothing may hold up the end of the interpreter
            return False
        if sys.is_finalizing():  # its modules are half gone: nothing can be read any more
            return self.is_settled()
        pause = threading.Event()
        while (delay := self._look()) is not None:
            if not wait or self._transactions.is_inside():
                if not self.resting:
                    self._again.later(delay)
                break
            pause.wait(delay)
        if wait and not self._transactions.is_inside():
            self._wait_for_verdicts()
        return self.is_settled()

    def is_settled(self) -> bool:
        """Whether what was on disk at the last look is applied."""
        return not self.rejections.standing() and not self.verification.candidates and not self._unlooked

    def verifying_for(self) -> float | None:
        """Seconds for which there has been content that the verifiers have not decided on; None if there is none."""
        began = [each.began for each in self.verification.candidates if each.undecided]
        return _clock.monotonic() - min(began) if began else None

    def unreadable(self) -> dict[int, Fault]:
        """What is wrong with each volume that cannot be read or parsed, by index."""
        return {index: each.fault for each in self._unread for index in each.contents}

    def candidate_status(self) -> CandidateStatus | None:
        """What is on disk and not applied: the oldest rejection that stands, else what is being verified."""
        rejected = next(iter(self.rejections.standing()), None)
        if rejected is not None:
            return CandidateStatus(rejected.generations, rejected.attempt, rejected.reason, rejected.held)
        candidate = next(iter(self.verification.candidates), None)
        if candidate is None:
            return None
        return CandidateStatus(candidate.composition.generations(candidate.waiting), candidate.rounds, None, ())

    def _wait_for_verdicts(self) -> None:
        """Until no attempt is under way. A verifier that calls this waits for nobody."""
        waited: set[Attempt] = set()
        while attempts := set(self.verification.attempts()) - waited:
            if any(each.thread is threading.current_thread() for each in attempts):
                return
            attempt = attempts.pop()
            attempt.wait()
            waited.add(attempt)
            self._settle()

    def rest(self) -> None:
        """Look no more by itself; a candidate is dropped, the next look makes a new one of it."""
        self.resting = True
        self._again.cancel()
        self._retry.cancel()
        if self._transactions.is_free_within(1.0):  # a validator that hangs must not keep close() from returning
            self._transactions.run(self._drop_candidates)

    def _drop_candidates(self) -> None:
        self._unlooked = self._unlooked or bool(self.verification.candidates)
        self._planned = None
        self.verification.drop()

    def wake(self) -> None:
        """Undo `rest`."""
        self.resting = False

    # Transactions

    def in_transaction(self) -> bool:
        """Whether the caller is in the middle of a look, as a validator is: whoever waits for that waits for it."""
        return self._transactions.is_inside()

    def _look(self) -> float | None:
        """Read, then run a transaction, or share one. Returns after how many seconds to look again."""
        if self._transactions.is_inside():
            return 0.01
        return self._transactions.enter(self._read_and_look)

    def _read_and_look(self) -> float | None:
        # Not in the transaction: a volume whose file calls do not return holds up this caller, and no other look.
        self.intake.refresh(self.applied.feeds)
        self._transactions.run(self._request(again=True, insist=True))
        return self._delay

    def _request(self, *, again: bool, insist: bool) -> Callable[[], None]:
        """A transaction that takes in what was read, unless another one does that which begins from now on."""
        number = self._transactions.draw()

        def take_in() -> None:
            wanted = insist or not self.resting  # a hint that comes late, to settings that were closed, is not
            if wanted and not self._transactions.is_served(number):
                newest = self._transactions.newest(number)
                self._delay = self._take_in(again, insist)
                self._transactions.serve(newest)

        return partial(self._reporting, take_in)

    def _reporting(self, work: Callable[[], None]) -> None:
        """Do the work of a transaction, and publish what came of it before the transaction is over.

        So versions go out in their order, and whoever shared the transaction finds everything published.
        """
        try:
            work()
        finally:
            self._report()

    def _report(self) -> None:
        """Publish what came of a turn: rejections, the version, then the ends of rejections."""
        found = [*self._unread, *self._invalid, *self.verification.rejections()]
        self.rejections.update(found, self.verification.undecided())
        self.in_use.complete()
        while self._unpublished:
            self.publish(self._unpublished[0])
            self._unpublished.popleft()
        self.publish(self.version)
        self.rejections.publish_rejected(self.post)
        self.rejections.publish_recovered(self._recover)
        self._schedule()

    def _recover(self, after: Rejected) -> None:
        generations = named(each.revision for each in self.applied.feeds)
        self.recover(Recovered(self.version.number, generations, _clock.now(), after))

    def _schedule(self) -> None:
        """Have the verifiers asked again when the next round is due."""
        due = self.verification.schedule(self.rejections)
        self._retry.cancel()
        if due is not None and not self.resting:
            self._retry.later(max(0.0, due - _clock.monotonic()))

    def _take_in(self, again: bool, insist: bool) -> float | None:
        began = _clock.monotonic()
        taken = self.intake.look(self.applied.feeds)
        self._unread = taken.rejections
        self._restless, self._unlooked = taken.restless, False
        self._busy = self._with_what_waits_for(taken.waiting)
        newest = Composition(taken.feeds, self._overrides).taking(self._busy, Composition.of(self.applied))
        if not self._is_planned(newest) or (again and not taken.waiting):
            self._planned = None  # first: a signal handler may raise in between
            self._newest = newest
            self._plan(began)
            if insist:
                self.verification.begin_rounds()
        self.verification.begin_rounds(due=began)
        self._proceed(began)
        return taken.delay

    def _with_what_waits_for(self, busy: Iterable[int]) -> frozenset[int]:
        """The volumes that are being written, and what waits together with them.

        It is not known what they hold. They stay as they are until that is known: nothing of them is applied, and
        nothing that is rejected or waits for verifiers is forgotten.
        """
        parts = frozenset(busy)
        together = [
            *(each.contents.keys() for each in self._invalid),
            *(each.waiting for each in self.verification.candidates),
        ]
        while near := [each for each in together if parts & each and not parts >= each]:
            parts = parts.union(*near)
        return parts

    # Applying, rejecting, verifying

    def _trials(self) -> Trials[S]:
        return Trials(self.loader, self.origins, self.applied, self.verifiers)

    def _is_planned(self, newest: Composition) -> bool:
        """Whether nothing has changed since it was last decided what to apply."""
        if self._planned is None or newest.changed_from(self._newest):
            return False
        applied, verifiers = self._planned
        return applied is self.applied and verifiers is self.verifiers

    def _plan(self, began: float) -> None:
        """Apply what can be applied now; the rest is rejected, or waits for the verifiers."""
        self._planned = None
        trials, newest = self._trials(), self._newest
        free = trials.isolate(newest, verified=True)
        if free.invalid and (watched := all_parts(free.watched) | trials.watched_alone(newest, free.invalid)):
            # What is not valid together with content that has yet to be verified may be valid without it.
            free = trials.isolate(newest.taking(watched, trials.base), verified=True)
        if free.rest.changed_from(trials.base):
            self._apply(trials.load(free.rest), began)
            trials = self._trials()
        found = trials.isolate(newest, verified=False)
        unknown = (each for each in self._invalid if self._busy & each.contents.keys())
        self._invalid = (*unknown, *(trials.rejection(newest, each) for each in found.invalid))
        self.verification.replace(found.rest, trials, began, self._busy)
        self._planned = (self.applied, self.verifiers)

    def _proceed(self, began: float) -> None:
        """Apply and reject by the verdicts that there are; what is applied decides what else can be."""
        while self.verification.proceed():
            self._plan(began)

    def _apply(self, loaded: Loaded[S], began: float) -> None:
        if equal(self.applied.snapshot, loaded.snapshot):
            self.in_use.adopt(loaded)
        else:
            self.in_use.replace(loaded, began)
            self._unpublished.append(self.version)

    # Verdicts

    def _decided(self, by_time: bool) -> None:
        """An attempt has a verdict: on its own thread, or on the worker because its time is up."""
        if by_time:
            self._out_of_time.later(0.0)
        else:
            self._settle()

    def _settle(self) -> None:
        """Apply and reject by the verdicts that there are."""
        settle = partial(self._reporting, lambda: self._proceed(_clock.monotonic()))
        self._transactions.enter(lambda: self._transactions.run(settle))

    def _attend(self) -> None:
        """The same, and what is due, for the scheduler thread: a transaction under way looks again when it is over."""

        def attend() -> None:
            self.verification.begin_rounds(due=_clock.monotonic())
            self._proceed(_clock.monotonic())

        self._transactions.enter(lambda: self._transactions.run_now(partial(self._reporting, attend)))

    # Overrides

    def override(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        """Put other overrides above all sources, and look."""
        self._transactions.run(partial(self._override, change))
        self.reload(wait=True)

    def _override(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        self._overrides = change(self._overrides)

    def revert(self, feeds: Feeds) -> None:
        """Go back to what the volumes gave before; what they give now was good under an override only.

        It was in use already, so no verifier is asked.
        """
        revert = partial(self._reporting, partial(self._revert, feeds))
        self._transactions.enter(lambda: self._transactions.run(revert))

    def _revert(self, feeds: Feeds) -> None:
        began = _clock.monotonic()
        loaded = self.loader.load(feeds, self.applied.snapshot, self._overrides)
        if isinstance(loaded, Loaded):
            self.in_use.replace(loaded, began)
            self._plan(began)
            self._proceed(began)


def _weak(method: Callable[[bool], None]) -> Callable[[bool], None]:
    """The same method; what holds it does not keep its object alive."""
    reference = weakref.WeakMethod(method)

    def call(argument: bool) -> None:
        found = reference()
        if found is not None:
            found(argument)

    return call
