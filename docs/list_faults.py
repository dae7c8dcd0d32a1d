"""Writes the tables of ``faults.md`` and ``cases.md`` from the docstrings of the tests.

A test whose docstring begins with the id of a fault, a promise or a case states what liveconfig does then. This
sentence is the row. Run it after a change: ``python docs/list_faults.py``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PAGES = {HERE / "faults.md": "ABCDEFGHIP", HERE / "cases.md": "KS"}
"""Each page, with the first letters of the ids that it lists."""

TESTS = HERE.parent / "tests"
START, END = "<!-- generated: rows -->", "<!-- generated: end -->"
IDS = re.compile(r"((?:[A-IKSP]\d+(?:, )?)+): (.+)", re.DOTALL)

SECTIONS = {
    "A": "Atomicity and lost updates",
    "B": "Bad input",
    "C": "The volume",
    "D": "The watcher",
    "E": "Subscribers, threads, processes",
    "F": "Secrets",
    "G": "The process",
    "H": "What is applied",
    "I": "Subscribers, streams, clients",
    "K": "Keys, fields, sources",
    "P": "The promises",
    "S": "What is reported",
}

KEPT_BY_SECTION = {"G": "P9", "H": "P1", "I": "P5", "K": "P3", "S": "P7"}
"""The promise that the faults of a section belong to, unless `KEPT_BY` names another."""

KEPT_BY = {
    "P1": "A03-A06 A20 A21 A25-A27 B12 C02 C05 C29 D01 D02 D04 D08 D20 D22 D23 D25-D28 E108-E110 E116 E120 E148 E193",
    "P2": "A01 A09 A10 A12 A13 A22-A24 C12 C15 C20 C24 E101-E107 E113 E147 E190-E192 E195",
    "P3": "A11 B01-B07 B09 B20-B25 C01 C06 C07 C09-C11 C21-C23 C26-C28 C31 C32 D06 D21 D24 D29 "
    "E84-E95 E99 E100 E111 E124 E125 E210-E216",
    "P4": "B10 B26 B27 C25 F01 F02 F04 F06 F08 F20-F42 F50-F52 F60-F63 F70-F74",
    "P5": "E01-E04 E07 E08 E15 E30-E39 E41-E44 E47-E52 E55-E83 E112 E119 E123 E160 E201",
    "P6": "E11 E13 E21 E126-E146 E149-E152 E196 E198-E200",
    "P7": "C13 E194 E202",
    "P8": "D07 D09",
    "P9": "E06 E17-E19 E45 E46 E53 E54 E96-E98 E114 E115 E117 E118 E121 E122 E153 E154 E161 E162",
    "P10": "E09 E10",
}
"""The promise that a fault belongs to; the most important one if there are several."""


class Row(NamedTuple):
    """What one test states about one or several faults."""

    ids: tuple[str, ...]
    fact: str
    place: str


def rows() -> list[Row]:
    """The rows of all tests, in the order of their ids."""
    found = [row for path in sorted(TESTS.rglob("*.py")) for row in _rows_of(path)]
    return sorted(found, key=lambda row: (row.ids[0][0], [int(each[1:]) for each in row.ids], row.place, row.fact))


def _rows_of(path: Path) -> Iterator[Row]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            match = IDS.match(ast.get_docstring(node) or "")
            if match:
                fact = " ".join(match[2].partition("\n\n")[0].split())
                yield Row(tuple(match[1].split(", ")), fact, str(path.relative_to(TESTS.parent)))


def promise_of(fault: str) -> str:
    """The promise that a fault belongs to.

    Raises:
        KeyError: Neither `KEPT_BY` nor `KEPT_BY_SECTION` has one.
    """
    if fault[0] == "P":
        return fault
    for promise, faults in KEPT_BY.items():
        for first, _, last in (each.partition("-") for each in faults.split()):
            if fault[0] == first[0] and int(first[1:]) <= int(fault[1:]) <= int((last or first)[1:]):
                return promise
    return KEPT_BY_SECTION[fault[0]]


def table(letters: str) -> str:
    """The sections of a page, a row for each test."""
    lines: list[str] = []
    letter, listed = "", [row for row in rows() if row.ids[0][0] in letters]
    for row in listed:
        if row.ids[0][0] != letter:
            letter = row.ids[0][0]
            lines += ["", f"## {SECTIONS[letter]}", "", "| id | fact | promise | test |"]
            lines.append("|---|---|---|---|")
        promises = ", ".join(dict.fromkeys(map(promise_of, row.ids)))
        fact = row.fact.replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")
        lines.append(f"| {', '.join(row.ids)} | {fact} | {promises} | `{row.place}` |")
    return "\n".join([f"{len(listed)} tests.", *lines])


def draw(page: Path) -> str:
    """The text of a page with a new table."""
    head, _, rest = page.read_text("utf-8").partition(START)
    return f"{head}{START}\n\n{table(PAGES[page])}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(draw(each), "utf-8")
