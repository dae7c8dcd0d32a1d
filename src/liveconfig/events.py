"""The event records; their `repr` shows no value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

from liveconfig._record import record
from liveconfig.origin import Origin

__all__ = ["Change", "Recovered", "Rejected", "Reloaded", "Stage", "Stale", "StaleReason"]

T_co = TypeVar("T_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)

Stage = Literal["read", "parse", "validate", "verify"]
StaleReason = Literal["environment", "shadowed-environment", "source", "subpath", "stale-mount", "vanished", "restart"]


@record
class Change(Generic[T_co]):
    """One value that changed.

    Attributes:
        field: The dotted name of the field; None where a selector was subscribed.
        old: What this subscriber saw as ``new`` before.
        new: The value now.
        version: The version of the settings that holds it.
    """

    field: str | None
    old: T_co = dataclasses.field(repr=False, hash=False)  # it may not be hashable
    new: T_co = dataclasses.field(repr=False, hash=False)
    version: int


@record
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

    def __hash__(self) -> int:
        return hash((self.version, self.applied_at))


@record
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


@record
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


@record
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
