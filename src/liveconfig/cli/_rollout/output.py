"""What ``status`` and ``sync`` print at their end: the table or the JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from liveconfig import _clock
from liveconfig._json import as_plain
from liveconfig._terminal import folded_table, painter, printable, width_of_output
from liveconfig.cli._rollout.call import Call
from liveconfig.cli._rollout.pods import Pod, Target
from liveconfig.cli._rollout.rows import Row

IN_SYNC, NOT_IN_SYNC = 0, 1
"""The exit codes."""

_KEPT = ("SYNCED",)
_HEADER = ("POD", "CONTAINER", "VOLUME", "STATE", "ON DISK SINCE", "PROCESSES", "PROBLEM")


def in_sync(rows: Iterable[Row]) -> bool:
    """Whether every row that counts is in sync."""
    return all(row.state in _KEPT for row in rows if row.counts)


def show(call: Call, pods: Sequence[Pod]) -> int:
    """Print the rows, and return the exit code."""
    rows = call.rows()
    ok, took = in_sync(rows), time.monotonic() - call.began
    if call.arguments.output == "json":
        print(json.dumps({"schema": 1, "rows": as_plain(rows), "ok": ok, "seconds": round(took, 3)}))
    else:
        for line in _lines(call.target, rows, pods, call.processes(), took):
            print(line)
    return IN_SYNC if ok else NOT_IN_SYNC


def _lines(
    target: Target, rows: Sequence[Row], pods: Sequence[Pod], processes: Sequence[bool], seconds: float
) -> Iterator[str]:
    if not pods:
        what = "nothing runs that uses it" if target.object else "nothing runs"
        yield f"{printable(target.name or target.selector)}: {what}, so nothing has to change."
        return
    if not rows:
        yield "No container mounts a ConfigMap or Secret, or has variables from one."
        return
    several = any(len(pod.containers) > 1 for pod in pods)
    paint, table = painter(), [_cells(row) for row in rows]
    header: tuple[str, ...] = _HEADER
    if not several:
        at = _HEADER.index("CONTAINER")
        header, table = _without(_HEADER, at), [_without(cells, at) for cells in table]
    column = header.index("STATE")

    def coloured(cell: str, index: int) -> str:
        if index != column or cell.strip() in ("STATE", ""):
            return cell
        return paint(cell, "good" if cell.strip() == "SYNCED" else "bad")

    yield from folded_table(header, table, coloured, width_of_output())
    yield _sentence(rows, pods, processes, seconds)


def _without(cells: tuple[str, ...], at: int) -> tuple[str, ...]:
    return (*cells[:at], *cells[at + 1 :])


def _cells(row: Row) -> tuple[str, ...]:
    processes = f"{row.current}/{row.processes}" if row.processes else "-"
    cells = (row.pod, row.container, row.volume, row.state, _age(row.since), processes, row.problem)
    return tuple(printable(cell) for cell in cells)


def _age(since: str | None) -> str:
    if since is None:
        return "-"
    return f"{_clock.in_words(datetime.now(UTC) - datetime.fromisoformat(since))} ago"


def _sentence(rows: Sequence[Row], pods: Sequence[Pod], processes: Sequence[bool], seconds: float) -> str:
    """``12 of 12 pods, 48 of 48 processes, 0.9 s``."""
    behind = {(row.namespace, row.pod) for row in rows if row.counts and row.state not in _KEPT}
    done = f"{len(pods) - len(behind)} of {len(pods)} pods"
    return f"{done}, {sum(processes)} of {len(processes)} processes, {seconds:.1f} s"
