"""``liveconfig ps``: every process of this container that has live settings, and whether it uses what is on disk.

It needs the standard library only, so that it starts fast.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from liveconfig import _clock
from liveconfig._json import as_plain
from liveconfig._processes import (
    STAYS_IN_USE,
    BadExpectation,
    ChildCalls,
    Compared,
    Expectation,
    NoAnswer,
    ProcessReport,
    Scan,
    SettingsReport,
    scan,
)
from liveconfig._terminal import Paint, painter, printable, table, width_of_output
from liveconfig.cli._arguments import add_output, seconds

CURRENT, NOT_CURRENT, NOTHING = 0, 1, 2
_LARGEST_DOCUMENT = 64 * 1024 * 1024
PAUSE = 0.2
"""Seconds between two checks while waiting."""

LONGEST = 8.0
"""Seconds that one look may take.

With --expect, the volumes may take 5 s, those of the processes 1 s, and the links to the volumes 1 s.
"""

Disk = tuple[Compared, ...] | None
Look = tuple[Scan, Disk]
Row = tuple[str, ...]

_HEADER = ("PID", "COMMAND", "SETTINGS", "STATE", "GENERATION", "APPLIED", "PROBLEM")
_EPILOG = (
    "States: current (uses what is on disk), behind (has not applied it yet), rejected (what is on disk is not valid), "
    "closed (close() was called), unhealthy (see PROBLEM), hidden (its report cannot be read), unknown (a volume "
    "gave no answer in 1 s, or cannot be looked at). Exit code 0: every process is current and healthy. 1: one is not. "
    "2: no process with liveconfig is visible."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its arguments."""
    parser.description = (
        "Lists the processes of this container that have live settings, and whether each uses what is on disk now. "
        "It shows names, paths and times, never a value. Outside a container it lists all your processes."
    )
    parser.epilog = _EPILOG
    add_output(parser, "one JSON object instead of a table")
    parser.add_argument(
        "--wait", type=seconds, metavar="SECONDS", help="wait until every process is current, at most this long"
    )
    parser.add_argument(
        "--expect",
        metavar="FILE",
        help="a document of digests of what the cluster holds, as `liveconfig status` sends it (- for standard input): "
        "exit code 1 also if the volumes hold something else",
    )


def run(arguments: argparse.Namespace) -> int:
    """List the processes.

    Returns:
        0 if every process is current and healthy, 1 if one is not, 2 if no process is visible.
    """
    try:
        look = _look_for(arguments.expect)
    except (BadExpectation, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"liveconfig ps: --expect {printable(str(arguments.expect))}: {reason}", file=sys.stderr)
        return NOTHING
    try:
        found, disk = _waited(look, arguments.wait or 0.0)
    except NoAnswer as error:
        print(f"liveconfig ps: /proc or a volume {error}", file=sys.stderr)
        return NOTHING
    code = _code(found, disk)
    if arguments.output == "json":
        print(json.dumps(_as_json(found, disk)))
    else:
        print("\n".join(lines(found, painter(), width_of_output())))
    return code


def _waited(look: Callable[[], Look], seconds: float) -> Look:
    """Check until every process is current, or until the timeout. Each check runs in a separate child process.

    Raises:
        NoAnswer: The last check gave none.
    """
    calls, deadline = ChildCalls(LONGEST), _clock.monotonic() + seconds
    while True:
        try:
            seen = calls.run(look)
            if _code(*seen) == CURRENT or _clock.monotonic() >= deadline:
                return seen
        except NoAnswer:
            if _clock.monotonic() >= deadline:
                raise
        time.sleep(min(PAUSE, max(0.0, deadline - _clock.monotonic())))


def _look_for(expect: str | None) -> Callable[[], Look]:
    if expect is None:
        return lambda: (_others(scan()), None)
    if expect != "-":
        with open(expect, "rb") as file:
            document = file.read(_LARGEST_DOCUMENT)
    elif sys.stdin is None:
        raise BadExpectation("standard input is closed")
    else:
        document = sys.stdin.buffer.read(_LARGEST_DOCUMENT)
    expectation = Expectation(document)

    def look() -> Look:
        disk = expectation.compare()  # before the processes: what they use is newer than what was compared
        found = _others(scan(own_root=True))
        volumes = {volume.path for each in found.processes for settings in each.settings for volume in settings.volumes}
        mounts = expectation.mounts_of(volumes)
        return _with_expected(found, disk, mounts), tuple(_with_paths(each, mounts) for each in disk)

    return look


def _others(found: Scan) -> Scan:
    """Without the child that looks: it has a report if this command runs in a process with live settings."""
    return replace(found, processes=tuple(each for each in found.processes if each.pid != os.getpid()))


def _with_expected(found: Scan, disk: tuple[Compared, ...], mounts: Mapping[str, str]) -> Scan:
    expected = {each.path: each.expected for each in disk if each.kind == "volume"}

    def marked(settings: SettingsReport) -> SettingsReport:
        volumes = (
            replace(each, expected=expected.get(mounts.get(each.path, ""), "unknown")) for each in settings.volumes
        )
        return replace(settings, volumes=tuple(volumes))

    processes = (replace(each, settings=tuple(map(marked, each.settings))) for each in found.processes)
    return replace(found, processes=tuple(processes))


def _with_paths(each: Compared, mounts: Mapping[str, str]) -> Compared:
    if each.kind != "volume":
        return each
    return replace(each, followed_as=tuple(sorted(path for path, mount in mounts.items() if mount == each.path)))


def _code(found: Scan, disk: Disk) -> int:
    if not found.processes:
        return NOTHING
    different = any(each.expected == "different" for each in disk or ())
    return NOT_CURRENT if different or not all(each.is_current for each in found.processes) else CURRENT


def _as_json(found: Scan, disk: Disk) -> dict[str, Any]:
    data = {"schema": 1, "processes": as_plain(found.processes), "skipped": found.skipped}
    return data if disk is None else {**data, "disk": as_plain(disk)}


def lines(found: Scan, paint: Paint, width: int | None) -> Iterable[str]:
    """Yield the table, and notes below it.

    Args:
        found: The processes.
        paint: Colours a text, or does not.
        width: The width of the terminal, to which names and sentences are fitted; None for no limit.
    """
    if not found.processes:
        yield "No process with live settings is visible." + _hint(found)
        return
    rows = [_HEADER, *(row for process in found.processes for row in _rows(process, short=width is not None))]
    header, *rows = rows if width is None else _fitted(rows, width)

    def coloured(cell: str, column: int) -> str:
        if header[column] != "STATE" or cell.strip() == "STATE":
            return cell
        return paint(cell, "good" if cell.strip() == "current" else "bad")

    yield from (line.rstrip() for line in table(header, rows, coloured))
    if found.skipped:
        yield _skipped(found.skipped)


def _skipped(count: int) -> str:
    if count == 1:
        return "1 other process belongs to another user and was not looked at."
    return f"{count} other processes belong to another user and were not looked at."


def _fitted(rows: list[Row], width: int) -> list[Row]:
    """Fit the rows to a width: shorten names, drop columns, and break the last cell into lines."""
    last = min(_NARROWEST, max(len(sentence) for *_, sentence in rows))
    if _taken(rows) + last > width:
        rows = _with_short_names(rows)
    for title in _SPARE:
        if _taken(rows) + last > width:
            rows = _without(rows, title)
    space = max(_NARROWEST, width - _taken(rows))
    folded: list[Row] = []
    rest: list[str] = []
    for *cells, sentence in rows:
        if sentence:  # the first row of a settings object; the rest of its problem stands beside its other volumes
            folded += _below(cells, rest)
            rest = textwrap.wrap(sentence, space)
        folded.append((*cells, rest.pop(0) if rest else ""))
    return [*folded, *_below(rows[0][:-1], rest)]


def _with_short_names(rows: list[Row]) -> list[Row]:
    """Name the settings classes without their modules, if each still has a name of its own."""
    column = rows[0].index("SETTINGS")
    short = {name: name.rpartition(".")[2] for name in (row[column] for row in rows)}
    if len(set(short.values())) < len(short):
        return rows
    return [(*row[:column], short[row[column]], *row[column + 1 :]) for row in rows]


def _without(rows: list[Row], title: str) -> list[Row]:
    """Drop a column, and the rows that had only this one."""
    column = rows[0].index(title)
    return [cells for row in rows if any(cells := (*row[:column], *row[column + 1 :]))]


def _below(cells: Sequence[str], lines: Sequence[str]) -> Iterable[Row]:
    """The rows of a problem that is longer than the list of volumes."""
    return ((*[""] * len(cells), line) for line in lines)


def _taken(rows: Sequence[Row]) -> int:
    """Return the width of all columns except the last one."""
    return sum(max(map(len, column)) + 2 for column in list(zip(*rows, strict=True))[:-1])


_SPARE = ("APPLIED", "GENERATION", "COMMAND", "SETTINGS")
"""The columns that a narrow terminal does not show, the least useful first."""

_NARROWEST = 24
"""The smallest width of a sentence."""


def _hint(found: Scan) -> str:
    if found.skipped:
        return f" {_skipped(found.skipped)} Run this as that user or as root."
    if not sys.platform.startswith("linux"):
        return " It needs /proc, which only Linux has."
    return ""


def _rows(process: ProcessReport, *, short: bool) -> Iterable[Row]:
    first = (str(process.pid), printable(process.command))
    for settings in process.settings:
        generations = _generations(settings, short=short)
        problems = [*settings.problems, *[STAYS_IN_USE] * (settings.state == "rejected")]
        problem = "; ".join(map(printable, problems)) or "-"
        yield (
            *first,
            printable(settings.name) or "?",
            settings.state if settings.healthy or settings.state != "current" else "unhealthy",
            generations[0],
            _ago(settings.applied_at),
            problem,
        )
        first = ("", "")
        for generation in generations[1:]:
            yield ("", "", "", "", generation, "", "")
    if process.unlisted:
        yield (*first, f"and {process.unlisted} more", "", "", "", "-")


def _generations(settings: SettingsReport, *, short: bool) -> list[str]:
    names = ((each.path, each.generation or each.mode) for each in settings.volumes)
    if short:
        names = ((os.path.basename(path), _shortened(name)) for path, name in names)
    return [printable(" ".join(each)) for each in names] or ["-"]


def _shortened(generation: str) -> str:
    """Shorten the kubelet's name of a generation to its time of day (UTC) and the first digits of its random suffix."""
    match = _KUBELETS_NAME.fullmatch(generation)
    return "{}:{}:{} ({})".format(*match.groups()) if match else generation


_KUBELETS_NAME = re.compile(r"\.\.\d{4}_\d\d_\d\d_(\d\d)_(\d\d)_(\d\d)\.(\d{1,4})\d*")


def _ago(moment: datetime | None) -> str:
    return "-" if moment is None else f"{_clock.in_words(datetime.now(UTC) - moment)} ago"
