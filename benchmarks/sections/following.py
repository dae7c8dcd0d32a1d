"""From the rename of ``..data`` to the new value, writer in another process."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks._bench import Bench, in_turn
from benchmarks._process import ContenderError, Process
from benchmarks._result import Promise, Section, Table
from benchmarks._stats import duration, median, percentile, ratio
from benchmarks._volumes import Volume
from benchmarks.contenders import FLOOR, OURS, Contender
from benchmarks.sections._rows import behind, chart, times_floor

__all__ = ["callback", "readable"]

_KEYS = 10
_GIVE_UP = 3  # misses in a row
_WHY = (
    "Rename to readable: the event passes two threads (the reader of watchdog, and our scheduler); the floor has one. "
    "Of 0.73 ms on a loaded machine, the kernel and the wake-up of the reader take 0.20, the wake-up of the scheduler "
    "0.09, reading 0.15, parsing 0.07, the way from there to the validation 0.04, validating 0.05, and applying 0.04; "
    "the rest is the wake-up of the thread that reads. Already done: the reader calls back for the directory of a "
    "volume, so that there is no emitter thread (0.20, 0.19 and 0.27 ms less in three interleaved runs; an earlier try "
    "of the same, before the reader posted the look itself, gained nothing); the observer thread of watchdog is left "
    "out, only one half of each rename is requested (0.1 ms together, and no wait of half a second for the other "
    "half), and files are read with fewer calls. Tried: reading on the thread of the emitter (1.38 ms instead of "
    "1.34); nothing that lets the readers go first (0.15 ms later); in its place, the start of the delivery thread "
    "right after the new values are in use (0.07 to 0.11 ms later). Not done: reading on the thread of the reader, "
    "because a file call that hangs would then hold up the events of all volumes."
)
_BECAUSE = {
    "habit": "It does not wait for an event. It opens the file at each read instead, and each read takes longer.",
}


def readable(bench: Bench) -> Section:
    """Until another thread of the process reads the new value."""
    times = _both_groups(bench, bench.contenders, "await_value")
    section = _section(
        "From the rename to a readable value",
        "The writer runs in another process and renames `..data`. A thread looks for the new value every 50 µs and "
        "notes when it sees it, which adds up to 50 µs to every result. 10 keys. Contenders that do not watch read "
        "everything again at each look; their time is the time of such a read.",
        "readable",
        times,
    )
    section.promises = _promises(times)
    return section


def callback(bench: Bench) -> Section:
    """Until the callback is entered."""
    times = _both_groups(bench, [who for who in bench.contenders if who.calls_back], "await_callback")
    return _section(
        "From the rename to a callback",
        "The same swap, until a function of the application is called with the new value. 10 keys.",
        "callback",
        times,
    )


def _both_groups(bench: Bench, contenders: list[Contender], wait: str) -> dict[Contender, tuple[list[float], int]]:
    """The times seen and the swaps made, by contender; those that debounce or poll get fewer rounds."""
    quick = [who for who in contenders if who.patience <= 0.5]
    slow = [who for who in contenders if who.patience > 0.5]
    return _times(bench, quick, wait, bench.rounds(200)) | _times(bench, slow, wait, bench.rounds(20))


def _times(
    bench: Bench, contenders: list[Contender], wait: str, rounds: int
) -> dict[Contender, tuple[list[float], int]]:
    with bench.started(contenders, _KEYS, callback=wait == "await_callback") as pairs:
        found = in_turn(rounds, pairs, _swap(wait))
    result = {}
    for (process, _), times in zip(pairs, found, strict=True):
        answers = [time for time in times if not isinstance(time, Exception)]
        result[process.contender] = [time for time in answers if time is not None], len(answers)
    return result


def _swap(wait: str) -> Callable[[tuple[Process, Volume], int], float | None]:
    misses: dict[Process, int] = {}

    def measure(pair: tuple[Process, Volume], number: int) -> float | None:
        process, volume = pair
        if misses.get(process, 0) == _GIVE_UP:
            raise ContenderError("it does not follow any more")
        process.send(wait, expected=f"round {number}", timeout=process.contender.patience)
        process.receive()
        time.sleep(0.003)  # both at rest
        renamed_at = volume.set_first(f"round {number}")
        seen_at = process.receive()
        misses[process] = 0 if seen_at else misses.get(process, 0) + 1
        return None if seen_at is None else seen_at - renamed_at

    return measure


def _section(title: str, text: str, slug: str, times: dict[Contender, tuple[list[float], int]]) -> Section:
    values = {who: median(seen) if len(seen) > _GIVE_UP else None for who, (seen, _) in times.items()}
    rows = [
        (
            who.title + (" (reads again)" if who.rereads else ""),
            duration(median(seen)) if seen else "never",
            duration(percentile(seen, 0.99)) if seen else "",
            times_floor(values[who], values),
            f"{len(seen)} of {swaps}",
        )
        for who, (seen, swaps) in times.items()
    ]
    return Section(
        title,
        text,
        [Table(("", "median", "99th percentile", "times the floor", "swaps seen"), rows)],
        [chart(slug, title, values, duration, missing="does not follow")],
        losses=behind(values, title, duration, _BECAUSE),
    )


def _promises(times: dict[Contender, tuple[list[float], int]]) -> list[Promise]:
    floor, ours = times[FLOOR][0], times[OURS][0]
    middle, late, late_floor = median(ours) / median(floor), percentile(ours, 0.99), percentile(floor, 0.99)
    return [
        Promise(
            "rename to readable in another thread, median",
            "at most 2.0 times the floor",
            f"{ratio(median(ours), median(floor))} times ({duration(median(ours))})",
            middle <= 2.0,
            _WHY,
            "2.70",
        ),
        Promise(
            "rename to readable, 99th percentile",
            "under 2 ms, or twice the floor",
            f"{duration(late)} (floor: {duration(late_floor)})",
            late < max(2e6, 2 * late_floor),
        ),
    ]
