"""docs/performance.md and its drawings, from the sections."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import _peers
from benchmarks._result import Promise, Section, Table
from benchmarks._svg import chart

__all__ = ["promise_table", "text_of", "write"]

_DOCS = Path(__file__).parent.parent / "docs"
_HEAD = """\
# Performance

`make bench` wrote this page on {today}, in one run. It measures all contenders in turn, round after round, and shows
medians. Each contender runs in its own process and is used as its documentation says. Another process writes the
volumes as the kubelet writes them. The floor is the least that a Python program must do: wait for raw inotify, read
every key through the directory, and validate with pydantic.

Machine: {machine}.

Versions: {versions}.
"""


def write(sections: Sequence[Section], machine: str, versions: Mapping[str, str], seconds: float) -> None:
    """The page and the drawings."""
    static = _DOCS / "_static"
    static.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for drawing in section.charts:
            content = chart(drawing.title, drawing.bars, drawing.show, drawing.floor)
            (static / f"performance-{drawing.slug}.svg").write_text(content)
    head = _HEAD.format(
        today=_today(), machine=machine, versions=", ".join(f"{name} {number}" for name, number in versions.items())
    )
    took = f"\nThe run took {seconds / 60:.0f} minutes.\n"
    parts = [head + took, _promises(sections), _losses(sections), *map(text_of, sections), _peer_table(versions)]
    (_DOCS / "performance.md").write_text("\n".join(parts))


def text_of(section: Section) -> str:
    """One section as Markdown."""
    parts = [f"## {section.title}", section.text]
    parts += [f"![{drawing.title}](_static/performance-{drawing.slug}.svg)" for drawing in section.charts]
    parts += [_table(table) for table in section.tables]
    return "\n\n".join(parts) + "\n"


def promise_table(promises: Sequence[Promise]) -> str:
    """The targets and the measured values, side by side."""
    rows = [(item.what, item.target, item.before, item.measured, "yes" if item.kept else "**no**") for item in promises]
    return _table(Table(("what", "target", "0.1", "measured", "met"), rows))


def _promises(sections: Sequence[Section]) -> str:
    promises = [promise for section in sections for promise in section.promises]
    reasons = dict.fromkeys(promise.why for promise in promises if not promise.kept and promise.why)
    why = "".join(f"- {reason}\n" for reason in reasons)
    missed = f"\nTargets that this run missed, and why:\n\n{why}" if why else ""
    return f"## Targets\n\n{promise_table(promises)}\n{missed}"


def _losses(sections: Sequence[Section]) -> str:
    losses = [loss for section in sections for loss in section.losses]
    if not losses:
        return "## Where others are better\n\nNowhere in this run.\n"
    rows = [(loss.what, loss.who, loss.theirs, loss.ours, loss.times, loss.why) for loss in losses]
    table = _table(Table(("row", "better contender", "its value", "liveconfig", "times", "why"), rows))
    text = (
        "Rows where another tool is faster or smaller by more than 5 %. Documents are compared with documents, and "
        "single keys with single keys."
    )
    return f"## Where others are better\n\n{text}\n\n{table}\n"


def _peer_table(versions: Mapping[str, str]) -> str:
    rows = [(who, versions.get(package, "-"), does) for who, package, does in _peers.PEERS]
    table = _table(Table(("contender", "version", f"on a mounted volume, as of {_today()}"), rows))
    return f"## What the contenders do\n\n{_peers.TEXT}\n\n{table}\n"


def _table(table: Table) -> str:
    columns = list(zip(*table.rows, strict=True))[1:]
    lines = [table.headings, ["---", *("---:" if _is_numeric(column) else "---" for column in columns)], *table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _is_numeric(column: Sequence[str]) -> bool:
    """Whether most of its cells begin with a digit."""
    return 2 * sum(cell[:1].isdigit() for cell in column) > len(column)


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()
