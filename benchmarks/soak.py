"""`make soak`: random swaps and faults for ten minutes, beside readers, subscribers and forks; then what leaked."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._process import Channel
from benchmarks._soak_faults import Writer
from benchmarks._stats import bytes_
from benchmarks._usage import Usage

_OBJECTS = 3
_GROWTH = 6 * 1024**2  # what the allocator may keep beyond the first fifth of the run


class Soak:
    """The handler: writes, asks the application what it saw, keeps count."""

    def __init__(self, home: Path) -> None:
        self._subject = Channel(sys.executable, "-m", "benchmarks._soak_subject")
        self._writer = Writer(home, lambda: bool(self._subject.ask("rejected")))
        self._counts: Counter[str] = Counter()
        self._waits: list[float] = []
        self._memory: list[int] = []
        self.violations: list[str] = []
        self._subject.ask("begin", volumes=self._writer.volumes, objects=_OBJECTS)

    def run(self, seconds: float) -> dict[str, Any]:
        """Act until the time is over. What was counted."""
        started = time.monotonic()
        told = 0.0
        with self._subject:
            while (passed := time.monotonic() - started) < seconds:
                self._some_acts()
                self._checkpoint()
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
        self._waits.append(self._subject.ask("expect", config=self._writer.config, secret=self._writer.secret))
        self._memory.append(Usage.of(self._subject.pid).memory)

    def _found(self) -> list[str]:
        return [*self._writer.violations, *self._subject.ask("report")["violations"]]

    def _grown(self) -> list[str]:
        early = max(self._memory[: len(self._memory) // 5 + 1])
        late = self._memory[-1]
        return [f"memory grew from {bytes_(early)} to {bytes_(late)}"] if late > early + _GROWTH else []

    def _figures(self) -> dict[str, str]:
        waits = sorted(self._waits)
        return {
            "numbers written": f"{self._writer.config:,} and {self._writer.secret:,}",
            "until newest everywhere": f"{waits[len(waits) // 2] * 1e3:.1f} ms median, {waits[-1]:.2f} s at most",
            "memory": f"{bytes_(self._memory[0])} first, {bytes_(self._memory[-1])} last",
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the writer; printed at the start")
    options = parser.parse_args()
    random.seed(options.seed)
    print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="liveconfig-soak-") as home:
        soak = Soak(Path(home))
        for name, count in sorted(soak.run(options.seconds).items()):
            print(f"{name:>28}  {count}")
    for violation in soak.violations:
        print(f"VIOLATION: {violation}")
    print("clean" if not soak.violations else f"{len(soak.violations)} violations")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
