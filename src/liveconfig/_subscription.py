"""What `Live.subscribe` returns."""

from __future__ import annotations

from typing import Any

from liveconfig._core import Core
from liveconfig._delivery.subscribers import Subscriber


class Subscription:
    """What `Live.subscribe` returns: the way out."""

    def __init__(self, core: Core[Any], subscriber: Subscriber) -> None:
        self._core: Core[Any] | None = core  # None once cancelled: who keeps this keeps no settings alive by it
        self._subscriber = subscriber

    def cancel(self) -> None:
        """Deliver nothing more; a call that is under way ends as it will. Harmless when called twice."""
        core, self._core = self._core, None
        if core is not None:
            core.cancel(self._subscriber)
