"""Java .properties (docs.oracle.com, java.util.Properties.load) -> a mapping of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from liveconfig._loading.document_limits import DocumentError, unique

_BLANKS = " \t\f"
_PAIR = rf"(?s)((?:\\.|[^\\=:{_BLANKS}])*)[{_BLANKS}]*[=:]?[{_BLANKS}]*(.*)"
_ESCAPE = r"(?s)\\(u[0-9a-fA-F]{4}|.)"
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def parse_properties(text: str) -> dict[str, str]:
    """Parse a document of Java's format.

    Raises:
        DocumentError: A name stands there twice, or an escape is wrong.
    """
    matches = ((number, re.fullmatch(_PAIR, line)) for number, line in _logical_lines(text))
    return unique([(_unescape(match[1], number), _unescape(match[2], number)) for number, match in matches if match])


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines without comments and blank ones, each with its number.

    An odd number of backslashes at the end joins the next line; at the end of the text that is a blank one.
    """
    parts: list[str] = []
    goes_on = False
    for number, natural in enumerate([*re.split(r"\r\n|\n|\r", text), ""], 1):
        line = natural.lstrip(_BLANKS)
        if not goes_on and line[:1] in ("#", "!"):
            continue
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            joined, first, parts = "".join(parts), number - len(parts) + 1, []
            if joined:
                yield first, joined


def _unescape(text: str, number: int) -> str:
    def one(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "u":
            raise DocumentError(f"a \\u without four hexadecimal digits (line {number})")
        return chr(int(letter[1:], 16)) if len(letter) == 5 else _LETTERS.get(letter, letter)

    # Java writes a character beyond the 16 bits as the escapes of its two halves: put them together.
    halves = re.sub(_ESCAPE, one, text).encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "surrogatepass")
