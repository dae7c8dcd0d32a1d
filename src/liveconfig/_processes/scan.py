"""All reports that this process may read: `processes()` and the rows of ``liveconfig ps``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from liveconfig._processes import procfs
from liveconfig._processes.disk_check import compare
from liveconfig._processes.publisher import SCHEMA
from liveconfig._processes.records import ProcessReport, SettingsReport, UnreadableReport, from_json
from liveconfig._record import record

_OTHER_USER = "another user's process: run ps as that user or as root"


@record
class Scan:
    """The result of a scan of all processes.

    Attributes:
        processes: Those with a report, and those whose report is hidden, by number.
        skipped: How many other processes may not be read.
    """

    processes: tuple[ProcessReport, ...]
    skipped: int


def processes(pid: int | None = None) -> tuple[ProcessReport, ...]:
    """All processes with live settings that this process may read: usually those of the container.

    The kernel grants it to the same user and group, and to those with CAP_SYS_PTRACE (ptrace(2), "Ptrace access mode
    checking"). Linux only; elsewhere there are none.

    Args:
        pid: Look at this process alone; None for all.

    Returns:
        One record a process, in the order of their numbers.
    """
    return scan(pid).processes


def scan(pid: int | None = None, *, own_root: bool = False) -> Scan:
    """Look at all processes once, or at one.

    Args:
        pid: Look at this process alone; None for all.
        own_root: Leave out processes with another root directory than this one: those of other containers, where the
            containers of a pod share their processes.
    """
    running = procfs.processes(pid)
    if own_root:
        running = {number: process for number, process in running.items() if not procfs.has_other_root(number)}
    found: dict[int, ProcessReport] = {}
    closed: list[int] = []
    for pid, process in sorted(running.items()):
        try:
            report = _report_of(process)
        except procfs.NotReadable:
            if not procfs.has_ended(pid):
                closed.append(pid)
        else:
            if report is not None:
                found[pid] = report
    _compare_all(found)
    hidden = [pid for pid in closed if _descends(pid, running, found)]
    found.update({pid: _hidden(running[pid], _OTHER_USER) for pid in hidden})
    listed = (found[number] for number in sorted(found))
    # Without those whose settings objects were all collected.
    return Scan(tuple(each for each in listed if each.settings), len(closed) - len(hidden))


def _compare_all(found: dict[int, ProcessReport]) -> None:
    """Compare all settings objects with the disk."""
    seen = [report for report in found.values() if report.liveconfig]
    compared = iter(compare([(each, f"/proc/{report.pid}/root") for report in seen for each in report.settings]))
    for report in seen:
        found[report.pid] = replace(report, settings=tuple(next(compared) for _ in report.settings))


def _descends(pid: int, running: Mapping[int, procfs.Process], found: Mapping[int, ProcessReport]) -> bool:
    """Whether a process comes from one that has a report: a worker that has changed its user."""
    seen: set[int] = set()
    while (process := running.get(pid)) is not None and pid not in seen:
        seen.add(pid)
        pid = process.parent
        if pid in found:
            return True
    return False


def _report_of(process: procfs.Process) -> ProcessReport | None:
    number = None
    reason = None
    for path in procfs.report_files(process.pid):
        content = procfs.read(path)
        if content is None:
            continue
        try:
            document = _parsed(content)
            number = number or procfs.own_number(process.pid)
            if number is not None and document["pid"] == number:  # else it is that of the process that forked this one
                return _report(process, document)
        except UnreadableReport as error:
            reason = str(error)
    return None if reason is None else _hidden(process, f"its report cannot be read: {reason}")


def _parsed(content: bytes) -> Mapping[str, Any]:
    document = None
    with contextlib.suppress(ValueError, RecursionError):  # raised below, so that no content is in the context
        document = json.loads(content)
    if not isinstance(document, dict) or "schema" not in document or not isinstance(document.get("settings"), list):
        raise UnreadableReport("it is no report of liveconfig")
    if document["schema"] != SCHEMA:
        raise UnreadableReport("another version of liveconfig wrote it")
    if type(document.get("pid")) is not int:
        raise UnreadableReport("it names no process")
    return document


def _report(process: procfs.Process, document: Mapping[str, Any]) -> ProcessReport:
    settings, unlisted, version = from_json(document)
    return ProcessReport(
        pid=process.pid,
        parent=process.parent,
        command=procfs.command(process.pid),
        started_at=process.started_at,
        settings=settings,
        unlisted=unlisted,
        liveconfig=version,
    )


def _hidden(process: procfs.Process, problem: str) -> ProcessReport:
    settings = SettingsReport(name="", version=0, state="hidden", healthy=False, problems=(problem,))
    return ProcessReport(
        process.pid, process.parent, procfs.command(process.pid), process.started_at, settings=(settings,)
    )
