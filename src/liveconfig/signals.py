"""blinker signals for any settings object: `reloaded`, `rejected`, `recovered` and `stale`.

The sender is the settings object and the receiver is called as ``receiver(settings, event=event)``::

    from liveconfig import signals

    @signals.reloaded.connect
    def log(settings, event): ...

Each receiver is isolated from the others. blinker refers to receivers weakly. A coroutine function is logged and
skipped: subscribe it with ``settings.live`` instead. This is the only module that uses blinker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blinker import Namespace

from liveconfig.events import Recovered, Rejected, Reloaded, Stale

__all__ = ["recovered", "rejected", "reloaded", "stale"]

_namespace = Namespace()

reloaded = _namespace.signal("reloaded", doc="A new configuration was applied; the event is a `Reloaded`.")
rejected = _namespace.signal("rejected", doc="A configuration was not applied; the event is a `Rejected`.")
recovered = _namespace.signal("recovered", doc="A rejection ended; the event is a `Recovered`.")
stale = _namespace.signal("stale", doc="A field cannot follow its volume; the event is a `Stale`.")

_BY_EVENT = {Reloaded: reloaded, Rejected: rejected, Recovered: recovered, Stale: stale}
Receiver = Callable[..., Any]
Key = tuple[type, int, int]


def receivers(sender: object) -> dict[Key, Receiver]:
    """Return the receivers of ``sender``, by the type of event and the identity of the receiver."""
    found: dict[Key, Receiver] = {}
    for event_type, signal in _BY_EVENT.items():
        if signal.receivers and not signal.is_muted:
            for receiver in signal.receivers_for(sender):
                # Each access to a bound method creates a new object: its parts identify it.
                owner, function = getattr(receiver, "__self__", None), getattr(receiver, "__func__", receiver)
                found[event_type, id(owner), id(function)] = receiver
    return found
