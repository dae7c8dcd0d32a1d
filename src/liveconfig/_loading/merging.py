"""Merging and copying of the data for pydantic: nested dictionaries and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two values, nested dictionaries entry by entry; ``high`` wins."""
    if not low:
        return dict(high)
    merged = dict(low)
    for name, value in high.items():
        below = merged.get(name)
        merged[name] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


PLAIN = frozenset((str, int, float, bool, type(None)))
"""The types of nearly all values; they hold no other values. To ask for them is faster than `isinstance`."""


def not_plain(values: Mapping[Any, Any]) -> list[Any]:
    """Return the names of the values that are of other types. Where there are none, no step of Python is taken."""
    if PLAIN.issuperset(map(type, values.values())):
        return []
    return [name for name, value in values.items() if type(value) not in PLAIN]


def fresh(value: Any) -> Any:
    """Return a copy that a validator may change."""
    if isinstance(value, dict):
        copied = dict(value)
        copied.update([(name, fresh(value[name])) for name in not_plain(value)])
        return copied
    if isinstance(value, list):
        return [fresh(inner) for inner in value]
    return type(value)(map(fresh, value)) if type(value) in (tuple, set) else value  # of `!!pairs` and `!!set` in YAML


def serving(dotted: str, names: Mapping[str, str]) -> str | None:
    """Return the name that serves a leaf, or the nearest model around it; for a model, the first inside."""
    label = dotted
    while label not in names and "." in label:
        label = label.rpartition(".")[0]
    if label in names:
        return names[label]
    return next((names[inner] for inner in names if inner.startswith(dotted + ".")), None)
