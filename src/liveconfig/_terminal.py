"""Text for terminals: tables, colours, and no characters that a terminal takes as a command."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol

Paint = Callable[[str, str], str]


class Terminal(Protocol):
    """An output that may be a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        ...


_COLOURS = {"good": "32", "bad": "1;31", "title": "1"}


def printable(value: Any) -> Any:
    """Return the same data with ``?`` for each character that is not printable, in dataclasses and tuples too."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(each if each.isprintable() else "?" for each in value)
    if isinstance(value, Mapping):
        return {printable(name): printable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        inner = [printable(each) for each in value]
        return inner if isinstance(value, list) else getattr(value, "_make", tuple)(inner)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: printable(getattr(value, each.name)) for each in fields(value)})
    return value


def without_commands(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a page, with ``?`` in what a CI system would obey as a command if it is in a log.

    GitHub Actions obeys a line that begins with ``::`` after white space, and ``##[...]`` anywhere in a line; Azure
    Pipelines obeys ``##vso[...]``.
    """
    return (_COMMAND.sub(lambda found: re.sub("[:#]", "?", found[0]), line) for line in lines)


_COMMAND = re.compile(r"^\s*::|##(?=\w*\[)")


def painter(output: Terminal | None = None) -> Paint:
    """Return a function that colours a text as ``"good"``, ``"bad"`` or ``"title"``, if the output allows colours.

    See no-color.org.

    Args:
        output: Where the text is written; None for standard output.
    """
    plain = not (output or sys.stdout).isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"

    def paint(text: str, style: str) -> str:
        colour = _COLOURS.get(style) if text.strip() else None
        return text if plain or colour is None else f"\033[{colour}m{text}\033[0m"

    return paint


def table(header: Sequence[str], rows: Iterable[Sequence[str]], paint: Callable[[str, int], str]) -> list[str]:
    """Yield the lines of a table; the last column has no limit.

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
    """Return the width of the terminal; None if standard output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def folded_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], paint: Callable[[str, int], str], width: int | None
) -> list[str]:
    """Yield a table that fits a width: the last column is folded, or put below its row if there is no space beside it.

    Args:
        header: The titles.
        rows: The cells.
        paint: Called with each padded cell and the number of its column.
        width: The columns of the terminal; None: as wide as it needs.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if width is None:
        return [line for cells in lines for line in _folded(cells, widths, paint)]
    space = width - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
    if space >= _NARROWEST:
        widths[-1] = min(widths[-1], space)
        return [line for cells in lines for line in _folded(cells, widths, paint)]
    _narrow(widths, width)
    return [line for cells in lines for line in _two_lines(cells, widths, paint, width)]


_GAP = "  "
_BELOW = "    "
_NARROWEST = 20  # characters of the last column
_NARROWEST_CELL = 12  # and of another


def _narrow(widths: list[int], width: int) -> None:
    """Take from the widest column but the last, until all those fit or none can give more."""
    while sum(widths[:-1]) + len(_GAP) * (len(widths) - 2) > width:
        widest = max(range(len(widths) - 1), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST_CELL:
            break
        widths[widest] -= 1


def _two_lines(cells: Sequence[str], widths: Sequence[int], paint: Callable[[str, int], str], width: int) -> list[str]:
    space = max(width - len(_BELOW), _NARROWEST)
    below = textwrap.wrap(cells[-1], space, break_on_hyphens=False)
    return [*_folded(cells[:-1], widths[:-1], paint), *(f"{_BELOW}{paint(line, len(cells) - 1)}" for line in below)]


class _Names(textwrap.TextWrapper):
    """Breaks names after ``/`` and ``-``, where they have parts."""

    wordsep_re = re.compile(r"(\s+|[^\s/-]*[/-])")


def _folded(cells: Sequence[str], widths: Sequence[int], paint: Callable[[str, int], str]) -> list[str]:
    pairs = zip(cells, widths, strict=True)
    parts = [_Names(width).wrap(cell) or [""] for cell, width in pairs]
    lines = []
    for at in range(max(map(len, parts))):
        row = [part[at] if at < len(part) else "" for part in parts]
        painted = [paint(f"{cell:<{width}}", i) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append(_GAP.join(painted).rstrip())
    return lines
