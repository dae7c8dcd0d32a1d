"""Overrides of values for tests of applications."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from liveconfig._engine import Core
from liveconfig._loading import Node, Overrides, leaves, nearest
from liveconfig.exceptions import InvalidSettingsError, LiveConfigError
from liveconfig.settings import Settings, live_of

__all__ = ["override"]


@contextlib.contextmanager
def override(settings: Settings, /, **values: Any) -> Iterator[None]:
    """Override the values of some fields inside a ``with``.

    The override is a source above all others. It is validated, published to subscribers and visible in the whole
    process, and it stays when a volume changes. Overrides are undone in reverse order. If the content of the volumes is
    then valid only with the override, the settings go back to the content from before it. Plain subscribers have been
    called when the ``with`` begins and when it has ended; coroutine subscribers are called later: ``await
    settings.live.areload()`` waits for them.

    Args:
        settings: A live object.
        values: By the name of the field; ``__`` reaches into nested models (``db__password="x"``). A mapping is merged
            with the mapping that the volumes give, as pydantic-settings merges its sources, and replaces a default.

    Raises:
        InvalidSettingsError: The values are not valid. The message says why, and contains none of them.
        LiveConfigError: There is no such field (the message suggests the nearest name), or this is a snapshot.
        TypeError: It is a settings class, or something else.
    """
    core = live_of(settings)._core  # noqa: SLF001 - the only place that needs more than the public methods
    layer = _Overrides(core)
    error = layer.set(values)
    if error is not None:
        raise error
    try:
        yield
    finally:
        layer.remove()


class _Overrides:
    """One layer of overrides on one settings object."""

    def __init__(self, core: Core[Any]) -> None:
        self._core = core
        self._before = core.engine.applied.feeds
        self._layer: Overrides = ()

    def set(self, values: dict[str, Any]) -> LiveConfigError | None:
        """Set the values. The arguments are emptied, so that no frame of a traceback holds a value."""
        paths = {name: self._path(name) for name in values}
        unknown = next((name for name, path in paths.items() if not path), None)
        if unknown is None:
            # A whole model first, then the fields inside it, in any order of the arguments.
            self._layer = tuple(sorted(((paths[name], values[name]) for name in values), key=lambda each: len(each[0])))
        values.clear()
        return self._unknown(unknown) if unknown is not None else self._set()

    def _set(self) -> LiveConfigError | None:
        self._change(lambda layers: (*layers, self._layer))
        if self._is_applied():
            return None
        reasons = "; ".join(rejected.reason for rejected in self._core.engine.rejections.standing())
        self.remove()
        self._layer = ()
        return InvalidSettingsError(f"the override is not applied: {reasons or 'another reload is running'}")

    def _unknown(self, name: str) -> LiveConfigError:
        inside = (dotted.replace(".", "__") for dotted, _ in leaves(self._core.engine.applied.snapshot))
        close = nearest(name, [*self._core.loader.plan.fields, *inside])
        return LiveConfigError(f"no field {name!r}" + (f"; did you mean {close!r}?" if close else ""))

    def remove(self) -> None:
        """Remove the values."""
        self._change(lambda layers: tuple(layer for layer in layers if layer is not self._layer))
        if self._is_applied():
            self._core.engine.revert(self._before)
            self._core.publisher.barrier()

    def _change(self, change: Callable[[tuple[Overrides, ...]], tuple[Overrides, ...]]) -> None:
        self._core.engine.override(change)
        self._core.publisher.barrier()

    def _is_applied(self) -> bool:
        return any(layer is self._layer for layer in self._core.engine.applied.overrides)

    def _path(self, name: str) -> tuple[Node, ...]:
        plan = self._core.loader.plan
        return plan.path(name) or plan.path(name.replace("__", "."))
