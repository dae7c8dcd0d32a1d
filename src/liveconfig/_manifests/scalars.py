"""Values without quotes in YAML, with the types that kubectl gives them.

kubernetes-sigs/yaml goyaml.v2/resolve.go: YAML 1.1 without numbers of base 60, with ``0o17``, and with more floats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMBER_STARTS = frozenset("-+.0123456789")
NOT_TEXT_STARTS = _NUMBER_STARTS | {word[0] for word in _WORDS if word}
"""The first characters of values that may be something else than text."""

_WHOLE = re.compile(r"([-+]?)(?:0[xX]([\da-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|(0|[1-9]\d*))", re.ASCII)
_BASES = {2: 16, 3: 8, 4: 2, 5: 10}
"""The bases of the groups of `_WHOLE`."""

_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_SINGLE_UNDERSCORES = re.compile(r"\.\d+(_\d+)*([eE][-+]?\d+(_\d+)*)?", re.ASCII)
_LONGEST_WHOLE = 250
"""Digits of a whole number that is not a float either: so many fit into a float in every base."""


@dataclass(frozen=True, slots=True, repr=False)
class TruthKey:
    """A truth value as a key: for Python, ``True`` and 1 are one key, for kubectl they are two."""

    value: bool

    def __repr__(self) -> str:
        return "true" if self.value else "false"


def resolve(text: str) -> Any:
    """Return the value of a text without quotes; a date is text, as it is to Kubernetes."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS or (text[0] == "." and not _SINGLE_UNDERSCORES.fullmatch(text)):
        return text
    digits = text.replace("_", "")
    whole = _whole(digits)
    return whole if whole is not None else _float(digits, text)


def _whole(text: str) -> int | None:
    """The whole number; None for a decimal one that 64 bits cannot hold, which is a float."""
    match = _WHOLE.fullmatch(text)
    if match is None or len(text) > _LONGEST_WHOLE:
        return None
    group = match.lastindex or 0
    number = int(match[1] + match[group], _BASES[group])
    fits = -(2**63) <= number < (2**63 if match[1] else 2**64)
    return number if fits or not (match[1] or _FLOAT.fullmatch(text)) else None


def _float(text: str, otherwise: str) -> float | str:
    """The float; the text if it is none, or if 64 bits cannot hold it."""
    number = float(text) if _FLOAT.fullmatch(text) else float("inf")
    return otherwise if abs(number) == float("inf") else number
