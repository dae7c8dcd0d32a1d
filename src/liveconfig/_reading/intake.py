"""All volumes of one settings object, read together: the newest of each, and what is wrong with the rest.

What cannot be read or parsed holds back its own volume only; the others move on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._reading.decoder import Unfit
from liveconfig._reading.feed import Feed
from liveconfig._reading.load import Feeds, Invalid, Loaded, Loader
from liveconfig._reading.volume import NotYet, Revision, Unreadable, VolumeReader
from liveconfig.events import Stage

S = TypeVar("S", bound=BaseSettings)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a volume, or a whole candidate, is not applied.

    Attributes:
        stage: Where it failed.
        reason: Why, without any value.
        fields: The fields (or keys) at fault.
        generations: What is rejected, by volume path.
        held: Good changes that wait with it.
        ambiguous: Whether two keys claim one field.
    """

    stage: Stage
    reason: str
    fields: tuple[str, ...]
    generations: Mapping[str, str]
    held: tuple[str, ...] = ()
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What one look at all volumes gave.

    Attributes:
        feeds: The newest of each volume that could be read and parsed, the known one of the others.
        faults: What is wrong, by index of the volume.
        clear: The volumes that were read well, or are as they were.
        delay: Seconds after which to look again, because somebody is writing; None if nobody is.
        waiting: The volumes that are being written.
        restless: Whether somebody has been writing for so long that it counts as a fault.
    """

    feeds: Feeds
    faults: Mapping[int, Fault]
    clear: tuple[int, ...]
    delay: float | None
    waiting: tuple[int, ...] = ()
    restless: bool = False

    def tells_nothing_beside(self, tried: Feeds) -> bool:
        """Whether some volume is being written, and all others are as they were when they were tried."""
        others = (at for at in range(len(tried)) if at not in self.waiting)
        return bool(self.waiting) and all(tried[at] == self.feeds[at] for at in others)


class NotLoaded(Exception):  # noqa: N818 - caught inside, never seen by users
    """There is nothing to begin with."""

    def __init__(self, faults: tuple[Fault, ...], invalid: Invalid | None = None) -> None:
        super().__init__()
        self.faults = faults
        self.invalid = invalid


class Intake(Generic[S]):
    """The readers of all volumes, and their parsing."""

    def __init__(self, loader: Loader[S]) -> None:
        self._loader = loader
        self.readers = tuple(VolumeReader(volume.path) for volume in loader.volumes)

    def first_load(self) -> Loaded[S]:
        """What the volumes and all else give at the start; waits for writers.

        Raises:
            NotLoaded: Something cannot be read, parsed or validated.
        """
        feeds: list[Feed] = []
        faults: list[Fault] = []
        for index, reader in enumerate(self.readers):
            taken = self._one(index, _patiently(reader), None)
            if isinstance(taken, Fault):
                faults.append(taken)
            else:
                feeds.append(taken)
        if faults:
            raise NotLoaded(tuple(faults))
        loaded = self._loader.load(tuple(feeds), None)
        if isinstance(loaded, Invalid):
            raise NotLoaded((), loaded)
        return loaded

    def look(self, known: Feeds) -> Taken:
        """What is there now, beside what is known; waits for nobody."""
        feeds, faults, clear, delays = list(known), {}, [], {}
        for index, reader in enumerate(self.readers):
            try:
                read = _read(reader, known[index].revision)
            except NotYet as not_yet:
                delays[index] = not_yet.delay
                continue
            taken = known[index] if read is None else self._one(index, read, known[index])
            if isinstance(taken, Fault):
                faults[index] = taken
            else:
                feeds[index] = taken
                clear.append(index)
        restless = any(reader.restless for reader in self.readers)
        delay = min(delays.values(), default=None)
        return Taken(tuple(feeds), faults, tuple(clear), delay, tuple(delays), restless)

    def _one(self, index: int, read: Revision | Fault, known: Feed | None) -> Feed | Fault:
        if isinstance(read, Fault):
            return read
        if known is not None and read.files == known.revision.files and read.mode == known.revision.mode:
            return replace(known, revision=read)
        try:
            return self._loader.feed(index, read, known)
        except Unfit as unfit:
            return Fault("parse", unfit.reason, unfit.fields, named([read]), ambiguous=unfit.ambiguous)


def _read(reader: VolumeReader, known: Revision | None) -> Revision | Fault | None:
    try:
        return reader.read(known)
    except Unreadable as error:
        generations = {reader.path: error.generation} if error.generation else {}
        return Fault("read", f"{reader.path}: {error.reason}", (error.key,) if error.key else (), generations)


def _patiently(reader: VolumeReader) -> Revision | Fault:
    pause = threading.Event()
    while True:
        try:
            read = _read(reader, None)
        except NotYet as not_yet:
            pause.wait(not_yet.delay)
        else:
            assert read is not None
            return read


def named(revisions: Iterable[Revision]) -> dict[str, str]:
    """The names of generations by volume path."""
    return {revision.path: revision.generation for revision in revisions if revision.generation is not None}


def differing(old: Feeds, new: Feeds) -> list[tuple[Feed, Feed]]:
    """The feeds that are not the same in both."""
    return [(before, after) for before, after in zip(old, new, strict=True) if before != after]


def new_generations(old: Feeds, new: Feeds) -> dict[str, str]:
    """The names of the generations in ``new`` that are not those in ``old``, by volume path."""
    return named(after.revision for _, after in differing(old, new))


def concerned_generations(old: Feeds, new: Feeds, fields: tuple[str, ...]) -> dict[str, str]:
    """Those of them that feed some of the fields, or did; all where that can be said of none."""
    pairs = differing(old, new)
    concerned = [
        after for before, after in pairs if any(_feeds(before, name) or _feeds(after, name) for name in fields)
    ]
    return named(each.revision for each in concerned or [after for _, after in pairs])


def _feeds(feed: Feed, name: str) -> bool:
    return name in feed.keys or beside(name, set(feed.keys))


def vanished(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """The fields that some volume fed before and none feeds now, though all volumes are there."""
    if all(before.keys.keys() <= after.keys.keys() for before, after in zip(old, new, strict=True)):
        return ()  # as at nearly every swap
    fed = {name for each in new for name in each.keys}
    before = dict.fromkeys(name for each in old for name in each.keys)
    return tuple(name for name in before if name not in fed and not beside(name, fed))


def vanished_entries(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """The same for entries of mappings, as ``dotted/entry``; not where a key for the whole mapping has come."""
    if all(before.entries.keys() <= after.entries.keys() for before, after in zip(old, new, strict=True)):
        return ()
    entries = {name for each in new for name in each.entries}
    whole = {name for each in new for name, key in each.keys.items() if key not in each.entries.values()}
    before = dict.fromkeys(name for each in old for name in each.entries)
    return tuple(name for name in before if name not in entries and name.partition("/")[0] not in whole)


def beside(name: str, names: set[str]) -> bool:
    """Whether a model around the name, or a field inside it, is among the names."""
    around = name.split(".")
    if any(".".join(around[:count]) in names for count in range(1, len(around))):
        return True
    return any(other.startswith(name + ".") for other in names)


def changed_fields(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """The fields whose key holds other bytes, or is another key."""
    found: list[str] = []
    for before, after in differing(old, new):
        found += [name for name in {**before.keys, **after.keys} if _raw(before, name) != _raw(after, name)]
    return tuple(dict.fromkeys(found))


def _raw(feed: Feed, name: str) -> tuple[str, bytes | None] | None:
    key = feed.keys.get(name)
    return None if key is None else (key, feed.revision.files.get(key))
