"""Many subscribers of one field, many of other fields, one that hangs: DIRECTORY ROUNDS SWAPS."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._stats import median
from benchmarks._usage import Usage
from benchmarks._volumes import Volume, names
from benchmarks.contenders.liveconfig import Adapter
from liveconfig import Change, Settings


def main() -> None:
    directory, rounds, swaps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    found = {
        **one_field(directory / "many", rounds),
        **other_fields(directory / "others", rounds),
        **slow_one(directory / "slow", swaps),
    }
    print(json.dumps(found))


def one_field(path: Path, rounds: int, count: int = 10_000) -> dict[str, float]:
    """A change with 10,000 subscribers, without any, and the bare loop of calls."""
    volume, settings = _settings(path, 10)
    called = 0

    def callback(_change: Change[Any]) -> None:
        nonlocal called
        called += 1

    alone = _change(settings, volume, rounds, "alone")
    for _ in range(count):
        settings.live.subscribe("key_00000", callback)
    with_all = _change(settings, volume, rounds, "all")
    assert called == count * rounds, called
    callbacks = [callback] * count
    change = Change("key_00000", "old", "new", 1)
    bare = median([_time(lambda: [call(change) for call in callbacks]) for _ in range(rounds)])
    settings.live.close()
    return {"alone": alone, "with_all": with_all, "bare": bare, "each": (with_all - alone - bare) / count}


def other_fields(path: Path, rounds: int, count: int = 1_000) -> dict[str, float]:
    """A change of one field of 1,000, with and without 1,000 subscribers of the others."""
    volume, settings = _settings(path, count)
    alone = _change(settings, volume, rounds, "alone")
    for name in names(count)[1:] + names(count)[1:2]:
        settings.live.subscribe(name, _never)
    with_others = _change(settings, volume, rounds, "others")
    settings.live.close()
    return {"wide_alone": alone, "wide_with_others": with_others, "wide_added": with_others - alone}


def slow_one(path: Path, swaps: int) -> dict[str, float]:
    """The growth of memory over many swaps while a subscriber does not return."""
    volume, settings = _settings(path, 10)
    release, newest = threading.Event(), []

    def slow(change: Change[Any]) -> None:
        newest.append(change.new)
        release.wait(60)

    settings.live.subscribe("key_00000", slow)
    sizes = []
    for number in range(swaps):
        volume.set_first(f"swap {number}")
        settings.live.reload(wait=False)
        if number in (swaps // 10, swaps - 1):
            gc.collect()
            sizes.append(Usage.of_self().memory)
    release.set()
    done = _until(lambda: bool(newest) and newest[-1] == f"swap {swaps - 1}")
    settings.live.close()
    return {"swaps": swaps, "grown": sizes[-1] - sizes[0], "calls": len(newest), "newest": done}


def _settings(path: Path, count: int) -> tuple[Volume, Settings]:
    volume = Volume(path, "keys", count)
    adapter = Adapter(volume.path, volume.names)
    adapter.load()
    return volume, adapter.settings


def _change(settings: Settings, volume: Volume, rounds: int, tag: str) -> float:
    """The time of a `reload()` that finds one field changed and waits for all subscribers."""
    times = []
    for number in range(rounds):
        volume.set_first(f"{tag} {number}")
        times.append(_time(settings.live.reload))
    return median(times)


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def _never(_change: Change[Any]) -> None:
    raise AssertionError("a subscriber of another field was called")


if __name__ == "__main__":
    main()
