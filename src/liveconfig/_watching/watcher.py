"""The process's watcher: it wakes registered objects on a change, and at each re-check.

An event is a hint and nothing more; the re-check is the guarantee. It knows nothing of settings.
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
from liveconfig._volumes import Fingerprint, file_calls, take_fingerprint
from liveconfig._watching.directories import ObservedDirectories
from liveconfig._watching.fork import renew_in_child
from liveconfig._watching.scheduler import Scheduler, Timer

POLLING = 2.0
"""Seconds between re-checks where events cannot be had."""

BOUND = 1.0
"""Seconds for which a caller waits at most for the scheduler thread."""

Mode = Literal["inotify", "polling", "off"]
Fingerprints = Mapping[str, Fingerprint | None]

_log = logging.getLogger("liveconfig")


class Watching(Protocol):
    """An object that is woken, on the scheduler thread."""

    def look(self) -> object:
        """A volume may have changed."""

    def recheck(self, seen: Fingerprints) -> object:
        """A re-check is due: look, whatever was reported.

        Args:
            seen: What stands at each path, seen after it was watched; empty where that was not so.
        """

    def overdue(self) -> object:
        """A look or a re-check has been running for 30 seconds."""


class Registration:
    """One object that is woken: held weakly, so that being watched keeps nobody alive, unless ``anchor`` says so."""

    def __init__(self, watching: Watching, paths: Iterable[str], resync: float) -> None:
        self._watching = weakref.ref(watching)
        self.paths = tuple(paths)
        self.resync = resync
        self.anchor: Watching | None = None
        self.finalizer: weakref.finalize[..., Watching] | None = None
        self.hinted = False  # a look is waiting
        self.rechecked = True  # False while a re-check is waiting

    def look(self) -> None:
        """Pass a hint on."""
        self.hinted = False
        watching = self._watching()
        if watching is not None:
            watching.look()

    def recheck(self, seen: Fingerprints) -> None:
        """Pass a re-check on."""
        self.rechecked = True
        watching = self._watching()
        if watching is not None:
            watching.recheck(seen)

    def overdue(self) -> None:
        """Pass on that one of them does not return."""
        watching = self._watching()
        if watching is not None:
            watching.overdue()


class _Place:
    """One path that is watched, as it was seen last.

    Attributes:
        seen: What stands there.
        reported: Whether its watch reported all the time what happens there.
        prober: The thread that looks at it now.
        growing: Whether it waits for that, because there may be more to watch.
    """

    __slots__ = ("growing", "prober", "reported", "seen")

    def __init__(self) -> None:
        self.seen: Fingerprint | None = None
        self.reported = False
        self.prober: threading.Thread | None = None
        self.growing = False


class Watcher:
    """All that is watched in one process: one observer, one scheduler, aligned re-checks."""

    def __init__(self) -> None:
        self.scheduler = Scheduler()
        self._observer = ObservedDirectories(self._hint, self._grow, self._lost)
        self._registrations: list[Registration] = []
        self._places: dict[str, _Place] = {}
        self._rounds: dict[float, Timer] = {}  # the next re-check by its period
        self._lock = threading.RLock()

    def add(self, watching: Watching, paths: Iterable[str], resync: float) -> Registration:
        """Wake ``watching`` from now on, until `remove` or until nobody refers to it any more."""
        renew_in_child(self, first=True)  # or settings that resume take it for one that polls
        registration = Registration(watching, paths, resync)
        registration.finalizer = weakref.finalize(watching, self._collected, registration)
        registration.finalizer.atexit = False
        self.scheduler.keep(registration)
        self._registrations.append(registration)
        self._on_scheduler(partial(self._begin, registration))
        return registration

    def remove(self, registration: Registration) -> None:
        """Wake it no more. Waits for the threads to end if it was the last one. Harmless when called twice."""
        if not self.scheduler.is_kept_by(registration):
            return
        if registration in self._registrations:  # else a signal handler raised in the middle of an earlier call
            self._registrations.remove(registration)
        if registration.finalizer is not None:
            registration.finalizer.detach()
        self._on_scheduler(self._tidy)
        self.scheduler.release(registration)
        if not self._observer.inside():
            self.scheduler.join(BOUND)

    def attend(self, registration: Registration) -> None:
        """Watch what has appeared meanwhile, and look again: watch first, then read."""
        if any(self._observer.is_unwatched(path) for path in registration.paths):
            self.scheduler.post(partial(self._attend, registration), overdue=registration.overdue)

    def mode(self, registration: Registration | None) -> Mode:
        """How ``registration`` is woken now."""
        if registration is None or registration not in self._registrations:
            return "off"
        return "inotify" if self.refusal(registration) is None else "polling"

    def refusal(self, registration: Registration) -> str | None:
        """Why it is woken by polling; None if it is not."""
        return self._observer.refusal(registration.paths)

    def is_alive(self) -> bool:
        """Whether the threads that should run do, on a descriptor that is ours. What does not is brought back."""
        scheduled, observed = self.scheduler.is_alive() and self._rounds_are_due(), self._observer.is_alive()
        if self._registrations and not (scheduled and observed):
            self.scheduler.post(self._schedule if observed else self._watch_again)
        return scheduled and observed

    def _collected(self, registration: Registration) -> None:
        # Called by the garbage collector, in any thread and under any lock (that of threading.enumerate, without which
        # no thread starts): only leave a note. The scheduler runs, the registration itself keeps it.
        self.scheduler.note(partial(self.remove, registration))

    def _on_scheduler(self, call: Callable[[], object]) -> None:
        """Have something done by the scheduler thread, and wait for that a moment."""
        if sys.is_finalizing():
            return  # all other threads stand still, those of watchdog too
        if not self.scheduler.is_alive():  # no thread was to be had
            call()
            return
        done = threading.Event()

        def do() -> None:
            try:
                call()
            finally:
                done.set()

        self.scheduler.post(do)
        if not self.scheduler.inside() and not self._observer.inside():
            done.wait(BOUND)

    # On the scheduler thread

    def _begin(self, registration: Registration) -> None:
        for path in registration.paths:
            self._probe(path)
        self._schedule()

    def _attend(self, registration: Registration) -> None:
        self._begin(registration)
        registration.look()

    def _tidy(self) -> None:
        """Drop what nobody watches any more."""
        paths = self._wanted()
        self._places = {path: place for path, place in self._places.items() if path in paths}
        if not self._observer.keep_only(paths):
            self.scheduler.call_later(BOUND, self._tidy)
        if not self._registrations:
            for timer in self._rounds.values():
                self.scheduler.cancel(timer)

    def _wanted(self) -> set[str]:
        return {path for registration in self._registrations for path in registration.paths}

    def _probe(self, path: str) -> None:
        """See what stands at a path, and watch it."""
        if path not in self._wanted():
            return  # a re-check was under way when the last one that watches it was removed
        known, place = path in self._places, self._places.setdefault(path, _Place())
        place.seen, place.reported = None, False
        if place.prober is not None and place.prober.is_alive():  # a file call of it may never return
            return
        place.prober = threading.current_thread()
        with contextlib.suppress(Exception):  # watchdog's too: the re-check goes on without it
            file_calls.run(path, lambda: self._watch(path, place, known))
        place.prober = None
        if path not in self._wanted():
            self._tidy()  # it was removed meanwhile

    def _watch(self, path: str, place: _Place, known: bool) -> None:
        seen = take_fingerprint(path)
        place.reported = self._observer.ensure(path, seen)
        place.seen = seen
        if known and not place.reported and self._observer.is_watched(path):
            self._hint(path)  # to those whose re-check is not due: a swap may have come before the watch

    def _schedule(self) -> None:
        """See to it that the next re-check of every object is due."""
        for period in {self._period(registration) for registration in self._registrations}:
            self._schedule_round(period)

    def _period(self, registration: Registration) -> float:
        resync = registration.resync
        return resync if self.refusal(registration) is None else min(resync, POLLING)

    def _schedule_round(self, period: float) -> None:
        """The next re-check, at a multiple of its period: those of all settings fall together."""
        with self._lock:
            if self._is_pending(period):
                return
            due = (math.floor(_clock.monotonic() / period) + 1) * period
            timer = self._rounds[period] = self.scheduler.call_at(due, lambda: self._round(period, timer), slack=period)

    def _is_pending(self, period: float) -> bool:
        timer = self._rounds.get(period)
        return timer is not None and timer.job is not None

    def _rounds_are_due(self) -> bool:
        return all(self._is_pending(self._period(registration)) for registration in list(self._registrations))

    def _round(self, period: float, timer: Timer) -> None:
        """Re-check all objects that have this period: see every path once, then tell each object."""
        if self._rounds.get(period) is not timer:
            return
        due = [registration for registration in self._registrations if self._period(registration) == period]
        if due:
            self._schedule_round(period)
        for path in dict.fromkeys(path for registration in due for path in registration.paths):
            self.scheduler.defer(partial(self._probe, path))
        for registration in due:
            if registration.rechecked:
                registration.rechecked = False
                self.scheduler.defer(partial(self._recheck, registration), overdue=registration.overdue)
        self.scheduler.defer(self._schedule)  # inotify may have been had again, or not any more

    def _recheck(self, registration: Registration) -> None:
        places = {path: self._places.get(path) for path in registration.paths}
        reported = all(place is not None and place.reported for place in places.values())
        registration.recheck({path: place.seen for path, place in places.items() if place} if reported else {})

    # Hints

    def _hint(self, path: str) -> None:
        """Something happened at a path. On a thread of watchdog: no lock here."""
        for registration in list(self._registrations):
            if path in registration.paths and not registration.hinted:
                registration.hinted = True
                self.scheduler.post(registration.look, overdue=registration.overdue)

    def _grow(self, path: str) -> None:
        """There may be more to watch at a path. On a thread of watchdog: no lock here."""
        place = self._places.get(path)
        if place is not None and not place.growing:
            place.growing = True
            self.scheduler.post(partial(self._regrow, path, place))

    def _regrow(self, path: str, place: _Place) -> None:
        place.growing = False
        self._probe(path)
        self._hint(path)

    def _lost(self) -> None:
        """The inotify descriptor is gone. On a thread of watchdog."""
        self.scheduler.post(self._watch_again)

    def _watch_again(self) -> None:
        self._begin_all()
        self._look_all()

    def _look_all(self) -> None:
        for path in {path for registration in list(self._registrations) for path in registration.paths}:
            self._hint(path)

    # Forks

    def renew(self) -> None:
        """In a forked child: forget what is the parent's."""
        self._lock = threading.RLock()
        self._rounds, self._places = {}, {}
        for registration in self._registrations:
            registration.hinted, registration.rechecked = False, True
        self._observer.forget_in_child()
        self.scheduler.renew()

    def resume(self) -> None:
        """Watch again what the parent watches, and look at once: the swap may have been missed in between."""
        for registration in self._registrations:
            self.scheduler.keep(registration)
        if self._registrations:
            self._on_scheduler(self._begin_all)
            self.scheduler.post(self._look_all)

    def _begin_all(self) -> None:
        for registration in list(self._registrations):
            self._begin(registration)


process_watcher = Watcher()
"""The process's watcher: the one place where state of the whole process is held."""
