"""Tables and charts from one number a contender, beside the floor's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks._result import Chart, Loss
from benchmarks._stats import ratio
from benchmarks._svg import Bar
from benchmarks.contenders import FLOOR, OURS, OURS_DOCUMENT, OURS_YAML, Contender

__all__ = ["behind", "chart", "times_floor"]


def chart(
    slug: str,
    title: str,
    values: Mapping[Contender, float | None],
    show: Callable[[float], str],
    missing: str = "not offered",
) -> Chart:
    """One bar a contender, the floor's value as a line; `missing` stands where there is no number."""
    bars = [
        Bar(
            contender.title,
            value,
            "" if value is not None else missing,
            ours=contender in (OURS, OURS_DOCUMENT, OURS_YAML),
        )
        for contender, value in values.items()
        if contender is not FLOOR
    ]
    return Chart(slug, title, bars, show, values.get(FLOOR))


def times_floor(value: float | None, values: Mapping[Contender, float | None]) -> str:
    """The ratio to the floor's value."""
    floor = values.get(FLOOR)
    return ratio(value, floor) if value is not None and floor else ""


def behind(
    values: Mapping[Contender, float | None],
    what: str,
    show: Callable[[float], str],
    because: Mapping[str, str] | None = None,
) -> list[Loss]:
    """Each contender, the floors aside, that has a smaller number than ours by more than a twentieth.

    One that reads a key for each setting is held against liveconfig with such keys, the others against liveconfig
    with one document. `because` has explanations by the name of the contender's module.
    """
    losses = []
    for contender, value in values.items():
        ours = values.get(OURS if contender.shape == "keys" else OURS_DOCUMENT) or values.get(OURS)
        if not contender.peer or not value or not ours or value * 1.05 >= ours:
            continue
        why = (because or {}).get(contender.module, "")
        losses.append(Loss(what, contender.title, show(value), show(ours), ratio(ours, value), why))
    return losses
