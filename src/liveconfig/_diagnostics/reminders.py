"""Standing causes: each is logged once, repeated as a reminder, and logged again when it is resolved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from liveconfig import _clock
from liveconfig.events import Stale

_log = logging.getLogger("liveconfig")


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing to say, about some fields or about none.

    Attributes:
        key: What makes it the same cause at the next look.
        text: The sentence; ``{names}`` stands for the names that are new, ``{age}`` for how long it has lasted.
        level: Of the log record.
        stale: The fields it makes stale; each is known from when it was first seen.
        reminded: Whether it is said again while it lasts.
        since: When it began, where that is known better than from when it was first seen.
        problem: Whether it makes the settings unhealthy.
    """

    key: tuple[str, ...]
    text: str
    level: int = logging.WARNING
    stale: tuple[Stale, ...] = ()
    reminded: bool = True
    since: datetime | None = None
    problem: bool = False


@dataclass(slots=True)
class _Standing:
    cause: Cause
    since: datetime
    said_at: float
    fields: dict[str, Stale]


class StandingCauses:
    """The causes that stand, of one settings object.

    Args:
        reminder: Seconds between reminders; None for saying each once.
        post: Called with each `Stale` that is new.
    """

    def __init__(self, reminder: float | None, post: Callable[[Stale], None]) -> None:
        self._reminder = reminder
        self._post = post
        self._standing: dict[tuple[str, ...], _Standing] = {}
        self.renew()

    def renew(self) -> None:
        """A new lock: at the start, and in a forked child."""
        self._lock = threading.RLock()  # a signal handler may come back in

    def review(self, causes: Iterable[Cause]) -> None:
        """Take what holds now: say what is new, remind of what lasts, tell what has ended."""
        now = {cause.key: cause for cause in causes}
        lines: list[tuple[int, str]] = []
        fresh: list[Stale] = []
        with self._lock:
            over = [self._standing.pop(key) for key in list(self._standing) if key not in now]
            lines += [_ended(each.cause, each.fields.values(), each.since) for each in over]
            for cause in now.values():
                fresh += self._stands(cause, lines)
        for level, text in lines:
            _log.log(level, "%s", text)
        for stale in fresh:
            self._post(stale)

    def _stands(self, cause: Cause, lines: list[tuple[int, str]]) -> list[Stale]:
        known = self._standing.get(cause.key)
        since = known.since if known else cause.since or _clock.now()
        before = known.fields if known else {}
        fields = {stale.field: before.get(stale.field, stale) for stale in cause.stale}
        fresh = [stale for name, stale in fields.items() if name not in before]
        said_at = known.said_at if known else _clock.monotonic()
        if gone := [stale for name, stale in before.items() if name not in fields]:
            lines.append(_ended(cause, gone, min(stale.since for stale in gone)))
        if known is None or fresh or cause.level > known.cause.level:
            lines.append((cause.level, _sentence(cause, fresh or list(fields.values()), since)))
        elif self._is_due(cause, said_at):
            said_at = _clock.monotonic()
            lines.append((cause.level, f"still: {_sentence(cause, list(fields.values()), since)}"))
        self._standing[cause.key] = _Standing(cause, since, said_at, fields)
        return fresh

    def _is_due(self, cause: Cause, said_at: float) -> bool:
        return cause.reminded and self._reminder is not None and _clock.monotonic() - said_at >= self._reminder

    def stands(self) -> bool:
        """Whether there is anything to remind of, or to tell the end of."""
        return bool(self._standing)

    def standing(self) -> tuple[Stale, ...]:
        """The stale fields."""
        with self._lock:
            return tuple(stale for each in self._standing.values() for stale in each.fields.values())

    def problems(self) -> Iterator[tuple[str, bool]]:
        """Each standing cause as a sentence, and whether it is a fault."""
        with self._lock:
            standing = list(self._standing.values())
        for each in standing:
            yield _sentence(each.cause, list(each.fields.values()), each.since), each.cause.problem


def _sentence(cause: Cause, fields: list[Stale], since: datetime) -> str:
    """In words; the age is that of the fields, where it is about some."""
    names = ", ".join(_served(stale) for stale in fields)
    age = _clock.now() - min((stale.since for stale in fields), default=since)
    return cause.text.replace("{names}", names).replace("{age}", _clock.in_words(age))


def _served(stale: Stale) -> str:
    name = stale.origin.name
    if stale.reason == "shadowed-environment":
        name = next((shadow.name for shadow in stale.origin.shadows if shadow.kind == "environment"), None)
    return stale.field if name is None or name == stale.field else f"{stale.field} ({name})"


def _ended(cause: Cause, fields: Collection[Stale], since: datetime) -> tuple[int, str]:
    names = ", ".join(stale.field for stale in fields) or cause.key[-1]
    return logging.INFO, f"over after {_clock.in_words(_clock.now() - since)}: {cause.key[0]} ({names})"
