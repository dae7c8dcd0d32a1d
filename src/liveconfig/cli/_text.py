"""Text for people: tables, colours where there is a terminal, and nothing that a terminal could take for a command."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
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


def width_of_output() -> int | None:
    """The columns of the terminal, or what COLUMNS says; None where nothing limits a line."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def folded_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], paint: Callable[[str, int], str], width: int | None
) -> list[str]:
    """A table that fits a width: cells of the widest columns are folded onto several lines.

    Args:
        header: The titles.
        rows: The cells.
        paint: Called with each padded cell and the number of its column.
        width: The columns of the terminal; None: as wide as it needs.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    _narrow(widths, header, width)
    return [line for cells in lines for line in _folded(cells, widths, paint)]


_GAP = "  "
_NARROWEST = 12  # columns that a cell is folded to at most


def _narrow(widths: list[int], header: Sequence[str], width: int | None) -> None:
    """Take from the widest column, one by one, until all fit or none can give more."""
    least = [max(len(title), _NARROWEST) for title in header]
    while width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        able = [index for index, each in enumerate(widths) if each > least[index]]
        if not able:
            break
        widths[max(able, key=widths.__getitem__)] -= 1


def _folded(cells: Sequence[str], widths: Sequence[int], paint: Callable[[str, int], str]) -> list[str]:
    parts = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for at in range(max(map(len, parts))):
        row = [part[at] if at < len(part) else "" for part in parts]
        painted = [paint(f"{cell:<{width}}", i) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append(_GAP.join(painted).rstrip())
    return lines
