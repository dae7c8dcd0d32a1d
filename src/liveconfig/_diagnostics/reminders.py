"""Standing causes: each is logged once, repeated as a reminder, and logged again when it is resolved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from liveconfig import _clock
from liveconfig.events import Stale
from liveconfig.origin import Origin

_log = logging.getLogger("liveconfig")

Fields = Sequence[Stale]
OriginOf = Callable[[str], Origin]


class Cause(NamedTuple):
    """One cause to report, with the fields that it concerns, if any.

    Attributes:
        key: Identifies the cause at the next review.
        text: Makes the sentence, from some of its fields and its age in words.
        resolved: Makes the sentence for its end, from its fields and their present origins.
        level: Of the log record.
        stale: The fields that it makes stale, each with the time when it was first seen.
        reminded: Whether it is logged again while it lasts.
        since: When it began, if that is known; with another time it is logged and published again.
        problem: Whether it makes the settings unhealthy.
    """

    key: tuple[str, ...]
    text: Callable[[Fields, str], str]
    resolved: Callable[[Fields, OriginOf], str]
    level: int = logging.WARNING
    stale: tuple[Stale, ...] = ()
    reminded: bool = True
    since: datetime | None = None
    problem: bool = False


class _Standing(NamedTuple):
    cause: Cause
    since: datetime
    logged_at: float
    fields: dict[str, Stale]


class StandingCauses:
    """The standing causes of one settings object.

    Args:
        settings: The name of the settings class, with which each log line begins.
        reminder: Seconds between reminders; None to log each cause once.
        post: Called with each new `Stale`.
    """

    def __init__(self, settings: str, reminder: float | None, post: Callable[[Stale], None]) -> None:
        self._settings = settings
        self._reminder = reminder
        self._post = post
        self._standing: dict[tuple[str, ...], _Standing] = {}  # a record is replaced, never changed
        self.renew()

    def renew(self) -> None:
        """Create the lock: at the start, and in a forked child."""
        self._lock = threading.RLock()  # a signal handler may enter it again

    def review(self, causes: Iterable[Cause], origin_of: OriginOf) -> None:
        """Replace the standing causes: log those that are new, due for a reminder, or resolved.

        Args:
            causes: All present causes.
            origin_of: Returns the present origin of a field.
        """
        now = {cause.key: cause for cause in causes}
        lines: list[tuple[int, str]] = []
        fresh: list[Stale] = []
        with self._lock:
            resolved = [self._standing.pop(key) for key in list(self._standing) if key not in now]
            lines += [_resolution(each.cause, list(each.fields.values()), each.since, origin_of) for each in resolved]
            for cause in now.values():
                fresh += self._stands(cause, lines, origin_of)
        for level, text in lines:
            _log.log(level, "%s: %s", self._settings, text)
        for stale in fresh:
            self._post(stale)

    def _stands(self, cause: Cause, lines: list[tuple[int, str]], origin_of: OriginOf) -> list[Stale]:
        known = self._standing.get(cause.key)
        if known and cause.since and cause.since != known.cause.since:  # it happened again
            known = None
        since = known.since if known else cause.since or _clock.now()
        before = known.fields if known else {}
        worse = known is not None and cause.level > known.cause.level
        fields = {stale.field: _dated(stale, before.get(stale.field), anew=worse) for stale in cause.stale}
        fresh = [stale for name, stale in fields.items() if worse or name not in before]
        logged_at = known.logged_at if known else _clock.monotonic()
        if gone := [stale for name, stale in before.items() if name not in fields]:
            lines.append(_resolution(cause, gone, min(stale.since for stale in gone), origin_of))
        if known is None or fresh or worse:
            lines.append((cause.level, _sentence(cause, fresh or list(fields.values()), since)))
        elif self._is_due(cause, logged_at):
            logged_at = _clock.monotonic()
            lines.append((cause.level, f"still: {_sentence(cause, list(fields.values()), since)}"))
        self._standing[cause.key] = _Standing(cause, since, logged_at, fields)
        return fresh

    def _is_due(self, cause: Cause, logged_at: float) -> bool:
        return cause.reminded and self._reminder is not None and _clock.monotonic() - logged_at >= self._reminder

    def stands(self) -> bool:
        """Whether any cause stands."""
        return bool(self._standing)

    def standing(self) -> tuple[Stale, ...]:
        """The stale fields."""
        return tuple(stale for each in list(self._standing.values()) for stale in each.fields.values())

    def sentences(self) -> Iterator[tuple[str, bool]]:
        """Return each standing cause as a sentence, and whether it is a problem."""
        for each in list(self._standing.values()):
            yield _sentence(each.cause, list(each.fields.values()), each.since), each.cause.problem

    def has_problem(self) -> bool:
        """Whether a standing cause makes the settings unhealthy."""
        return any(each.cause.problem for each in list(self._standing.values()))


def _dated(stale: Stale, known: Stale | None, *, anew: bool) -> Stale:
    """Return the standing record, or a new one with its date if the cause got worse; that is published again."""
    if known is None:
        return stale
    return replace(stale, since=known.since) if anew else known


def _sentence(cause: Cause, fields: Fields, since: datetime) -> str:
    """Return the sentence. Its age is that of its fields, if it has any."""
    age = _clock.now() - min((stale.since for stale in fields), default=since)
    return cause.text(fields, _clock.in_words(age))


def _resolution(cause: Cause, fields: Fields, since: datetime, origin_of: OriginOf) -> tuple[int, str]:
    age = _clock.in_words(_clock.now() - since)
    return logging.INFO, f"resolved after {age}: {cause.resolved(fields, origin_of)}"
