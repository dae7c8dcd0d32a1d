"""The watcher of the process: it wakes registered objects at a change, and at each re-check.

An event is only a hint; the re-check is the guarantee. The watcher knows nothing about settings.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal, Protocol

from liveconfig import _clock
from liveconfig._volumes import Fingerprint, take_fingerprint
from liveconfig._watching.directories import ObservedDirectories
from liveconfig._watching.fork import renew_in_child
from liveconfig._watching.scheduler import Scheduler, Timer

BOUND = 1.0
"""The largest number of seconds that a caller waits for the scheduler thread."""

POLLING = 2.0
"""Seconds between the checks of a volume that inotify does not watch."""

Mode = Literal["inotify", "polling", "off"]
Fingerprints = Mapping[str, Fingerprint | None]

_log = logging.getLogger("liveconfig")


def check_period(resync: float, *, is_polling: bool) -> float:
    """Return the seconds between two checks of a volume.

    Args:
        resync: The period of the re-checks, from ``model_config``.
        is_polling: Whether inotify does not watch the volume.
    """
    return min(resync, POLLING) if is_polling else resync


class Watching(Protocol):
    """An object that the watcher wakes, on the scheduler thread."""

    def look(self) -> object:
        """Look at the volumes, because one may have changed."""

    def recheck(self, seen: Fingerprints) -> object:
        """Look at the volumes, whatever was reported, because a re-check is due.

        Args:
            seen: The fingerprint of each path, taken while it was watched; empty if one was not watched.
        """

    def overdue(self) -> object:
        """Report that a look or a re-check has been running for 30 seconds."""


class Registration:
    """The registration of one object, which is held weakly, except while ``anchor`` refers to it."""

    def __init__(self, watching: Watching, paths: Iterable[str], resync: float) -> None:
        self._watching = weakref.ref(watching)
        self.paths = tuple(paths)
        self.resync = resync
        self.anchor: Watching | None = None
        self.finalizer: weakref.finalize[..., Watching] | None = None
        self.hinted = False  # a look is scheduled
        self.rechecked = True  # False while a re-check is scheduled
        self.complete = False  # every step of `Watcher.register` was made, and none of `Watcher.remove`

    def when_collected(self, call: Callable[[Registration], object]) -> None:
        """Call a function with the registration when the object is collected, unless the finalizer is detached."""
        watching = self._watching()
        if watching is not None and (self.finalizer is None or not self.finalizer.alive):
            self.finalizer = weakref.finalize(watching, call, self)
            self.finalizer.atexit = False

    def look(self) -> None:
        """Call `look` of the object."""
        self.hinted = False
        watching = self._watching()
        if watching is not None:
            watching.look()

    def recheck(self, seen: Fingerprints) -> None:
        """Call `recheck` of the object."""
        self.rechecked = True
        watching = self._watching()
        if watching is not None:
            watching.recheck(seen)

    def overdue(self) -> None:
        """Call `overdue` of the object."""
        watching = self._watching()
        if watching is not None:
            watching.overdue()


class _Place:
    """One watched path, and its last check.

    Attributes:
        seen: Its fingerprint.
        reported: Whether its watch reported without interruption.
        prober: The thread that checks it now.
        growing: Whether it waits for that, because there may be more to watch.
    """

    __slots__ = ("growing", "prober", "reported", "seen")

    def __init__(self) -> None:
        self.seen: Fingerprint | None = None
        self.reported = False
        self.prober: threading.Thread | None = None
        self.growing = False

    def is_probed(self) -> bool:
        """Whether a thread checks it now. Its file call may never return."""
        return self.prober is not None and self.prober.is_alive()


class Watcher:
    """The watches of one process: one observer, one scheduler, aligned re-checks."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(self._interrupted)
        self._observer = ObservedDirectories(self._hint, self._grow, self._lost)
        self._registrations: list[Registration] = []
        self._places: dict[str, _Place] = {}
        self._rounds: dict[float, Timer] = {}  # the next re-check by its period
        self._lock = threading.RLock()

    def add(self, watching: Watching, paths: Iterable[str], resync: float) -> Registration:
        """Register an object, until `remove` or until it is collected."""
        registration = Registration(watching, paths, resync)
        self.register(registration)
        return registration

    def register(self, registration: Registration) -> None:
        """Register an object, or complete what a signal handler interrupted in this call or in `remove`."""
        if registration.complete:
            return
        renew_in_child(self, first=True)  # before the registration is visible, so that it does not count as polling
        registration.when_collected(self._collected)
        self.scheduler.keep(registration)
        if registration not in self._registrations:
            self._registrations.append(registration)
        self._on_scheduler(partial(self._begin, registration))
        registration.complete = True

    def remove(self, registration: Registration) -> None:
        """Remove a registration; wait for the threads to end if it was the last one. Calling it twice is harmless."""
        if not (self.scheduler.is_kept_by(registration) or registration in self._registrations):
            self.scheduler.release(registration)  # a signal handler may have interrupted an earlier call before its end
            return
        registration.complete = False
        with contextlib.suppress(ValueError):  # a signal handler interrupted an earlier call
            self._registrations.remove(registration)
        if registration.finalizer is not None:
            registration.finalizer.detach()
        self._on_scheduler(self._tidy)
        self.scheduler.release(registration)
        if not self._observer.inside():
            self.scheduler.join(BOUND)

    def attend(self, registration: Registration) -> None:
        """Watch paths that have appeared, and then look again."""
        if any(self._observer.is_unwatched(path) for path in registration.paths):
            self.scheduler.post(partial(self._attend, registration), overdue=registration.overdue)

    def mode(self, registration: Registration | None) -> Mode:
        """Return how a registration is woken now."""
        if registration is None or registration not in self._registrations:
            return "off"
        return "inotify" if self.refusal(registration) is None else "polling"

    def refusal(self, registration: Registration) -> str | None:
        """Return why a registration is woken by polling; None if it is not."""
        return self._observer.refusal(registration.paths)

    def revive(self) -> bool:
        """Start again what should run and does not. Return whether all of it ran, on a descriptor that is ours."""
        scheduled, observed = self.scheduler.is_alive() and self._rounds_are_due(), self._observer.is_alive()
        if self._registrations and not (scheduled and observed):
            self.scheduler.post(self._schedule if observed else self._watch_again)
        return scheduled and observed

    def _collected(self, registration: Registration) -> None:
        # Called by the garbage collector, on any thread and under any lock, even that of threading.enumerate, which the
        # start of a thread needs. Only `note` is safe here. The scheduler runs, because the registration keeps it.
        self.scheduler.note(partial(self.remove, registration))

    def _on_scheduler(self, call: Callable[[], object]) -> None:
        """Run a call on the scheduler thread, and wait for it for a moment."""
        if sys.is_finalizing():
            return  # all other threads have stopped, including those of watchdog
        if not self.scheduler.is_alive():  # no thread could be started
            call()
            return
        running = (
            threading.Lock()
        )  # not an event: a signal handler that raises in the middle of `wait` leaves it locked
        running.acquire()

        def do() -> None:
            try:
                call()
            finally:
                running.release()

        self.scheduler.post(do)
        if not self.scheduler.inside() and not self._observer.inside():
            running.acquire(timeout=BOUND)

    # On the scheduler thread

    def _begin(self, registration: Registration) -> None:
        for path in registration.paths:
            self._probe(path)
        self._schedule()

    def _attend(self, registration: Registration) -> None:
        self._begin(registration)
        registration.look()

    def _tidy(self) -> None:
        """Drop the paths that no registration needs."""
        places = list(self._places)  # first: a path that is added after this line stays
        for path in set(places) - self._wanted():
            self._places.pop(path, None)
        if not self._observer.keep_only(self._wanted):
            self.scheduler.call_later(BOUND, self._tidy)
        with self._lock:  # a registration that is added meanwhile schedules its re-check after this
            if not self._registrations:
                for timer in list(self._rounds.values()):
                    self.scheduler.cancel(timer)

    def _wanted(self) -> set[str]:
        return {path for registration in list(self._registrations) for path in registration.paths}

    def _probe(self, path: str, *, reading: bool | None = None) -> None:
        """Check a path, and watch it.

        Args:
            path: The path.
            reading: Whether the reader of the events was found to run; None to find out.
        """
        if not self._is_wanted(path):
            return  # its last registration was removed during a re-check
        known, place = path in self._places, self._places.setdefault(path, _Place())
        place.seen, place.reported = None, False
        if place.is_probed():
            return
        try:
            place.prober = threading.current_thread()
            with contextlib.suppress(Exception):  # also errors of watchdog: the re-check continues without this path
                self._watch(path, place, known, reading)
        finally:  # also if other code raises an exception in this thread
            place.prober = None
            if place.growing:  # an event came meanwhile, for what this check may not have seen
                self.scheduler.post(partial(self._regrow, path, place))
        if not self._is_wanted(path):
            self._tidy()  # it was removed meanwhile

    def _is_wanted(self, path: str) -> bool:
        return any(path in registration.paths for registration in list(self._registrations))

    def _watch(self, path: str, place: _Place, known: bool, reading: bool | None) -> None:
        seen = take_fingerprint(path)
        place.reported = self._observer.ensure(path, seen, reading)
        place.seen = seen
        if place.reported or not self._observer.is_watched(path):
            return
        if _directory(take_fingerprint(path)) != _directory(seen):
            self._grow(path)  # a link on the way was turned before it was watched
        if known:
            self._hint(path)  # for registrations whose re-check is not due: a swap may have happened before the watch

    def _schedule(self) -> None:
        """Schedule the next re-check of every registration."""
        for period in {self._period(registration) for registration in list(self._registrations)}:
            self._schedule_round(period)

    def _period(self, registration: Registration) -> float:
        return check_period(registration.resync, is_polling=self.refusal(registration) is not None)

    def _schedule_round(self, period: float) -> None:
        """Schedule a re-check at a multiple of its period, so that all settings are re-checked together."""
        with self._lock:
            if self._is_pending(period):
                return
            due = (math.floor(_clock.monotonic() / period) + 1) * period
            timer = self._rounds[period] = self.scheduler.call_at(due, partial(self._round, period), slack=period)
            if not self._registrations:  # the last one was removed meanwhile, by a thread that took over
                self.scheduler.cancel(timer)

    def _is_pending(self, period: float) -> bool:
        timer = self._rounds.get(period)
        return timer is not None and timer.job is not None

    def _rounds_are_due(self) -> bool:
        return all(self._is_pending(self._period(registration)) for registration in list(self._registrations))

    def _round(self, period: float) -> None:
        """Re-check all registrations with this period: check every path once, then call each object."""
        due = [registration for registration in list(self._registrations) if self._period(registration) == period]
        if due:
            self._schedule_round(period)
        reading = self._observer.is_alive()  # once for all paths; each re-check asks again, in `revive`
        for path in dict.fromkeys(path for registration in due for path in registration.paths):
            self.scheduler.defer(partial(self._probe, path, reading=reading))
        for registration in due:
            if registration.rechecked:
                registration.rechecked = False
                self.scheduler.defer(partial(self._recheck, registration), overdue=registration.overdue)
        self.scheduler.defer(self._schedule)  # inotify may have become available or unavailable

    def _interrupted(self) -> None:
        """Reset the pending looks and re-checks, because a call of the scheduler was interrupted or lost."""
        for registration in list(self._registrations):
            registration.hinted, registration.rechecked = False, True
        self._schedule()

    def _recheck(self, registration: Registration) -> None:
        places = {path: self._places.get(path) for path in registration.paths}
        reported = all(place is not None and place.reported for place in places.values())
        registration.recheck({path: place.seen for path, place in places.items() if place} if reported else {})

    # Hints

    def _hint(self, path: str) -> None:
        """Schedule a look after an event at a path. Runs on a thread of watchdog: no lock here."""
        for registration in list(self._registrations):
            if path in registration.paths and not registration.hinted:
                registration.hinted = True
                self.scheduler.post(registration.look, overdue=registration.overdue)

    def _grow(self, path: str) -> None:
        """Schedule a check for new folders at a path. Runs on a thread of watchdog: no lock here."""
        place = self._places.get(path)
        if place is not None and not place.growing:
            place.growing = True
            self.scheduler.post(partial(self._regrow, path, place))

    def _regrow(self, path: str, place: _Place) -> None:
        if not place.growing or place.is_probed():  # the running check does it at its end
            return
        place.growing = False
        self._probe(path)
        self._hint(path)

    def _lost(self) -> None:
        """Watch all paths again after the loss of the inotify descriptor. Runs on a thread of watchdog."""
        self.scheduler.post(self._watch_again)

    def _watch_again(self) -> None:
        self._begin_all()
        self._look_all()

    def _look_all(self) -> None:
        for path in {path for registration in list(self._registrations) for path in registration.paths}:
            self._hint(path)

    # Forks

    def renew(self) -> None:
        """In a forked child: forget the state of the parent."""
        self._lock = threading.RLock()
        self._rounds, self._places = {}, {}
        for registration in self._registrations:
            registration.hinted, registration.rechecked = False, True
        self._observer.forget_in_child()
        self.scheduler.renew()

    def resume(self) -> None:
        """Watch the paths of the parent, and look at once, because a swap may have been missed."""
        for registration in self._registrations:
            self.scheduler.keep(registration)
        if self._registrations:
            self._on_scheduler(self._begin_all)
            self.scheduler.post(self._look_all)

    def _begin_all(self) -> None:
        for registration in list(self._registrations):
            self._begin(registration)


def _directory(seen: Fingerprint | None) -> tuple[int, int, bool] | None:
    return None if seen is None else seen.directory


process_watcher = Watcher()
"""The watcher of the process."""
