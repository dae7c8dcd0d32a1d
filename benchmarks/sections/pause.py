"""The pause of an event loop while another process swaps the volume."""

from __future__ import annotations

import time

from benchmarks._bench import Bench, in_turn
from benchmarks._process import Process
from benchmarks._result import Promise, Section, Table
from benchmarks._stats import duration, median, percentile, ratio
from benchmarks._volumes import Volume
from benchmarks.contenders import FLOOR, FLOOR_DOCUMENT, OURS, OURS_DOCUMENT, Contender

__all__ = ["run"]

_COUNTS = (10, 100, 1_000, 5_000)
_SECONDS = 0.15
_PAIRS = ((OURS, FLOOR), (OURS_DOCUMENT, FLOOR_DOCUMENT))
_TARGETS = {
    (OURS, 10): (1.1, "1.02"),
    (OURS, 100): (1.1, "1.03"),
    (OURS, 1_000): (1.1, "1.04"),
    (OURS_DOCUMENT, 1_000): (1.3, "2.3"),
    (OURS_DOCUMENT, 5_000): (1.3, "3.4"),
}
_WHY = (
    "Pause: a load pauses after each step that took more than 0.25 ms (read, parse, check, name, copy, validate, keep "
    "defaults), so that what holds the interpreter is the longest step. In one process, a thread that beats every 0.2 "
    "ms waits for 0.3 ms during a reload of 1,000 keys (1.0 without the pauses, 5 in 0.1; the parser and the "
    "validation of the floor: 0.13), and for 1.4 ms with 5,000 keys (4.4; 7 to 9; 1.0). Tried: `os.sched_yield` "
    "instead of a sleep of no time (0.06 ms less each time, but with 5,000 keys the median is 4.6 to 6.8 ms instead of"
    " 2.0 to 4.7); a limit of 0.5 ms (0.55 ms for 1,000 keys); steps only after whole documents (1.6 ms for 5,000 "
    "keys); `from_json` of pydantic-core in place of the parser of Python, with a pause before its names are counted "
    "(for 5,000 keys 0.37 and 0.27 ms instead of one step of 0.76; but 1,000 keys take no less in all, and it is a "
    "second way for the same texts). Not done: to pause inside the parser, which is in C. Single keys: each file call "
    "of the reading gives the interpreter back and takes it again before a thread that waits has woken up, so that an "
    "event loop could wait for as long as 1,000 files are read: the 1.92 ms of an earlier run, in which the writer "
    "stood still before and after the rename and nothing else used the processors. Now the reading pauses as well, "
    "after 50 files at the earliest: in interleaved runs of 40 swaps on a loaded machine, 3.07, 3.82 and 1.85 ms for "
    "1,000 keys became 0.61, 1.01 and 0.94 (the floor, which reads in the same way: 3.01, 0.95 and 1.57). Of this row,"
    " the most is the pause of the machine, on whose processors the writer removes the older files: a process that "
    "does not follow had 2.2 to 2.4 ms in runs on a loaded machine in which liveconfig had 1.2 to 2.5 and the floor "
    "1.9 to 2.6; see the column without a watch. With 10 keys, where the writer stands still, an event loop waited for"
    " the rest of a look (0.4 ms) and of the report of the process (0.3 ms), which followed without a pause: in three "
    "groups of interleaved runs of 60 swaps, the medians were 0.34 to 0.41 ms (0.1, which writes no report, in the "
    "same groups: 0.20 and 0.22; the floor: 0.08). Tried, each beside 0.34: a pause before the report (0.25 and 0.32);"
    " one more before its memory file (0.25, but a callback comes 5 % later); a pause after reading as well (0.21, but"
    " the new value is readable 0.06 ms later). Tried, beside 0.41: the report on the thread of the scheduler, while "
    "subscribers are called (0.41); the same after a pause (0.22, and a callback comes no later). The last is kept."
)
_COLUMNS = ("", "keys", "pause", "the floor's", "times the floor", "no watch", "95th percentile", "the floor's")
Pauses = dict[tuple[Contender, int], list[float]]


def run(bench: Bench) -> Section:
    """One process a contender, in turn; the longest delay of a beat after each swap."""
    found: Pauses = {}
    alone: Pauses = {}
    for count in _COUNTS:
        everyone, floors = [each for pair in _PAIRS for each in pair], [floor for _, floor in _PAIRS]
        with bench.started(everyone, count) as pairs, bench.started(floors, count, follow=False) as idle:
            pauses = in_turn(bench.rounds(60), [*pairs, *idle], _swap)
        found |= {(who, count): times for who, times in zip(everyone, pauses, strict=False)}
        alone |= {(who, count): times for who, times in zip(floors, pauses[len(everyone) :], strict=True)}
    rows = [
        (
            ours.title,
            f"{count:,}",
            *(f"{duration(median(found[who, count]))}" for who in (ours, floor)),
            ratio(median(found[ours, count]), median(found[floor, count])),
            duration(median(alone[floor, count])),
            *(f"{duration(percentile(found[who, count], 0.95))}" for who in (ours, floor)),
        )
        for ours, floor in _PAIRS
        for count in _COUNTS
    ]
    return Section(
        "The pause of an event loop",
        "An event loop sleeps for 1 ms again and again, while another process swaps the volume. The pause is the "
        "longest delay of a wake-up in the 0.1 s after the swap. The floor is a thread that follows the same layout: "
        "raw inotify, read, parse, validate. Without a watch, a process only has the loop: its pause is that of the "
        "machine, whose processors the writer uses too.",
        [Table(_COLUMNS, rows)],
        promises=[_promise(*row, *target, found) for row, target in _TARGETS.items()],
    )


def _swap(pair: tuple[Process, Volume], number: int) -> float:
    process, volume = pair
    process.send("heartbeat", seconds=_SECONDS + 2e-5 * len(volume.names))  # the writer writes its files meanwhile
    process.receive()
    time.sleep(0.01)
    renamed_at = volume.set_first(f"pause {number}")
    beats = process.receive()
    return float(max((delay for due, delay in beats if due + delay > renamed_at), default=1))


def _promise(who: Contender, count: int, target: float, before: str, found: Pauses) -> Promise:
    floor = next(other for ours, other in _PAIRS if ours is who)
    times = median(found[who, count]) / median(found[floor, count])
    what = f"pause of an event loop for each swap, {who.title}, {count:,} keys"
    measured = f"{times:.2f} times ({duration(median(found[who, count]))})"
    return Promise(what, f"at most {target} times the floor", measured, times <= target, _WHY, before)
