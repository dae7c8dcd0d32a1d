"""What many subscribers cost. Of liveconfig alone: nobody else tells each subscriber what changed for it."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import bytes_, duration

__all__ = ["run"]

_WHY = (
    "Subscribers: each is called by itself in an empty context, timed and isolated, its selector asked and its values "
    "compared: some 16 calls of Python. Tried, and in use: jobs handed out by the hundred with no lock between two, "
    "a `Change` made through its slots (0.44 µs, 1.37 before), a short way for plain values (0.12 µs, 0.76 before)."
)


def run(bench: Bench) -> Section:
    """Three numbers from one process."""
    swaps = 200 if bench.quick else 1_000
    found = script("subscribers", str(bench.directory), str(bench.rounds(20)), str(swaps))
    rows = [
        ("10,000 subscribers of one field, one change", duration(found["with_all"])),
        ("the same change without any subscriber", duration(found["alone"])),
        ("a bare loop of 10,000 calls", duration(found["bare"])),
        ("1,000 fields, one changes, 1,000 subscribers of other fields", duration(found["wide_with_others"])),
        ("the same change without any subscriber", duration(found["wide_alone"])),
    ]
    return Section(
        "Subscribers",
        "liveconfig alone. A `reload()` that finds one key changed and returns when every subscriber has been given "
        "the change.",
        [Table(("", "time"), rows)],
        promises=[
            Promise(
                "10,000 subscribers to one field, for each, over a bare loop of calls",
                "at most 3 µs",
                duration(max(found["each"], 0)),
                found["each"] <= 3_000,
                _WHY,
            ),
            Promise(
                "one field of 1,000 changes, added by 1,000 subscribers of other fields",
                "under 5 ms",
                duration(max(found["wide_added"], 0)),
                found["wide_added"] < 5e6,
            ),
            Promise(
                f"memory over {swaps:,} swaps with a subscriber that does not return",
                "flat (under 1 MiB), and its last change is the newest",
                f"{bytes_(max(found['grown'], 0))}, {found['calls']} calls",
                found["grown"] < 1024**2 and found["newest"],
            ),
        ],
    )
