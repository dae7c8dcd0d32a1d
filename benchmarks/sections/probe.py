"""What a readiness probe and a status page cost on large settings."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import duration

__all__ = ["run"]


def run(bench: Bench) -> Section:
    """300 fields and 200 keys that feed none of them."""
    path = bench.directory / "probe"
    times = script("probe", str(bench.rounds(1_000)), str(path))
    rows = [
        ("readiness probe", duration(times["probe"])),
        ("status page", duration(times["status"])),
        ("first status of the process", duration(times["first"])),
        ("first status after an applied change", duration(times["after"])),
    ]
    return Section(
        "A probe and a status page",
        "liveconfig only: 300 fields, and 200 keys that feed no field. A status computes the parts that depend on the "
        "content alone, as the nearest field of an unused key, once for each applied change; a probe does not compute "
        "them.",
        [Table(("", "time"), rows)],
        promises=[
            Promise(
                "probe with 300 fields and 200 unused keys",
                "under 2 ms",
                duration(times["probe"]),
                times["probe"] < 2_000_000,
            )
        ],
    )
