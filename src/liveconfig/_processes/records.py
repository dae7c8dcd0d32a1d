"""`ProcessReport` and its parts, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from liveconfig._json import as_plain
from liveconfig._record import record
from liveconfig.history import HistoryEntry

State = Literal["current", "behind", "rejected", "closed", "hidden", "unknown"]
STAYS_IN_USE = "the last good configuration stays in use"
"""What a table says of the state ``rejected``, after its problems."""

Mode = Literal["atomic", "plain", "missing"]
Expected = Literal["equal", "different", "unknown"]


@record
class VolumeReport:
    """One volume, as one process uses it.

    Attributes:
        path: The mount point, as the process sees it.
        mode: ``"atomic"`` (with the kubelet's ``..data``), ``"plain"`` or ``"missing"``.
        generation: The generation in use; None for a missing volume.
        written_at: When the kubelet wrote it; None for a plain or missing volume.
        fault: Why the volume cannot be read or parsed; None if it can. Of content that is read and is not valid, the
            problems of the settings say why it is not applied.
        fingerprint: Of names, sizes, inodes and times of the files of a plain volume; None for others.
        rejected: The generation that the process has rejected, for a plain volume the fingerprint of its files; None
            if it rejects none of this volume, or does not know which one.
        on_disk: The generation on disk now. For a plain volume whose files are others: `rejected` if they are those,
            else ``"changed"``. None where there is none, or where it could not be looked at.
        expected: With ``liveconfig ps --expect``: whether the files on disk are the expected ones. Else None.
    """

    path: str
    mode: Mode
    generation: str | None
    written_at: datetime | None
    fault: str | None = None
    fingerprint: str | None = None
    rejected: str | None = None
    on_disk: str | None = None
    expected: Expected | None = None


@record
class SettingsReport:
    """One settings object of one process.

    Attributes:
        name: Module and qualified name of the class, as `Status.settings`.
        version: The version in use.
        state: ``"current"``: what is on disk is in use. ``"behind"``: the volume moved on, or disappeared, more
            than 2 s ago. ``"rejected"``: it has rejected what is on disk. ``"closed"``: nothing follows the volumes
            any more. ``"hidden"``: the report may not be read, or cannot be. ``"unknown"``: a volume did not answer in
            1 s, or cannot be looked at.
        healthy: Whether the process says that it is healthy, and what is on disk is in use.
        problems: Why it is not, in sentences.
        volumes: Each volume.
        applied_at: When the version in use was applied.
        apply_delay: From the kubelet's write to the applying of the newest change that arrived while the process
            ran; where several volumes changed together, of the one that was written first. None before the first
            change, and for plain volumes.
        frozen: Fields that cannot change while the process runs.
        restart_pending: Fields whose new value takes effect at the next start of the process.
        stale: Fields that stand as stale.
        failing_subscribers: Names of subscribers that raised and have not received the newest version, or whose call
            has been running for 30 s.
        watcher: ``"inotify"``, ``"polling"`` or ``"off"``.
        history: The newest outcomes, newest first. No values.
    """

    # Schemas that are made of this class, such as OpenAPI's, show seconds, as the JSON of the report has them.
    __pydantic_config__: ClassVar[dict[str, str]] = {"ser_json_timedelta": "float"}

    name: str
    version: int
    state: State
    healthy: bool
    problems: tuple[str, ...] = ()
    volumes: tuple[VolumeReport, ...] = ()
    applied_at: datetime | None = None
    apply_delay: timedelta | None = None
    frozen: tuple[str, ...] = ()
    restart_pending: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    failing_subscribers: tuple[str, ...] = ()
    watcher: Literal["inotify", "polling", "off"] = "off"
    history: tuple[HistoryEntry, ...] = ()


@record
class ProcessReport:
    """One process that has live settings.

    Attributes:
        pid: The process, as this process sees it.
        parent: Its parent.
        command: The name of the program, and for Python the file name of the script or the module after ``-m``. No
            other argument: command lines hold secrets.
        started_at: When it started; None if unknown.
        settings: Each settings object, at most 64; of more, those that are not healthy first.
        unlisted: How many more there are.
        liveconfig: The version of liveconfig in the process; None where it is hidden.
    """

    pid: int
    parent: int
    command: str
    started_at: datetime | None
    settings: tuple[SettingsReport, ...]
    unlisted: int = 0
    liveconfig: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON: times as ISO 8601 texts, durations in seconds."""
        plain: dict[str, Any] = as_plain(self)
        return plain

    @property
    def is_current(self) -> bool:
        """Whether every settings object of the process uses what is on disk and is healthy."""
        return all(each.healthy for each in self.settings)


class UnreadableReport(Exception):  # noqa: N818 - caught inside, never seen by users
    """A report is not what this version of liveconfig writes."""


def from_json(document: Mapping[str, Any]) -> tuple[tuple[SettingsReport, ...], int, str]:
    """The settings objects of a report, how many more there are, and the version that wrote it.

    The state of each is what the process itself knows.

    Raises:
        UnreadableReport: It has another shape.
    """
    try:
        settings = tuple(_settings(each) for each in document["settings"])
        return settings, _whole(document.get("unlisted", 0)), _text(document["liveconfig"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        pass  # raised below, so that the content is not in the context
    raise UnreadableReport("it has another shape")


def _settings(data: Mapping[str, Any]) -> SettingsReport:
    return SettingsReport(
        name=_text(data["name"]),
        version=_whole(data["version"]),
        state=_one_of(data["state"], ("current", "rejected", "closed")),
        healthy=data["healthy"] is True,
        problems=_texts(data["problems"]),
        volumes=tuple(_volume(each) for each in data["volumes"]),
        applied_at=_time(data["applied_at"]),
        apply_delay=_seconds(data["apply_delay"]),
        frozen=_texts(data["frozen"]),
        restart_pending=_texts(data["restart_pending"]),
        stale=_texts(data["stale"]),
        failing_subscribers=_texts(data["failing_subscribers"]),
        watcher=_one_of(data["watcher"], ("inotify", "polling", "off")),
        history=tuple(_entry(each) for each in data["history"]),
    )


def _volume(data: Mapping[str, Any]) -> VolumeReport:
    return VolumeReport(
        path=_path(data["path"]),
        mode=_one_of(data["mode"], ("atomic", "plain", "missing")),
        generation=_optional(data["generation"]),
        written_at=_time(data["written_at"]),
        fault=_optional(data["fault"]),
        fingerprint=_optional(data["fingerprint"]),
        rejected=_optional(data.get("rejected")),  # older versions do not write it
    )


def _entry(data: Mapping[str, Any]) -> HistoryEntry:
    at = _time(data["at"])
    if at is None:
        raise ValueError
    return HistoryEntry(
        at=at,
        kind=_one_of(data["kind"], ("applied", "rejected", "recovered", "stale")),
        version=_whole(data["version"]),
        generations={_text(path): _text(name) for path, name in data["generations"].items()},
        fields=_texts(data["fields"]),
        reason=_optional(data["reason"]),
        attempt=_whole(data["attempt"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.encode("utf-8", "backslashreplace").decode()  # JSON can hold half of a surrogate pair


def _path(value: Any) -> str:
    path = _text(value)
    if not path.startswith("/") or "\0" in path:
        raise ValueError
    return path


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(each) for each in value)


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= _HUGE:
        raise ValueError
    return value


_HUGE = 2**63


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _one_of(value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError
    return value


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _seconds(value: Any) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
