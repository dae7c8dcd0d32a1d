"""Bars on a log scale, the floor as a line: SVG by hand, legible in light and dark."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "chart"]

_STYLE = """
.panel{fill:#fff;stroke:#d6dae0}.label,.value,.title,.tick{font-family:system-ui,sans-serif;fill:#24292f}
.label,.value{font-size:13px}.title{font-size:15px;font-weight:600}.tick{font-size:11px;fill:#57606a}
.ours{fill:#1a7f5a}.other{fill:#8aa3c2}.grid{stroke:#e4e8ec}.floor{stroke:#c2410c;stroke-width:1.5;stroke-dasharray:5 4}
.none{font-style:italic;fill:#57606a}
@media (prefers-color-scheme:dark){.panel{fill:#16191d;stroke:#3a4048}.label,.value,.title{fill:#e6e9ed}
.tick,.none{fill:#a3abb5}.ours{fill:#3fb68b}.other{fill:#5b789c}.grid{stroke:#2a2f36}.floor{stroke:#fb923c}}
"""
_TRAILING = re.compile(r"\.0+(?= |$)")
_LEFT, _RIGHT, _TOP, _ROW, _WIDTH = 250, 110, 48, 28, 760


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: Who.
        value: How much; None where there is no number.
        note: What to say instead of a number.
        ours: Drawn in our colour.
    """

    label: str
    value: float | None
    note: str = ""
    ours: bool = False


def chart(title: str, bars: Sequence[Bar], show: Callable[[float], str], floor: float | None = None) -> str:
    """A chart as the text of an SVG file.

    Args:
        title: Its heading.
        bars: From top to bottom.
        show: A value as text.
        floor: Where the line stands.
    """
    values = [bar.value for bar in bars if bar.value] + ([floor] if floor else [])
    low, high = _decades(values)
    bottom = _TOP + _ROW * len(bars)
    height = bottom + 34

    def x(value: float) -> float:
        share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>',
        f'<rect class="panel" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="6"/>',
        _text("title", 16, 27, title),
    ]
    for decade in range(low, high + 1):
        at = x(10.0**decade)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>')
        parts.append(_text("tick", at, bottom + 16, _TRAILING.sub("", show(10.0**decade)), "middle"))
    for number, bar in enumerate(bars):
        parts += _bar(bar, _TOP + _ROW * number, x, show)
    if floor:
        parts.append(_text("tick", x(floor), _TOP - 10, "floor", "middle"))
        parts.append(f'<line class="floor" x1="{x(floor):.1f}" x2="{x(floor):.1f}" y1="{_TOP - 6}" y2="{bottom}"/>')
    return "\n".join([*parts, "</svg>\n"])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    if not values:
        return 0, 1
    low = math.floor(math.log10(min(values)) - 0.15)
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def _bar(bar: Bar, y: float, x: Callable[[float], float], show: Callable[[float], str]) -> list[str]:
    label = _text("label", _LEFT - 10, y + 17, bar.label, "end")
    if bar.value is None:
        return [label, _text("value none", _LEFT + 6, y + 17, bar.note)]
    kind, end = "ours" if bar.ours else "other", x(bar.value)
    return [
        label,
        f'<rect class="{kind}" x="{_LEFT}" y="{y + 3}" width="{max(end - _LEFT, 1.5):.1f}" height="{_ROW - 8}"/>',
        _text("value", end + 6, y + 17, show(bar.value) + (f" {bar.note}" if bar.note else "")),
    ]


def _text(kind: str, x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
