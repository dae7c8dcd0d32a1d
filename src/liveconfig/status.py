"""`Status` and its records: names, paths, times and reasons, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from liveconfig.events import Rejected, Stale
from liveconfig.origin import Origin


@dataclass(frozen=True, slots=True)
class VolumeStatus:
    """One volume.

    Attributes:
        path: The mount point.
        mode: ``"atomic"`` (with the kubelet's ``..data``), ``"plain"`` or ``"missing"``.
        generation_on_disk: What lies there now.
        generation_applied: What the settings hold.
        written_at: When the kubelet wrote the applied generation; None in plain mode.
        frozen: Why, by key that can never change; the key ``""`` stands for the whole volume.
        fault: Why it cannot be read or parsed now; None where it can.
    """

    path: str
    mode: Literal["atomic", "plain", "missing"]
    generation_on_disk: str | None
    generation_applied: str | None
    written_at: datetime | None
    frozen: Mapping[str, str]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class CandidateStatus:
    """A configuration that is on disk and not applied.

    Attributes:
        generations: Its generations by volume path.
        attempt: How often it was tried.
        reason: Why it is not applied; None while a verifier looks at it for the first time.
        held: Good changes that wait with it.
    """

    generations: Mapping[str, str]
    attempt: int
    reason: str | None
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubscriberStatus:
    """One subscriber.

    Attributes:
        name: The callback's qualified name.
        version: The version that it took last.
        error: The type of the exception it raised last, until it succeeds; None if it did.
        running_since: Since when it has been inside its call; None if it is not.
    """

    name: str
    version: int
    error: str | None
    running_since: datetime | None


@dataclass(frozen=True, slots=True)
class UnusedKey:
    """A key on a volume that no field uses, with the field whose name comes nearest."""

    volume: str
    key: str
    nearest: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one settings object in one process.

    Attributes:
        pid: The process.
        process_started_at: When it started. Its environment is as old, or older: a forked child has its parent's.
        version: Of the settings.
        healthy: Whether the newest state on disk is what is in use, and no subscriber has failed at it.
        problems: Why not, and what else a person should know, in sentences.
        volumes: Each volume.
        watcher: What wakes it: ``"inotify"``, ``"polling"`` or ``"off"``.
        loaded_at: When the first version was loaded.
        applied_at: When the newest version was applied.
        last_rejected: The newest rejection, standing or not.
        candidate: What is on disk and not applied; None if nothing is.
        fields: The origin by dotted field.
        frozen: Fields that cannot change although the class has volumes.
        stale: What stands as stale.
        subscribers: Each subscriber.
        unused_keys: Keys that no field uses.
        since_apply: How long ago the newest version was applied.
        written_to_applied: From the kubelet's write of the newest generation to its being applied; None where no
            volume tells the time of its write, or nothing was applied since the start.
    """

    pid: int
    process_started_at: datetime
    version: int
    healthy: bool
    problems: tuple[str, ...]
    volumes: tuple[VolumeStatus, ...]
    watcher: Literal["inotify", "polling", "off"]
    loaded_at: datetime
    applied_at: datetime
    last_rejected: Rejected | None
    candidate: CandidateStatus | None
    fields: Mapping[str, Origin]
    frozen: tuple[str, ...]
    stale: tuple[Stale, ...]
    subscribers: tuple[SubscriberStatus, ...]
    unused_keys: tuple[UnusedKey, ...]
    since_apply: timedelta
    written_to_applied: timedelta | None

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON: times as ISO 8601 texts, records as objects."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):  # the name of a file need not be UTF-8
        return value.encode("utf-8", "backslashreplace").decode()
    return value.total_seconds() if isinstance(value, timedelta) else value
