"""The recent values of fields and selectors, kept from the first request on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

from liveconfig import _clock
from liveconfig._delivery.subjects import Version
from liveconfig._delivery.subscribers import described, name_of
from liveconfig._loading import same
from liveconfig._record import record
from liveconfig.exceptions import LiveConfigError

MOST_VALUES = 16
MOST_SELECTORS = 32
_MOST_PENDING = 256

_log = logging.getLogger("liveconfig")

Select = Callable[[Any], Any]


@record
class _Used:
    """One value: its version, and when its use began and ended (monotonic; None if it is in use)."""

    number: int
    since: float
    value: Any
    until: float | None = None


class _Values:
    """The distinct values of one selector, oldest first."""

    def __init__(self, select: Select, within: float | None) -> None:
        self.select = select
        self.within = within
        self.used: list[_Used] = []
        self.newest = 0

    def keep_for(self, within: float | None) -> None:
        """Keep replaced values for the longest time that any request gave."""
        self.within = None if within is None or self.within is None else max(within, self.within)

    def add(self, used: _Used) -> None:
        """Add a value. Two threads may add the same one, in any order."""
        others = (each for each in self.used if each.number != used.number)
        self.used = _distinct(_closed(sorted((*others, used), key=lambda each: each.number)))
        self.newest = max(self.newest, used.number)
        self.forget()

    def forget(self) -> None:
        """Drop the values that were replaced too long ago, and the oldest of too many."""
        self.used = [each for each in self.used if _is_within(each, self.within)][-MOST_VALUES:]

    def recent(self, within: float | None) -> tuple[Any, ...]:
        """Return the values, newest first."""
        return tuple(each.value for each in reversed(self.used) if _is_within(each, within))


def _closed(ordered: list[_Used]) -> list[_Used]:
    """Return the uses, with adjacent uses of one value joined; each but the last has an end."""
    closed: list[_Used] = []
    for used in ordered:
        if closed and same(closed[-1].value, used.value):
            continue
        if closed and closed[-1].until is None:
            closed[-1] = replace(closed[-1], until=used.since)
        closed.append(used)
    return closed


def _distinct(ordered: list[_Used]) -> list[_Used]:
    """Return the newest use of each value."""
    kept: list[_Used] = []
    for used in reversed(ordered):
        if not any(same(used.value, other.value) for other in kept):
            kept.insert(0, used)
    return kept


def _is_within(used: _Used, within: float | None) -> bool:
    return used.until is None or within is None or _clock.monotonic() - used.until <= within


class RecentValues:
    """The recent values of one settings object.

    Args:
        settings: The name of the settings class, with which each log line begins.
        first: The version in use.
    """

    def __init__(self, settings: str, first: Version) -> None:
        self._settings = settings
        self._newest = (first, _clock.monotonic())
        self._values: dict[Any, _Values] = {}
        self._pending: list[tuple[Version, float]] = []
        self.renew()

    def renew(self) -> None:
        """Create the lock: at the start, and in a forked child."""
        self._lock = threading.RLock()  # a signal handler may enter it again

    def are_kept(self) -> bool:
        """Whether the values of any selector are kept."""
        return bool(self._values)

    def publish(self, version: Version) -> None:
        """Queue a version. No selector is called here."""
        with self._lock:
            if version.number > self._newest[0].number:
                self._newest = version, _clock.monotonic()
                if self._values:
                    self._pending.append(self._newest)
                    del self._pending[:-_MOST_PENDING]

    def recent(self, key: str | Select, select: Select, within: float | None) -> tuple[Any, ...]:
        """Return the distinct values, newest first.

        Args:
            key: The name of the field, or the selector, which is identified by its object identity.
            select: Returns the value of a snapshot.
            within: The largest number of seconds since a value was replaced; None for all that are kept.
        """
        with self._lock:
            values = self._of(key, select, within)
            newest = self._newest
        self._bring(values, [*self._pending, newest])
        self.settle()
        with self._lock:
            return values.recent(within)

    def settle(self) -> None:
        """Call the selectors with the new versions, outside the lock, and drop values that are too old."""
        pending = list(self._pending)
        for values in list(self._values.values()):
            self._bring(values, pending)
        with self._lock:
            done = {version.number for version, _ in pending}
            while self._pending and self._pending[0][0].number in done:
                self._pending.pop(0)
        self.forget()

    def forget(self) -> None:
        """Drop the values that were replaced too long ago."""
        with self._lock:
            for values in self._values.values():
                values.forget()

    def _bring(self, values: _Values, versions: list[tuple[Version, float]]) -> None:
        for version, at in versions:
            if version.number > values.newest:
                self._call(values, version, at)

    def _call(self, values: _Values, version: Version, at: float) -> None:
        try:
            value = values.select(version.snapshot)
        except BaseException as error:  # noqa: BLE001 - a user's selector
            what = described(error, "this version counts as no change")
            _log.error("%s: the selector %s of `recent` raised %s", self._settings, name_of(values.select), what)
            return
        with self._lock:
            values.add(_Used(version.number, at, value))

    def _of(self, key: str | Select, select: Select, within: float | None) -> _Values:
        identity = _identity(key)
        known = self._values.get(identity)
        if known is None:
            selectors = sum(not isinstance(each, str) for each in self._values)
            if not isinstance(key, str) and selectors >= MOST_SELECTORS:
                raise LiveConfigError(
                    f"`recent` keeps the values of {MOST_SELECTORS} different selectors at most: define the selector "
                    "once and pass the same function each time, or pass the name of a field"
                )
            known = self._values[identity] = _Values(select, within)
        known.keep_for(within)
        return known


def _identity(key: str | Select) -> Any:
    if isinstance(key, MethodType):  # each access creates a new object
        return id(key.__self__), id(key.__func__)
    return key if isinstance(key, str) else id(key)
