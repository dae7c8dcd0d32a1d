"""Limits that hold for a document of any format: size, depth, duplicate names."""

from __future__ import annotations

import re
from typing import Any

from liveconfig._loading.merging import PLAIN

MAX_NODES = 1_000_000
MAX_DEPTH = 100


class DocumentError(Exception):
    """A document cannot be parsed; the message holds places and kinds, no content."""


def unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make a mapping of the pairs of a text.

    Raises:
        DocumentError: A name occurs twice.
    """
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise DocumentError("a name stands twice in one mapping")
    return mapping


def check_size(data: Any, *, escaped: bool) -> None:
    """Reject data that is too large or too deep for a configuration, or that cannot be encoded.

    Args:
        data: The data.
        escaped: Whether it can hold half a character: its text has a backslash, or names variables.

    Raises:
        DocumentError: It has too many entries, or half a character in a text.
        RecursionError: It is nested too deep.
    """
    if _Walk(escaped).size(data) > MAX_NODES:
        raise DocumentError(f"it has more than {MAX_NODES:,} entries once its aliases are expanded")


_COLLECTIONS = (dict, list, tuple, set)
"""What the parsers make of collections; tuples and sets are those of ``!!pairs``, ``!!omap`` and ``!!set`` in YAML."""

_Collection = dict[Any, Any] | list[Any] | tuple[Any, ...] | set[Any]


class _Walk:
    """A walk through data that takes no step of Python for each plain value, which would take as long as the parser.

    Args:
        escaped: Whether the texts are searched for half a character.
    """

    def __init__(self, escaped: bool) -> None:
        self._escaped = escaped
        self._measures: dict[int, tuple[int, int]] = {}

    def size(self, value: Any) -> int:
        """Count the nodes of a value, shared ones each time, as validation visits them."""
        if isinstance(value, str):
            _check_text(value)
        return self._measured(value, 0)[0] if isinstance(value, _COLLECTIONS) else 1

    def _measured(self, value: _Collection, depth: int) -> tuple[int, int]:
        """Return the nodes and the levels of a collection, which one walk finds for all places that share it."""
        if id(value) not in self._measures:
            if depth >= MAX_DEPTH:  # it may contain itself
                raise RecursionError
            self._measures[id(value)] = self._inside(value, depth)
        size, levels = self._measures[id(value)]
        if depth + levels > MAX_DEPTH:
            raise RecursionError
        return size, levels

    def _inside(self, value: _Collection, depth: int) -> tuple[int, int]:
        inner = value.values() if isinstance(value, dict) else value
        if self._escaped:
            _check_text("".join(item for item in (*value, *inner) if isinstance(item, str)))
        if PLAIN.issuperset(map(type, inner)):
            return 1 + len(value), 1
        nested = [self._measured(each, depth + 1) for each in inner if isinstance(each, _COLLECTIONS)]
        size = 1 + len(value) + sum(size - 1 for size, _ in nested)
        return size, 1 + max((levels for _, levels in nested), default=0)


def _check_text(text: str) -> None:
    """Reject text that cannot be encoded as UTF-8: an escape for half of a surrogate pair."""
    if not text.isascii() and re.search(_HALF, text):
        raise DocumentError("an escape stands for half a character")


_HALF = "[\ud800-\udfff]"
