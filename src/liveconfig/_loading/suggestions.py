"""The known name that is nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

_ALIKE = 0.6
_TRIED = 10
_SEPARATORS = "._-/"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one; None where none comes close."""
    import difflib  # noqa: PLC0415 - few messages need it

    close = difflib.get_close_matches(name, list(known), n=_TRIED, cutoff=_ALIKE)
    ends = ((each, _without_shared_parts(name, each)) for each in close)
    return next((each for each, (a, b) in ends if difflib.SequenceMatcher(a=a, b=b).ratio() >= _ALIKE), None)


def _without_shared_parts(one: str, other: str) -> tuple[str, str]:
    """What follows the parts with which both names begin: a common prefix or model alone makes no name near."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    start = max((at for at, (letter, _) in enumerate(alike, 1) if letter in _SEPARATORS), default=0)
    return one[start:], other[start:]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest name, or nothing where none comes close."""
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else ""
