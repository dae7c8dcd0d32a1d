"""``settings.x`` beside the same read of a plain frozen model, in turn within one process: PATH ROUNDS."""

from __future__ import annotations

import json
import platform
import sys
import timeit
from time import thread_time

from benchmarks._stats import median
from benchmarks.contenders import floor, liveconfig

_READS = 100_000


def main() -> None:
    path, rounds = sys.argv[1], int(sys.argv[2])
    names = [sys.intern(f"key_{number:05}") for number in range(10)]  # as names in the source of a class are
    timers = []
    for adapter in (liveconfig.Adapter(path, names), floor.Adapter(path, names)):
        adapter.start() if isinstance(adapter, liveconfig.Adapter) else adapter.load()
        timers.append(timeit.Timer("settings.key_00000", timer=thread_time, globals={"settings": adapter.settings}))
    ratios = []
    for _ in range(rounds):
        ours, plain = (timer.timeit(_READS) for timer in timers)
        ratios.append(ours / plain)
    print(json.dumps({"python": platform.python_version(), "ratio": median(ratios)}))


if __name__ == "__main__":
    main()
