"""A subscription that lasts as long as the object it serves."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from liveconfig import Change, Settings

Owner = TypeVar("Owner")


def subscribe_for(
    owner: Owner,
    settings: Settings,
    select: Callable[[Any], Any],
    receive: Callable[[Owner, Change[Any]], object],
    name: str,
) -> None:
    """Call ``receive(owner, change)`` at each change of a value, until the owner is collected.

    It is also called once at the start, because the value may have changed since the owner read it.

    Args:
        owner: It is held weakly, so neither ``select`` nor ``receive`` may refer to it.
        settings: Live settings.
        select: Reads the value from a snapshot.
        receive: The function to call, with the owner as first argument.
        name: The name of the subscriber in the status and the log.
    """
    reference = weakref.ref(owner)

    def deliver(change: Change[Any]) -> None:
        if (target := reference()) is not None:
            receive(target, change)

    deliver.__qualname__ = name
    subscription = settings.live.subscribe(select, deliver, initial=True)
    weakref.finalize(owner, subscription.cancel).atexit = False
