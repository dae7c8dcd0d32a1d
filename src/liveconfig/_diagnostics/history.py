"""The newest outcomes of one settings object: applied, rejected, recovered, stale."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from liveconfig import _clock
from liveconfig._delivery import Version, diff
from liveconfig._processes import entry_as_json
from liveconfig.events import Recovered, Rejected, Stale
from liveconfig.history import HistoryEntry

MOST_ENTRIES = 32


_NO_TEXT: tuple[object, str] = (object(), "")


class _Outcome:
    """One outcome. Only its entry is ever replaced, so that nobody who goes through the outcomes is disturbed.

    The changed fields of an applied version are found when somebody asks, because that would delay the readers.

    Attributes:
        entry: The entry; None until somebody asks.
        text: The entry that was converted last, and its JSON.
    """

    __slots__ = ("_versions", "entry", "text")

    def __init__(self, entry: HistoryEntry | None, versions: tuple[Version, Version] | None = None) -> None:
        self.entry = entry
        self.text = _NO_TEXT
        self._versions = versions

    def complete(self) -> HistoryEntry:
        """Make the entry of an applied version. Two threads may do that at the same time."""
        versions = self._versions
        if versions is not None:
            old, new = versions
            names = tuple([str(change.field) for change in diff(old.snapshot, new.snapshot, new.number)])
            self.entry = HistoryEntry(new.applied_at, "applied", new.number, dict(new.generations), names)
            self._versions = None  # the snapshots hold secrets
        assert self.entry is not None
        return self.entry

    def convert(self) -> str:
        """Return the JSON of the entry, which is kept."""
        entry = self.entry or self.complete()
        text = entry_as_json(entry)
        self.text = entry, text
        return text


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
                self._add(_Outcome(None, (self._newest, version)))
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
        return tuple([each.entry or each.complete() for each in self._with(standing)])

    def texts(self, standing: Iterable[Rejected]) -> tuple[str, ...]:
        """Return the entries as JSON. Each is converted once; most are as they were at the last call."""
        outcomes = self._with(standing)
        return tuple([each.text[1] if each.text[0] is each.entry else each.convert() for each in outcomes])

    def _with(self, standing: Iterable[Rejected]) -> list[_Outcome]:
        """Update the counts of the standing rejections, and return the outcomes, newest first."""
        with self._lock:
            for rejected in standing:
                self._count(rejected)
        return self._outcomes[::-1]

    def _add(self, outcome: _Outcome) -> None:
        self._outcomes.append(outcome)
        del self._outcomes[:-MOST_ENTRIES]

    def _count(self, rejected: Rejected) -> bool:
        """Update the entry of a rejection. Return whether there is one."""
        for outcome in list(self._outcomes):
            known = outcome.entry
            if known is not None and known.kind == "rejected" and known.at == rejected.at:
                entry = replace(self._rejection(rejected), version=known.version)
                if entry != known:
                    outcome.entry = entry
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
