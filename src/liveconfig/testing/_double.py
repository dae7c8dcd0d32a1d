"""For an application's own tests: other values than the volume's, and a record of what happened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from liveconfig._core import Core
from liveconfig._reading.names import Node, nearest
from liveconfig.events import Rejected, Reloaded, Stale
from liveconfig.exceptions import InvalidSettingsError, LiveConfigError
from liveconfig.settings import Settings


@contextlib.contextmanager
def override(settings: Settings, **values: Any) -> Iterator[None]:
    """For the length of a ``with``, let some fields have other values.

    A source above all others: it goes through the normal transaction, so it is validated, published to subscribers,
    seen by the whole process, and survives swaps. Undone in reverse order.

    Args:
        settings: A live object.
        values: By the name of the field; ``__`` reaches into nested models (``db__password="x"``).

    Raises:
        InvalidSettingsError: The values do not validate; the message holds none of them.
        LiveConfigError: There is no such field; the message names the nearest.
    """
    core = settings.live._core  # noqa: SLF001 - the one place that needs more than the face
    layer = _Overrides(core)
    refused = layer.put(values)
    if refused is not None:
        raise refused
    try:
        yield
    finally:
        layer.take_away()


@contextlib.contextmanager
def recorded(settings: Settings) -> Iterator[list[Reloaded[Any] | Rejected | Stale]]:
    """For the length of a ``with``, the list of events; filled when ``settings.live.reload()`` returns."""
    events: list[Reloaded[Any] | Rejected | Stale] = []
    subscriptions = [settings.live.subscribe(what, events.append) for what in (Reloaded, Rejected, Stale)]
    try:
        yield events
    finally:
        for subscription in subscriptions:
            subscription.cancel()


class _Overrides:
    """One layer of overrides on one settings object."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._data: dict[str, Any] = {}

    def put(self, values: dict[str, Any]) -> LiveConfigError | None:
        """Let the values hold. What came in is emptied, so that no frame on the way of an error holds a value."""
        unknown = next((name for name in values if self._nodes(name) is None), None)
        for name in list(values) if unknown is None else ():
            self._place(self._nodes(name) or (), values[name])
        values.clear()
        if unknown is not None:
            close = nearest(unknown, self._core.loader.plan.fields)
            return LiveConfigError(f"no field {unknown!r}" + (f"; did you mean {close!r}?" if close else ""))
        if self._apply((*self._core.loader.overrides, self._data)):
            return None
        reasons = "; ".join(fault.reason for fault in self._core.engine.rejections.faults.values())
        self.take_away()
        self._data.clear()
        return InvalidSettingsError(f"the override is not applied: {reasons}")

    def take_away(self) -> None:
        """Let the values hold no more."""
        self._apply(tuple(layer for layer in self._core.loader.overrides if layer is not self._data))

    def _apply(self, layers: tuple[Any, ...]) -> bool:
        applied = self._core.engine.override(layers)
        self._core.hub.barrier()
        return applied

    def _nodes(self, name: str) -> tuple[Node, ...] | None:
        labels = name.split("__")
        nodes = [self._core.loader.plan.node(".".join(labels[: count + 1])) for count in range(len(labels))]
        found = tuple(node for node in nodes if node is not None)
        return found if len(found) == len(labels) else None

    def _place(self, nodes: tuple[Node, ...], value: Any) -> None:
        data = self._data
        for node in nodes[:-1]:
            data = data.setdefault(node.key, {})
        data[nodes[-1].key] = value


__all__ = ["override", "recorded"]
