"""The entry of one settings object in the report of this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from liveconfig._diagnostics.present_state import PresentState
from liveconfig._diagnostics.status import Observation, full_name
from liveconfig._processes import fingerprint_of
from liveconfig._volumes import Revision
from liveconfig.events import Stale


def report_of(
    seen: Observation,
    present: PresentState,
    frozen: Sequence[str],
    problems: Sequence[str],
    stale: Iterable[Stale],
    history: Sequence[str],
) -> Mapping[str, Any]:
    """Return what `liveconfig.processes` shows for one settings object: names, paths, times and reasons, never a value.

    Args:
        seen: The engine and the delivery.
        present: The present state.
        frozen: The fields that cannot change.
        problems: Why the settings are not healthy.
        stale: The standing `Stale` records.
        history: The newest outcomes as JSON, newest first.
    """
    version, delay = seen.version, seen.apply_delay
    return {
        "name": full_name(present.loader.cls),
        "version": version.number,
        "state": _state(seen, present),
        "healthy": not problems,
        "problems": list(problems),
        "volumes": [_volume(feed.revision, seen, index) for index, feed in enumerate(present.feeds)],
        "applied_at": version.applied_at.isoformat(),
        "apply_delay": None if delay is None else delay / timedelta(seconds=1),
        "frozen": list(frozen),
        "restart_pending": list(seen.applied.restart_pending),
        "stale": list(dict.fromkeys(each.field for each in stale)),
        "failing_subscribers": [each.name for each in seen.subscribers if each.fails()],
        "watcher": present.watcher,
        "history": history,
    }


def _state(seen: Observation, present: PresentState) -> str:
    if seen.rejections:
        return "rejected"
    return "closed" if present.loader.volumes and not seen.watched else "current"


def _volume(revision: Revision, seen: Observation, index: int) -> Mapping[str, Any]:
    fault = seen.faults.get(index)
    return {
        "path": revision.path,
        "mode": revision.mode,
        "generation": revision.generation,
        "written_at": revision.written_at and revision.written_at.isoformat(),
        "fault": fault and fault.reason,
        "fingerprint": fingerprint_of(revision.token) if revision.mode == "plain" else None,
        "rejected": _rejected(revision.path, seen, index),
    }


def _rejected(path: str, seen: Observation, index: int) -> str | None:
    """Return what identifies the rejected content of a volume; None if none is rejected, or if it is not known."""
    names = (each.generations[path] for each in seen.rejections if path in each.generations)
    name, found = next(names, None), seen.found[index]
    if name is None or found is None or found.mode != "plain":
        return name
    return fingerprint_of(found.token) if found.generation == name else None
