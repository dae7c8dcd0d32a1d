"""For an application's own tests: other values than the volume's, and a record of what happened."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from liveconfig._engine import Core
from liveconfig._loading import Node, Overrides, leaves, nearest
from liveconfig.events import Recovered, Rejected, Reloaded, Stale
from liveconfig.exceptions import InvalidSettingsError, LiveConfigError
from liveconfig.settings import Settings

__all__ = ["override", "recorded"]

Event: TypeAlias = Reloaded[Any] | Rejected | Recovered | Stale


@contextlib.contextmanager
def override(settings: Settings, /, **values: Any) -> Iterator[None]:
    """For the length of a ``with``, let some fields have other values.

    A source above all others: it goes through the normal transaction, so it is validated, published to subscribers,
    seen by the whole process, and survives swaps. Undone in reverse order; if what is on the volumes by then is good
    under the override only, the settings go back to what they were before it, the last good ones.

    Args:
        settings: A live object.
        values: By the name of the field; ``__`` reaches into nested models (``db__password="x"``).

    Raises:
        InvalidSettingsError: The values are not taken; the message says why, and holds none of them.
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
def recorded(settings: Settings) -> Iterator[list[Event]]:
    """For the length of a ``with``, the list of events; filled when ``settings.live.reload()`` returns.

    They are told as to any subscriber: events of one kind come in their order, and changes that come while a subscriber
    is busy are merged.
    """
    events: list[Event] = []

    def record(event: Event) -> None:
        events.append(event)

    subscriptions = [settings.live.subscribe(what, record) for what in (Reloaded, Rejected, Recovered, Stale)]
    try:
        yield events
    finally:
        for subscription in subscriptions:
            subscription.cancel()


class _Overrides:
    """One layer of overrides on one settings object."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._before = core.engine.applied.feeds
        self._layer: Overrides = ()

    def put(self, values: dict[str, Any]) -> LiveConfigError | None:
        """Let the values hold. The arguments are emptied, so that no frame on the way of an error holds a value."""
        paths = {name: self._path(name) for name in values}
        unknown = next((name for name, path in paths.items() if not path), None)
        if unknown is None:
            # A whole model first, then the fields inside it, in whatever order they were given.
            self._layer = tuple(sorted(((paths[name], values[name]) for name in values), key=lambda each: len(each[0])))
        values.clear()
        return self._unknown(unknown) if unknown is not None else self._put()

    def _put(self) -> LiveConfigError | None:
        self._change(lambda layers: (*layers, self._layer))
        if self._holds():
            return None
        reasons = "; ".join(rejected.reason for rejected in self._core.engine.rejections.standing())
        self.take_away()
        self._layer = ()
        return InvalidSettingsError(f"the override is not applied: {reasons or 'another look is under way'}")

    def _unknown(self, name: str) -> LiveConfigError:
        inside = (dotted.replace(".", "__") for dotted, _ in leaves(self._core.engine.applied.snapshot))
        close = nearest(name, [*self._core.loader.plan.fields, *inside])
        return LiveConfigError(f"no field {name!r}" + (f"; did you mean {close!r}?" if close else ""))

    def take_away(self) -> None:
        """Let the values hold no more."""
        self._change(lambda layers: tuple(layer for layer in layers if layer is not self._layer))
        if self._holds():
            self._core.engine.revert(self._before)
            self._core.publisher.barrier()

    def _change(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        self._core.engine.override(change)
        self._core.publisher.barrier()

    def _holds(self) -> bool:
        return any(layer is self._layer for layer in self._core.engine.applied.overrides)

    def _path(self, name: str) -> tuple[Node, ...]:
        plan = self._core.loader.plan
        return plan.path(name) or plan.path(name.replace("__", "."))
