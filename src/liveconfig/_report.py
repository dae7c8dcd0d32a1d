"""The state of a core, put into a `Status`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from liveconfig import _clock
from liveconfig._causes import describe_frozen, frozen_fields
from liveconfig._core import Core
from liveconfig._delivery.subjects import Version
from liveconfig._glance import generation_at
from liveconfig._origin import Origin
from liveconfig._process import started_at
from liveconfig._reading.load import Feeds
from liveconfig._reading.names import nearest
from liveconfig._rejections import WHOLE
from liveconfig._status import CandidateStatus, Status, SubscriberStatus, UnusedKey, VolumeStatus
from liveconfig._watch import watcher


def status_of(core: Core[Any]) -> Status:
    """What a health page shows of one settings object, at this moment."""
    engine, now = core.engine, _clock.now()
    applied, version = engine.in_use.state
    scene, origins = core.scene(applied), core.origins(applied)
    problems = list(_problems(core))
    return Status(
        pid=os.getpid(),
        process_started_at=started_at(),
        version=version.number,
        healthy=not any(fault for _, fault in problems),
        problems=tuple(text for text, _ in problems),
        volumes=tuple(_volumes(core, applied.feeds)),
        watcher=watcher.mode(core.registration),
        loaded_at=engine.in_use.loaded_at,
        applied_at=version.applied_at,
        last_rejected=engine.rejections.newest,
        candidate=_candidate(core),
        fields=origins,
        frozen=frozen_fields(scene, origins),
        stale=core.staleness.standing(),
        subscribers=tuple(_subscribers(core)),
        unused_keys=tuple(_unused(core, applied.feeds, origins)),
        since_apply=now - version.applied_at,
        written_to_applied=_delay(version),
    )


def _delay(version: Version) -> timedelta | None:
    """From the kubelet's write to the apply; of the first load it would tell the age of the volume."""
    return None if version.written_at is None or version.number == 1 else version.applied_at - version.written_at


def _problems(core: Core[Any]) -> Iterator[tuple[str, bool]]:
    """Sentences, and whether each makes the settings unhealthy."""
    for fault in list(core.engine.rejections.faults.values()):
        held = f"; good changes that wait with it: {', '.join(fault.held)}" if fault.held else ""
        yield f"rejected at stage {fault.stage}: {fault.reason}{held}", True
    if core.engine.candidate is not None and core.engine.candidate.fault is None:
        yield "a new configuration waits for its verifiers", True
    elif not core.engine.is_settled() and not core.engine.rejections.faults:
        yield "closed while a new configuration waited for its verifiers: the next look takes it up", True
    for subscriber in core.hub.everybody():
        if subscriber.parked:
            yield f"subscriber {subscriber.name} is a coroutine and waits for an event loop", False
        if subscriber.error is not None:
            yield f"subscriber {subscriber.name} raised {subscriber.error} and has not taken the newest version", True
    if core.registration is not None and not watcher.is_alive():
        yield "the watcher is dead: nothing is followed until the next re-check brings it back", True
    yield from core.staleness.problems()


def _volumes(core: Core[Any], feeds: Feeds) -> Iterator[VolumeStatus]:
    for index, (reader, feed) in enumerate(zip(core.engine.intake.readers, feeds, strict=True)):
        revision, fault = feed.revision, core.engine.rejections.faults.get(index)
        on_disk = generation_at(reader.path)
        yield VolumeStatus(
            path=revision.path,
            mode=revision.mode,
            generation_on_disk=revision.generation if on_disk is None and revision.mode == "plain" else on_disk,
            generation_applied=revision.generation,
            written_at=revision.written_at,
            frozen=describe_frozen(core.frozen.get(index, {})),
            fault=fault.reason if fault else None,
        )


def _candidate(core: Core[Any]) -> CandidateStatus | None:
    candidate, fault = core.engine.candidate, core.engine.rejections.faults.get(WHOLE)
    if candidate is not None:
        why = candidate.fault
        reason, held = (why.reason, why.held) if why else (None, ())
        return CandidateStatus(candidate.generations, candidate.attempt, reason, held)
    if fault is not None:
        return CandidateStatus(fault.generations, core.engine.rejections.attempts(WHOLE), fault.reason, fault.held)
    return None


def _subscribers(core: Core[Any]) -> Iterator[SubscriberStatus]:
    for each in core.hub.everybody():
        yield SubscriberStatus(each.name, each.taken, each.error, each.running_since())


def _unused(core: Core[Any], feeds: Feeds, origins: Mapping[str, Origin]) -> Iterator[UnusedKey]:
    """The keys that no field uses.

    A name inside a document only if it comes near to a field's: another one may be no name but a secret, a line of a
    private key that was pasted into an ``.env``. And not for ever: looking for the nearest name takes its time.
    """
    canonical = core.loader.plan.rules.canonical
    roots = {name: node.dotted for name, node in core.loader.plan.roots.items()}
    fields = {**dict(zip(origins, origins, strict=True)), **roots}
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
