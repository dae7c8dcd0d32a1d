"""What a process uses, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals since its start, save for memory, threads and descriptors, which are as of now.

    Attributes:
        wakeups: Voluntary context switches of all threads.
        cpu: Nanoseconds on a processor.
        read: Bytes read.
        memory: Bytes of its own (private pages).
        threads: How many.
        descriptors: How many.
    """

    wakeups: int
    cpu: int
    read: int
    memory: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """As it is now."""
        process = Path(f"/proc/{pid}")
        tasks = [numbers for task in (process / "task").iterdir() if (numbers := _task(task)) is not None]
        return cls(
            wakeups=sum(wakeups for wakeups, _ in tasks),
            cpu=sum(cpu for _, cpu in tasks),
            read=_field(process / "io", "rchar:"),
            memory=1024 * sum(_field(process / "smaps_rollup", name) for name in ("Private_Clean:", "Private_Dirty:")),
            threads=len(tasks),
            descriptors=len(os.listdir(process / "fd")),
        )

    @classmethod
    def of_self(cls) -> Self:
        """This process."""
        return cls.of(os.getpid())

    def __sub__(self, before: Usage) -> Usage:
        return Usage(*(getattr(self, name) - getattr(before, name) for name in self.__slots__))


def _task(task: Path) -> tuple[int, int] | None:
    """Wake-ups and nanoseconds of one thread; None where it has just ended."""
    try:
        cpu = int((task / "schedstat").read_text().split()[0])
        return _field(task / "status", "voluntary_ctxt_switches:"), cpu
    except (FileNotFoundError, ProcessLookupError):
        return None


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(name)
