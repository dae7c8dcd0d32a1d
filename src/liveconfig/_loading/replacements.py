"""The values that settings have in place of one that was removed from an entry of a mapping."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, RootModel

from liveconfig._loading.fields import Entry, Node, Path
from liveconfig._loading.types import ABSENT


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
