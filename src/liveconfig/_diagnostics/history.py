"""The newest outcomes of one settings object: applied, rejected, recovered, stale."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from liveconfig import _clock
from liveconfig._delivery import Version, diff
from liveconfig.events import Recovered, Rejected, Stale
from liveconfig.history import HistoryEntry

MOST_ENTRIES = 32


class _Outcome:
    """One outcome. Only its entry is ever replaced, so that nobody who goes through the outcomes is disturbed."""

    def __init__(self, entry: HistoryEntry) -> None:
        self._entry = entry

    def entry(self) -> HistoryEntry:
        """Return the entry."""
        return self._entry

    def replace(self, entry: HistoryEntry) -> None:
        """Replace the entry, unless it is the same."""
        if entry != self._entry:
            self._entry = entry


class _Applied(_Outcome):
    """An applied version whose changed fields are computed when somebody asks, because that would delay the readers."""

    def __init__(self, old: Version, new: Version) -> None:
        self._versions: tuple[Version, Version] | None = (old, new)

    def entry(self) -> HistoryEntry:
        """Return the entry. Two threads may compute it at the same time."""
        versions = self._versions
        if versions is not None:
            old, new = versions
            names = tuple(str(change.field) for change in diff(old.snapshot, new.snapshot, new.number))
            self._entry = HistoryEntry(new.applied_at, "applied", new.number, dict(new.generations), names)
            self._versions = None  # the snapshots hold secrets
        return self._entry


class History:
    """Records each outcome when it happens, so that it is available as soon as the new values.

    Args:
        first: The version of the first load, which is no outcome.
    """

    def __init__(self, first: Version) -> None:
        self._newest = first
        self._outcomes: list[_Outcome] = []
        self.renew()

    def renew(self) -> None:
        """Create the lock: at the start, and in a forked child."""
        self._lock = threading.RLock()  # a signal handler may enter it again

    def publish(self, version: Version) -> None:
        """Record a version, unless it is the one that was recorded last."""
        with self._lock:
            if version.number > self._newest.number:
                self._add(_Applied(self._newest, version))
                self._newest = version

    def changed(self, version: Version) -> tuple[str, ...]:
        """Return the fields that an applied version changed; none if the entry is no longer kept."""
        applied = (each for each in self.entries() if each.kind == "applied" and each.version == version.number)
        return next((each.fields for each in applied), ())

    def reject(self, rejected: Rejected) -> None:
        """Record a rejection, or its new count of attempts."""
        with self._lock:
            if not self._count(rejected):
                self._add(_Outcome(self._rejection(rejected)))

    def recover(self, recovered: Recovered) -> None:
        """Record the end of a rejection, with its final count of attempts."""
        after = recovered.after
        with self._lock:
            self._count(after)
            entry = HistoryEntry(
                recovered.at,
                "recovered",
                recovered.version,
                dict(recovered.generations),
                after.fields,
                after.reason,
                after.attempt,
            )
            self._add(_Outcome(entry))

    def stale(self, stale: Stale) -> None:
        """Record a field that became stale."""
        with self._lock:
            now, newest = _clock.now(), self._newest
            generations = dict(newest.generations)
            entry = HistoryEntry(now, "stale", newest.number, generations, (stale.field,), stale.reason)
            self._add(_Outcome(entry))

    def newest(self) -> object | None:
        """Return what identifies the newest outcome; None if there is none."""
        outcomes = self._outcomes
        try:
            return outcomes[-1]
        except IndexError:
            return None

    def entries(self, standing: Iterable[Rejected] = ()) -> tuple[HistoryEntry, ...]:
        """Return the entries, newest first.

        Args:
            standing: The standing rejections with their present count of attempts.
        """
        with self._lock:
            for rejected in standing:
                self._count(rejected)
        return tuple(each.entry() for each in reversed(list(self._outcomes)))

    def _add(self, outcome: _Outcome) -> None:
        self._outcomes.append(outcome)
        del self._outcomes[:-MOST_ENTRIES]

    def _count(self, rejected: Rejected) -> bool:
        """Update the entry of a rejection. Return whether there is one."""
        for outcome in list(self._outcomes):
            if isinstance(outcome, _Applied):
                continue
            entry = outcome.entry()
            if entry.kind == "rejected" and entry.at == rejected.at:
                outcome.replace(replace(self._rejection(rejected), version=entry.version))
                return True
        return False

    def _rejection(self, rejected: Rejected) -> HistoryEntry:
        return HistoryEntry(
            rejected.at,
            "rejected",
            self._newest.number,
            dict(rejected.generations),
            rejected.fields,
            rejected.reason,
            rejected.attempt,
        )
