"""Pinned snapshots, found through a context variable."""

from __future__ import annotations

import contextvars
from types import TracebackType
from typing import Any, Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._engine.state import AppliedState

S = TypeVar("S", bound=BaseSettings)

# Of the whole process, because a context keeps every variable that it has seen alive; it holds what each context set.
_pins: contextvars.ContextVar[tuple[Pin[Any], ...]] = contextvars.ContextVar("liveconfig_pins", default=())


class Pin(Generic[S]):
    """One ``with settings.live.pinned()``. It works until it is left, also for tasks that inherited its context."""

    __slots__ = ("_entered", "owner", "snapshot")

    def __init__(self, owner: AppliedState[S]) -> None:
        self.owner = owner
        self.snapshot: S | None = None  # until it is entered, and once it is left
        self._entered = 0

    def __enter__(self) -> S:
        # An inner one holds what the outer one holds, on its own account: a task may stay in it for longer.
        outer: S | None = None
        if pins := _pins.get():  # as a rule there is none, and each request pays for what is done here
            outer = pinned(self.owner)
            # One that was left in another context stays in this one.
            pins = tuple(pin for pin in pins if pin.snapshot is not None)
        self.snapshot = snapshot = self.owner.state[0].snapshot if outer is None else outer
        self._entered += 1
        _pins.set((*pins, self))
        return snapshot

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if not self._entered:
            # Some frameworks leave in another context than they entered: there it stays, and holds nothing any more.
            self.snapshot = None
            pins = _pins.get()
            _pins.set(pins[:-1] if pins and pins[-1] is self else tuple(pin for pin in pins if pin is not self))


def pinned(owner: AppliedState[S]) -> S | None:
    """The snapshot that the running context has pinned for ``owner``, the outermost one; None if there is none."""
    for pin in _pins.get():
        snapshot: S | None = pin.snapshot  # read once: another thread may leave it
        if pin.owner is owner and snapshot is not None:
            return snapshot
    return None
