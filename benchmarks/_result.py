"""What a section hands to the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks._svg import Bar

__all__ = ["Chart", "Loss", "Promise", "Section", "Table"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: `docs/_static/performance-<slug>.svg`."""

    slug: str
    title: str
    bars: Sequence[Bar]
    show: Callable[[float], str]
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Promise:
    """A number that we gave beforehand, beside the one that was measured.

    Attributes:
        why: What it goes to, and which other designs were tried: for the page, where it is not kept.
        before: What it was in 0.1, where it was measured.
    """

    what: str
    target: str
    measured: str
    kept: bool
    why: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """A row on which another is ahead of us by more than a twentieth."""

    what: str
    who: str
    theirs: str
    ours: str
    times: str
    why: str


@dataclass(slots=True)
class Section:
    """One question, with its answer in tables and charts."""

    title: str
    text: str
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
