"""The transaction: read, load, verify, apply, publish.

One transaction runs at a time. A request for a look runs a transaction, or shares one that began after the request.
Readers of settings never wait for a transaction. No subscriber is called in a transaction: publishing only queues the
version for the delivery.
"""

from __future__ import annotations

import contextlib
import sys
import threading
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
from liveconfig._engine.verifier_calls import Attempt, Verifier
from liveconfig._loading import Fault, Feeds, Loaded, Loader, Origins, Overrides, equal, named
from liveconfig._traceback import summarize
from liveconfig._watching import DelayedCall, Scheduler, WeakCall, is_ending
from liveconfig.events import Recovered, Rejected
from liveconfig.status import CandidateStatus

S = TypeVar("S", bound=BaseSettings)

BUSY_PAUSE = 1.0
"""Seconds until the next look at a volume that is written all the time."""


class Engine(Generic[S]):
    """Holds the configuration in use, and replaces it by newer ones.

    Args:
        loader: Makes instances.
        origins: Decides whether a removed key matters.
        scheduler: Runs later looks.

    Raises:
        StartupFailure: There is no valid configuration.
    """

    def __init__(self, loader: Loader[S], origins: Origins, scheduler: Scheduler) -> None:
        self.loader = loader
        self.origins = origins
        self.reader = VolumesReader(loader)
        self.publish: Callable[[Version], None] = lambda _: None
        self.post: Callable[[Rejected], None] = lambda _: None
        self.recover: Callable[[Recovered], None] = lambda _: None
        self.deliver: Callable[[], None] = lambda: None
        self.rejections = Rejections()
        self._verifiers: list[Verifier] = []
        self.verification = Verification(self._trials, self._apply, scheduler, WeakCall(self._decided))
        self._unread: tuple[Rejection, ...] = ()
        self._invalid: tuple[Rejection, ...] = ()
        self._unpublished: list[Version] = []
        self._again = DelayedCall(scheduler, self.look)
        self._out_of_time = DelayedCall(scheduler, self._attend)
        self._retry = DelayedCall(scheduler, self._attend)
        self._busy_too_long = False
        self.cut_short: str | None = None  # the error with which the last look ended
        self.paused = True  # until the volumes are watched
        self._unlooked = False  # candidates were dropped by `pause`: what is on disk is neither applied nor rejected
        self._inherited: Composition | None = None
        self._forks = 0
        self._set_up()
        began = _clock.monotonic()
        self.in_use = AppliedState(self.reader.first_load(), began)
        self._newest = Composition.of(self.applied)
        self._busy: frozenset[int] = frozenset()
        self._overrides = self.applied.overrides

    @property
    def applied(self) -> Loaded[S]:
        """The configuration in use."""
        return self.in_use.loaded

    @property
    def version(self) -> Version:
        """The version of the configuration in use."""
        return self.in_use.version

    def _set_up(self) -> None:
        self._transactions = SingleFlight(self._look_again, self._deliver)
        self._delay: float | None = None
        self._planned: tuple[Loaded[S], tuple[Verifier, ...]] | None = None

    def renew(self) -> None:
        """Create the locks again, in a forked child.

        A child that is forked inside a validator or a verifier does not decide on that content again, because that
        would fork again. A child that is forked so inside such a child applies nothing more.
        """
        if self._transactions.is_inside() or self.verification.is_inside():
            self._forks += 1
            self._inherited = self._newest
        self.reader.renew()
        self.in_use.renew()
        self._again.forget()
        self._retry.forget()
        self._out_of_time.forget()
        self._unlooked = self._unlooked or bool(self.verification.candidates)
        self.verification.forget()
        self._set_up()

    def resume(self) -> None:
        """In a forked child: publish a version that a thread of the parent had applied but not published."""
        self.publish(self.version)

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The verifiers, in the order in which they were added."""
        return tuple(self._verifiers)

    def add_verifier(self, verifier: Verifier) -> None:
        """Add a verifier, which is called before the next change is applied."""
        self._verifiers.append(verifier)  # in one step, as the removal: other threads do the same

    def remove_verifier(self, verifier: Verifier) -> None:
        """Remove a verifier, and look again: the other verifiers may accept what it rejected."""
        with contextlib.suppress(ValueError):  # it was removed before
            self._verifiers.remove(verifier)
        self._later(self._again, 0.0)

    # Looking

    def look(self, *, again: bool = False) -> bool:
        """Look now, without waiting for another look, which a validator may block. For the scheduler thread.

        Args:
            again: Try rejected content again, even if it has not changed.

        Returns:
            Whether it looked; if not, it looks as soon as the other look has ended.
        """
        if self._transactions.is_inside() or sys.is_finalizing():
            self._look_again()
            return False
        return self._transactions.enter(lambda: self._look_now(again))

    def _look_now(self, again: bool) -> bool:
        self.reader.refresh(self.applied.feeds)
        if not self._transactions.run_now(self._request(again=again, insist=False, hint=True)):
            return False
        delay = self._delay
        if delay is None and self._busy_too_long:
            delay = BUSY_PAUSE
        if delay is not None:
            self._later(self._again, delay)
        return True

    def looking_for(self) -> float | None:
        """Return the seconds for which the oldest running look has been running; None if none runs."""
        return self._transactions.longest()

    def _look_again(self) -> None:
        self._later(self._again, 0.01)

    def reload(self, wait: bool, retry: bool = True) -> bool:
        """Look now; with ``wait``, return after the volumes are complete and the verifiers have decided.

        Args:
            wait: Whether to wait.
            retry: Try rejected content again, even if it has not changed; else it keeps waiting for its time.

        Returns:
            Whether the content of the volumes is applied.
        """
        if is_ending() and not self._transactions.is_free_within(1.0):  # nothing may hold up the end of the interpreter
            return False
        if sys.is_finalizing():  # its modules are half gone: nothing can be read any more
            return self.is_settled()
        while (delay := self._look(retry)) is not None:
            if not wait or self._transactions.is_inside():
                self._later(self._again, delay)
                break
            threading.Event().wait(delay)
        if wait and not self._transactions.is_inside():
            self._wait_for_verdicts()
        return self.is_settled()

    def is_settled(self) -> bool:
        """Whether the content that the last look found is applied."""
        return not self.rejections.stand() and not self.verification.candidates and not self._unlooked

    def is_calm(self) -> bool:
        """Whether nothing is rejected, unreadable or being verified."""
        return self.is_settled() and not self._unread

    def verifying_for(self) -> float | None:
        """Return the seconds for which content has been waiting for verifiers; None if none waits."""
        began = [each.began for each in self.verification.candidates if each.undecided]
        return _clock.monotonic() - min(began) if began else None

    def unreadable(self) -> dict[int, Fault]:
        """Return the fault of each volume that cannot be read or parsed, by index."""
        return {index: each.fault for each in self._unread for index in each.contents}

    def candidate_status(self) -> CandidateStatus | None:
        """Return the content that is not applied: the oldest standing rejection, else the candidate being verified."""
        rejected = next(iter(self.rejections.standing()), None)
        if rejected is not None:
            return CandidateStatus(rejected.generations, rejected.attempt, rejected.reason, rejected.held)
        candidate = next(iter(self.verification.candidates), None)
        if candidate is None:
            return None
        return CandidateStatus(candidate.composition.generations(candidate.waiting), candidate.rounds, None, ())

    def _wait_for_verdicts(self) -> None:
        """Wait until no verifier runs, and each verdict is handled. Called inside a verifier, it does not wait."""
        waited: set[Attempt] = set()
        while attempts := self._running_attempts() - waited:
            if self.is_inside():
                return
            attempt = attempts.pop()
            attempt.wait()
            waited.add(attempt)
            self._settle()

    def _running_attempts(self) -> set[Attempt]:
        """Return the running attempts, after the transaction of a thread that handles a verdict just now."""
        running: set[Attempt] = set()
        self._transactions.run(lambda: running.update(self.verification.attempts()))
        return running

    def pause(self) -> None:
        """Stop all scheduled looks, and drop the candidates; the next look makes new ones."""
        self.paused = True
        self._again.cancel()
        self._retry.cancel()
        self._transactions.run_within(1.0, self._drop_candidates)  # a validator that hangs must not block close()

    def _drop_candidates(self) -> None:
        self._unlooked = self._unlooked or bool(self.verification.candidates)
        self._planned = None
        self.verification.drop()

    def unpause(self) -> None:
        """Undo `pause`."""
        self.paused = False

    # Transactions

    def in_transaction(self) -> bool:
        """Whether the caller runs inside a look, as a validator does, so that it must not wait for one."""
        return self._transactions.is_inside()

    def is_inside(self) -> bool:
        """Whether the caller is a validator or a verifier, so that it must not wait for what waits for it."""
        return (
            self._transactions.is_inside()
            or self.verification.is_inside()
            or any(each.is_inside() for each in self.verifiers)
        )

    def _look(self, retry: bool) -> float | None:
        """Read, then run or share a transaction. Return the seconds until the next look, or None."""
        if self._transactions.is_inside():
            return 0.01
        return self._transactions.enter(lambda: self._read_and_look(retry))

    def _read_and_look(self, retry: bool) -> float | None:
        # Outside the transaction: a file call that does not return blocks this caller, and no other look.
        self.reader.refresh(self.applied.feeds)
        self._transactions.run(self._request(again=retry, insist=retry, hint=False))
        return self._delay

    def _request(self, *, again: bool, insist: bool, hint: bool) -> Callable[[], None]:
        """Return a transaction that processes what was read, unless another one that begins from now on does so."""
        transactions = self._transactions  # a child that is forked meanwhile has others, with other numbers
        number = transactions.draw()

        def update() -> None:
            wanted = not (hint and self.paused)  # a late hint to closed settings is ignored
            if wanted and not transactions.is_served(number, insist=insist):
                newest = transactions.newest(number)
                try:
                    self._delay = self._update(again, insist)
                except BaseException as error:
                    self.cut_short = summarize(error)
                    raise
                self.cut_short = None
                transactions.serve(newest, insist=insist)

        return partial(self._reporting, update)

    def _reporting(self, work: Callable[[], None]) -> None:
        """Do the work of a transaction, and publish its results before it ends.

        So versions are published in order, and everything is published when a shared transaction ends.
        """
        try:
            work()
        finally:
            self._report()

    def _report(self) -> None:
        """Publish the results of a transaction: rejections, the version, then the ends of rejections."""
        found = [*self._unread, *self._invalid, *self.verification.rejections()]
        self.rejections.update(found, self.verification.undecided())
        self.in_use.complete()
        while self._unpublished:
            self.publish(self._unpublished[0])
            with contextlib.suppress(IndexError):  # a child that was forked in a validator has published it meanwhile
                self._unpublished.pop(0)
        self.publish(self.version)
        self.rejections.publish_rejected(self.post)
        self.rejections.publish_recovered(self._recover)
        self._schedule()

    def _deliver(self) -> None:
        """Deliver what was published, after the transaction."""
        self.deliver()

    def _recover(self, after: Rejected) -> None:
        generations = named(each.revision for each in self.applied.feeds)
        self.recover(Recovered(self.version.number, generations, _clock.now(), after))

    def _schedule(self) -> None:
        """Schedule the next round of verification."""
        due = self.verification.schedule(self.rejections)
        self._retry.cancel()
        if due is not None:
            self._later(self._retry, max(0.0, due - _clock.monotonic()))

    def _later(self, call: DelayedCall, delay: float) -> None:
        """Schedule a delayed call, unless all are stopped; another thread may call `pause` in between."""
        if not self.paused:
            call.later(delay)
            if self.paused:
                call.cancel()

    def _update(self, again: bool, insist: bool) -> float | None:
        began = _clock.monotonic()
        result = self.reader.look(self.applied.feeds)
        self._unread = result.rejections
        self._busy_too_long = result.busy_too_long
        self._busy = self._with_what_waits_for(result.waiting)
        newest = Composition(result.feeds, self._overrides).taking(self._busy, Composition.of(self.applied))
        self._unlooked = self._forks_again(newest)
        if self._unlooked:
            return result.delay
        if (again and not result.waiting) or not self._is_planned(newest):
            self._planned = None  # first, because a signal handler may raise in between
            self._newest = newest
            self._plan(began)
            if insist:
                self.verification.begin_rounds()
        self.verification.begin_rounds(due=began)
        self._proceed(began)
        self._inherited = None
        return result.delay

    def _forks_again(self, newest: Composition) -> bool:
        """Return whether to decide on a composition would fork again; see `renew`."""
        again = self._forks > 1 or (self._inherited is not None and newest.has_content_of(self._inherited))
        return again and bool(newest.changed_from(Composition.of(self.applied)))

    def _with_what_waits_for(self, busy: Iterable[int]) -> frozenset[int]:
        """Return the volumes that are being written, and the parts that wait together with them.

        Their content is unknown. Until it is known, nothing of them is applied, and their rejections and candidates
        stay.
        """
        parts = frozenset(busy)
        if not parts:
            return parts
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
        """Whether nothing has changed since the last plan."""
        planned = self._planned
        if planned is None or newest.changed_from(self._newest):
            return False
        applied, verifiers = planned
        return applied is self.applied and verifiers == self.verifiers

    def _plan(self, began: float) -> None:
        """Apply what can be applied now, and reject or verify the rest."""
        self._planned = None
        trials, newest = self._trials(), self._newest
        free = trials.isolate(newest, verified=True)
        if free.invalid and (watched := all_parts(free.watched) | trials.watched_alone(newest, free.invalid)):
            # Parts that are invalid together with unverified content may be valid without it.
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
        """Apply and reject according to the verdicts; plan again after each application."""
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
        """Handle a verdict. Called on the thread of the attempt, or on the scheduler thread after a timeout."""
        if by_time:
            self._out_of_time.later(0.0)
        else:
            self._settle()

    def _settle(self) -> None:
        """Apply and reject according to the verdicts."""
        settle = partial(self._reporting, lambda: self._proceed(_clock.monotonic()))
        self._transactions.enter(lambda: self._transactions.run(settle))

    def _attend(self) -> None:
        """Begin the rounds that are due, and apply and reject. For the scheduler thread, which does not wait."""

        def attend() -> None:
            self.verification.begin_rounds(due=_clock.monotonic())
            self._proceed(_clock.monotonic())

        self._transactions.enter(lambda: self._transactions.run_now(partial(self._reporting, attend)))

    # Overrides

    def override(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        """Replace the overrides, and look."""
        self._transactions.run(partial(self._override, change))
        self.reload(wait=True)

    def _override(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        self._overrides = change(self._overrides)

    def revert(self, feeds: Feeds) -> None:
        """Go back to earlier content of the volumes; their present content was valid only under an override.

        That content was in use already, so no verifier is called.
        """
        revert = partial(self._reporting, partial(self._revert, feeds))
        self._transactions.enter(lambda: self._transactions.run(revert))

    def _revert(self, feeds: Feeds) -> None:
        began = _clock.monotonic()
        loaded = self.loader.load(feeds, self.applied, self._overrides)
        if isinstance(loaded, Loaded):
            self.in_use.replace(loaded, began)
            self._plan(began)
            self._proceed(began)
