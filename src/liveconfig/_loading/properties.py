"""Java .properties (docs.oracle.com, java.util.Properties.load) -> a mapping of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from liveconfig._loading.document_limits import unique

_PAIR = r"(?s)((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)"
_ESCAPE = r"(?s)\\(u[0-9a-fA-F]{4}|.)"
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def parse_properties(text: str) -> dict[str, str]:
    """Parse a document of Java's format.

    Raises:
        DocumentError: A name stands there twice.
    """
    matches = (re.fullmatch(_PAIR, line) for line in _logical_lines(text))
    return unique([(_unescape(match[1]), _unescape(match[2])) for match in matches if match])


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines without comments and blank ones; an odd number of backslashes at the end joins the next line."""
    parts: list[str] = []
    goes_on = False
    for natural in re.split(r"\r\n|\n|\r", text):
        line = natural.lstrip(" \t\f")
        if not goes_on and (not line or line[0] in "#!"):
            continue
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            yield "".join(parts)
            parts = []
    if parts:
        yield "".join(parts)


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        letter = match[1]
        return chr(int(letter[1:], 16)) if len(letter) == 5 else _LETTERS.get(letter, letter)

    # Java writes a character beyond the 16 bits as the escapes of its two halves: put them together.
    halves = re.sub(_ESCAPE, one, text).encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "surrogatepass")
