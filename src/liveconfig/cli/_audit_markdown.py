"""``liveconfig audit`` as Markdown, for a comment in a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from liveconfig._manifests import Finding
from liveconfig.cli._audit_report import LIVE_MEANS, Report, Row
from liveconfig.cli._output import code, markdown_table, plain

# Characters of a table; GitHub takes 65,536 in one comment.
_FINDINGS_LIMIT = 40_000
_USES_LIMIT = 15_000


def markdown(report: Report) -> Iterator[str]:
    """Return the lines, the most important ones first, so that they fit into one comment."""
    yield f"### liveconfig audit{f': {code(str(report.subject))}' if report.subject else ''}"
    yield ""
    yield f"{plain(report.summary)}."
    yield ""
    if report.subject is not None:
        yield from _uses(report)
        yield from _steps(report)
    if report.findings:
        yield from _table(("Level", "Rule", "Where", "Finding"), map(_finding, report.findings), _FINDINGS_LIMIT)
    for note in report.notes:
        yield from (f"> {plain(note)}", "")
    if report.subject is None and report.rows:
        yield f"<details><summary>Who uses what: {len(report.rows)} uses</summary>"
        yield ""
        yield from _uses(report)
        yield "</details>"


def _uses(report: Report) -> Iterator[str]:
    header = ("Object", "Workload", "Container", "How", "Keys", "State", "Why")
    yield from _table(header, map(_row, report.rows), _USES_LIMIT)
    if any(row.changes_in_place for row in report.rows):
        yield from (LIVE_MEANS, "")


def _steps(report: Report) -> Iterator[str]:
    for title, lines in report.steps():
        yield f"**{title}:**"
        yield ""
        yield from (f"- {code(line)}" for line in lines)
        yield ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], limit: int) -> Iterator[str]:
    left = 0
    for line in markdown_table(header, rows):
        limit -= len(line) + 1
        if limit >= 0:
            yield line
        else:
            left += 1
    yield ""
    if left:
        yield from (f"... and {left} more.", "")


def _row(row: Row) -> list[str]:
    of, workload, container, how, keys, state, why = row.cells()
    return [code(of), code(workload), code(container), plain(how), code(keys), f"**{state}**", plain(why)]


def _finding(finding: Finding) -> list[str]:
    where = f"{finding.place.file}:{finding.place.line}" if finding.place else ""
    return [finding.level, finding.rule, code(where), plain(finding.message)]
