"""The directories that are watched, and whether each watch still reports what happens at its path.

They are changed on the scheduler thread only: no signal handler and no finalizer interrupts a change.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from liveconfig import _clock
from liveconfig._volumes import Fingerprint, TreeError, file_calls, folders, follow_links, take_fingerprint
from liveconfig._watching.fork import start_thread

if TYPE_CHECKING:
    from liveconfig._watching import inotify
else:
    try:
        from liveconfig._watching import inotify
    except Exception:  # noqa: BLE001 - macOS and Windows: watchdog has no inotify there
        inotify = None

_log = logging.getLogger("liveconfig")

HELD_UP = 1.0
"""Seconds after which a change of the watches counts as blocked by a file call."""


class _Watch:
    """One volume that is watched.

    Args:
        path: The volume.
        real: The same without links: a watch on a link reports the link alone.
        place: Its fingerprint.
        hint: Called at each event.
        grown: Called when there may be new folders to watch.
    """

    def __init__(
        self, path: str, real: str, place: Fingerprint, hint: Callable[[], None], grown: Callable[[], None]
    ) -> None:
        self.place = place
        self.deleted = False
        self._is_turned = True
        self._path = path
        self._real = real
        self._hint = hint
        self._grown = grown
        self._root: inotify.Root | None = None
        self._folders: inotify.Directories | None = None
        self._links: inotify.Links | None = None

    def start(self, reader: inotify.Reader) -> None:
        """Begin to report.

        Raises:
            OSError: The directory is gone, or the kernel watches no more directories.
        """
        self._root = inotify.Root(reader, atomic=self.place.link is not None, heard=self._heard)
        if not self._root.add(self._real):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._links = inotify.Links(reader, self._heard)
        self._folders = inotify.Directories(reader, self._heard)
        self.extend()

    @property
    def is_complete(self) -> bool:
        """Whether `extend` would find nothing to do. In a kubelet's volume only the swap matters, not the folders."""
        return self.place.link is not None and not self._is_turned

    def extend(self) -> bool:
        """Watch the links on the way, and the folders of a plain directory, that are not watched yet.

        Returns:
            Whether there were any.

        Raises:
            OSError: The kernel watches no more directories.
        """
        assert self._links is not None
        assert self._folders is not None
        self._is_turned = False
        added = sum(map(self._links.add, follow_links(os.path.abspath(self._path))[1]))
        if self.place.link is None:
            # The reading of the volume reports these errors.
            with contextlib.suppress(FileNotFoundError, PermissionError, TreeError):
                added += sum(map(self._folders.add, folders(self._real)))
        return added > 0

    def _heard(self, what: inotify.What) -> None:
        if what == "folder":
            self._is_turned = True
            self._grown()
            return
        self.deleted = self.deleted or what == "deleted"
        self._hint()

    def reports(self, seen: Fingerprint | None) -> bool:
        """Whether it still reports the events at its path. A new directory can have the inode of the old one."""
        if self.deleted or seen is None or self._root is None:
            return False
        was = self.place
        same = was.device == seen.device and was.inode == seen.inode
        return same and (was.link is None) == (seen.link is None)

    def release(self) -> None:
        """Stop reporting."""
        parts = self._links, self._folders, self._root
        self._links = self._folders = self._root = None
        for part in parts:
            if part is not None:
                part.release()


class ObservedDirectories:
    """The watches of this process, on one inotify descriptor.

    Args:
        hint: Called with a path at each event there, on a thread of watchdog. It must use no lock.
        grown: Called with a path that may have new folders, so that `ensure` is called; likewise.
        lost: Called when the descriptor was closed by other code, on a thread of watchdog.
    """

    def __init__(self, hint: Callable[[str], None], grown: Callable[[str], None], lost: Callable[[], None]) -> None:
        self._hint = hint
        self._grown = grown
        self._lost = lost
        self._changing_since: float | None = None
        self._lock = threading.Lock()
        self._reader: inotify.Reader | None = None
        self._starting = False
        self._watches: dict[str, _Watch] = {}
        self._refused: dict[str, str] = {}

    def is_watched(self, path: str) -> bool:
        """Whether a path is watched."""
        return path in self._watches

    def is_unwatched(self, path: str) -> bool:
        """Whether a path is not watched because it did not exist at the last check."""
        return path not in self._watches and path not in self._refused

    def refusal(self, paths: Iterable[str]) -> str | None:
        """Return why one of the paths cannot be watched; None if all can."""
        since = self._changing_since
        if since is not None and _clock.monotonic() - since >= HELD_UP:
            return "a file call on another volume does not return"
        return next((self._refused[path] for path in paths if path in self._refused), None)

    def is_alive(self) -> bool:
        """Whether the reader runs, on its own descriptor, or is about to."""
        return self._starting or self._is_reading()

    def _is_reading(self) -> bool:
        reader = self._reader
        return reader is None or reader.is_reading()

    def inside(self) -> bool:
        """Whether the caller is one of its threads."""
        return threading.current_thread() is self._reader

    def ensure(self, path: str, seen: Fingerprint | None, reading: bool | None = None) -> bool:
        """Watch a path, or replace its watch if that no longer reports. The caller reads the volume afterwards.

        Args:
            path: A volume.
            seen: Its present fingerprint.
            reading: Whether the reader was found to run a moment ago; None to find out.

        Returns:
            Whether nothing had to be done, because the watch reported everything.
        """
        watch = self._reporting(path, seen, reading)
        if watch is not None and watch.is_complete:
            return True
        if not self._lock.acquire(timeout=HELD_UP):
            return False
        try:
            self._changing_since = _clock.monotonic()
            return file_calls.run(path, lambda: self._change(path, seen))
        finally:
            self._changing_since = None
            self._lock.release()

    def _reporting(self, path: str, seen: Fingerprint | None, reading: bool | None = None) -> _Watch | None:
        """Return the watch of a path; None if there is none that still reports."""
        watch = self._watches.get(path)
        if watch is None or not watch.reports(seen):
            return None
        return watch if (self._is_reading() if reading is None else reading) else None

    def _change(self, path: str, seen: Fingerprint | None) -> bool:
        watch = self._reporting(path, seen)  # again: another path may have found the reader dead meanwhile
        if watch is not None:
            return not self._extend(path, watch)
        self._watch(path)
        return False

    def _extend(self, path: str, watch: _Watch) -> bool:
        """Watch new folders. Return whether there were any."""
        try:
            return watch.extend()
        except OSError:  # out of watches
            self._watch(path)
            return True

    def _watch(self, path: str) -> None:
        if not self._is_reading():
            _log.warning("liveconfig: watching the volumes was interrupted and has started again: %s", self._loss())
            self._release_all()
        old = self._watches.pop(path, None)
        if old is not None:
            old.release()
        real = os.path.realpath(path)  # a watch on a link reports the link only
        place = take_fingerprint(real)
        refusal = None if place is None else self._try(path, real, place)
        if refusal is None:
            self._refused.pop(path, None)
        else:
            self._refused[path] = refusal
        self._release_unused()

    def _loss(self) -> str:
        if self._reader is not None and not self._reader.is_ours():
            return "other code in this process closed the inotify descriptor, as a library that starts a daemon does"
        return "the thread that reads inotify had ended"

    def _try(self, path: str, real: str, place: Fingerprint) -> str | None:
        """Watch a path. Return why it cannot be watched; None if it is."""
        if inotify is None:
            return "this platform has no inotify"
        if not os.access(real, os.R_OK):  # watchdog ignores this error, and watches nothing
            return "EACCES: the directory may not be read"
        watch = _Watch(path, real, place, lambda: self._hint(path), lambda: self._grown(path))
        try:
            watch.start(self._reader or self._start_reader())
            self._watches[path] = watch
        except Exception as error:  # noqa: BLE001 - no more instances, watches or threads, or an error of watchdog
            return inotify.explain(error)
        finally:
            if self._watches.get(path) is not watch:
                watch.release()
        return None

    def _start_reader(self) -> inotify.Reader:
        self._starting = True
        try:
            reader = self._reader = inotify.Reader(self._lost)
            start_thread(reader)
        finally:
            self._starting = False
        return reader

    def keep_only(self, wanted: Callable[[], set[str]]) -> bool:
        """Release all other watches, and the reader with the last one. Return False if that is not possible now.

        Args:
            wanted: Returns the paths to keep. It is called when no watch is being added.
        """
        if not self._lock.acquire(timeout=HELD_UP):
            return False
        try:
            paths = wanted()
            for path in [path for path in self._watches if path not in paths]:
                self._watches.pop(path).release()
            self._refused = {path: why for path, why in self._refused.items() if path in paths}
            self._release_unused()
        finally:
            self._lock.release()
        return True

    def _release_unused(self) -> None:
        reader = self._reader
        if reader is not None and not self._watches:
            self._reader = None
            reader.release()

    def _release_all(self) -> None:
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            watch.release()
        self._release_unused()

    def forget_in_child(self) -> None:
        """In a forked child: close the copies of the descriptors. Stopping would remove the parent's watches."""
        if self._reader is not None:
            self._reader.close_descriptors()
        self.__init__(self._hint, self._grown, self._lost)  # type: ignore[misc]
