"""Watched directories: the only module that uses watchdog."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer as PlatformObserver
from watchdog.observers.api import BaseObserver, EventEmitter
from watchdog.observers.polling import PollingObserver

from liveconfig._volumes import Fingerprint, take_fingerprint

_SWAP: list[type[FileSystemEvent]] = [FileMovedEvent]
_ANY: list[type[FileSystemEvent]] = [
    *_SWAP,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]

# Where the platform has no events, watchdog offers to read every directory each second. Our re-check is cheaper.
_EVENTS = PlatformObserver is not PollingObserver

_MOVED_FROM = 0x40  # inotify(7)


def _no_false_alarm(record: logging.LogRecord) -> bool:
    """Keep what watchdog calls an error when it is stopped while an event arrives out of the log of the user."""
    return "when the thread is inactive" not in record.getMessage()


class _Inject(BaseObserver):
    """Stands behind the platform's observer, and gives watchdog's base a narrower emitter (its documented seam).

    Two things are narrower. An emitter passes its events on at once, without the observer's own thread: some 100 µs
    of 200. And it does not ask the kernel for the first half of a rename, IN_MOVED_FROM: an emitter that wakes between
    the two halves sleeps for half a second, in the hope of pairing them.
    """

    heard: Callable[[str, FileSystemEvent], None]

    def __init__(self, emitter_class: type[EventEmitter], **options: Any) -> None:
        super().__init__(_narrower(emitter_class, self.heard), **options)


class _Observer(PlatformObserver, _Inject):  # type: ignore[misc, valid-type]
    """The platform's observer; its events go to ``heard``, on an emitter's thread."""

    def __init__(self, heard: Callable[[str, FileSystemEvent], None]) -> None:
        self.heard = heard
        super().__init__()  # type: ignore[call-arg]  # by way of the platform's own


def _narrower(emitter_class: type[EventEmitter], heard: Callable[[str, FileSystemEvent], None]) -> type[EventEmitter]:
    class Emitter(emitter_class):  # type: ignore[misc, valid-type]
        def queue_event(self, event: FileSystemEvent) -> None:
            heard(self.watch.path, event)

        def get_event_mask_from_filter(self) -> int:
            mask: int = super().get_event_mask_from_filter()  # pyright: ignore[reportAttributeAccessIssue]
            return mask & ~_MOVED_FROM

    return Emitter


class _Watch:
    """One directory that is watched, by its real path."""

    def __init__(self, place: Fingerprint, handle: Any) -> None:
        self.place = place
        self.handle = handle
        self.deleted = False

    @property
    def atomic(self) -> bool:
        """Whether one link is all that changes there."""
        return self.place.link is not None

    def still_leads(self, seen: Fingerprint | None) -> bool:
        """Whether it hears what happens at its path now. A directory that was made anew can have the old inode."""
        if self.deleted or seen is None:
            return False
        was = self.place
        same = was.device == seen.device and was.inode == seen.inode
        return same and (was.link is None) == (seen.link is None)


class ObservedDirectories:
    """The directories that are watched in this process, by one observer of watchdog.

    Args:
        hint: Called with a path when something happened there, on a thread of watchdog: it must take no lock, because
            a stopping observer waits for that thread.
    """

    def __init__(self, hint: Callable[[str], None]) -> None:
        self._hint = hint
        self._handler = FileSystemEventHandler()
        self._observer: Any = None
        self._watches: dict[str, _Watch] = {}
        self._real: dict[str, str] = {}
        self._refused: set[str] = set()
        self._descriptors: set[int] = set()

    def __contains__(self, path: str) -> bool:
        return self._real.get(path) in self._watches

    def refused_any(self, paths: Iterable[str]) -> bool:
        """Whether a watch was wanted at one of them and could not be had."""
        return bool(self._refused) and any(self._real.get(path) in self._refused for path in paths)

    def is_alive(self) -> bool:
        """Whether the thread that should run does."""
        return self._observer is None or self._observer.is_alive()

    def ensure(self, paths: Iterable[str]) -> None:
        """Set the watches that are missing, and anew those that lead nowhere. The caller reads after this."""
        self.ensure_seen({path: take_fingerprint(path) for path in paths})

    def ensure_seen(self, places: Mapping[str, Fingerprint | None]) -> bool:
        """The same where somebody has just looked. Returns whether nothing had to be done: all that was seen is heard.

        Args:
            places: What stands at each path.
        """
        if not self.is_alive():
            self.forget()
        wanting = [path for path, seen in places.items() if not self._is_heard(path, seen)]
        for path in wanting:
            # A watch on a link hears of the link alone.
            real = self._real[path] = os.path.realpath(path)
            place = take_fingerprint(real)
            if real in self._watches:
                self._unset(real)
            if place is not None:
                self._try(real, place)
            (self._refused.discard if place is None or real in self._watches else self._refused.add)(real)
        if wanting:
            self._drop_unused()
        return not wanting

    def _is_heard(self, path: str, seen: Fingerprint | None) -> bool:
        watch = self._watches.get(self._real.get(path, ""))
        return watch is not None and watch.still_leads(seen)

    def keep_only(self, paths: set[str]) -> None:
        """Take away all other watches; with the last one ends the observer."""
        self._real = {path: real for path, real in self._real.items() if path in paths}
        self._drop_unused()

    def forget(self) -> None:
        """Let go of the observer, untouched: in a forked child, stopping it would remove the parent's watches."""
        self._observer, self._watches, self._refused = None, {}, set()

    def forget_in_child(self) -> None:
        """The same in a forked child, whose copy of the descriptor nobody reads; closing that touches no watch."""
        for descriptor in self._descriptors & _inotify_descriptors():
            os.close(descriptor)
        self._descriptors = set()
        self.forget()

    def _try(self, real: str, place: Fingerprint) -> None:
        # watchdog swallows EACCES, and watches nothing.
        if not _EVENTS or not os.access(real, os.R_OK):
            return
        before, kinds = _inotify_descriptors(), _ANY if place.link is None else _SWAP
        try:
            if self._observer is None:
                logging.getLogger("watchdog.observers.inotify").addFilter(_no_false_alarm)
                observer = _Observer(self._heard)
                observer.start()
                self._observer = observer
            handle = self._observer.schedule(self._handler, real, event_filter=kinds)
        except (OSError, RuntimeError):  # out of instances, watches or threads, or the directory went away
            return
        finally:
            self._keep_from_programs(_inotify_descriptors() - before)
        self._watches[real] = _Watch(place, handle)

    def _keep_from_programs(self, descriptors: set[int]) -> None:
        """Watchdog makes its descriptors without IN_CLOEXEC: a program that takes this one's place would keep them."""
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors = (self._descriptors | descriptors) & _inotify_descriptors()

    def _unset(self, real: str) -> None:
        self._observer.unschedule(self._watches.pop(real).handle)

    def _drop_unused(self) -> None:
        wanted = set(self._real.values())
        for real in [real for real in self._watches if real not in wanted]:
            self._unset(real)
        if self._observer is None or self._watches:
            return
        observer, self._observer = self._observer, None
        observer.stop()
        if observer is not threading.current_thread():
            observer.join(1.0)

    def _heard(self, real: str, event: FileSystemEvent) -> None:
        watch = self._watches.get(real)
        if watch is None:
            return
        if isinstance(event, DirDeletedEvent) and event.src_path == real:
            watch.deleted = True
        elif watch.atomic and not _is_swap(event):
            return
        for path in [path for path, other in list(self._real.items()) if other == real]:
            self._hint(path)


def _inotify_descriptors() -> set[int]:
    """Those of this process, by what /proc says of them; none where there is no /proc."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that lists is closed by now
                if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify":
                    found.add(int(name))
    return found


def _is_swap(event: FileSystemEvent) -> bool:
    """The move of ``..data_tmp`` to ``..data``, or its coming from elsewhere."""
    return str(event.dest_path or event.src_path).endswith("/..data")
