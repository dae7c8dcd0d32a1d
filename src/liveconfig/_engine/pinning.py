"""Pinned snapshots, stored in a context variable."""

from __future__ import annotations

import contextvars
from types import TracebackType
from typing import Any, Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._engine.state import AppliedState

S = TypeVar("S", bound=BaseSettings)

# One variable for the whole process, because a context keeps every variable that was set in it alive.
_entries: contextvars.ContextVar[tuple[_Entry, ...]] = contextvars.ContextVar("liveconfig_pins", default=())


class _Entry:
    """One entry into a pin. It holds until it is left, also for tasks that inherited its context."""

    __slots__ = ("owner", "pin", "snapshot")

    def __init__(self, owner: AppliedState[Any], pin: Pin[Any], snapshot: Any) -> None:
        self.owner = owner
        self.pin = pin
        self.snapshot = snapshot  # None after it was left


class Pin(Generic[S]):
    """The context manager of `Live.pinned`. It may be entered several times, in several threads and tasks."""

    __slots__ = ("_open", "_owner")

    def __init__(self, owner: AppliedState[S]) -> None:
        self._owner = owner
        self._open: list[_Entry] = []

    def __enter__(self) -> S:
        # A nested pin has an entry of its own for the same snapshot: a task may stay in it for longer.
        outer: S | None = None
        if entries := _entries.get():  # usually there is none, and this runs for each request
            outer = pinned(self._owner)
            # An entry that was left in another context is still listed here.
            entries = tuple(entry for entry in entries if entry.snapshot is not None)
        snapshot = self._owner.state[0].snapshot if outer is None else outer
        entry = _Entry(self._owner, self, snapshot)
        self._open.append(entry)
        _entries.set((*entries, entry))
        return snapshot

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entries = _entries.get()
        # Some frameworks leave in another context than they entered: the entry stays listed there, and holds nothing.
        entry = self._open[-1]
        for other in reversed(entries):  # usually one; a generator would take as long as all the rest
            if other.pin is self and other.snapshot is not None:
                entry = other
                break
        self._open.remove(entry)
        entry.snapshot = None
        _entries.set(entries[:-1] if entries[-1:] == (entry,) else tuple(each for each in entries if each is not entry))


def pinned(owner: AppliedState[S]) -> S | None:
    """Return the snapshot that the outermost pin of this context holds for ``owner``; None if there is none."""
    for entry in _entries.get():
        snapshot: S | None = entry.snapshot  # read once: another thread may leave it
        if entry.owner is owner and snapshot is not None:
            return snapshot
    return None
