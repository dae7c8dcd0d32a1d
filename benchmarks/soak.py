"""`make soak`: random swaps and faults for ten minutes; then what leaked.

Three volumes, one with documents; a verifier that refuses, is slow or hangs; a validator that blocks; subscribers that
fail, are slow, fork; workers that are killed; readers of snapshots and of every process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._process import Channel
from benchmarks._soak_faults import Writer
from benchmarks._stats import bytes_
from benchmarks._usage import Usage
from liveconfig import ProcessReport, processes

_OBJECTS = 3
_PATIENCE = 20.0  # until every process is current
_GROWTH = 6 * 1024**2  # what the allocator may keep beyond the first fifth of the run


class Soak:
    """The handler: writes, asks the application what it saw, keeps count."""

    def __init__(self, home: Path) -> None:
        self._subject = Channel(sys.executable, "-m", "benchmarks._soak_subject")
        self._writer = Writer(
            home,
            lambda: bool(self._subject.ask("rejected")),
            lambda config: self._held_back.append(self._subject.ask("expect_config", config=config)),
        )
        self._counts: Counter[str] = Counter()
        self._waits: list[float] = []
        self._held_back: list[float] = []
        self._memory: list[int] = []
        self.violations: list[str] = []
        blocked = self._writer.blocked_volume
        self._subject.ask("begin", volumes=self._writer.volumes, blocked=blocked, objects=_OBJECTS)

    def run(self, seconds: float) -> dict[str, Any]:
        """Act until the time is over. What was counted."""
        started = time.monotonic()
        told = 0.0
        with self._subject:
            while (passed := time.monotonic() - started) < seconds:
                self._some_acts()
                self._checkpoint()
                self._look_at_processes()
                if passed - told > 30:
                    told = passed
                    print(
                        f"{passed:4.0f} s: {sum(self._counts.values()):,} acts, {len(self._found())} violations",
                        flush=True,
                    )
            last = self._subject.ask("finish")
        self.violations = [*self._writer.violations, *last["violations"], *self._grown()]
        return {**self._counts, **last["counts"], **self._figures()}

    def _some_acts(self) -> None:
        child = self._subject.ask("fork") if random.random() < 0.2 else None
        for _ in range(random.randint(1, 12)):
            self._counts[self._writer.act()] += 1
            if random.random() < 0.5:
                time.sleep(random.uniform(0, 0.02))
        if child:
            self._writer.swap()  # the child waits for one more
            self._subject.ask("reap", pid=child)

    def _checkpoint(self) -> None:
        self._counts["checkpoints"] += 1
        numbers = {"config": self._writer.config, "secret": self._writer.secret, "login": self._writer.login}
        self._waits.append(self._subject.ask("expect", **numbers))
        self._subject.ask("expect_blocked", number=self._writer.blocked)
        self._memory.append(Usage.of(self._subject.pid).memory)

    def _look_at_processes(self) -> None:
        """Now and then replace a worker, and read the report of every process, through the library or the command."""
        if random.random() < 0.1:
            self._subject.ask("replace_worker")
        if random.random() < 0.3:
            look, name = random.choice([(_processes, "looks at the processes"), (_ps, "runs of ps")])
            self._counts[name] += 1
            pids, generations = self._subject.ask("pids"), self._writer.generations
            deadline = time.monotonic() + _PATIENCE
            while (wrong := _not_current(look(), pids, generations)) and time.monotonic() < deadline:
                time.sleep(0.05)
            self._writer.violations += wrong

    def _found(self) -> list[str]:
        return [*self._writer.violations, *self._subject.ask("report")["violations"]]

    def _grown(self) -> list[str]:
        early = max(self._memory[: len(self._memory) // 5 + 1])
        late = self._memory[-1]
        return [f"memory grew from {bytes_(early)} to {bytes_(late)}"] if late > early + _GROWTH else []

    def _figures(self) -> dict[str, str]:
        waits, held_back = sorted(self._waits), sorted(self._held_back) or [0.0]
        return {
            "numbers written": f"{self._writer.config:,}, {self._writer.secret:,} and {self._writer.login:,}",
            "beside what waits": f"{held_back[len(held_back) // 2] * 1e3:.1f} ms median, {held_back[-1]:.2f} s at most",
            "until newest everywhere": f"{waits[len(waits) // 2] * 1e3:.1f} ms median, {waits[-1]:.2f} s at most",
            "memory": f"{bytes_(self._memory[0])} first, {bytes_(self._memory[-1])} last",
        }


class ProcessReader(threading.Thread):
    """Reads the report of every process, all the time: they are replaced, killed and forked meanwhile."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.violations: list[str] = []
        self.looks = 0
        self._stop_event = threading.Event()

    def run(self) -> None:
        while not self._stop_event.wait(random.uniform(0.05, 0.2)):
            self.looks += 1
            try:
                processes()
            except Exception as error:
                self.violations.append(f"processes() raised {type(error).__name__}")
                return

    def stop(self) -> None:
        self._stop_event.set()
        self.join()


def _processes() -> list[dict[str, Any]]:
    return [ProcessReport.as_dict(each) for each in processes()]


def _ps() -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "liveconfig", "ps", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    found: list[dict[str, Any]] = json.loads(ran.stdout)["processes"]
    return found


def _not_current(found: list[dict[str, Any]], pids: list[int], generations: list[str | None]) -> list[str]:
    """What is wrong with the reports of some processes."""
    by_pid = {each["pid"]: each["settings"] for each in found}
    wrong = [f"process {pid} is not listed" for pid in pids if pid not in by_pid]
    for pid in pids:
        for settings in by_pid.get(pid, ()):
            seen = [each["generation"] for each in settings["volumes"]]
            if settings["state"] != "current" or (len(seen) == len(generations) and seen != generations):
                wrong.append(f"process {pid} is {settings['state']} at {seen}: {settings['problems']}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the writer; printed at the start")
    options = parser.parse_args()
    random.seed(options.seed)
    print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="liveconfig-soak-") as home:
        soak, reader = Soak(Path(home)), ProcessReader()
        reader.start()
        counts = soak.run(options.seconds)
        reader.stop()
        for name, count in sorted({**counts, "readings of the reports": reader.looks}.items()):
            print(f"{name:>28}  {count}")
    violations = [*soak.violations, *reader.violations]
    for violation in violations:
        print(f"VIOLATION: {violation}")
    print("clean" if not violations else f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
