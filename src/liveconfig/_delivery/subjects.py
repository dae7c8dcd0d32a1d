"""The subjects of subscriptions, and the version that a subscriber received last. No threads, no callbacks.

When a subscriber has time, its subject computes what changed since the last delivery. So the changes of a slow
subscriber are merged (first ``old``, last ``new``), and no queue can grow.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from liveconfig._delivery.changes import diff
from liveconfig._loading import equal, same
from liveconfig._record import record
from liveconfig.events import Change, Reloaded

MOST_NOTICES = 16
MOST_VERSIONS = 256


@record
class Version:
    """One applied configuration.

    Attributes:
        snapshot: The settings.
        number: 1 for the first load, then one more each time.
        generations: The name of the generation by volume path.
        written_at: When the kubelet wrote the newest of them.
        applied_at: When it became visible.
        duration: From the start of the reading until it was visible.
    """

    snapshot: BaseModel = field(repr=False)  # asyncio's debug log shows the arguments of callbacks
    number: int
    generations: Mapping[str, str]
    written_at: datetime | None
    applied_at: datetime
    duration: timedelta


class Subject(Protocol):
    """The subject of a subscription.

    Attributes:
        seen: The version up to which it has received everything.
        several: Whether one version can have more than one event.
    """

    seen: int
    several: ClassVar[bool]

    def has_event(self, target: Version) -> bool:
        """Whether there may be an event. Cheap; calls no user code."""
        ...

    def take(self, target: Version, *, again: bool) -> Any:
        """Return the event to deliver, or None.

        Args:
            target: The version up to which to deliver.
            again: Whether an event is due even if nothing has changed, because the subscriber raised at the last one.
        """

    def settle(self, target: Version, event: Any) -> None:
        """Record that the event was delivered."""

    def tried(self, target: Version, event: Any) -> None:
        """Record that the subscriber raised at the event: only later changes are new."""


class ValueChanges:
    """The value of a selector: an event for each value that differs from the one delivered last."""

    several: ClassVar[bool] = False

    def __init__(self, select: Callable[[Any], Any], field: str | None, version: Version) -> None:
        self._select = select
        self._field = field
        self._value = self._tried = select(version.snapshot)
        self.seen = version.number

    def has_event(self, target: Version) -> bool:
        """Whether there is a newer version."""
        return target.number > self.seen

    def take(self, target: Version, *, again: bool) -> Change[Any] | None:
        """Return the change of the value since the last delivery, if it differs from the last attempt."""
        value = self._select(target.snapshot)
        if not again and same(self._tried, value):
            return None
        return Change(self._field, self._value, value, target.number)

    def settle(self, target: Version, event: Change[Any]) -> None:  # noqa: ARG002
        """Record that the new value was delivered."""
        self._value = self._tried = event.new

    def tried(self, target: Version, event: Change[Any]) -> None:  # noqa: ARG002
        """Record that the subscriber raised at the new value."""
        self._tried = event.new


class Reloads:
    """Every applied version, with all its changes."""

    several: ClassVar[bool] = False

    def __init__(self, version: Version) -> None:
        self._version = self._tried = version
        self.seen = version.number

    def has_event(self, target: Version) -> bool:
        """Whether there is a newer version."""
        return target.number > self.seen

    def take(self, target: Version, *, again: bool) -> Reloaded[Any] | None:
        """Return all changes since the last delivery, if there are any since the last attempt."""
        if not again and equal(self._tried.snapshot, target.snapshot):
            return None
        return Reloaded(
            self._version.snapshot,
            target.snapshot,
            diff(self._version.snapshot, target.snapshot, target.number),
            target.number,
            dict(target.generations),
            target.written_at,
            target.applied_at,
            target.duration,
        )

    def settle(self, target: Version, event: Reloaded[Any]) -> None:  # noqa: ARG002
        """Record that the new version was delivered."""
        self._version = self._tried = target

    def tried(self, target: Version, event: Reloaded[Any]) -> None:  # noqa: ARG002
        """Record that the subscriber raised at the new version."""
        self._tried = target


class LogQueue:
    """The queue for the log: every version with its predecessor, and every rejection, none merged."""

    several: ClassVar[bool] = True

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self.seen = 0

    def put(self, event: Any) -> None:
        """Queue a version with its predecessor, or a rejection."""
        self._waiting.append(event)
        del self._waiting[:-MOST_VERSIONS]

    def waiting(self) -> list[Any]:
        """Return what is queued."""
        return list(self._waiting)

    def take_all(self) -> list[Any]:
        """Remove and return what is queued. Another thread may remove one of them at the same time."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._waiting.pop(0))
        return taken

    def forget(self) -> None:
        """In a forked child: drop the queue, because the parent logs it."""
        self._waiting.clear()

    def has_event(self, target: Version) -> bool:  # noqa: ARG002
        """Whether anything is queued."""
        return bool(self._waiting)

    def take(self, target: Version, *, again: bool) -> Any:  # noqa: ARG002
        """Return the oldest event."""
        return self._waiting.pop(0)

    def settle(self, target: Version, event: Any) -> None:
        """Do nothing: the event was removed by `take`."""

    def tried(self, target: Version, event: Any) -> None:
        """Do nothing: the event was removed by `take`."""


class EventQueue:
    """`Rejected`, `Recovered` or `Stale` events, one by one; for a slow subscriber, only the newest are kept."""

    several: ClassVar[bool] = True

    def __init__(self, event_type: type, version: Version) -> None:
        self._event_type = event_type
        self._waiting: deque[Any] = deque(maxlen=MOST_NOTICES)
        self._put = self._taken_at = self._tried_at = 0  # events queued: in all, at the last take, before it raised
        self._standing: tuple[Any, ...] = ()
        self.seen = version.number

    def begin_with(self, standing: Sequence[tuple[Any, Any]]) -> None:
        """Queue the standing events at the subscription; one that is being published meanwhile is queued once.

        Args:
            standing: Each event as it is published, and as it is now.
        """
        for _, present in standing:
            self.put(present)
        self._standing = tuple(published for published, _ in standing)

    def put(self, notice: Any) -> None:
        """Queue an event, if it is of the type of this queue."""
        if isinstance(notice, self._event_type) and not any(notice is each for each in self._standing):
            self._waiting.append(notice)
            self._put += 1

    def has_event(self, target: Version) -> bool:  # noqa: ARG002
        """Whether an event is queued; after an exception, whether a new one is."""
        return bool(self._waiting) and self._put > self._tried_at

    def take(self, target: Version, *, again: bool) -> Any:  # noqa: ARG002
        """Return the oldest event."""
        self._taken_at = self._put
        return self._waiting[0] if self._waiting else None

    def settle(self, target: Version, event: Any) -> None:  # noqa: ARG002
        """Remove the delivered event; a full deque may have dropped it meanwhile."""
        if self._waiting and self._waiting[0] is event:
            self._waiting.popleft()
        self._tried_at = 0

    def tried(self, target: Version, event: Any) -> None:  # noqa: ARG002
        """Record that the subscriber raised at the oldest event."""
        self._tried_at = self._taken_at
