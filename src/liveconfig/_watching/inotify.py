"""inotify, through watchdog: the only module that uses watchdog.

All volumes share one inotify descriptor and the thread of watchdog that reads it, which calls back for each event.
Neither watchdog's observer is used, nor its emitters: each is one more thread between an event and the look, and the
observer holds a lock during file calls.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from typing import Literal

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

What = Literal["changed", "folder", "deleted"]
"""What happened: something in a directory, a folder came into it, or it was deleted itself."""

Heard = Callable[[What], None]

_MASK_ADD = InotifyConstants.IN_MASK_ADD
_LINK = b"..data"

_MARK = 44
"""The signal number that is set on our inotify descriptor (F_SETSIG). It is never sent: it marks the descriptor."""


class Reader(InotifyFD):
    """watchdog's reader of one inotify descriptor. It never uses a descriptor that belongs to other code.

    Code that starts a daemon closes every descriptor, and the next files and sockets of the application get the same
    numbers.

    Args:
        lost: Called on the reader's thread before it ends, because its descriptors were closed.
    """

    def __init__(self, lost: Callable[[], None]) -> None:
        try:
            super().__init__()
        except BaseException:  # of its pipe
            with contextlib.suppress(AttributeError, OSError):
                os.close(self._inotify_fd)
            raise
        self._lost = lost
        os.set_inheritable(self._inotify_fd, False)  # watchdog makes it without IN_CLOEXEC
        with contextlib.suppress(OSError):  # not every sandbox has it
            fcntl.fcntl(self._inotify_fd, fcntl.F_SETSIG, _MARK)
        self._identities = {each: _identify(each) for each in (self._inotify_fd, self._kill_r, self._kill_w)}

    def is_ours(self, descriptor: int | None = None) -> bool:
        """Whether a descriptor is still the one that the reader opened; without an argument, whether all are."""
        each = [descriptor] if descriptor is not None else list(self._identities)
        return all(_identify(number) == self._identities[number] for number in each)

    def is_reading(self) -> bool:
        """Whether it reads events from its own descriptor."""
        return self.is_alive() and self.is_ours()

    def release(self) -> None:
        """Stop, and close the descriptors, even if watchdog raises."""
        with contextlib.suppress(Exception):
            self.stop()
        self._closed = True
        if self.is_alive() and self is not threading.current_thread():
            self._wake()
            self.join(1.0)
        if not self.is_alive():  # its thread ended before it closed them
            self.close_descriptors()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it ends by itself, and has closed its pipe since `is_ours`
            if self.is_ours(self._kill_w):
                os.write(self._kill_w, b"!")

    def close_descriptors(self) -> None:
        """Close the descriptors that are still the reader's own."""
        for descriptor in list(self._identities):
            if self.is_ours(descriptor):
                os.close(descriptor)

    # What watchdog calls

    def _check_inotify_fd(self) -> bool:
        readable = super()._check_inotify_fd()
        if not self._closed and not self.is_ours():
            self._closed = True
            self._stopped_event.set()
            self._lost()
        return readable and not self._closed

    def _close_resources(self) -> None:
        self.close_descriptors()

    def on_thread_stop(self) -> None:
        if self.is_ours():
            super().on_thread_stop()
        self._closed = True

    def remove_callbacks(self, callbacks: list[tuple[WatchDescriptor, CallbackId]]) -> None:
        if self.is_ours():
            with contextlib.suppress(Exception):  # else the emitter's thread would not end
                super().remove_callbacks(callbacks)


def _identify(descriptor: int) -> tuple[int, ...] | None:
    """Return the identity of the file of a descriptor; None if it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    try:
        mark = fcntl.fcntl(descriptor, fcntl.F_GETSIG)
    except OSError:  # not every sandbox has it
        mark = 0
    return status.st_dev, status.st_ino, mark


_OF_SWAP = Mask(
    InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_ONLYDIR | _MASK_ADD
)
_OF_LINK = Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_ONLYDIR | _MASK_ADD)
_IN_FOLDER = Mask(
    _OF_LINK
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_MOVED_FROM
)
_IN_ROOT = Mask(_IN_FOLDER | InotifyConstants.IN_DELETE_SELF)


class Directories:
    """The folders of one plain directory. The thread of the reader reports them; none has a thread of its own.

    Args:
        reader: Reads their events.
        heard: Called with what happened.
    """

    _mask = _IN_FOLDER

    def __init__(self, reader: Reader, heard: Callable[[What], None]) -> None:
        self._reader = reader
        self._heard = heard
        self._id = CallbackId(id(self))
        self._watched: dict[tuple[int, int], WatchDescriptor] = {}  # by device and inode

    def add(self, path: str) -> bool:
        """Watch a directory. Return whether it was not watched before.

        Raises:
            OSError: The kernel watches no more directories.
        """
        return self._watch(path)[1]

    def _watch(self, path: str) -> tuple[WatchDescriptor | None, bool]:
        """Return the watch of a directory (None if it is gone or may not be read), and whether it is new."""
        try:
            status = os.stat(path)
            key = status.st_dev, status.st_ino
            known = self._watched.get(key)
            if known is not None or not os.access(path, os.R_OK):  # watchdog takes EACCES for a success
                return known, False
            watch = self._watched[key] = self._reader.add_callback(os.fsencode(path), self._mask, self, self._id)
        except FileNotFoundError:
            return None, False
        return watch, True

    def release(self) -> None:
        """Report no more."""
        watched, self._watched = self._watched, {}
        self._reader.remove_callbacks([(watch, self._id) for watch in watched.values()])

    # What watchdog calls

    def on_event(self, event: InotifyEvent) -> None:
        """Report an event."""
        came = event.is_directory and (event.is_create or event.is_moved_to)
        self._heard("folder" if came else "changed")

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """A directory was deleted; one of its name may be there again."""
        for key, watch in list(self._watched.items()):
            if watch == wd:
                self._watched.pop(key, None)
                self._heard("folder")

    def on_queue_overflow(self) -> None:
        """Events were lost: the next re-check makes up for them."""


class Root(Directories):
    """The directory of a volume itself.

    Args:
        reader: Reads its events.
        atomic: Whether the kubelet writes it: then only the move of ``..data_tmp`` to ``..data`` matters.
        heard: Called with what happened.
    """

    def __init__(self, reader: Reader, *, atomic: bool, heard: Heard) -> None:
        super().__init__(reader, heard)
        self._atomic = atomic
        self._mask = _OF_SWAP if atomic else _IN_ROOT

    def on_event(self, event: InotifyEvent) -> None:
        """Report an event, or the end of the directory."""
        if event.is_delete_self:
            self._heard("deleted")
        elif not self._atomic:
            super().on_event(event)
        elif event.name == _LINK:
            self._heard("changed")

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002
        """An event has reported the deletion before; or the reader ends, which the next check finds."""
        self._watched.clear()


class Links(Directories):
    """The links on the path to a volume. A directory that holds some is watched for their names."""

    _mask = _OF_LINK

    def __init__(self, reader: Reader, heard: Callable[[What], None]) -> None:
        super().__init__(reader, heard)
        self._names: dict[WatchDescriptor, set[bytes]] = {}

    def add(self, path: str) -> bool:
        """Report when the link at a path is replaced. Return whether it was not watched before.

        Raises:
            OSError: The kernel watches no more directories.
        """
        directory, name = os.path.split(os.fsencode(path))
        watch, _ = self._watch(os.fsdecode(directory))
        names = self._names.setdefault(watch, set()) if watch is not None else {name}
        is_new = name not in names
        names.add(name)
        return is_new

    def on_event(self, event: InotifyEvent) -> None:
        """Report that a link was replaced; the new one may lead through others."""
        if event.name in self._names.get(event.wd, ()):
            self._heard("folder")

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """A directory with links was deleted; one of its name may be there again."""
        self._names.pop(wd, None)
        super().on_watch_deleted(wd)


def explain(error: Exception) -> str:
    """Explain why a directory cannot be watched."""
    number = getattr(error, "errno", None)
    if number == errno.EMFILE:
        return "EMFILE: fs.inotify.max_user_instances or the limit of open files is reached"
    if number == errno.ENOSPC:
        return "ENOSPC: fs.inotify.max_user_watches is reached"
    cause = "no thread" if isinstance(error, RuntimeError) else errno.errorcode.get(number or 0, "an error of watchdog")
    return f"{type(error).__name__}: {cause}"
