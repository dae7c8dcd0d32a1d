"""The report of this process: one entry for each settings object, in one memory file."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from liveconfig._distribution import __version__
from liveconfig._locks import is_held_here
from liveconfig._processes.memory_file import MemoryFile, is_supported
from liveconfig.history import HistoryEntry

SCHEMA = 1
MOST = 64
"""How many settings objects of one process are listed in full: those that are not healthy first."""

PATIENCE = 0.05
"""Seconds for which a caller waits for another thread that updates the report."""

VARIABLE = "LIVECONFIG_REPORT"


class Reporting(Protocol):
    """A settings object with an entry in the report."""

    def report_key(self) -> object | None:
        """Return all that its entry depends on; None while that is not known without making the entry."""
        ...

    def report(self) -> Mapping[str, Any]:
        """Return its entry, as `from_json` reads it, with each item of ``history`` as JSON; no value."""
        ...


class _Part:
    """The last entry of one source, as JSON.

    Attributes:
        text: The entry.
        shown: The text that the published report has.
    """

    def __init__(self, source: Reporting) -> None:
        self.source = weakref.ref(source)
        self.text = self.shown = ""
        self.is_healthy = True
        self.key: object | None = None
        self._report: Mapping[str, Any] = {}

    def update(self, source: Reporting) -> bool:
        """Bring the text up to date. Return whether it is another one than the published report has."""
        key = source.report_key()  # first: what changes from now on is found by the next update
        if key is None or key != self.key:
            self._take(source.report())
            self.key = key
        return self.text is not self.shown

    def _take(self, report: Mapping[str, Any]) -> None:
        if report == self._report:
            return
        head = _dumps({name: value for name, value in report.items() if name != "history"})
        self.text = f'{head[:-1]},"history":[{",".join(report["history"])}]}}'
        self.is_healthy = report["healthy"]
        self._report = report  # last: a signal handler may raise before, or another thread may fork


def entry_as_json(entry: HistoryEntry) -> str:
    """Return an entry of a history as JSON. Written out, because this is done for each applied change."""
    return _dumps(
        {
            "at": entry.at.isoformat(),
            "kind": entry.kind,
            "version": entry.version,
            "generations": entry.generations,
            "fields": entry.fields,
            "reason": entry.reason,
            "attempt": entry.attempt,
        }
    )


_dumps = json.JSONEncoder(separators=(",", ":")).encode


class ReportPublisher:
    """Keeps the report of this process. It has no thread and no timer; without a change it writes nothing."""

    def __init__(self) -> None:
        self._file = MemoryFile()
        self._parts: dict[int, _Part] = {}
        self._shown_by: int | None = None
        self.renew()

    def renew(self) -> None:
        """Create the lock: at the start, and in a forked child, which still has the report of its parent."""
        self._lock = threading.RLock()
        self._changed: deque[Reporting | None] = deque()

    def update(self, source: Reporting) -> None:
        """Update the entry of ``source``, and publish the report if it has changed.

        Entries of objects that were collected leave it.

        One thread updates at a time. It also updates what other threads, and signal handlers inside it, ask for
        meanwhile: they wait for `PATIENCE` seconds at most, because a signal handler may hold it up.
        """
        self._update(source)

    def drop_collected(self) -> None:
        """Publish the report without the objects that were collected, if there are any."""
        self._update(None)

    def _update(self, source: Reporting | None) -> None:
        if sys.is_finalizing() or os.environ.get(VARIABLE) == "0" or not is_supported():
            return  # in an interpreter that is finalizing, CPython 3.13 crashes when a time is formatted
        self._changed.append(source)
        while self._changed and not is_held_here(self._lock):
            try:
                if not self._lock.acquire(timeout=PATIENCE):
                    return
                self._update_changed()
            finally:
                try:  # noqa: SIM105 - `suppress` is Python code, in which a signal handler may raise before the release
                    self._lock.release()
                except RuntimeError:  # it was not acquired
                    pass

    def _update_changed(self) -> None:
        while self._changed:
            source = self._changed.popleft()
            is_new = source is not None and (self._part_of(source).update(source) or not self._is_shown())
            if is_new or any(part.source() is None for part in self._parts.values()):
                self._show()

    def _part_of(self, source: Reporting) -> _Part:
        known = self._parts.get(id(source))
        if known is None or known.source() is not source:
            known = self._parts[id(source)] = _Part(source)
        return known

    def _is_shown(self) -> bool:
        """Whether this process publishes its own report; a forked child has its parent's at first."""
        return self._shown_by == os.getpid() and self._file.is_there()

    def _show(self) -> None:
        self._shown_by = None
        with contextlib.suppress(OSError):  # no descriptor is left, or a sandbox forbids it: the next call tries again
            self._file.replace(self._document())
            for part in self._parts.values():
                part.shown = part.text
            self._shown_by = os.getpid()

    def _document(self) -> bytes:
        self._parts = {key: part for key, part in self._parts.items() if part.source() is not None}
        parts = list(self._parts.values())
        unlisted = max(0, len(parts) - MOST)
        if unlisted:  # none that is unhealthy stays unseen while a healthy one is listed
            parts.sort(key=lambda part: part.is_healthy)
        head = f'"schema":{SCHEMA},"pid":{os.getpid()},"liveconfig":"{__version__}","unlisted":{unlisted}'
        return f'{{{head},"settings":[{",".join(part.text for part in parts[:MOST])}]}}'.encode()


process_report = ReportPublisher()
"""The report of this process: one for all of its settings objects."""
