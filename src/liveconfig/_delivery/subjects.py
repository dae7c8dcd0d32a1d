"""What can be subscribed to, and which version a subscriber received last. No threads, no callbacks.

A subject is asked, when its subscriber has time, what there is to tell since the last time: so a slow one gets its
changes merged (first ``old``, last ``new``) without any queue that could grow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from liveconfig._delivery.changes import diff
from liveconfig._loading import equal, same
from liveconfig.events import Change, Reloaded

MOST_NOTICES = 16
MOST_VERSIONS = 256


@dataclass(frozen=True, slots=True)
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
    """What a subscriber is told about.

    Attributes:
        seen: The version that it has been brought to.
        several: Whether one version can bring it more than one event.
    """

    seen: int
    several: ClassVar[bool]

    def news(self, target: Version) -> bool:
        """Whether it may have something to tell; cheap, and no code of users."""
        ...

    def take(self, target: Version, *, again: bool) -> Any:
        """The event to deliver, or None.

        Args:
            target: The version to bring the subscriber to.
            again: It is owed an event, even if all is as it was when it was given the last one: it raised at that.
        """

    def settle(self, target: Version, event: Any) -> None:
        """The event was delivered."""

    def tried(self, target: Version, event: Any) -> None:
        """The subscriber raised at the event: only what differs from it is news."""


class ValueChanges:
    """What a selector returns; an event where it differs from the value that was delivered last."""

    several: ClassVar[bool] = False

    def __init__(self, select: Callable[[Any], Any], field: str | None, version: Version) -> None:
        self._select = select
        self._field = field
        self._value = self._tried = select(version.snapshot)
        self.seen = version.number

    def news(self, target: Version) -> bool:
        """Whether there is a newer version."""
        return target.number > self.seen

    def take(self, target: Version, *, again: bool) -> Change[Any] | None:
        """The change of the value since the last one delivered, if it differs from the last one tried."""
        value = self._select(target.snapshot)
        if not again and same(self._tried, value):
            return None
        return Change(self._field, self._value, value, target.number)

    def settle(self, target: Version, event: Change[Any]) -> None:  # noqa: ARG002
        """The new value is what it has seen."""
        self._value = self._tried = event.new

    def tried(self, target: Version, event: Change[Any]) -> None:  # noqa: ARG002
        """It raised at the new value."""
        self._tried = event.new


class Reloads:
    """Every applied version, with all its changes."""

    several: ClassVar[bool] = False

    def __init__(self, version: Version) -> None:
        self._version = self._tried = version
        self.seen = version.number

    def news(self, target: Version) -> bool:
        """Whether there is a newer version."""
        return target.number > self.seen

    def take(self, target: Version, *, again: bool) -> Reloaded[Any] | None:
        """Everything that changed since the last version delivered, if something did since the last one tried."""
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
        """The new version is what it has seen."""
        self._version = self._tried = target

    def tried(self, target: Version, event: Reloaded[Any]) -> None:  # noqa: ARG002
        """It raised at the new version."""
        self._tried = target


class LogQueue:
    """Every version with the one before it, and every rejection, one by one: for our own log, that must miss none."""

    several: ClassVar[bool] = True

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque(maxlen=MOST_VERSIONS)
        self.seen = 0

    def put(self, event: Any) -> None:
        """Keep a version and the one before it, or a rejection."""
        self._waiting.append(event)

    def forget(self) -> None:
        """In a forked child: the parent tells of these."""
        self._waiting.clear()

    def news(self, target: Version) -> bool:  # noqa: ARG002
        """Whether anything waits."""
        return bool(self._waiting)

    def take(self, target: Version, *, again: bool) -> Any:  # noqa: ARG002
        """The oldest that waits."""
        return self._waiting.popleft()

    def settle(self, target: Version, event: Any) -> None:
        """It was taken already."""

    def tried(self, target: Version, event: Any) -> None:
        """It was taken already."""


class EventQueue:
    """`Rejected` or `Stale`, one by one; of a slow subscriber's, the newest are kept."""

    several: ClassVar[bool] = True

    def __init__(self, event_type: type, version: Version) -> None:
        self._event_type = event_type
        self._waiting: deque[Any] = deque(maxlen=MOST_NOTICES)
        self._put = self._taken_at = self._tried_at = 0  # how many came: in all, at the last take, before it raised
        self._standing: tuple[Any, ...] = ()
        self.seen = version.number

    def begin_with(self, standing: Iterable[Any]) -> None:
        """Queue what stood before the subscription. It may be on its way, too: it is queued once."""
        for notice in standing:
            self.put(notice)
        self._standing = tuple(self._waiting)

    def put(self, notice: Any) -> None:
        """Keep a notice for the subscriber, if it is of its type."""
        if isinstance(notice, self._event_type) and notice not in self._standing:
            self._waiting.append(notice)
            self._put += 1

    def news(self, target: Version) -> bool:  # noqa: ARG002
        """Whether a notice waits; after it has raised, whether a new one does."""
        return bool(self._waiting) and self._put > self._tried_at

    def take(self, target: Version, *, again: bool) -> Any:  # noqa: ARG002
        """The oldest notice that waits."""
        self._taken_at = self._put
        return self._waiting[0] if self._waiting else None

    def settle(self, target: Version, event: Any) -> None:  # noqa: ARG002
        """It has been told; if the deque was full it may have fallen out meanwhile."""
        if self._waiting and self._waiting[0] is event:
            self._waiting.popleft()
        self._tried_at = 0

    def tried(self, target: Version, event: Any) -> None:  # noqa: ARG002
        """It raised at the oldest one."""
        self._tried_at = self._taken_at
