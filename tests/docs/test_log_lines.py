"""The log lines that docs/logging.md lists are those of the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import liveconfig

ROOT = Path(__file__).parents[2]
PACKAGE = Path(liveconfig.__file__).parent  # of the wheel, where the tests run with it
PAGE = (ROOT / "docs" / "logging.md").read_text("utf-8")
ROW = re.compile(r"^\| (?:INFO|WARNING|ERROR) `(?:AppSettings: )?([^`]+)`", re.MULTILINE)
MARKS = re.compile(r"[`(),.:;?]")
WILD = "\0"  # what is put into a text at run time: any words
LITERAL = 0.6  # the share of a line's words that the source must have literally


def texts() -> Iterator[str]:
    """Every text of the source, without docstrings' layout; `WILD` stands for what is put in at run time."""
    for path in PACKAGE.rglob("*.py"):
        parts: set[int] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts |= {id(part) for part in node.values}
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else WILD for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield re.sub(r"%[sd]|\{\w*\}", WILD, node.value)


SOURCE = [MARKS.sub(" ", text).split() for text in texts() if " " in text]


def matched(line: Sequence[str], text: Sequence[str]) -> int:
    """How many words of the line the text has literally, if the line is a beginning of the text; else -1."""
    if not line:
        return 0
    if not text:
        return -1
    if WILD in text[0]:
        return max(matched(line[skipped:], text[1:]) for skipped in range(min(len(line), 6) + 1))
    if line[0].isupper() and line[0] != text[0]:
        return max(matched(line[1:], text[taken:]) for taken in range(min(len(text), 3) + 1))
    rest = matched(line[1:], text[1:]) if line[0] == text[0] else -1
    return -1 if rest < 0 else rest + 1


@pytest.mark.parametrize("line", ROW.findall(PAGE))
def test_a_listed_log_line_is_in_the_source(line: str) -> None:
    """A listed log line is the beginning of a text of the source."""
    words = MARKS.sub(" ", line).split()
    literal = [word for word in words if not word.isupper()]
    assert max(matched(words, text) for text in SOURCE) >= LITERAL * len(literal)
