"""`Status` and its records: names, paths, times and reasons, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from liveconfig._record import record
from liveconfig.events import Rejected, Stale
from liveconfig.history import HistoryEntry
from liveconfig.origin import Origin

__all__ = ["CandidateStatus", "HistoryEntry", "Status", "SubscriberStatus", "UnusedKey", "VolumeStatus"]


@record
class VolumeStatus:
    """One volume.

    Attributes:
        path: The mount point.
        mode: ``"atomic"`` (with the kubelet's ``..data``), ``"plain"`` or ``"missing"``.
        generation_on_disk: The generation that the last look found.
        generation_applied: The generation in use.
        written_at: When the kubelet wrote the applied generation; None in plain mode.
        frozen: The reason, by key that can never change; the key ``""`` stands for the whole volume.
        fault: Why the volume cannot be read or parsed; None if it can.
    """

    path: str
    mode: Literal["atomic", "plain", "missing"]
    generation_on_disk: str | None
    generation_applied: str | None
    written_at: datetime | None
    frozen: Mapping[str, str] = field(hash=False)
    fault: str | None = None


@record
class CandidateStatus:
    """A configuration that is on disk and not applied.

    Attributes:
        generations: Its generations by volume path.
        attempt: How often it was tried.
        reason: Why it is not applied; None while a verifier checks it for the first time.
        held: The other changed fields that are not applied because of it.
    """

    generations: Mapping[str, str] = field(hash=False)
    attempt: int
    reason: str | None
    held: tuple[str, ...]


@record
class SubscriberStatus:
    """One subscriber.

    Attributes:
        name: The callback's qualified name.
        version: The newest version that it received.
        error: The type of the last exception; None after a success.
        running_since: When its present call began; None if it is not running.
    """

    name: str
    version: int
    error: str | None
    running_since: datetime | None


@record
class UnusedKey:
    """A key on a volume that no field uses.

    Attributes:
        volume: The path of the volume.
        key: The key; for a name inside a document, the document, a colon and the name.
        nearest: The field with the nearest name; None if there is none.
        hint: What to change; None if that is unknown.
    """

    volume: str
    key: str
    nearest: str | None
    hint: str | None = None


@record
class Status:
    """The state of one settings object in one process.

    Attributes:
        settings: The module and qualified name of the settings class.
        pid: The process.
        process_started_at: When it started. Its environment is as old; that of a forked child is as old as its parent.
        version: Of the settings.
        healthy: Whether the content of the volumes is in use, the watcher works, and no subscriber fails or has been
            running for 30 s. Settings that nothing watches, because they are closed or have ``watch=False``, are
            healthy until a volume changes.
        problems: Why the settings are not healthy, in sentences.
        notes: Other sentences for a person. They do not make the settings unhealthy.
        volumes: Each volume.
        watcher: How changes are noticed: ``"inotify"``, ``"polling"`` or ``"off"``.
        loaded_at: When the first version was loaded.
        applied_at: When the newest version was applied.
        last_rejected: The newest rejection, standing or not.
        rejections: The standing rejections, oldest first; `Rejected.generations` names the volumes that wait.
        candidate: The content that is not applied; None if there is none.
        restart_pending: Fields with ``Key(restart=True)`` whose new value takes effect at the next start.
        fields: The origin by dotted field.
        frozen: Fields that cannot change although the class has volumes.
        stale: The standing `Stale` records.
        subscribers: Each subscriber.
        unused_keys: Keys that no field uses.
        documents_missing: Documents of the class that are on no volume, each with the nearest key or None.
        history: The newest outcomes, newest first, as `Live.history` returns them.
        since_apply: How long ago the newest version was applied.
        written_to_applied: The time from the kubelet's write of the newest change until it was applied. Where several
            volumes changed together, the one that was written first counts. None if nothing that was written since the
            start (or since the fork) was applied, and for plain volumes.
    """

    settings: str
    pid: int
    process_started_at: datetime
    version: int
    healthy: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    volumes: tuple[VolumeStatus, ...]
    watcher: Literal["inotify", "polling", "off"]
    loaded_at: datetime
    applied_at: datetime
    last_rejected: Rejected | None
    rejections: tuple[Rejected, ...]
    candidate: CandidateStatus | None
    restart_pending: tuple[str, ...]
    fields: Mapping[str, Origin] = field(hash=False)
    frozen: tuple[str, ...]
    stale: tuple[Stale, ...]
    subscribers: tuple[SubscriberStatus, ...]
    unused_keys: tuple[UnusedKey, ...]
    documents_missing: Mapping[str, str | None] = field(hash=False)
    history: tuple[HistoryEntry, ...]
    since_apply: timedelta
    written_to_applied: timedelta | None

    def as_dict(self) -> dict[str, Any]:
        """Return the status as data for JSON: times as ISO 8601 texts, records as objects."""
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
    if isinstance(value, str):  # file names may not be UTF-8
        return value.encode("utf-8", "backslashreplace").decode()
    return value.total_seconds() if isinstance(value, timedelta) else value
