"""A readiness probe and a status page on large settings: ROUNDS VOLUME, on a volume with keys that feed no field."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._stats import median
from benchmarks._volumes import names
from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations._status_page import readiness
from liveconfig.testing import KubeletVolume

FIELDS, FOREIGN = 300, 200


def main() -> None:
    rounds, path = int(sys.argv[1]), Path(sys.argv[2])
    volume = KubeletVolume(path)
    foreign = {f"foreign_{name}": "x" for name in names(FOREIGN)}
    volume.write({**dict.fromkeys(names(FIELDS), "one"), **foreign})
    body = {
        "__annotations__": dict.fromkeys(names(FIELDS), str),
        "model_config": SettingsConfigDict(volumes=[path]),
        "__module__": __name__,
    }
    settings = type("AppSettings", (Settings,), body)()
    with settings.live:
        first = _timed(settings.live.status)
        found = {
            "probe": median([_timed(lambda: readiness(settings, fail_when_unhealthy=True)) for _ in range(rounds)]),
            "status": median([_timed(settings.live.status) for _ in range(rounds)]),
            "first": first,
        }
        volume.update({names(1)[0]: "two"})
        settings.live.reload()
        found["after"] = _timed(settings.live.status)
    print(json.dumps(found))


def _timed(call: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


main()
