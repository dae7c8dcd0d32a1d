"""Pinned snapshots: one for the length of a request, found again by code deep below through a context variable."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

S = TypeVar("S")

# Of the whole process, because a context keeps every variable that it has seen alive; it holds what each context set.
_pins: contextvars.ContextVar[tuple[Pin[Any], ...]] = contextvars.ContextVar("liveconfig_pins", default=())


class Pin(Generic[S]):
    """One ``with settings.live.pinned()``. It works until it is left, also for tasks that inherited its context."""

    __slots__ = ("_entered", "_latest", "_owner", "_snapshot")

    def __init__(self, owner: object, latest: Callable[[], S]) -> None:
        self._owner = owner
        self._latest = latest
        self._snapshot: S | None = None
        self._entered = 0

    def __enter__(self) -> S:
        # An inner one holds what the outer one holds, on its own account: a task may stay in it for longer.
        pins = _pins.get()
        outer: S | None = pinned(self._owner) if pins else None
        self._snapshot = snapshot = self._latest() if outer is None else outer
        self._entered += 1
        _pins.set((*(pin for pin in pins if pin.is_entered()), self))  # one left in another context stays in this one
        return snapshot

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if not self._entered:
            # Some frameworks leave in another context than they entered: there it stays, and holds nothing any more.
            self._snapshot = None
            pins = _pins.get()
            innermost = bool(pins) and pins[-1] is self
            _pins.set(pins[:-1] if innermost else tuple(pin for pin in pins if pin is not self))

    def is_entered(self) -> bool:
        """Whether it is not left yet."""
        return self._entered > 0

    def held(self, owner: object) -> S | None:
        """The snapshot, if this pin is of ``owner`` and not left yet."""
        return self._snapshot if self._owner is owner else None


def pinned(owner: object) -> Any:
    """The snapshot that the running context has pinned for ``owner``, the outermost one; None if there is none."""
    for pin in _pins.get():
        snapshot = pin.held(owner)
        if snapshot is not None:
            return snapshot
    return None
