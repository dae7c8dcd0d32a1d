"""What it costs that every process can be asked: the report, ``liveconfig ps``, a scrape."""

from __future__ import annotations

from benchmarks._bench import Bench
from benchmarks._result import Promise, Section, Table
from benchmarks._script import script
from benchmarks._stats import duration

__all__ = ["run"]

_WHY = (
    "The report: of 115 µs, a third (34) makes and seals a new memory file and puts it under the old descriptor "
    "(seven system calls), so that a reader sees the old or the new one; 43 observe the state and find the changed "
    "fields for the history, 25 make JSON, and 8 find out whether anything has changed. Until now the row forced a "
    "second write of a report that was made already; now it has the whole of it. Already done: each history entry is "
    "made into JSON once and keeps it, the state is observed once (together 6 % less in the same rounds), and an entry "
    "is made again only if what it depends on has changed. Tried: one unsealed file "
    "with two places that alternate (5 µs instead of 19 in the same rounds; but the contract has a sealed file that "
    "is replaced as a whole, and a forked child would write into the file of its parent); one call for all seals is "
    "what it does already (2.5 µs). Not done: one write into the same file, of which a reader could see half; the "
    "names of the changed fields only where somebody asks, because the report is read from outside."
)


def run(bench: Bench) -> Section:
    """The report of one process, 50 processes, 8 workers."""
    path = bench.volume("keys", 10).path
    cost = script("processes", "cost", path, str(bench.rounds(400)))["time"]
    ps = script("processes", "ps", path, "50")
    scrape = script("processes", "scrape", path, "8", str(bench.rounds(100)))["time"]
    return Section(
        "Asking every process",
        "liveconfig only. The report is written anew after each applied change, with a history of 32 entries. "
        "`liveconfig ps` is timed as a whole process, in turn with an interpreter that does nothing.",
        [
            Table(
                ("", "time"),
                [
                    ["the report, for each applied change", duration(cost)],
                    ["`liveconfig ps`, 50 processes", duration(ps["ps"])],
                    ["`python -c pass`", duration(ps["bare"])],
                    ["a scrape by Prometheus, 8 workers", duration(scrape)],
                ],
            )
        ],
        promises=[
            Promise("the report, for each applied change", "at most 30 µs", duration(cost), cost <= 30_000, _WHY),
            Promise("`liveconfig ps` with 50 processes", "under 0.3 s", duration(ps["ps"]), ps["ps"] < 300_000_000),
            Promise("a scrape with 8 workers", "under 20 ms", duration(scrape), scrape < 20_000_000),
        ],
    )
