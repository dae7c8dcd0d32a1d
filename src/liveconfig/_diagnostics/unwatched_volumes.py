"""A check whether volumes that nothing watches still hold the content in use; on threads, as a mount can hang."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from liveconfig import _clock
from liveconfig._volumes import Revision, VolumeBusy, VolumeReader, VolumeUnreadable
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
    """One look at one volume, on a separate thread."""

    def __init__(self, revision: Revision) -> None:
        self.since = _clock.now()
        self.sighting: Sighting | None = None
        self.done = threading.Event()
        self._revision = revision
        try:
            start_thread(threading.Thread(target=self._run, name="liveconfig-status", daemon=True))
        except RuntimeError:  # no more threads: there is no answer, and the next status tries again
            self.done.set()

    def _run(self) -> None:
        try:
            self.sighting = _compare(self._revision)
        finally:
            self.done.set()


class UnwatchedVolumes:
    """The looks at the volumes of one settings object; at most one runs for each volume."""

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
            The result for each volume by path. A look that has not returned gives a fault that says since when it runs.
        """
        with self._lock:
            looks = {each.path: self._begin(each) for each in revisions}
        deadline = _clock.monotonic() + PATIENCE
        for look in looks.values():
            look.done.wait(max(0.0, deadline - _clock.monotonic()))
        return {path: look.sighting or _unanswered(look.since) for path, look in looks.items()}

    def _begin(self, revision: Revision) -> _Look:
        known = self._looks.get(revision.path)
        if known is None or known.done.is_set():
            known = self._looks[revision.path] = _Look(revision)
        return known


def _unanswered(since: datetime) -> Sighting:
    why = "a file call does not return: look at the mount and the node"
    return Sighting(False, None, f"it cannot be read since {since:%Y-%m-%d %H:%M:%S} UTC: {why}")


def _compare(revision: Revision) -> Sighting:
    reader, began, pause = VolumeReader(revision.path), _clock.monotonic(), threading.Event()
    while True:
        try:
            read = reader.read(revision)
        except VolumeUnreadable as error:
            return Sighting(False, error.generation, error.reason)
        except VolumeBusy as busy:
            if _clock.monotonic() - began > _LONGEST_WRITE:
                return Sighting(False, None)
            pause.wait(busy.delay)
        else:
            same = read is None or (read.files == revision.files and read.mode == revision.mode)
            return Sighting(same, revision.generation if read is None or same else read.generation)
