"""Medians, percentiles, and numbers as people read them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

__all__ = ["bytes_", "duration", "median", "percentile", "ratio"]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by that share of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def duration(nanoseconds: float) -> str:
    """Three figures and the unit that suits them."""
    for limit, divisor, unit in ((1e3, 1, "ns"), (1e6, 1e3, "µs"), (1e9, 1e6, "ms")):
        if nanoseconds < limit * 0.9995:
            return f"{_three(nanoseconds / divisor)} {unit}"
    return f"{_three(nanoseconds / 1e9)} s"


def bytes_(count: float) -> str:
    """KiB or MiB."""
    return f"{_three(count / 1024)} KiB" if count < 1024**2 else f"{_three(count / 1024**2)} MiB"


def ratio(value: float, floor: float) -> str:
    """How many times the floor."""
    return f"{_three(value / floor)}"


def _three(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
