"""The entries of mappings: what changed in the data, and what settings have in place of a removed one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, RootModel

from liveconfig._loading.fields import Entry, Level, Node, Path, Place
from liveconfig._loading.types import ABSENT


def changed_entries(level: Level, old: Mapping[Any, Any], new: Any) -> Iterator[Path]:
    """The paths to the entries of mappings in old data that differ in the new, models in entries field by field."""
    paths = (path for step, *values in _changed(level, None, old, new) for path in _changed_below(step, *values))
    return (path for path in paths if any(isinstance(step, Entry) for step in path))


def _changed_below(step: Node | Entry, old: Any, new: Any) -> Iterator[Path]:
    place = step.place
    if isinstance(old, Mapping) and place.is_container:
        for inner, *values in _changed(place.children, place.entry, old, new):
            yield from ((step, *path) for path in _changed_below(inner, *values))
    else:
        yield (step,)


def _changed(
    level: Level, entry: Place | None, old: Mapping[Any, Any], new: Any
) -> Iterator[tuple[Node | Entry, Any, Any]]:
    data: Mapping[Any, Any] = new if isinstance(new, Mapping) else {}
    for name in [name for name, value in old.items() if data.get(name, ABSENT) != value]:
        node, values = level.accepting(name), (old[name], data.get(name, ABSENT))
        if node is None and entry is not None:
            yield Entry(name, entry), *values
        elif node is not None and node.rank_of(name) is not None:
            yield node, *values
        for each in level.sharers(name):
            if (inner := each.given(old)) is not ABSENT:
                yield each, inner, each.given(data)


def has_replacement(before: BaseModel, now: BaseModel, path: Path) -> bool:
    """Whether newer settings have a value where no key gives one any more: a default, or that of another source.

    There is none where the entry or a model around the value is gone, where the value is None, and where another member
    of a union is there now.
    """
    old: Any = before
    new: Any = now
    for step in path:
        if type(old) is not type(new) and (_is_model(old) or _is_model(new)):
            return False
        old, new = _at(old, step), _at(new, step)
        if new is ABSENT or new is None:
            return False
    return True


def _is_model(value: Any) -> bool:
    return isinstance(value, BaseModel) or dataclasses.is_dataclass(value)


def _at(value: Any, step: Node | Entry) -> Any:
    """The value of a field or of an entry; `ABSENT` if it is not there."""
    if isinstance(value, RootModel):
        value = value.root
    if isinstance(step, Node):
        return value.get(step.label, ABSENT) if isinstance(value, Mapping) else getattr(value, step.label, ABSENT)
    entries = getattr(value, "__pydantic_extra__", None) if isinstance(value, BaseModel) else value
    if not isinstance(entries, Mapping):
        return ABSENT
    if step.key in entries:
        return entries[step.key]
    kind: Callable[[Any], Any] = type(next(iter(entries), ""))  # a document has text where the settings have a number
    with suppress(TypeError, ValueError):
        return entries.get(kind(step.key), ABSENT)
    return ABSENT
