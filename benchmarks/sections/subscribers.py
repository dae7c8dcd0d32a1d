"""What many subscribers cost. Of liveconfig alone: nobody else tells each subscriber what changed for it."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import bytes_, duration

__all__ = ["run"]

_WHY = (
    "Subscribers: for each subscriber, liveconfig calls the selector, compares the values, and calls the subscriber "
    "in an empty context, with a time limit and isolated from the others. This is about 16 calls in Python. Already "
    "done: jobs in batches of a hundred without a lock between two, a `Change` that is created through its slots "
    "(0.44 µs instead of 1.37), and a fast path for plain values (0.12 µs instead of 0.76)."
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
        "liveconfig only. A `reload()` finds one changed key, and returns when every subscriber has been called.",
        [Table(("", "time"), rows)],
        promises=[
            Promise(
                "10,000 subscribers of one field: each one, compared with a bare loop of calls",
                "at most 3 µs",
                duration(max(found["each"], 0)),
                found["each"] <= 3_000,
                _WHY,
            ),
            Promise(
                "one of 1,000 fields changes: added by 1,000 subscribers of other fields",
                "under 5 ms",
                duration(max(found["wide_added"], 0)),
                found["wide_added"] < 5e6,
            ),
            Promise(
                f"memory growth over {swaps:,} swaps with a subscriber that does not return",
                "under 1 MiB, and its last change is the newest",
                f"{bytes_(max(found['grown'], 0))}, {found['calls']} calls",
                found["grown"] < 1024**2 and found["newest"],
            ),
        ],
    )
