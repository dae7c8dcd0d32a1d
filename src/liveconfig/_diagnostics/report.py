"""The observed state of one settings object -> a `Status`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from liveconfig import _clock
from liveconfig._delivery import Subscriber, Version
from liveconfig._diagnostics.detectors import PresentState, describe_frozen, frozen_fields
from liveconfig._diagnostics.process import started_at
from liveconfig._loading import Fault, Feeds, nearest
from liveconfig._volumes import generation_at
from liveconfig._watching import process_watcher
from liveconfig.events import Rejected, Stale
from liveconfig.origin import Origin
from liveconfig.status import CandidateStatus, Status, SubscriberStatus, UnusedKey, VolumeStatus


@dataclass(frozen=True, slots=True)
class Observation:
    """One settings object at one moment.

    Attributes:
        present: What is in use and where it comes from.
        origins: The origin of every leaf.
        version: The version in use.
        loaded_at: When the first version was loaded.
        faults: The standing faults, by index of the volume; None stands for the candidate as a whole.
        last_rejected: The newest rejection, standing or not.
        candidate: What is on disk and not applied.
        verifying: Whether a verifier looks at a candidate for the first time.
        settled: Whether what was on disk at the last look is applied.
        subscribers: Each subscriber.
        stale: The standing `Stale` records.
        stale_problems: Sentences about them, and whether each makes the settings unhealthy.
        watched: Whether the watcher follows it.
    """

    present: PresentState
    origins: Mapping[str, Origin]
    version: Version
    loaded_at: datetime
    faults: Mapping[int | None, Fault]
    last_rejected: Rejected | None
    candidate: CandidateStatus | None
    verifying: bool
    settled: bool
    subscribers: Sequence[Subscriber]
    stale: tuple[Stale, ...]
    stale_problems: Sequence[tuple[str, bool]]
    watched: bool


def status_of(seen: Observation) -> Status:
    """What a health page shows of one settings object, at this moment."""
    now, version, feeds = _clock.now(), seen.version, seen.present.feeds
    problems = list(_problems(seen))
    return Status(
        pid=os.getpid(),
        process_started_at=started_at(),
        version=version.number,
        healthy=not any(fault for _, fault in problems),
        problems=tuple(text for text, _ in problems),
        volumes=tuple(_volumes(seen)),
        watcher=seen.present.watcher,
        loaded_at=seen.loaded_at,
        applied_at=version.applied_at,
        last_rejected=seen.last_rejected,
        candidate=seen.candidate,
        fields=seen.origins,
        frozen=frozen_fields(seen.present, seen.origins),
        stale=seen.stale,
        subscribers=tuple(_subscribers(seen)),
        unused_keys=tuple(_unused(seen, feeds)),
        since_apply=now - version.applied_at,
        written_to_applied=_delay(version),
    )


def _delay(version: Version) -> timedelta | None:
    """From the kubelet's write to the apply; of the first load it would tell the age of the volume."""
    return None if version.written_at is None or version.number == 1 else version.applied_at - version.written_at


def _problems(seen: Observation) -> Iterator[tuple[str, bool]]:
    """Sentences, and whether each makes the settings unhealthy."""
    for fault in seen.faults.values():
        held = f"; good changes that wait with it: {', '.join(fault.held)}" if fault.held else ""
        yield f"rejected at stage {fault.stage}: {fault.reason}{held}", True
    if seen.verifying:
        yield "a new configuration waits for its verifiers", True
    elif not seen.settled and not seen.faults:
        yield "closed while a new configuration waited for its verifiers: the next look takes it up", True
    for subscriber in seen.subscribers:
        if subscriber.parked:
            yield f"subscriber {subscriber.name} is a coroutine and waits for an event loop", False
        if subscriber.error is not None:
            yield f"subscriber {subscriber.name} raised {subscriber.error} and has not taken the newest version", True
    if seen.watched and not process_watcher.is_alive():
        yield "the watcher is dead: nothing is followed until the next re-check brings it back", True
    yield from seen.stale_problems


def _volumes(seen: Observation) -> Iterator[VolumeStatus]:
    for index, feed in enumerate(seen.present.feeds):
        revision, fault = feed.revision, seen.faults.get(index)
        on_disk = generation_at(revision.path)
        yield VolumeStatus(
            path=revision.path,
            mode=revision.mode,
            generation_on_disk=revision.generation if on_disk is None and revision.mode == "plain" else on_disk,
            generation_applied=revision.generation,
            written_at=revision.written_at,
            frozen=describe_frozen(seen.present.frozen.get(index, {})),
            fault=fault.reason if fault else None,
        )


def _subscribers(seen: Observation) -> Iterator[SubscriberStatus]:
    for each in seen.subscribers:
        yield SubscriberStatus(each.name, each.taken, each.error, each.running_since())


def _unused(seen: Observation, feeds: Feeds) -> Iterator[UnusedKey]:
    """The keys that no field uses.

    A name inside a document only if it comes near to a field's: another one may be no name but a secret, a line of a
    private key that was pasted into an ``.env``. And not for ever: looking for the nearest name takes its time.
    """
    canonical = seen.present.loader.plan.rules.canonical
    roots = {name: node.dotted for name, node in seen.present.loader.plan.roots.items()}
    fields = {**dict(zip(seen.origins, seen.origins, strict=True)), **roots}
    unused = ((feed.revision.path, key) for feed in feeds for key in feed.unused)
    for count, (path, key) in enumerate(unused):
        document, _, name = key.rpartition(":")
        close = nearest(canonical(name.replace("/", ".")), fields) if count < _COMPARED else None
        if document and close and len(name) > len(close) + _TYPING_ERROR:
            close = None  # the field's name and a secret behind it, with no separator between
        if close or not document:
            yield UnusedKey(path, key, fields[close] if close else None)


_COMPARED = 200
_TYPING_ERROR = 2
