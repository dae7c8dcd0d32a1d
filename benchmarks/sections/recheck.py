"""What looking again costs while nothing has changed."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import duration

__all__ = ["run"]

_WHY = (
    "Re-check: a round makes two system calls for each volume (3 µs), which notice another generation and another "
    "directory at the same path, and then reviews each settings object once; 0.1 took 5.4 µs in all. The row was the "
    "first re-check of an object until now, which looks at the volumes because their watches are new; it is a later "
    "one now. Already done: the report of the process is compared by what it depends on, and made only if that differs "
    "(6 µs for each object instead of 17 to 27); whether the reader of the events runs is asked once for a round and "
    "not for each volume (4 to 5 µs less for each). "
    "The first version made five calls. The inode and the times of the link would need only one, but a file system "
    "can use an inode again within one tick of its clock."
)


def run(bench: Bench) -> Section:
    """One volume and ten, and what was opened meanwhile."""
    found = {count: _recheck(bench, count) for count in (1, 10)}
    rows = [
        (
            f"{count} volume{'s' * (count > 1)}",
            duration(times["time"]),
            duration(times["time"] / count),
            duration(times["bare"] / count),
            times["opened"],
        )
        for count, times in found.items()
    ]
    each = found[10]["time"] / 10
    return Section(
        "A re-check without a change",
        "liveconfig only. A re-check runs every 30 s, in case an event was lost. It makes one `stat` and one "
        "`readlink` for each volume. The bare system calls are timed in turn with it.",
        [
            Table(
                ("", "time", "each volume", "bare stat and readlink", "files opened"),
                [[str(cell) for cell in row] for row in rows],
            )
        ],
        promises=[
            Promise(
                "re-check without a change, for each volume", "at most 10 µs", duration(each), each <= 10_000, _WHY
            ),
            Promise(
                "keys opened by a re-check without a change",
                "none",
                str(found[10]["opened"]),
                not found[10]["opened"],
            ),
        ],
    )


def _recheck(bench: Bench, count: int) -> dict[str, float]:
    paths = [bench.volume("keys", 10).path for _ in range(count)]
    return script("recheck", str(bench.rounds(2_000)), *paths)
