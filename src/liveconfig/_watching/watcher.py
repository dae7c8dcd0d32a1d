"""The process's watcher: it wakes registered objects on a change, and at each re-check.

An event is a hint and nothing more; the re-check is the guarantee. It knows nothing of settings.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from liveconfig import _clock
from liveconfig._volumes import Fingerprint, take_fingerprint
from liveconfig._watching.fork import renew_in_child
from liveconfig._watching.observer import ObservedDirectories
from liveconfig._watching.scheduler import Timer, Worker

POLLING = 2.0
"""Seconds between re-checks where events cannot be had."""

Mode = Literal["inotify", "polling", "off"]
Fingerprints = Mapping[str, Fingerprint | None]


class Watching(Protocol):
    """Who is woken."""

    def look(self) -> object:
        """A volume may have changed."""

    def recheck(self, seen: Fingerprints) -> object:
        """A re-check is due: look, whatever was heard.

        Args:
            seen: What stands at each path, seen after it was watched; empty where that was not so.
        """


class Registration:
    """One who is woken: weakly held, so that being watched keeps nobody alive, unless ``anchor`` says so."""

    def __init__(self, watching: Watching, paths: Iterable[str], resync: float) -> None:
        self._watching = weakref.ref(watching)
        self.paths = tuple(paths)
        self.resync = resync
        self.timer: Timer | None = None
        self.anchor: Watching | None = None
        self.finalizer: weakref.finalize[..., Watching] | None = None

    def look(self) -> None:
        """Pass a hint on."""
        watching = self._watching()
        if watching is not None:
            watching.look()

    def recheck(self, seen: Fingerprints) -> None:
        """Pass a re-check on."""
        watching = self._watching()
        if watching is not None:
            watching.recheck(seen)


class Watcher:
    """All that is watched in one process: one set of watches, one worker, aligned re-checks."""

    def __init__(self) -> None:
        self.worker = Worker()
        self._lock = threading.RLock()
        self._watches = ObservedDirectories(self._heard)
        self._registrations: list[Registration] = []
        self._hinted: set[str] = set()

    def add(self, watching: Watching, paths: Iterable[str], resync: float) -> Registration:
        """Wake ``watching`` from now on, until `remove` or until nobody refers to it any more."""
        renew_in_child(self, first=True)  # or settings that resume take it for one that polls
        registration = Registration(watching, paths, resync)
        registration.finalizer = weakref.finalize(watching, self._forgotten, registration)
        registration.finalizer.atexit = False
        with self._lock:
            self.worker.keep()
            self._registrations.append(registration)
            self._watches.ensure(registration.paths)
        self._schedule(registration)
        return registration

    def remove(self, registration: Registration) -> None:
        """Wake it no more. Waits for the threads to end if it was the last one. Harmless when called twice."""
        with self._lock:
            if registration not in self._registrations:
                return
            self._registrations.remove(registration)
            if registration.finalizer is not None:
                registration.finalizer.detach()
            if registration.timer is not None:
                self.worker.cancel(registration.timer)
            self._watches.keep_only({path for other in self._registrations for path in other.paths})
        self.worker.release()
        self.worker.join(1.0)

    def attend(self, registration: Registration) -> None:
        """Watch what has appeared meanwhile, and look again: watch first, then read."""
        with self._lock:
            paths = registration.paths
            heard = all(path in self._watches or not os.path.isdir(path) for path in paths)
            if heard or registration not in self._registrations:
                return
            with contextlib.suppress(Exception):  # watchdog's
                self._watches.ensure(paths)
        self._schedule(registration)
        self.worker.post(registration.look)

    def mode(self, registration: Registration | None) -> Mode:
        """How ``registration`` is woken now."""
        with self._lock:  # or one that is being removed looks as if its watches could not be had
            if registration is None or registration not in self._registrations:
                return "off"
            return "polling" if self._watches.refused_any(registration.paths) else "inotify"

    def is_alive(self) -> bool:
        """Whether the threads that should run do. One that could not be had when it was wanted is tried once more."""
        if self._registrations and not self.worker.is_alive():
            self.worker.post(lambda: None)
        return self.worker.is_alive() and self._watches.is_alive()

    def _forgotten(self, registration: Registration) -> None:
        # Called by the garbage collector, in any thread and under any lock (that of threading.enumerate, without which
        # no thread starts): only leave a note. The worker runs, the registration itself keeps it.
        self.worker.note(lambda: self.remove(registration))

    # Re-checks

    def _schedule(self, registration: Registration) -> None:
        """The next re-check, at a multiple of its period: those of all settings fall together."""
        period = registration.resync
        if self.mode(registration) == "polling":
            period = min(period, POLLING)
        now = _clock.monotonic()
        due = (math.floor(now / period) + 1) * period
        with self._lock:
            if registration not in self._registrations:
                return  # removed meanwhile: a timer would keep the worker alive
            if registration.timer is not None:
                self.worker.cancel(registration.timer)
            registration.timer = self.worker.call_later(due - now, lambda: self._recheck(registration))

    def _recheck(self, registration: Registration) -> None:
        seen: Fingerprints = {path: take_fingerprint(path) for path in registration.paths}
        heard = False
        with self._lock:
            if registration not in self._registrations:
                return
            with contextlib.suppress(Exception):  # watchdog's; without a watch, the re-check itself goes on
                heard = self._watches.ensure_seen(seen)
        try:
            registration.recheck(seen if heard else {})
        finally:
            self._schedule(registration)

    # Hints

    def _heard(self, path: str) -> None:
        """On a thread of watchdog: no lock here."""
        if path not in self._hinted:
            self._hinted.add(path)
            self.worker.post(lambda: self._look(path))

    def _look(self, path: str) -> None:
        self._hinted.discard(path)
        for registration in list(self._registrations):
            if path in registration.paths:
                registration.look()

    # Forks

    def renew(self) -> None:
        """In a forked child: forget what is the parent's."""
        self._lock = threading.RLock()
        self._hinted = set()
        self._watches.forget_in_child()
        self.worker.renew()

    def resume(self) -> None:
        """Watch again what the parent watches, and look at once: the swap may have been missed in between."""
        for registration in self._registrations:
            self.worker.keep()
            with contextlib.suppress(Exception):  # watchdog's; the re-check tries again
                self._watches.ensure(registration.paths)
            self._schedule(registration)
            self.worker.post(registration.look)


process_watcher = Watcher()
"""The process's watcher: the one place where state of the whole process is held."""
