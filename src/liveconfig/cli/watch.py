"""``liveconfig watch DIR``: prints each generation of one volume, and the names of the changed keys."""

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
from liveconfig._terminal import printable
from liveconfig._volumes import Revision, VolumeBusy, VolumeReader, VolumeUnreadable, frozen_parts, read_mounts
from liveconfig._watching import POLLING, Fingerprints, process_watcher
from liveconfig.cli._arguments import add_output

Event = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = "Prints the changes of a volume until Ctrl-C. It shows names of keys, never values."
    parser.add_argument("directory", metavar="DIR", help="where the ConfigMap or Secret is mounted")
    add_output(parser, "one JSON object a line")


def run(given: argparse.Namespace) -> int:
    """Print until Ctrl-C.

    Returns:
        0 after Ctrl-C, 2 if the path is a file.
    """
    path, as_json = os.path.abspath(given.directory), given.output == "json"
    if os.path.exists(path) and not os.path.isdir(path):
        print(f"liveconfig watch: {path} is a file: name the directory that is mounted", file=sys.stderr)
        return 2
    with suppress(KeyboardInterrupt), closing(_events(path)) as events:
        if not as_json:
            print(f"Watching {printable(path)} until Ctrl-C. Names of keys, never values; times in UTC.", flush=True)
        for event in events:
            event["at"] = _clock.now().isoformat(timespec="milliseconds")
            print(json.dumps(event) if as_json else _line(printable(event)), flush=True)
    return 0


class _Changed:
    """An event that the watcher sets when the volume may have changed."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[None] = queue.SimpleQueue()

    def look(self) -> None:
        self._events.put(None)

    def recheck(self, seen: Fingerprints) -> None:  # noqa: ARG002 - the volume is read in any case
        self.look()

    def overdue(self) -> None:
        """Do nothing: `look` returns at once."""

    def wait(self, seconds: float | None) -> None:
        with suppress(queue.Empty):
            self._events.get(timeout=seconds)


class _Follower:
    """Reads one volume, and yields an event for each change."""

    def __init__(self, path: str) -> None:
        self._reader = VolumeReader(path)
        self._fault: str | None = None
        self.known: Revision | None = None
        self.delay: float | None = None

    @property
    def settled(self) -> bool:
        """Whether the last read was successful."""
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
    """Yield the events of the volume, without end."""
    changed, volume = _Changed(), _Follower(path)
    registration = process_watcher.add(changed, [path], POLLING)
    shown: Event = {}
    try:
        while True:
            changes = list(volume.look())
            state = shown
            if volume.known and volume.settled:
                state = _watching(volume.known, process_watcher.mode(registration))
            if state != shown:
                yield dict(state)
            shown = state
            yield from changes
            changed.wait(volume.delay)
    finally:
        process_watcher.remove(registration)


def _watching(known: Revision, mode: str) -> Event:
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
    return f"{time}  {_describe(event)}"


def _changes(event: Event) -> str:
    if event["first"]:
        return f"holds: {', '.join(event['added']) or 'nothing'}"
    kinds = [f"{kind}: {', '.join(event[kind])}" for kind in ("changed", "added", "removed") if event[kind]]
    return "; ".join(kinds) or "no key changed"


def _describe(event: Event) -> str:
    if event["mode"] == "missing":
        return f"missing: there is no such directory (yet); looked for every {POLLING:.0f} s"
    by = (
        "inotify" if event["watcher"] == "inotify" else f"polling every {POLLING:.0f} s, because inotify is unavailable"
    )
    frozen = [f"FROZEN, {reason}: {part or 'the whole volume'}" for part, reason in event["frozen"].items()]
    return "; ".join([f"{event['mode']} volume, followed by {by}", *frozen])
