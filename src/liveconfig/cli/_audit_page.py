"""``liveconfig audit`` as text: the table of uses, the findings, and the steps after a change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby

from liveconfig._manifests import RULES, ObjectId
from liveconfig._terminal import Paint, folded_table, printable, without_commands
from liveconfig.cli._audit_report import LIVE_MEANS, Report, Row

_HEADER = ["OBJECT", "WORKLOAD", "CONTAINER", "HOW", "KEYS", "STATE", "WHY"]
_STYLES = {"error": "bad", "warning": "bad", "note": "title"}


def page(report: Report, paint: Paint, width: int | None) -> Iterator[str]:
    """Yield the lines for a terminal or a log, which takes no name in them for a command.

    Args:
        report: The report.
        paint: Colours a text on a terminal.
        width: The columns of the terminal; None for no limit.
    """
    return without_commands(_lines(printable(report), paint, width))


def _lines(report: Report, paint: Paint, width: int | None) -> Iterator[str]:
    if report.subject is not None:
        yield paint(f"{report.subject}{_in(report.subject)}", "title") + f"  {report.about}"
        yield ""
    yield from _uses(report, paint, width)
    if report.after is not None:
        yield from _after(report, paint)
    yield from _findings(report, paint, width)
    for note in report.notes:
        yield from _paragraph(f"Note: {note}", width)
    yield f"{report.summary}."


def _uses(report: Report, paint: Paint, width: int | None) -> Iterator[str]:
    one = report.subject is not None
    several = len({row.object.namespace for row in report.rows}) > 1
    for namespace, rows in groupby(report.rows, key=lambda row: row.object.namespace):
        if several or not one:
            yield paint(f"Namespace {namespace}" if namespace else "No namespace", "title")
        header = _HEADER[one:]
        state = header.index("STATE")
        cells = [cells[one:] for cells in _cells(rows)]
        yield from folded_table(header, cells, partial(_painted, state=state, paint=paint), width)
        yield ""
    if not report.rows:
        yield f"Nothing in the input uses {report.subject or 'a ConfigMap or Secret'}."
        yield ""
    elif any(row.changes_in_place for row in report.rows):
        yield from _paragraph(LIVE_MEANS, width)


def _cells(rows: Iterable[Row]) -> Iterator[list[str]]:
    """Yield the cells of each row; the object's name only where it changes."""
    before = None
    for row in rows:
        object_cell, *others = row.cells()
        yield ["" if row.object == before else object_cell, *others]
        before = row.object


def _painted(cell: str, index: int, *, state: int, paint: Paint) -> str:
    style = {"LIVE": "good", "FROZEN": "bad"}.get(cell.strip(), "")
    return paint(cell, style) if index == state and style else cell


def _in(of: ObjectId) -> str:
    return f" in namespace {of.namespace}" if of.namespace else ""


def _after(report: Report, paint: Paint) -> Iterator[str]:
    """Yield the steps after a change of the object."""
    for title, lines in report.steps():
        yield paint(f"{title}:", "title")
        yield from (f"  {line}" for line in lines)
        yield ""


def _findings(report: Report, paint: Paint, width: int | None) -> Iterator[str]:
    for (level, name), group in groupby(report.findings, key=lambda each: (each.level, each.rule)):
        yield f"{paint(level, _STYLES[level])} {paint(name, 'title')}: {RULES[name].title}"
        for finding in group:
            where = f"{finding.place.file}:{finding.place.line}: " if finding.place else ""
            yield from _paragraph(where + finding.message, width, "  ", "      ", end=False)
        yield from _paragraph(f"-> {RULES[name].advice}", width, "  ", "     ")


def _paragraph(text: str, width: int | None, first: str = "", rest: str = "", *, end: bool = True) -> Iterator[str]:
    if width is None:
        yield first + text
    else:
        yield from textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
        )
    if end:
        yield ""
