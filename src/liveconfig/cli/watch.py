"""``liveconfig watch DIR``: each generation of one volume, and the names of the keys that changed."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import Any

from liveconfig import _clock
from liveconfig._diagnostics import describe_frozen
from liveconfig._volumes import Revision, VolumeBusy, VolumeReader, VolumeUnreadable, frozen_parts, read_mounts
from liveconfig._watching import POLLING, Fingerprints, process_watcher
from liveconfig.cli._text import printable

Event = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = "Prints what happens to a volume, until Ctrl-C. It shows names of keys, never values."
    parser.add_argument("directory", metavar="DIR", help="where the ConfigMap or Secret is mounted")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(given: argparse.Namespace) -> int:
    """Print until Ctrl-C.

    Returns:
        0 after Ctrl-C, 2 where there can be no volume.
    """
    path = os.path.abspath(given.directory)
    if os.path.exists(path) and not os.path.isdir(path):
        print(f"liveconfig watch: {path} is a file: name the directory that is mounted", file=sys.stderr)
        return 2
    with suppress(KeyboardInterrupt), closing(_events(path)) as events:
        if not given.json:
            print(f"Watching {printable(path)} until Ctrl-C. Names of keys, never values; times in UTC.", flush=True)
        for event in events:
            event["at"] = _clock.now().isoformat(timespec="milliseconds")
            print(json.dumps(event) if given.json else _line(printable(event)), flush=True)
    return 0


class _Bell:
    """Rings when the volume may have changed."""

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()

    def look(self) -> None:
        self._rung.put(None)

    def recheck(self, seen: Fingerprints) -> None:  # noqa: ARG002 - it reads in any case
        self.look()

    def overdue(self) -> None:
        """Its look takes no time."""

    def wait(self, seconds: float | None) -> None:
        with suppress(queue.Empty):
            self._rung.get(timeout=seconds)


class _Follower:
    """Reads one volume again and again, and tells what is new."""

    def __init__(self, path: str) -> None:
        self._reader = VolumeReader(path)
        self._fault: str | None = None
        self.known: Revision | None = None
        self.delay: float | None = None

    @property
    def settled(self) -> bool:
        """Whether it was there and could be read."""
        return self.delay is None and self._fault is None

    def look(self) -> Iterator[Event]:
        self.delay = None
        try:
            revision = self._reader.read(self.known)
        except VolumeBusy as error:
            self.delay = error.delay
            return
        except VolumeUnreadable as error:
            if error.reason != self._fault:
                self._fault = error.reason
                yield {"event": "unreadable", "reason": error.reason}
            return
        if revision is not None and (revision.generation or self.known):
            yield {"event": "generation", **_difference(self.known, revision)}
        elif self._fault:
            yield {"event": "readable"}
        self.known, self._fault = revision or self.known, None


def _difference(old: Revision | None, new: Revision) -> Event:
    before = old.files if old else {}
    return {
        "generation": new.generation,
        "written_at": new.written_at.isoformat() if new.written_at else None,
        "first": old is None or old.mode == "missing",
        "changed": sorted(key for key in new.files.keys() & before.keys() if new.files[key] != before[key]),
        "added": sorted(new.files.keys() - before.keys()),
        "removed": sorted(before.keys() - new.files.keys()),
    }


def _events(path: str) -> Generator[Event]:
    """What happens to the volume, for ever."""
    bell, volume = _Bell(), _Follower(path)
    registration = process_watcher.add(bell, [path], POLLING)
    told: Event = {}
    try:
        while True:
            news = list(volume.look())
            how = _manner(volume.known, process_watcher.mode(registration)) if volume.known and volume.settled else told
            if how != told:
                yield dict(how)
            told = how
            yield from news
            bell.wait(volume.delay)
    finally:
        process_watcher.remove(registration)


def _manner(known: Revision, mode: str) -> Event:
    return {
        "event": "watching",
        "path": known.path,
        "mode": known.mode,
        "watcher": "polling" if known.mode == "missing" else mode,
        "frozen": describe_frozen(frozen_parts(known.path, read_mounts())),
    }


def _line(event: Event) -> str:
    time = event["at"][11:23]
    if event["event"] == "generation":
        return f"{time}  {event['generation']}  {_changes(event)}"
    if event["event"] == "unreadable":
        return f"{time}  cannot be read: {event['reason']}; an application keeps the last good"
    if event["event"] == "readable":
        return f"{time}  can be read again; nothing has changed"
    return f"{time}  {_how(event)}"


def _changes(event: Event) -> str:
    if event["first"]:
        return f"holds: {', '.join(event['added']) or 'nothing'}"
    kinds = [f"{kind}: {', '.join(event[kind])}" for kind in ("changed", "added", "removed") if event[kind]]
    return "; ".join(kinds) or "no key changed"


def _how(event: Event) -> str:
    if event["mode"] == "missing":
        return f"missing: there is no such directory (yet); looked for every {POLLING:.0f} s"
    by = (
        "inotify" if event["watcher"] == "inotify" else f"polling every {POLLING:.0f} s, because inotify is unavailable"
    )
    frozen = [f"FROZEN, {reason}: {part or 'the whole volume'}" for part, reason in event["frozen"].items()]
    return "; ".join([f"{event['mode']} volume, followed by {by}", *frozen])
