"""A re-check without a change, on the thread that does them, as the scheduler makes it: ROUNDS PATH...

There is no public call that does just this, so it reaches inside.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from benchmarks._stats import median
from benchmarks._volumes import names
from liveconfig import Settings, SettingsConfigDict
from liveconfig._watching.watcher import process_watcher

_opened: list[str] = []


def main() -> None:
    rounds, paths = int(sys.argv[1]), sys.argv[2:]
    body = {
        "__annotations__": dict.fromkeys(names(10), str),
        "model_config": SettingsConfigDict(volumes=paths),
        "__module__": __name__,
    }
    settings = type("AppSettings", (Settings,), body)()
    times: list[int] = []
    bare: list[int] = []
    done = threading.Event()

    def measure() -> None:
        [registration] = process_watcher._registrations  # noqa: SLF001

        def recheck() -> None:
            reading = process_watcher._observer.is_alive()  # noqa: SLF001
            for path in paths:
                process_watcher._probe(path, reading=reading)  # noqa: SLF001
            process_watcher._recheck(registration)  # noqa: SLF001

        recheck()  # the first one looks at the volumes, because their watches are new
        for _ in range(rounds):
            start = time.perf_counter_ns()
            recheck()
            middle = time.perf_counter_ns()
            times.append(middle - start)
            for path in paths:
                os.stat(path)
                os.readlink(f"{path}/..data")
            bare.append(time.perf_counter_ns() - middle)
        sys.addaudithook(_note)  # only now: a hook has its price
        recheck()
        done.set()

    process_watcher.scheduler.post(measure)
    done.wait(60)
    keys = [path for path in _opened if path.startswith(tuple(paths))]
    print(json.dumps({"time": median(times), "bare": median(bare), "opened": len(keys)}))
    settings.live.close()


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        _opened.append(str(arguments[0]))


if __name__ == "__main__":
    main()
