"""How many of a series of swaps each contender serves."""

from __future__ import annotations

import time

from benchmarks._bench import Bench
from benchmarks._process import ContenderError, TooSlowError
from benchmarks._result import Section, Table

__all__ = ["run"]

_APART = 0.5


def run(bench: Bench) -> Section:
    """Swaps half a second apart, all contenders at once; asked just before the next one."""
    swaps = 20 if bench.quick else 100
    with bench.started(bench.contenders, 10) as pairs:
        seen = dict.fromkeys((process.contender for process, _ in pairs), 0)
        for number in range(swaps):
            for _, volume in pairs:
                volume.set_first(f"swap {number}")
            time.sleep(_APART)
            for process, _ in pairs:
                try:
                    seen[process.contender] += process.ask("read") == f"swap {number}"
                except (ContenderError, TooSlowError):
                    continue
    rows = [(who.title + (" (reads again)" if who.rereads else ""), f"{count}") for who, count in seen.items()]
    return Section(
        f"Updates served, out of {swaps}",
        f"{swaps} swaps, {_APART} s apart. A swap counts if a read just before the next swap returns the new value.",
        [Table(("", f"served of {swaps}"), rows)],
    )
