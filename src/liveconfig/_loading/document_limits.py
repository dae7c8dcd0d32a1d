"""Limits that hold for a document of any format: size, depth, duplicate names."""

from __future__ import annotations

import re
from collections.abc import Collection
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


def check_size(data: Any) -> None:
    """Reject data that is too large or too deep for a configuration, or that cannot be encoded.

    Raises:
        DocumentError: It has too many entries, or half a character in a text.
        RecursionError: It is nested too deep.
    """
    if _expanded(data, {}, 0) > MAX_NODES:
        raise DocumentError(f"it has more than {MAX_NODES:,} entries once its aliases are expanded")


def _expanded(value: Any, sizes: dict[int, int], depth: int) -> int:
    """Count the nodes of a value, shared ones each time, as validation visits them."""
    if isinstance(value, str):
        _check_text(value)
    if not isinstance(value, (dict, list)):
        return 1
    if depth >= MAX_DEPTH:
        raise RecursionError
    if id(value) not in sizes:
        if isinstance(value, dict):
            _check_names(value)
        sizes[id(value)] = _size(value.values() if isinstance(value, dict) else value, sizes, depth)
    return sizes[id(value)]


def _size(inner: Collection[Any], sizes: dict[int, int], depth: int) -> int:
    kinds = set(map(type, inner))  # a step of Python for each plain value would take longer than the parser
    texts = inner if kinds == _ONLY_TEXT else [item for item in inner if isinstance(item, str)]
    for text in () if all(map(str.isascii, texts)) else texts:
        _check_text(text)
    nested = () if kinds <= PLAIN else [item for item in inner if isinstance(item, (dict, list))]
    return 1 + len(inner) + sum(_expanded(item, sizes, depth + 1) - 1 for item in nested)


def _check_names(names: Collection[Any]) -> None:
    try:
        text = "".join(names)
    except TypeError:  # YAML has names that are no text
        text = "".join(map(str, names))
    _check_text(text)


def _check_text(text: str) -> None:
    """Reject text that cannot be encoded as UTF-8: an escape for half of a surrogate pair."""
    if not text.isascii() and _HALF.search(text):
        raise DocumentError("an escape stands for half a character")


_ONLY_TEXT = {str}
_HALF = re.compile("[\ud800-\udfff]")
