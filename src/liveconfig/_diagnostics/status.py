"""The status of one settings object, made from its observed state."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from liveconfig import _clock
from liveconfig._delivery import Subscriber, Version
from liveconfig._diagnostics.detectors import describe_frozen
from liveconfig._diagnostics.frozen import frozen_fields
from liveconfig._diagnostics.present_state import PresentState
from liveconfig._diagnostics.process import started_at
from liveconfig._diagnostics.unwatched_volumes import Sighting
from liveconfig._diagnostics.wording import held_back
from liveconfig._loading import Fault, Loaded, UnusedNames, documents_of, fields_by_name, leaves, missing_documents
from liveconfig._volumes import Revision
from liveconfig.events import Rejected, Stale
from liveconfig.history import HistoryEntry
from liveconfig.origin import Origin
from liveconfig.status import CandidateStatus, Status, SubscriberStatus, UnusedKey, VolumeStatus

_log = logging.getLogger("liveconfig")

GRACE = 2.0
"""Seconds after which a difference between volumes and values in use counts: an update must not fail a probe."""


class Observation(NamedTuple):
    """The engine and the delivery of one settings object at one moment.

    Attributes:
        applied: The configuration in use.
        version: Its version.
        apply_delay: The time from the kubelet's write to the applying of the newest change of the volumes.
        loaded_at: When the first version was loaded.
        found: The newest revision of each volume; None for one that cannot be read, or is being written.
        cut_short: The error with which the last look at the volumes ended; None if it ended well.
        busy_for: Seconds for which each volume has been written; 0 for one that is at rest.
        faults: The fault of each volume that cannot be read or parsed, by index.
        rejections: The standing rejections, oldest first, with their present counts of attempts.
        last_rejected: The newest rejection, standing or not, with its present count of attempts.
        candidate: The content that is not applied: the oldest standing rejection, else the candidate being verified.
        verifying_for: Seconds for which content has been waiting for verifiers; None if none waits.
        settled: Whether the content that the last look found is applied.
        subscribers: Each subscriber.
        watched: Whether the watcher follows the volumes.
        watcher_runs: Whether the threads of the watcher run, on descriptors of their own.
        closed: Whether it was closed, and not started again.
        overdue_for: Seconds for which a look at the volumes has been due; None if none is.
        looking_for: Seconds for which a look at the volumes has been running; None if none is.
        unwatched: The results for volumes that nothing watches, by path.
    """

    applied: Loaded[Any]
    version: Version
    apply_delay: timedelta | None
    loaded_at: datetime
    found: Sequence[Revision | None]
    cut_short: str | None
    busy_for: Sequence[float]
    faults: Mapping[int, Fault]
    rejections: tuple[Rejected, ...]
    last_rejected: Rejected | None
    candidate: CandidateStatus | None
    verifying_for: float | None
    settled: bool
    subscribers: Sequence[Subscriber]
    watched: bool
    watcher_runs: bool
    closed: bool
    overdue_for: float | None
    looking_for: float | None
    unwatched: Mapping[str, Sighting]


class Content(NamedTuple):
    """The parts of a status that depend only on the applied content, computed once for it.

    Attributes:
        origins: The origin of every leaf.
        frozen: The fields that cannot change although the class has volumes.
        unused_keys: The keys that no field uses.
        documents_missing: The documents that are on no volume, each with the nearest key.
    """

    origins: Mapping[str, Origin]
    frozen: tuple[str, ...]
    unused_keys: tuple[UnusedKey, ...]
    documents_missing: Mapping[str, str | None]


def content_of(present: PresentState, names: UnusedNames) -> Content:
    """Compute the parts of a status that take time."""
    origins = {name: present.origin(name) for name, _ in leaves(present.applied.snapshot)}
    documents = missing_documents(documents_of(present.loader.cls), present.feeds)
    return Content(origins, frozen_fields(present), tuple(_unused(present, origins, names)), documents)


def status_of(
    seen: Observation,
    present: PresentState,
    content: Content,
    sentences: Sequence[tuple[str, bool]],
    stale: tuple[Stale, ...],
    history: tuple[HistoryEntry, ...],
) -> Status:
    """Return the status of one settings object.

    Args:
        seen: The observed state.
        present: The present state.
        content: The parts that depend only on the applied content.
        sentences: Sentences, each with whether it is a problem.
        stale: The standing `Stale` records.
        history: The newest outcomes.
    """
    version = seen.version
    problems = tuple(text for text, is_problem in sentences if is_problem)
    return Status(
        settings=full_name(present.loader.cls),
        pid=os.getpid(),
        process_started_at=started_at(),
        version=version.number,
        healthy=not problems,
        problems=problems,
        notes=tuple(text for text, is_problem in sentences if not is_problem),
        volumes=tuple(_volumes(seen, present)),
        watcher=present.watcher,
        loaded_at=seen.loaded_at,
        applied_at=version.applied_at,
        last_rejected=seen.last_rejected,
        rejections=seen.rejections,
        candidate=seen.candidate,
        restart_pending=seen.applied.restart_pending,
        fields=dict(content.origins),
        frozen=content.frozen,
        stale=stale,
        subscribers=tuple(_subscribers(seen)),
        unused_keys=content.unused_keys,
        documents_missing=dict(content.documents_missing),
        history=history,
        since_apply=_clock.now() - version.applied_at,
        written_to_applied=seen.apply_delay,
    )


def full_name(cls: type) -> str:
    """Return the module and qualified name of a settings class, for the status and the report."""
    return f"{cls.__module__}.{cls.__qualname__}"


def sentences_about(seen: Observation) -> Iterator[tuple[str, bool]]:
    """Yield sentences about the engine, the subscribers and the logger, each with whether it is a problem."""
    for rejected in seen.rejections:
        yield f"rejected at stage {rejected.stage}: {rejected.reason}{held_back(rejected.held)}", True
    if seen.verifying_for is not None:
        age = _clock.in_words(timedelta(seconds=seen.verifying_for))
        late = not seen.watched or seen.verifying_for > GRACE
        yield f"a new configuration has been waiting for its verifiers for {age}", late
    elif not seen.settled and not seen.rejections:
        yield "closed while a new configuration waited for its verifiers; the next `reload()` checks it again", True
    yield from _about_writing(seen)
    yield from _about_watching(seen)
    yield from _about_subscribers(seen.subscribers)
    yield from _about_logger()


_NO_WATCHER = (
    "the watcher does not run and is being started again: changes may be seen late; if this stays, restart the process"
)
_LONG_CHECK = (
    "a check of the volumes has been running for {}: a validator or a file call does not return. A dump of the stacks "
    "(py-spy, faulthandler) shows which one; then restart the process"
)
_CUT_SHORT = (
    "the last look at the volumes ended with an error ({}), so that what is on disk may not be in use. If `reload()` "
    "raises the same, please report it"
)
_LATE_LOOK = (
    "a look at the volumes has been due for {}: it takes long, or its thread is held up. Look at the load of the "
    "process and at the mount"
)


def _about_writing(seen: Observation) -> Iterator[tuple[str, bool]]:
    for index, (feed, seconds) in enumerate(zip(seen.applied.feeds, seen.busy_for, strict=True)):
        if seconds > GRACE and index not in seen.faults:
            age = _clock.in_words(timedelta(seconds=seconds))
            yield f"volume {feed.revision.path} has been written to for {age}: it is read when it comes to rest", True


def _about_watching(seen: Observation) -> Iterator[tuple[str, bool]]:
    if seen.watched and not seen.watcher_runs:
        yield _NO_WATCHER, True
    if seen.cut_short is not None:
        yield _CUT_SHORT.format(seen.cut_short), True
    if seen.looking_for is not None and seen.looking_for > GRACE:
        yield _LONG_CHECK.format(_clock.in_words(timedelta(seconds=seen.looking_for))), True
    elif seen.watched and seen.overdue_for is not None and seen.overdue_for > GRACE:
        yield _LATE_LOOK.format(_clock.in_words(timedelta(seconds=seen.overdue_for))), True
    reasons = {fault.reason for fault in seen.faults.values()}
    for path, sighting in seen.unwatched.items():
        if sighting.fault is not None:
            if f"{path}: {sighting.fault}" not in reasons:
                yield f"volume {path}: {sighting.fault}", True
        elif not sighting.same and (sighting.generation is None or sighting.generation != _waiting(seen).get(path)):
            yield _moved_on(path, sighting, seen), True


def _waiting(seen: Observation) -> dict[str, str]:
    """Return the newest generation that is not applied, by path."""
    found: dict[str, str] = {}
    for each in (*seen.rejections, seen.candidate):
        if each is not None:
            found.update(each.generations)
    return found


def _moved_on(path: str, sighting: Sighting, seen: Observation) -> str:
    in_use = next(feed.revision.generation for feed in seen.applied.feeds if feed.revision.path == path)
    why, remedy = ("closed", "`start()` or `reload()`") if seen.closed else ("`watch=False`", "`reload()`")
    return (
        f"volume {path} has changed ({in_use or 'nothing'} is in use, {sighting.generation or 'other content'} is on "
        f"the volume) and nothing follows it ({why}): call {remedy}"
    )


def _about_subscribers(subscribers: Sequence[Subscriber]) -> Iterator[tuple[str, bool]]:
    for subscriber in subscribers:
        if subscriber.parked:
            yield f"subscriber {subscriber.name} is a coroutine function and waits for an event loop", False
        if subscriber.error is not None:
            yield f"subscriber {subscriber.name} raised {subscriber.error} and has not taken the newest version", True
        if subscriber.hangs():
            yield _HANGS.format(subscriber.name, _clock.in_words(timedelta(seconds=subscriber.ran()))), True


_HANGS = (
    "subscriber {} has been running for {}: it receives newer changes only when its call returns. If it hangs, give "
    "the call a time limit and restart the process"
)


def _about_logger() -> Iterator[tuple[str, bool]]:
    if _log.disabled:
        yield (
            (
                "the logger `liveconfig` is disabled, so that no rejection is logged: pass "
                "`disable_existing_loggers=False` to `logging.config.dictConfig` or `fileConfig`"
            ),
            True,
        )
    elif not _log.isEnabledFor(logging.ERROR):
        yield "the level of the logger `liveconfig`, or `logging.disable`, suppresses ERROR lines", False


def _volumes(seen: Observation, present: PresentState) -> Iterator[VolumeStatus]:
    for index, feed in enumerate(seen.applied.feeds):
        revision, fault = feed.revision, seen.faults.get(index)
        yield VolumeStatus(
            path=revision.path,
            mode=revision.mode,
            generation_on_disk=_on_disk(seen, revision, fault),
            generation_applied=revision.generation,
            written_at=revision.written_at,
            frozen=describe_frozen(present.frozen.get(index, {})),
            fault=fault.reason if fault else None,
        )


def _on_disk(seen: Observation, revision: Revision, fault: Fault | None) -> str | None:
    """Return the generation that the last look found: the applied one, unless a fault or a rejection names another."""
    sighting = seen.unwatched.get(revision.path)
    if sighting is not None:
        return sighting.generation
    if fault is not None:
        return fault.generations.get(revision.path)
    return _waiting(seen).get(revision.path, revision.generation)


def _subscribers(seen: Observation) -> Iterator[SubscriberStatus]:
    for each in seen.subscribers:
        yield SubscriberStatus(each.name, each.received, each.error, each.running_since())


def _unused(present: PresentState, origins: Mapping[str, Origin], names: UnusedNames) -> Iterator[UnusedKey]:
    """The keys that no field uses, and the names in documents."""
    plan = present.loader.plan
    for feed, key, close in names.of(plan, present.feeds, origins):
        is_bare = plan.rules.prefix and key in feed.revision.files and plan.without_prefix(key)
        yield UnusedKey(feed.revision.path, key, close, _PREFIX.format(plan.rules.prefix) if is_bare else None)
    fields = fields_by_name(plan, origins)
    for feed in present.feeds:
        for key in feed.unquoted:
            name = plan.rules.canonical(key.rpartition(":")[2])
            yield UnusedKey(feed.revision.path, key, fields.get(name), _QUOTES)


_PREFIX = 'keys of this class carry the prefix `{}`: rename the key, or set `key_prefix=""`'
_QUOTES = "put the name in quotes: without them, YAML reads it as true, false or null"
