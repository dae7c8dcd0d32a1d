"""What every section needs: interpreters, a place for volumes, how many rounds, who can run."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from benchmarks._process import ContenderError, Process, TooSlowError
from benchmarks._venv import contenders_python
from benchmarks._volumes import Volume
from benchmarks.contenders import CONTENDERS, Contender

__all__ = ["Bench", "in_turn"]

T = TypeVar("T")


@dataclass
class Bench:
    """One run.

    Attributes:
        directory: Where volumes are made; gone after the run.
        ours: Only what runs in our environment.
        quick: A tenth of the rounds.
    """

    directory: Path
    ours: bool = False
    quick: bool = False
    _made: int = field(default=0, init=False)

    @cached_property
    def peers(self) -> str | None:
        """The interpreter of the contenders' virtual environment, made when a section needs it; None: there is none."""
        return None if self.ours else contenders_python()

    @property
    def contenders(self) -> list[Contender]:
        """Who can run here."""
        return [contender for contender in CONTENDERS if self.peers or not contender.peer]

    def python(self, contender: Contender) -> str:
        """The interpreter that has it installed."""
        return self.peers if contender.peer and self.peers else sys.executable

    def rounds(self, full: int) -> int:
        """That many, or a tenth in a quick run (3 at least)."""
        return max(3, full // 10) if self.quick else full

    def volume(self, shape: str, count: int) -> Volume:
        """A new volume with a configuration of that many fields."""
        self._made += 1
        return Volume(self.directory / f"volume-{self._made}", shape, count)

    def process(self, contender: Contender) -> Process:
        """A new process for it."""
        return Process(self.python(contender), contender)

    @contextmanager
    def started(
        self, contenders: Iterable[Contender], count: int, callback: bool = False, *, follow: bool = True
    ) -> Iterator[list[tuple[Process, Volume]]]:
        """Each one in its process, following a volume of its own; without ``follow``, it only loads it."""
        with ExitStack() as stack:
            pairs = []
            for contender in contenders:
                process, volume = stack.enter_context(self.process(contender)), self.volume(contender.shape, count)
                process.ask("prepare", path=volume.path, names=volume.names)
                process.ask("start", callback=callback) if follow else process.ask("load")
                pairs.append((process, volume))
            yield pairs


def in_turn(rounds: int, items: list[T], measure: Callable[[T, int], Any]) -> list[list[Any]]:
    """`measure(item, round)` for each item in each round, in another order every time; what came out, by item.

    An item that fails or is too slow is left out of the rounds that follow; its list ends with the exception.
    """
    results: list[list[Any]] = [[] for _ in items]
    out: set[int] = set()
    for number in range(rounds):
        for index in random.sample(range(len(items)), len(items)):
            if index in out:
                continue
            try:
                results[index].append(measure(items[index], number))
            except (ContenderError, TooSlowError) as error:
                results[index].append(error)
                out.add(index)
    return results
