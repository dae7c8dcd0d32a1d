"""First load and reload, from 10 to 10,000 keys."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks._bench import Bench, in_turn
from benchmarks._process import ContenderError, Process
from benchmarks._result import Promise, Section, Table
from benchmarks._stats import duration, median
from benchmarks._volumes import Volume
from benchmarks.contenders import (
    DYNAMIC_CONFIG,
    FLOOR,
    FLOOR_DOCUMENT,
    FLOOR_YAML,
    OURS,
    OURS_DOCUMENT,
    OURS_YAML,
    Contender,
)
from benchmarks.sections._rows import behind, chart, times_floor

__all__ = ["run"]

_ROUNDS = {10: 60, 100: 40, 1_000: 12, 10_000: 3}
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class _Target:
    """A row that is measured beside another one.

    Attributes:
        what: ``"first load"`` or ``"reload"``.
        count: How many keys.
        limit: How many times the other row at most.
        before: How many times it was in 0.1.
        ours: Which form of our configuration.
        other: The row beside it.
    """

    what: str
    count: int
    limit: float
    before: str
    ours: Contender = OURS
    other: Contender = FLOOR


_TARGETS = (
    _Target("first load", 100, 2.0, "2.93"),
    _Target("first load", 1_000, 1.5, "1.53"),
    _Target("reload", 100, 1.6, "2.38"),
    _Target("reload", 1_000, 1.5, "1.49"),
    _Target("reload", 100, 1.5, "4.34", OURS_DOCUMENT, DYNAMIC_CONFIG),
    _Target("reload", 1_000, 1.0, "3.64", OURS_DOCUMENT, DYNAMIC_CONFIG),
    _Target("reload", 1_000, 1.3, "about 3", OURS_YAML, FLOOR_YAML),
)
_WHY = {
    "first load": (
        "First load: more than 1 ms does not depend on the number of keys. Of 1.5 to 2.0 ms of processor time for "
        "100 keys (each round makes a class, and other programs have emptied the caches; repeated in a loop, the "
        "same steps take 0.8), reading takes 0.55, the review of what is stale 0.32 (mountinfo 0.14, causes 0.07, "
        "frozen parts 0.06), the report of the process 0.2 (a third of it the memory file), the sources of "
        "pydantic-settings 0.2, the objects of engine, delivery and diagnostics 0.2, parsing with the table of "
        "names 0.11, and validation 0.11; about 0.1 is the garbage collector of Python. In the same rounds, 0.1, "
        "which writes no report, reads no file to its end and finds fewer causes, takes 0.4 ms less for 100 keys "
        "and 1.0 less for 1,000. Already done: variables that feed no field are skipped, the start time of the "
        "process is read once, and fields of a plain type are not searched for models and keys inside (a quarter "
        "of the time at 100 and at 1,000 keys); variables are not resolved where the environment gives nothing "
        "(0.03 ms), and the look for an unfinished update lists no names where the link count says that there is "
        "no other folder (0.05 ms at 100 keys); the keys of a volume take the strings of the field names while "
        "they are read, in place of a look-up of each in the table of the interpreter (0.4 ms of 7.0 for 1,000 "
        "keys, 0.1 of 1.8 for 100); the end of a file is known by its size, in place of a second read, and a "
        "`Key` is looked for once in each field (0.3 ms of 6.9 for 1,000 keys); the environment is parsed only where "
        "a variable feeds a field, the names of all variables are compared with those of the fields in one call, "
        "slots without a value are read without the `getattr` of pydantic, and what concerns only sources, bases or "
        "lines of mountinfo that are rarely there is not looked for (in the same rounds on a loaded machine, 1.30 ms "
        "became 1.16 for 10 keys, 2.06 became 1.91 for 100, and 1.36 became 1.06 for 10 keys with 300 variables "
        "more, as a pod beside many services has; on a quiet one 0.60 became 0.55 for 10 keys; of 2,370 calls of "
        "functions for 10 keys, 1,570 are left). Tried, with a step left out "
        "to see the most that it can give, in the same rounds as 1.60 ms for 100 keys: a report that is written "
        "later (0.16 ms less; unwatched settings have no thread that could do it, and it must be there as soon as "
        "the settings are); a review that is made later (0.29 ms less; its log lines and `status()` must not be "
        "late); a review without mountinfo (0.15 ms less; neither a device nor an inode tells that a file is "
        "mounted from the same file system). Tried as well: no second read and no size (0.4 ms less for 1,000 "
        "keys, but a short read is no end on FUSE and NFS); reading into one buffer with `os.readv` (4 % more); "
        "first reads of 480 bytes (the same); reading without a function for each file (2 % less); mountinfo with "
        "`os.read` in place of a file object (33 µs instead of 35), and a regular expression in place of "
        "splitting it (6 µs instead of 3). Not done: mountinfo that is read again only when poll(2) reports a "
        "change, which needs a descriptor that stays open after `close()`; mounts that are read once a process, "
        "because a mount can come later."
    ),
    "reload": (
        "Reload: 0.1 ms of each reload starts the delivery thread, which Python waits for (0.8 ms on a loaded "
        "machine). Already done: a change that the scheduler finds starts none where there is nobody to call and "
        "nothing to log; what is stale is not searched again where only values differ (0.03 ms); the readers of "
        "the new values go first only where there is another thread (0.07 ms less in a program with one); the "
        "keys of a volume take the strings of the field names, and the end of a file is known by its size, in "
        "place of a second read (together 0.9 ms of 6.6 for 1,000 keys, as long as 0.1, and 0.1 of 1.2 for 100); the "
        "parts that changed are compared fewer times (1 to 3 % of the processor time for 100 keys, 2 to 4 % for one "
        "document of 100). "
        "Not done: a delivery thread that stays for a moment, because real changes are minutes apart. Tried: no "
        "delivery thread for a reload either (the caller then writes the report, which takes longer than the "
        "start: 1.20 ms instead of 1.09 for 100 keys; 0.95 without a report); a delivery thread without the timer "
        "of one second for slow calls, which starts the scheduler thread of unwatched settings (0.04 ms less for "
        "the caller, and 0.2 of 1.3 for all threads; but a log handler that hangs would hold up a subscriber that "
        "comes meanwhile); a thread that is started without waiting for it (`_thread.start_new_thread`: 0.02 ms "
        "instead of 0.13, but Python 3.11 keeps an entry of a thread that has ended in `threading.enumerate()`); "
        "`os.sched_yield` instead of a sleep of no time after the swap (0.08 ms less, but the new value is "
        "readable 0.03 to 0.07 ms later), and nothing there (readable 0.15 ms later); a post to a thread that is "
        "there (0.02 ms; but unwatched settings have none, and one that stays would be idle for ever). Tried again, in "
        "the same rounds on a loaded machine: no delivery thread where there is nobody to call (all threads take 1.51 "
        "ms of processor time instead of 2.01, but the caller takes 1.49 instead of 1.25, and 1.17 without a report); "
        "no timer where there is nobody to call (all threads 6 to 12 % less, the caller 0.5 to 3 %, for a second way). "
        "The garbage collector of Python has no part in it: 100 reloads made it run once."
    ),
    "json": (
        "One JSON document: already done: a plain name is one dictionary look-up, and plain values are checked without "
        "a call for each (the time of 1,000 keys fell to a fifth); fields of a plain type lead from their names "
        "without an object for each, the names of a document are gone through in fewer passes, and in a process with "
        "one thread nothing gives way (1,000 keys: a quarter less); the types of all values are asked in one call, "
        "half characters are looked for only where an escape can stand for one, and the fields whose default a factory "
        "makes are known for each class (1,000 keys: 1.31 ms where the code before took 1.39 in the same rounds). "
        "Tried: `from_json` of pydantic-core, which takes the last of two equal names without a word, so that the "
        "names have to be counted: by the colons of the text, 0.125 ms instead of 0.117 for 1,000 keys and 0.64 "
        "instead of 0.76 for 5,000; by its quotes, 0.17 instead of 0.12 for 1,000; values that did not change as the "
        "very same objects (for 1,000 keys, 0.06 ms less to compare them and 0.05 ms more to find them); the places of "
        "all names looked up in one call, with a search only where one is missing (0.050 ms instead of 0.073 for 1,000 "
        "keys, a hundredth of the reload). What is left is the fixed time of a reload, as for single keys: a reload of "
        "100 keys takes 0.5 ms, of which parsing, naming and validating are 0.2."
    ),
    "yaml": (
        "One YAML document: already done: it is parsed once (twice in 0.1, the first time for its depth), and the "
        "names of a mapping are gone through twice less; text, which most nodes are, is taken as it is, without the "
        "table of constructors: parsing takes 0.8 times as long as with `CSafeLoader` alone (1.5 in 0.1). Tried: a "
        "bound of the depth by the indentation and the brackets of the text (0.31 ms for 1,000 keys, where the calls "
        "of the composer take 0.24; and a text with many brackets has to be parsed twice)."
    ),
}
_BECAUSE = {
    "dynamic_config": "It parses one document in Rust.",
    "dynamic_config_secrets": "It reads in Rust.",
    "watchfiles_pydantic": "It only reads and validates.",
    "launchdarkly": "It checks no types.",
    "flagd": "It checks no types.",
    "habit": "It checks nothing.",
}
Times = dict[Contender, float | None]


def run(bench: Bench) -> Section:
    """One process a contender; a new class for each first load; one key changed before each reload."""
    first: dict[int, Times] = {}
    again: dict[int, Times] = {}
    watching: dict[int, Times] = {}
    out: set[Contender] = set()
    counts = [count for count in _ROUNDS if count < 10_000 or not bench.quick]
    for count in counts:
        contenders = (*bench.contenders, FLOOR_DOCUMENT, OURS_YAML, FLOOR_YAML)
        who = [contender for contender in contenders if contender not in out]
        first[count], again[count] = _measure(bench, who, count)
        watching[count] = _first(bench, [FLOOR, OURS], count, "start")
        out |= {contender for contender, value in first[count].items() if value is None}
    section = Section(
        "Loading",
        "The first load uses a new class or schema (creating it is not measured) and does not start to watch. The "
        f"reload follows a change of one key. Limit: {_PATIENCE:.0f} s. The floor reads all keys through the directory "
        "and validates them with pydantic. liveconfig uses `reload(wait=False)`: like the others, it is measured until "
        "the new values are readable, and calls subscribers in parallel. The file contenders read one document instead "
        "of a thousand keys. The clients of flagd and LaunchDarkly start threads and cannot load again.",
        [_table(first, "first load"), _table(again, "reload"), _table(watching, "first load, watch started")],
        [
            chart("load", "First load of 1,000 keys", first[1_000], duration, f"over {_PATIENCE:.0f} s"),
            chart("reload", "Reload of 1,000 keys", again[1_000], duration),
        ],
        _promises(first, again),
    )
    for count in counts:
        section.losses += behind(first[count], f"First load, {count:,} keys", duration, _BECAUSE)
        section.losses += behind(again[count], f"Reload, {count:,} keys", duration, _BECAUSE)
    return section


def _measure(bench: Bench, contenders: list[Contender], count: int) -> tuple[Times, Times]:
    volumes = {shape: bench.volume(shape, count) for shape in {who.shape for who in contenders}}
    with ExitStack() as stack:
        processes = [stack.enter_context(bench.process(who)) for who in contenders]
        first = in_turn(bench.rounds(_ROUNDS[count]) + 1, processes, _load(volumes, "load"))
        left = [
            process
            for process, times in zip(processes, first, strict=True)
            if process.contender.reloads and not isinstance(times[-1], Exception)
        ]
        again: list[list[Any]] = [[] for _ in left]
        for number in range(bench.rounds(_ROUNDS[count])):
            for volume in volumes.values():
                volume.set_first(f"reload {number}")
            for times, more in zip(again, in_turn(1, left, lambda process, _: process.ask("reload")), strict=True):
                times.extend(more)
    return _medians(processes, first), _medians(left, again)


def _first(bench: Bench, contenders: list[Contender], count: int, how: str) -> Times:
    volumes = {"keys": bench.volume("keys", count)}
    with ExitStack() as stack:
        processes = [stack.enter_context(bench.process(who)) for who in contenders]
        return _medians(processes, in_turn(bench.rounds(_ROUNDS[count]) + 1, processes, _load(volumes, how)))


def _load(volumes: dict[str, Volume], how: str) -> Any:
    def measure(process: Process, _round: int) -> float:
        volume = volumes[process.contender.shape]
        process.ask("prepare", path=volume.path, names=volume.names)
        return float(process.ask(how, timeout=_PATIENCE))

    return measure


def _medians(processes: list[Process], found: list[list[Any]]) -> Times:
    """Without the first, which warms up; None for one that failed or was too slow."""
    medians: Times = {}
    for process, times in zip(processes, found, strict=True):
        if isinstance(times[-1], ContenderError):
            raise times[-1]
        medians[process.contender] = None if isinstance(times[-1], Exception) else median(times[1:] or times)
    return medians


def _table(values: dict[int, Times], what: str) -> Table:
    contenders = list(values[10])
    rows = [
        [who.title, *(_cell(values[count].get(who), values[count]) if who in values[count] else "" for count in values)]
        for who in contenders
    ]
    return Table((what, *(f"{count:,} keys" for count in values)), rows)


def _cell(value: float | None, values: Times) -> str:
    if value is None:
        return f"over {_PATIENCE:.0f} s"
    return f"{duration(value)} ({times_floor(value, values)})"


def _promises(first: dict[int, Times], again: dict[int, Times]) -> list[Promise]:
    promises = []
    for target in _TARGETS:
        values = (first if target.what == "first load" else again)[target.count]
        ours, other = values.get(target.ours), values.get(target.other)
        if ours and other:
            promises.append(
                Promise(
                    f"{target.what} of {target.count:,} keys, {target.ours.title}, beside {target.other.title}",
                    f"at most {target.limit} times",
                    f"{ours / other:.2f} times ({duration(ours)})",
                    ours / other <= target.limit,
                    _WHY[target.what if target.other is FLOOR else target.other.shape],
                    target.before,
                )
            )
    *_, few, many = first
    growth, floor_growth = ((first[many][who] or 0) / (first[few][who] or 1) for who in (OURS, FLOOR))
    promises.append(
        Promise(
            f"growth of the first load, from {few:,} to {many:,} keys",
            f"like the floor ({floor_growth:.1f} times)",
            f"{growth:.1f} times",
            growth <= 1.25 * floor_growth,
        )
    )
    return promises
