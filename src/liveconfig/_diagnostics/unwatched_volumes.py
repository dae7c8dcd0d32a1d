"""A check whether volumes that nothing watches still hold the content in use; on threads, as a mount can hang."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from liveconfig import _clock
from liveconfig._volumes import Revision, Unresponsive, VolumeBusy, VolumeReader, VolumeUnreadable, file_calls
from liveconfig._watching import start_thread

PATIENCE = 0.2
"""Seconds for which a status waits for the looks."""

_LONGEST_WRITE = 2.0


class Sighting(NamedTuple):
    """The result of a look at one volume.

    Attributes:
        same: Whether the volume holds the content in use.
        generation: Its generation; None if unknown.
        fault: Why the volume cannot be read; None if it can.
    """

    same: bool
    generation: str | None
    fault: str | None = None


class _Look:
    """One look at one volume, on a separate thread.

    Attributes:
        revision: The revision in use, with which the volume is compared.
        since: When it began.
        sighting: The result; while the volume is being written, what was found last. None: the volume has not answered.
        done: Set when the look has ended.
    """

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.since = _clock.now()
        self.sighting: Sighting | None = None
        self.done = threading.Event()
        try:
            start_thread(threading.Thread(target=self._run, name="liveconfig-status", daemon=True))
        except RuntimeError:  # no more threads: there is no answer, and the next status tries again
            self.sighting = Sighting(False, None, "it cannot be looked at: no thread can be started")
            self.done.set()

    def result(self) -> Sighting:
        """Return the result so far."""
        hung = None if self.done.is_set() else file_calls.hung_since(self.revision.path)
        return _unanswered(hung) if hung else self.sighting or _unanswered(self.since)

    def _run(self) -> None:
        try:
            self._compare()
        finally:
            self.done.set()

    def _compare(self) -> None:
        revision = self.revision
        reader, began, pause = VolumeReader(revision.path), _clock.monotonic(), threading.Event()
        while True:
            try:
                read = file_calls.run(revision.path, lambda: reader.read(revision))
            except Unresponsive as error:  # an earlier call on it does not return
                self.sighting = _unanswered(error.since)
                return
            except VolumeUnreadable as fault:
                self.sighting = _faulty(fault)
                return
            except VolumeBusy as busy:
                self.sighting = _faulty(busy.fault) if busy.fault else Sighting(False, None)
                if _clock.monotonic() - began > _LONGEST_WRITE:
                    return
                pause.wait(busy.delay)
            else:
                same = read is None or (read.files == revision.files and read.mode == revision.mode)
                self.sighting = Sighting(same, revision.generation if read is None or same else read.generation)
                return


class UnwatchedVolumes:
    """The looks at the volumes of one settings object; at most one runs for each volume and revision in use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may enter it again
        self._looks: dict[str, _Look] = {}

    def renew(self) -> None:
        """In a forked child: forget the threads of the parent."""
        self.__init__()  # type: ignore[misc]

    def look(self, revisions: Sequence[Revision]) -> dict[str, Sighting]:
        """Look at the volumes, for `PATIENCE` at most.

        Args:
            revisions: The revision in use of each volume.

        Returns:
            The result for each volume by path. A volume that is being written gives what was found last; one that does
            not answer gives a fault that says since when.
        """
        with self._lock:
            looks = {each.path: self._begin(each) for each in revisions}
        deadline = _clock.monotonic() + PATIENCE
        for look in looks.values():
            look.done.wait(max(0.0, deadline - _clock.monotonic()))
        return {path: look.result() for path, look in looks.items()}

    def _begin(self, revision: Revision) -> _Look:
        known = self._looks.get(revision.path)
        if known is None or known.done.is_set() or known.revision is not revision:
            known = self._looks[revision.path] = _Look(revision)
        return known


def _unanswered(since: datetime) -> Sighting:
    why = "a file call does not return: look at the mount and the node"
    return Sighting(False, None, f"it cannot be read since {since:%Y-%m-%d %H:%M:%S} UTC: {why}")


def _faulty(fault: VolumeUnreadable) -> Sighting:
    return Sighting(False, fault.generation, fault.reason)
