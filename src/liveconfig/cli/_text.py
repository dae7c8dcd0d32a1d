"""Text for people: tables, colours where there is a terminal, and nothing that a terminal could take for a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Paint = Callable[[str, str], str]

_COLOURS = {"good": "32", "bad": "1;31", "title": "1"}


def printable(value: Any) -> Any:
    """The same, as JSON knows it, with ``?`` for each character in its texts that is none to look at."""
    if isinstance(value, str):
        return "".join(each if each.isprintable() else "?" for each in value)
    if isinstance(value, Mapping):
        return {printable(name): printable(inner) for name, inner in value.items()}
    return [printable(inner) for inner in value] if isinstance(value, list) else value


def painter() -> Paint:
    """A function that colours a text as ``"good"``, ``"bad"`` or ``"title"``: on a terminal, and unless it may not.

    See no-color.org.
    """
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return lambda text, style: text if plain or style not in _COLOURS else f"\033[{_COLOURS[style]}m{text}\033[0m"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], paint: Callable[[str, int], str]) -> list[str]:
    """Columns under a header, the last one as long as it likes.

    Args:
        header: The titles.
        rows: The cells.
        paint: Called with each padded cell and the number of its column.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0
    return [
        "  ".join(
            paint(f"{cell:<{width}}", index) for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
