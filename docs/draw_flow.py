"""Draws ``_static/flow.svg``, the picture of the stages from the volume to the subscriber.

Each text has a card of its own colour as background, so that it is readable on a white and on a black page in every
browser and theme. Run it after a change: ``python docs/draw_flow.py``.
"""

from __future__ import annotations

from pathlib import Path

TARGET = Path(__file__).parent / "_static" / "flow.svg"
WIDTH, HEIGHT, GAP, TOP, LOW = 146, 92, 26, 8, 164
BLUE, GREEN, RED, GREY, LINE = "#24567f", "#2a6b4c", "#8f3340", "#4b5563", "#8a919c"

STEPS = [
    ("volume", ["the kubelet points", "..data to a new", "generation"], GREY),
    ("read", ["one generation;", "read it again", "if it moved"], BLUE),
    ("validate", ["types, validators,", "other sources for", "missing fields"], BLUE),
    ("verify", ["your own check,", "only if its fields", "changed"], BLUE),
    ("apply", ["settings.x is new", "for every reader,", "in one step"], GREEN),
    ("publish", ["subscribers and", "signals get", "old and new"], GREEN),
]


def left(column: float) -> float:
    return 6 + column * (WIDTH + GAP)


def card(column: float, span: int, y: float, title: str, lines: list[str], colour: str) -> str:
    x, width = left(column), span * WIDTH + (span - 1) * GAP
    middle = x + width / 2
    words = "".join(f'<text x="{middle}" y="{y + 44 + 16 * row}">{line}</text>' for row, line in enumerate(lines))
    height = HEIGHT if len(lines) == 3 else HEIGHT - 16 * (3 - len(lines))
    box = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="9" fill="{colour}"/>'
    return f'{box}<text class="title" x="{middle}" y="{y + 24}">{title}</text>{words}'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" marker-end="url(#tip)"/>'


def draw() -> str:
    """Return the picture as the text of an SVG file."""
    cards = [card(column, 1, TOP, title, lines, colour) for column, (title, lines, colour) in enumerate(STEPS)]
    cards += [
        card(0, 2, LOW, "watch", ["inotify events are hints;", "a re-check every 30 s is the guarantee"], GREY),
        card(2, 2, LOW, "reject", ["the last good configuration stays;", "logged once, then retried"], RED),
        card(4, 2, LOW, "status", ["where each field comes from,", "live or frozen, and why"], GREY),
    ]
    bottom, middle = TOP + HEIGHT, TOP + HEIGHT / 2
    arrows = [arrow(left(n) + WIDTH + 3, middle, left(n + 1) - 5, middle) for n in range(len(STEPS) - 1)]
    centre = [left(n) + WIDTH / 2 for n in range(len(STEPS))]
    arrows += [
        arrow(centre[0], bottom + 3, centre[0], LOW - 5),
        arrow(centre[1] - 20, LOW - 3, centre[1] - 20, bottom + 5),
        arrow(centre[1] + 36, bottom + 3, centre[2] - 50, LOW - 5),
        arrow(centre[2], bottom + 3, centre[2], LOW - 5),
        arrow(centre[3], bottom + 3, centre[3], LOW - 5),
        arrow(centre[4], bottom + 3, centre[4], LOW - 5),
    ]
    size = f"{left(len(STEPS)) - GAP + 6:g} {LOW + HEIGHT - 8}"
    style = (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
        "text{fill:#fff;text-anchor:middle}"
        f".title{{font-weight:700;font-size:15px}}line{{stroke:{LINE};stroke-width:2}}"
    )
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker>'
    )
    title = "<title>From the kubelet's swap to the attribute and the subscriber</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">'
    return "\n".join([head, title, f"<style>{style}</style><defs>{tip}</defs>", *arrows, *cards, "</svg>", ""])


if __name__ == "__main__":
    TARGET.write_text(draw(), "utf-8")
