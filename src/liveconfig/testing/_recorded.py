"""A record of the events of one settings object, for tests of applications."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeAlias

from liveconfig.events import Recovered, Rejected, Reloaded, Stale
from liveconfig.settings import Settings, live_of

__all__ = ["recorded"]

Event: TypeAlias = Reloaded[Any] | Rejected | Recovered | Stale


@contextlib.contextmanager
def recorded(settings: Settings) -> Iterator[list[Event]]:
    """Record the events inside a ``with``. The list is complete when ``settings.live.reload()`` returns.

    The events are those of any subscriber: in order for each kind, and changes that happen while a subscriber is busy
    are merged.

    Raises:
        LiveConfigError: This is a snapshot.
        TypeError: It is a settings class, or something else.
    """
    live = live_of(settings)
    events: list[Event] = []

    def record(event: Event) -> None:
        events.append(event)

    subscriptions = [live.subscribe(what, record) for what in (Reloaded, Rejected, Recovered, Stale)]
    try:
        yield events
    finally:
        for subscription in subscriptions:
            subscription.cancel()
