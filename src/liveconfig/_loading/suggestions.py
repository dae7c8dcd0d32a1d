"""The known name that is nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one; None where none comes close."""
    import difflib  # noqa: PLC0415 - few messages need it

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest name, or nothing where none comes close."""
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else ""
