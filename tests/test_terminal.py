"""Tables for people."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from liveconfig._terminal import folded_table, painter, printable, without_commands

HEADER = ("POD", "CONTAINER", "VOLUME", "STATE", "ON DISK SINCE", "PROCESSES", "PROBLEM")
ROW = (
    "payment-api-6c9f7d9c4d-x2x8k",
    "istio-proxy",
    "/etc/config",
    "NOT FOLLOWED",
    "3 min 12 s ago",
    "4/4",
    "no settings class names this volume",
)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_table_fits_the_terminal(width: int) -> None:
    """No line is wider than the terminal, and no word of a sentence or part of a name is lost."""
    lines = folded_table(HEADER, [ROW], lambda cell, _: cell, width)
    assert max(map(len, lines)) <= width
    assert sorted("".join(lines).replace(" ", "")) == sorted("".join((*HEADER, *ROW)).replace(" ", ""))


def test_a_name_is_broken_between_its_parts() -> None:
    """A name that does not fit is broken after a slash or a hyphen."""
    lines = folded_table(("OBJECT", "WHY"), [("configmap/payment-api-config", "short")], lambda cell, _: cell, 24)
    assert [line.strip() for line in lines[2:]] == ["configmap/payment-api-", "config", "short"]


def test_only_text_has_a_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """The empty cells of a folded row have no colour."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output = io.StringIO()
    monkeypatch.setattr(output, "isatty", lambda: True)
    paint = painter(output)
    assert paint("bad  ", "bad") == "\033[1;31mbad  \033[0m"
    assert paint("     ", "bad") == "     "


class _Place(NamedTuple):
    file: str
    line: int


@dataclass(frozen=True)
class _Row:
    place: _Place
    names: tuple[str, ...]
    notes: list[str]
    by_name: dict[str, str | None]


def test_printable_data() -> None:
    """What is not printable is replaced in every text of a record, however deep, and the types stay."""
    row = _Row(_Place("a\x1bb", 3), ("c\n", "d"), ["\u202e"], {"\x07": "\udcff", "e": None})
    assert printable(row) == _Row(_Place("a?b", 3), ("c?", "d"), ["?"], {"?": "?", "e": None})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error file=a::x", "??error file=a::x"),
        ("  ::add-mask::x", "  ??add-mask::x"),
        ("a ##[error]x", "a ??[error]x"),
        ("##vso[task.setvariable variable=PATH]x", "??vso[task.setvariable variable=PATH]x"),
        ("a::b ## c [d]", "a::b ## c [d]"),
    ],
)
def test_commands_in_a_log(line: str, shown: str) -> None:
    """What GitHub Actions or Azure Pipelines would obey in a log is marked, and other text stays."""
    assert list(without_commands([line])) == [shown]
