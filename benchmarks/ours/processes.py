"""What the report of a process costs: ``cost PATH ROUNDS``, ``ps PATH PROCESSES``, ``scrape PATH WORKERS ROUNDS``.

`cost` reaches inside: no public call does only this.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._stats import median
from benchmarks._volumes import Volume, names
from liveconfig import Settings, SettingsConfigDict


def main() -> None:
    what, path, *numbers = sys.argv[1:]
    print(json.dumps({"cost": cost, "ps": ps, "scrape": scrape}[what](path, *map(int, numbers))))


def load(path: str) -> Settings:
    body = {
        "__annotations__": dict.fromkeys(names(10), str),
        "model_config": SettingsConfigDict(volumes=path),
        "__module__": __name__,
    }
    return type("AppSettings", (Settings,), body)()


@contextmanager
def workers(path: str, count: int) -> Iterator[None]:
    """So many forked processes that have live settings."""
    settings = load(path)
    children = []
    for _ in range(count - 1):
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
        children.append(child)
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        settings.live.close()


def cost(path: str, rounds: int) -> dict[str, float]:
    """Nanoseconds to bring the report up to date after an applied change, with a full history."""
    settings = load(path)
    from liveconfig._processes.publisher import VARIABLE, process_report

    core = settings.live._core  # noqa: SLF001
    volume = Volume(Path(path), "keys", 10)
    times = []
    for number in range(rounds):
        os.environ[VARIABLE] = "0"  # the reload, or the watcher before it, leaves the report as it is
        volume.set_first(f"value {number}")
        settings.live.reload()
        del os.environ[VARIABLE]
        start = time.perf_counter_ns()
        process_report.update(core)
        times.append(time.perf_counter_ns() - start)
    settings.live.close()
    return {"time": median(times)}


def ps(path: str, count: int) -> dict[str, float]:
    """Nanoseconds of ``liveconfig ps`` beside those of an interpreter that does nothing, whole processes in turn."""
    times: dict[str, list[int]] = {"ps": [], "bare": []}
    commands = {"ps": ["-m", "liveconfig", "ps", "--json"], "bare": ["-c", "pass"]}
    with workers(path, count):
        for _ in range(7):
            for name, command in commands.items():
                start = time.perf_counter_ns()
                subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=False)
                times[name].append(time.perf_counter_ns() - start)
    return {name: median(found) for name, found in times.items()}


def scrape(path: str, count: int, rounds: int) -> dict[str, float]:
    """Nanoseconds of a scrape."""
    from prometheus_client import CollectorRegistry, generate_latest

    from liveconfig.integrations.prometheus import LiveConfigCollector

    registry = CollectorRegistry()
    LiveConfigCollector(registry)
    times = []
    with workers(path, count):
        for _ in range(rounds):
            start = time.perf_counter_ns()
            generate_latest(registry)
            times.append(time.perf_counter_ns() - start)
    return {"time": median(times)}


if __name__ == "__main__":
    main()
