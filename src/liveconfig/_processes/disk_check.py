"""Whether what a process uses is what is on disk now, seen through /proc/PID/root."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from liveconfig._processes.plain_fingerprint import fingerprint_of
from liveconfig._processes.records import SettingsReport, State, VolumeReport
from liveconfig._volumes import file_calls, follow_links, generation_at, signature

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


def _compared(settings: SettingsReport, root: str) -> SettingsReport:
    seen = [file_calls.run(root + each.path, partial(_seen, each, root)) for each in settings.volumes]
    volumes = tuple(volume for volume, _ in seen)
    behind = [volume for volume, differs in seen if differs]
    known = replace(settings, volumes=volumes)
    if not behind or _rejects(known):
        return known
    problems = (*settings.problems, *(_moved_on(each) for each in behind))
    state: State = "closed" if settings.state == "closed" else "behind"
    return replace(known, state=state, healthy=False, problems=tuple(dict.fromkeys(problems)))


def _rejects(settings: SettingsReport) -> bool:
    """Whether a process rejects what is on disk, and not only older content."""
    rejected = [each for each in settings.volumes if each.rejected is not None]
    is_on_disk = not rejected or any(each.rejected == each.on_disk for each in rejected)
    return settings.state == "rejected" and is_on_disk


def _seen(volume: VolumeReport, root: str) -> tuple[VolumeReport, bool]:
    """The volume as it is on disk, and whether the process is behind it."""
    place, _ = follow_links(volume.path, root)
    known = replace(volume, on_disk=_on_disk(volume, place))
    return known, _differs(known, place)


def _moved_on(volume: VolumeReport) -> str:
    in_use = f"the process uses {volume.generation or 'nothing'}"
    if volume.on_disk == CHANGED:
        return f"{volume.path} has other content now; {in_use}"
    if volume.rejected is not None:
        in_use += f" and has rejected {volume.rejected}"
    return f"{volume.path} has moved on to {volume.on_disk}; {in_use}"


def _on_disk(volume: VolumeReport, place: str) -> str | None:
    link = generation_at(place)
    if link is not None or volume.mode == "atomic":
        return link
    try:
        fingerprint = fingerprint_of(signature(place))
    except Exception:  # noqa: BLE001 - it is not there, may not be read, or lies too deep
        return None
    if fingerprint == volume.fingerprint:
        return volume.generation
    return fingerprint if fingerprint == volume.rejected else CHANGED


def _differs(volume: VolumeReport, place: str) -> bool:
    """Whether the volume has moved on, for longer than a swap takes."""
    if volume.on_disk is None or volume.on_disk == volume.generation:
        return False
    changed = _changed_at(place, volume.on_disk)
    return changed is None or (datetime.now(UTC) - changed).total_seconds() > GRACE


def _changed_at(place: str, on_disk: str) -> datetime | None:
    """Return when the present content appeared: the creation of the link, or the newest change of a plain file."""
    try:
        if on_disk != CHANGED:
            return datetime.fromtimestamp(os.lstat(f"{place}/..data").st_ctime, UTC)
        times = [os.stat(place).st_ctime, *(os.stat(f"{place}/{name}").st_ctime for name in os.listdir(place))]
        return datetime.fromtimestamp(max(times), UTC)
    except (OSError, ValueError, OverflowError):
        return None
