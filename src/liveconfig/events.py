"""The event records; their `repr` shows no value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

from liveconfig.origin import Origin

__all__ = ["Change", "Recovered", "Rejected", "Reloaded", "Stage", "Stale", "StaleReason"]

T_co = TypeVar("T_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)

Stage = Literal["read", "parse", "validate", "verify"]
StaleReason = Literal["environment", "shadowed-environment", "source", "subpath", "stale-mount", "vanished", "restart"]


@dataclass(frozen=True, slots=True, repr=False, init=False, eq=False)
class Change(Generic[T_co]):
    """One value that changed.

    Attributes:
        field: The dotted name of the field; None where a selector was subscribed.
        old: What this subscriber saw as ``new`` before.
        new: The value now.
        version: The version of the settings that holds it.
    """

    field: str | None
    old: T_co
    new: T_co
    version: int

    def __init__(self, field: str | None, old: T_co, new: T_co, version: int) -> None:
        # The same as the method of dataclass in a third of the time: one is made for each subscriber.
        _set_field(self, field)
        _set_old(self, old)
        _set_new(self, new)
        _set_version(self, version)

    def __repr__(self) -> str:
        return f"Change(field={self.field!r}, version={self.version})"

    def __eq__(self, other: object) -> bool:
        # Not the method of dataclass: for that one, pytest shows the fields with their values.
        if not isinstance(other, Change):
            return NotImplemented
        same = self.field == other.field and self.version == other.version
        return bool(same and self.old == other.old and self.new == other.new)

    def __hash__(self) -> int:
        return hash((self.field, self.version))  # the values may not be hashable


_set_field, _set_old, _set_new, _set_version = (
    vars(Change)[name].__set__ for name in ("field", "old", "new", "version")
)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Reloaded(Generic[S_co]):
    """A new configuration was applied.

    Attributes:
        old: The snapshot before.
        new: The snapshot now.
        changes: One `Change` per leaf that differs, with dotted names.
        version: The version of ``new``.
        generations: The name of the generation by the path of its volume.
        written_at: When the kubelet wrote the newest of them: the modification time of the generation's folder
            (its name has whole seconds only). None in plain mode.
        applied_at: When it was applied (aware, UTC).
        duration: From the start of the reading until it was applied.
    """

    old: S_co
    new: S_co
    changes: tuple[Change[Any], ...]
    version: int
    generations: Mapping[str, str]
    written_at: datetime | None
    applied_at: datetime
    duration: timedelta

    def __repr__(self) -> str:
        names = tuple(change.field for change in self.changes)
        return f"Reloaded(version={self.version}, fields={names!r}, generations={dict(self.generations)!r})"

    def __eq__(self, other: object) -> bool:
        # As for `Change`.
        if not isinstance(other, Reloaded):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in fields(self))

    def __hash__(self) -> int:
        return hash((self.version, self.applied_at))


@dataclass(frozen=True, slots=True)
class Rejected:
    """New content was not applied; the last good content of the volumes that it came from stays in use.

    It is published once for each distinct bad content.

    Attributes:
        stage: The stage that rejected it.
        reason: Why, without any value.
        fields: The fields at fault; at the stages ``"read"`` and ``"parse"``, the keys.
        held: The other changed fields of the volumes that wait. They are not applied until this is fixed; liveconfig
            does not check whether they are valid.
        generations: The rejected generation by the path of each volume that waits.
        at: When this content was rejected first (aware, UTC).
        attempt: How often this content was tried: 1 in the event, the present count in the status, the history and
            `Recovered.after`.
    """

    stage: Stage
    reason: str
    fields: tuple[str, ...]
    held: tuple[str, ...]
    generations: Mapping[str, str] = field(hash=False)
    at: datetime
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Recovered:
    """A rejection ended: new content was applied, or the content in use is on the volume again.

    It is published after the `Reloaded` that ended the rejection. A rejection that is replaced by another one of the
    same volumes has not ended.

    Attributes:
        version: The version in use.
        generations: The generation in use by the path of its volume.
        at: When the rejection ended (aware, UTC).
        after: The rejection that ended, with its final count of attempts.
    """

    version: int
    generations: Mapping[str, str] = field(hash=False)
    at: datetime
    after: Rejected


@dataclass(frozen=True, slots=True)
class Stale:
    """A field that cannot follow its volume, or that has fallen back.

    Attributes:
        field: The dotted name of the field.
        origin: Where its value comes from now.
        reason: Why it is stale.
        since: Since when (aware, UTC).
    """

    field: str
    origin: Origin
    reason: StaleReason
    since: datetime
