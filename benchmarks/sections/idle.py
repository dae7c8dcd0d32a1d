"""What a process does while nothing changes."""

from __future__ import annotations

import time

from benchmarks._bench import Bench
from benchmarks._result import Section, Table
from benchmarks._stats import bytes_, duration
from benchmarks._usage import Usage
from benchmarks.contenders import OURS
from benchmarks.sections._rows import behind, chart

__all__ = ["run"]


def run(bench: Bench) -> Section:
    """All contenders at once, each following a volume of its own that nobody writes."""
    seconds = 3 if bench.quick else 10
    with bench.started(bench.contenders, 10) as pairs:
        time.sleep(1)  # what they still do after their start
        before = {process.contender: Usage.of(process.pid) for process, _ in pairs}
        time.sleep(seconds)
        used = {process.contender: Usage.of(process.pid) - before[process.contender] for process, _ in pairs}
    rows = [
        (
            who.title + (" (does not watch)" if who.rereads else ""),
            str(usage.wakeups),
            duration(usage.cpu) if usage.cpu else "0",
            bytes_(usage.read),
        )
        for who, usage in used.items()
    ]
    wakeups = {who: float(usage.wakeups) for who, usage in used.items() if not who.rereads}
    return Section(
        f"Idle for {seconds} s",
        "10 keys, and nothing changes. Wake-ups are the voluntary context switches of all threads of the process. "
        "liveconfig re-checks every 30 s, so most runs of 10 s have no re-check, and some have one.",
        [Table(("", "wake-ups", "processor time", "bytes read"), rows)],
        [chart("idle", f"Wake-ups in {seconds} idle seconds", {w: v or None for w, v in wakeups.items()}, _count, "0")],
        losses=behind(wakeups, "Wake-ups while idle", _count) if wakeups.get(OURS, 0) > 4 else [],
    )


def _count(value: float) -> str:
    return f"{value:,.0f}"
