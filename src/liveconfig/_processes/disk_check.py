"""Whether what a process uses is what is on disk now, seen through /proc/PID/root."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from liveconfig._processes.plain_fingerprint import fingerprint_of
from liveconfig._processes.records import SettingsReport, State, VolumeReport
from liveconfig._volumes import TreeError, file_calls, follow_links, generation_at, newest_change, signature

PATIENCE = 1.0
"""Seconds that all volumes of all processes may take to answer."""

STALL = 0.05
"""Seconds without an answer after which more threads look."""

GRACE = 2.0
"""Seconds for which a difference is a swap under way."""


CHANGED = "changed"
"""The generation on disk of a plain volume whose files are neither those in use nor those that were rejected."""


def compare(reported: Sequence[tuple[SettingsReport, str]]) -> list[SettingsReport]:
    """Compare settings objects of processes with the disk.

    Args:
        reported: Each settings object as its process reported it, and the root directory ``/proc/PID/root``.

    Returns:
        Each with the state that the disk shows, in the same order; `unknown` where it did not answer in time.
    """
    return _Comparison(reported).run()


class _Comparison:
    """Compares settings objects on threads, because a mount that hangs answers to no time limit.

    One thread compares them, and twice as many whenever nothing was compared for `STALL`. So all mounts together hang
    for `PATIENCE`, and hold up no other settings object.
    """

    def __init__(self, reported: Sequence[tuple[SettingsReport, str]]) -> None:
        self._reported = reported
        self._waiting = deque(range(len(reported)))
        self._found: dict[int, SettingsReport] = {}
        self._finished = threading.Event()
        self._why_not = _LATE

    def run(self) -> list[SettingsReport]:
        deadline, threads, answers = time.monotonic() + PATIENCE, 1, -1
        while len(self._found) < len(self._reported) and (left := deadline - time.monotonic()) > 0:
            if answers in (-1, len(self._found)):
                self._start(threads)
                threads *= 2
            answers = len(self._found)
            self._finished.wait(min(STALL, left))
        return [
            self._found.get(index) or _unanswered(each, self._why_not) for index, (each, _) in enumerate(self._reported)
        ]

    def _start(self, threads: int) -> None:
        try:
            for _ in range(min(threads, len(self._waiting))):
                threading.Thread(target=self._work, name="liveconfig-look", daemon=True).start()
        except RuntimeError:  # a limit of processes, or the end of the interpreter; the next turn tries again
            self._why_not = _NO_THREAD

    def _work(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                index = self._waiting.popleft()
                self._found[index] = _compared_or_not(*self._reported[index])
                if len(self._found) == len(self._reported):
                    self._finished.set()


def _compared_or_not(settings: SettingsReport, root: str) -> SettingsReport:
    try:
        return _compared(settings, root)
    except (OSError, ValueError):  # an earlier look does not return, or no file has such a path
        return _unanswered(settings, _LATE)


_LATE = f"did not answer within {PATIENCE:g} s"
_NO_THREAD = "could not be looked at, because no thread can be started"


def _unanswered(settings: SettingsReport, why: str) -> SettingsReport:
    problem = f"a volume {why}: {', '.join(each.path for each in settings.volumes)}"
    return replace(settings, state="unknown", healthy=False, problems=(*settings.problems, problem))


class _Seen(NamedTuple):
    """One volume as it is on disk.

    Attributes:
        volume: With the generation on disk.
        is_behind: Whether the process is behind it, for longer than a swap takes.
        why_unknown: Why it cannot be looked at, for longer than a swap takes; None if it can.
    """

    volume: VolumeReport
    is_behind: bool
    why_unknown: str | None = None


def _compared(settings: SettingsReport, root: str) -> SettingsReport:
    seen = [file_calls.run(root + each.path, partial(_seen, each, root)) for each in settings.volumes]
    known = replace(settings, volumes=tuple(each.volume for each in seen))
    behind = [_moved_on(each.volume) for each in seen if each.is_behind]
    unknown = [f"{each.volume.path} cannot be looked at: {each.why_unknown}" for each in seen if each.why_unknown]
    if _rejects(known) or not (behind or unknown):
        return known
    problems = (*settings.problems, *behind, *unknown)
    state: State = "unknown" if not behind else "closed" if settings.state == "closed" else "behind"
    return replace(known, state=state, healthy=False, problems=tuple(dict.fromkeys(problems)))


def _rejects(settings: SettingsReport) -> bool:
    """Whether a process rejects what is on disk, and not only older content."""
    rejected = [each for each in settings.volumes if each.rejected is not None]
    is_on_disk = not rejected or any(each.rejected == each.on_disk for each in rejected)
    return settings.state == "rejected" and is_on_disk


def _seen(volume: VolumeReport, root: str) -> _Seen:
    place, links = follow_links(volume.path, root)
    on_disk, error = None, None
    try:
        on_disk = _on_disk(volume, place)
    except (OSError, TreeError) as why:
        error = why
    known = replace(volume, on_disk=on_disk)
    # Without a root directory, the process has ended meanwhile.
    if on_disk == volume.generation or _is_recent(place, links, on_disk) or (error and not os.path.exists(root)):
        return _Seen(known, is_behind=False)
    if error is None or (isinstance(error, OSError) and error.errno in _GONE):
        return _Seen(known, is_behind=True)
    return _Seen(known, False, error.reason if isinstance(error, TreeError) else str(error.strerror))


_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL)
"""Errors for a volume that is not there any more, or whose ``..data`` is no link."""


def _moved_on(volume: VolumeReport) -> str:
    in_use = f"the process uses {volume.generation or 'nothing'}"
    if volume.on_disk is None:
        return f"{volume.path} has disappeared; {in_use}"
    if volume.on_disk == CHANGED:
        return f"{volume.path} has other content now; {in_use}"
    if volume.rejected is not None:
        in_use += f" and has rejected {volume.rejected}"
    return f"{volume.path} has moved on to {volume.on_disk}; {in_use}"


def _on_disk(volume: VolumeReport, place: str) -> str | None:
    """Return the generation on disk; None for a missing volume.

    Raises:
        TreeError: Folders of a plain volume lie too deep.
        OSError: It is not there, or may not be read.
    """
    link = generation_at(place)
    if link is not None:
        return link
    if volume.mode == "atomic":
        return os.readlink(f"{place}/..data")  # it tells why there is none
    try:
        fingerprint = fingerprint_of(signature(place))
    except FileNotFoundError:
        os.stat(place)
        return CHANGED  # a folder in it disappeared meanwhile
    if fingerprint == volume.fingerprint:
        return volume.generation
    return fingerprint if fingerprint == volume.rejected else CHANGED


def _is_recent(place: str, links: Sequence[str], on_disk: str | None) -> bool:
    """Whether the present content appeared, or the last content disappeared, no longer ago than a swap takes."""
    try:
        if on_disk is None:
            changed = os.stat(place if os.path.exists(place) else os.path.dirname(place)).st_ctime
        elif generation_at(place) is None:
            changed = newest_change(place)
        else:
            changed = os.lstat(f"{place}/..data").st_ctime
        return time.time() - max([changed, *(os.lstat(link).st_ctime for link in links)]) <= GRACE
    except FileNotFoundError:  # of a part of it: it is being changed
        return os.path.exists(place)
    except (OSError, TreeError):
        return False
