"""The readers of all volumes of one settings object; a fault of one volume does not stop the others.

A fault in reading or parsing holds back its own volume only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from posixpath import basename
from typing import Generic, NamedTuple, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._engine.rejections import Rejection
from liveconfig._loading import (
    VOLUMES_VARIABLE,
    DecodeError,
    Fault,
    Feed,
    Feeds,
    Invalid,
    Loaded,
    Loader,
    StartupFailure,
    named,
    paths_in_variable,
)
from liveconfig._volumes import Revision, VolumeBusy, VolumeReader, VolumeUnreadable

S = TypeVar("S", bound=BaseSettings)


class ReadResult(NamedTuple):
    """The result of one look at all volumes.

    Attributes:
        feeds: The newest feed of each volume that could be read and parsed, the known one of the others.
        rejections: The volumes that cannot be read or parsed.
        delay: Seconds until the next look, because a volume is being written; None if none is.
        waiting: The volumes that are being written.
        busy_too_long: Whether a volume has been written for so long that this counts as a fault.
    """

    feeds: Feeds
    rejections: tuple[Rejection, ...]
    delay: float | None
    waiting: tuple[int, ...] = ()
    busy_too_long: bool = False


class VolumesReader(Generic[S]):
    """The readers of all volumes, and their parsing."""

    def __init__(self, loader: Loader[S]) -> None:
        self._loader = loader
        self.readers = tuple(VolumeReader(volume.path, loader.cls.model_fields) for volume in loader.volumes)

    def first_load(self) -> Loaded[S]:
        """Return the first configuration; wait while a volume is being written.

        Raises:
            StartupFailure: Something cannot be read, parsed or validated.
        """
        feeds: list[Feed] = []
        faults: list[Fault] = []
        for index, reader in enumerate(self.readers):
            outcome = self._one(index, _patiently(reader), None)
            if isinstance(outcome, Fault):
                faults.append(outcome)
            else:
                feeds.append(outcome)
        if faults:
            raise StartupFailure(tuple(faults))
        loaded = self._loader.load(tuple(feeds), None, ())
        if isinstance(loaded, Invalid):
            raise StartupFailure((), loaded, tuple(_notes(feeds)))
        return loaded

    def renew(self) -> None:
        """In a forked child: create the locks of the readers again."""
        for reader in self.readers:
            reader.renew()

    def refresh(self, known: Feeds) -> None:
        """Read every volume that has changed. All file calls of a look are made here."""
        for reader, feed in zip(self.readers, known, strict=True):
            reader.refresh(feed.revision)

    def found(self) -> list[Revision | None]:
        """Return the newest revision of each volume; None for one that cannot be read, or is being written."""
        return [reader.found() for reader in self.readers]

    def busy_for(self) -> list[float]:
        """Return the seconds for which each volume has been written; 0 for one that is at rest."""
        return [reader.busy_for for reader in self.readers]

    def look(self, known: Feeds) -> ReadResult:
        """Return the result of the newest `refresh` of any thread."""
        feeds, rejections, delays = list(known), [], {}
        for index, reader in enumerate(self.readers):
            try:
                read = _found(reader, partial(reader.latest, known[index].revision))
            except VolumeBusy as not_yet:
                delays[index] = not_yet.delay
                continue
            outcome = known[index] if read is None else self._one(index, read, known[index])
            if isinstance(outcome, Fault):
                rejections.append(Rejection(outcome, {index: _content(read, outcome)}))
            else:
                feeds[index] = outcome
        busy_too_long = any(reader.busy_too_long for reader in self.readers)
        delay = min(delays.values(), default=None)
        return ReadResult(tuple(feeds), tuple(rejections), delay, tuple(delays), busy_too_long)

    def _one(self, index: int, read: Revision | Fault, known: Feed | None) -> Feed | Fault:
        if isinstance(read, Fault):
            return read
        if known is not None and read.files == known.revision.files and read.mode == known.revision.mode:
            return replace(known, revision=read)
        try:
            return self._loader.feed(index, read, known)
        except DecodeError as unfit:
            return Fault("parse", unfit.reason, unfit.fields, named([read]), ambiguous=unfit.ambiguous)


def _notes(feeds: Sequence[Feed]) -> Iterator[str]:
    """Return facts about the volumes that can explain a missing key."""
    yield from (note for feed in feeds if (note := feed.revision.only_volumes) is not None)
    missing = [feed.revision.path for feed in feeds if feed.revision.mode == "missing"]
    if missing:
        yield f"no such directory: {', '.join(missing)}. {_cure(missing)}"


def _cure(missing: Sequence[str]) -> str:
    variable = os.environ.get(VOLUMES_VARIABLE, "")
    if paths_in_variable(variable).issuperset(missing):
        return f"Create it, or correct {VOLUMES_VARIABLE}, which names it"
    pair = f"{missing[0]}=./{basename(missing[0])}"
    cure = (
        f"give {VOLUMES_VARIABLE} a pair for it, such as {pair}"
        if variable
        else f"set {VOLUMES_VARIABLE}, for example to {pair}"
    )
    return f"Mount the volume there or, outside a pod, {cure}"


def _content(read: Revision | Fault | None, fault: Fault) -> object:
    """Return what identifies the same fault at the next look."""
    return (read.mode, read.files) if isinstance(read, Revision) else (fault.generations, fault.reason)


def _found(reader: VolumeReader, read: Callable[[], Revision | None]) -> Revision | Fault | None:
    try:
        return read()
    except VolumeUnreadable as error:
        generations = {reader.path: error.generation} if error.generation else {}
        return Fault("read", f"{reader.path}: {error.reason}", (error.key,) if error.key else (), generations)


def _patiently(reader: VolumeReader) -> Revision | Fault:
    pause = threading.Event()
    while True:
        try:
            read = _found(reader, partial(reader.read, None))
        except VolumeBusy as not_yet:
            pause.wait(not_yet.delay)
        else:
            assert read is not None
            return read
