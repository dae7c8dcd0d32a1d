"""Reviews what is stale in one settings object, writes its log lines, and makes its status."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from liveconfig import _clock
from liveconfig._delivery import Version
from liveconfig._diagnostics.detectors import detect_causes
from liveconfig._diagnostics.frozen import frozen_fields
from liveconfig._diagnostics.history import History
from liveconfig._diagnostics.present_state import GoneEntries, PresentState
from liveconfig._diagnostics.process_report import report_of
from liveconfig._diagnostics.reminders import StandingCauses
from liveconfig._diagnostics.status import Content, Observation, content_of, sentences_about, status_of
from liveconfig._diagnostics.wording import generations, held_back, names_with_variables
from liveconfig._loading import Feed, Feeds, Frozens, Loaded, Loader, Origins, Removal, Removals, UnusedNames, has_place
from liveconfig._volumes import (
    Fingerprint,
    Frozen,
    Mount,
    Unresponsive,
    Updates,
    VolumeMounts,
    file_calls,
    read_mounts,
    take_fingerprint,
)
from liveconfig._watching import Mode
from liveconfig.events import Recovered, Rejected, Stale
from liveconfig.origin import Origin
from liveconfig.status import Status

_log = logging.getLogger("liveconfig")


class Engine(Protocol):
    """The attributes of the engine that the monitor reads."""

    @property
    def applied(self) -> Loaded[Any]:
        """The configuration in use."""
        ...

    @property
    def version(self) -> Version:
        """Its version."""
        ...


class Monitor:
    """The diagnostics of one settings object: reviews, log lines, origins and the status.

    Args:
        loader: Creates its instances.
        origins: Finds where values come from.
        engine: Holds the configuration in use.
        mode: What notices changes of the volumes now.
        why_polling: Why inotify does not.
        environment_since: How old the environment is.
        replaced: Whether ``LIVECONFIG_VOLUMES`` replaced the declared volumes.
    """

    def __init__(
        self,
        loader: Loader[Any],
        origins: Origins,
        engine: Engine,
        mode: Callable[[], Mode],
        why_polling: Callable[[], str | None],
        *,
        environment_since: datetime,
        replaced: bool,
    ) -> None:
        self._loader = loader
        self._origins = origins
        self._engine = engine
        self._mode = mode
        self._why_polling = why_polling
        self._environment_since = environment_since
        self._replaced = replaced
        self._name = loader.cls.__name__
        self.post: Callable[[Stale], None] = lambda _: None
        self.history = History(engine.version)
        self._standing = StandingCauses(self._name, loader.cls.model_config.get("stale_reminder"), self._post)
        self._mounts = [VolumeMounts(volume.path) for volume in loader.volumes]
        self._updates = [Updates(volume.path) for volume in loader.volumes]
        self._frozen: Frozens = {}
        self._vanished: dict[str, datetime] = {}
        self._gone: dict[str, GoneEntries] = {}
        self._reviewed = engine.applied  # what the standing causes depend on
        self._logged = engine.applied.feeds  # those of the version that was logged last
        self._places: tuple[object, ...] = ()
        self._unused_names = UnusedNames()
        self._content: tuple[PresentState, Content] | None = None
        self.renew()

    def renew(self) -> None:
        """Create the locks: at the start, and in a forked child."""
        self._reviewing = threading.RLock()
        self._standing.renew()
        self.history.renew()

    def _post(self, stale: Stale) -> None:
        self.history.stale(stale)
        self.post(stale)

    # Reviewing

    def review_if_changed(self, places: Sequence[Fingerprint | None] | None = None) -> None:
        """Review what is stale, if anything that matters for it has changed since the last review.

        Args:
            places: What stands at each volume's path; None to look.
        """
        if self._places != self._whereabouts(places) or self._standing.stands():
            self.review()
        elif self._reviewed is not self._engine.applied:
            self.review_applied()

    def review(self) -> None:
        """Find everything that is stale, and log what is new."""
        with self._reviewing:
            places, mounts = self._seen(None), read_mounts()
            for index, place in enumerate(places):
                with contextlib.suppress(Unresponsive):  # then what is known of it stays
                    self._frozen = {**self._frozen, index: self._frozen_parts(index, place, mounts)}
            self._frozen = {index: frozen for index, frozen in self._frozen.items() if frozen}
            self._places = self._whereabouts(places)
            self.review_content()

    def _frozen_parts(self, index: int, place: Fingerprint | None, mounts: Sequence[Mount]) -> Mapping[str, Frozen]:
        frozen = self._mounts[index].frozen_parts(mounts)
        newer = self._updates[index].unfinished(place)
        return frozen if newer is None else {"": Frozen("stale-mount", stale=True, newer=newer), **frozen}

    def review_applied(self) -> None:
        """Review a new configuration; where only values of the volumes differ, nothing can be stale that was not."""
        with self._reviewing:
            if self._is_as_reviewed(self._engine.applied):
                self._reviewed = self._engine.applied
            else:
                self.review_content()

    def review_content(self) -> None:
        """The same without the mounts: a swap does not change them, and they take longer than all the rest."""
        with self._reviewing:
            applied = self._engine.applied
            if applied is not self._reviewed:
                self._note_vanished(applied)
                self._reviewed = applied
            self._standing.review(detect_causes(self._present(applied)), lambda name: self.origin(name, applied))

    def _is_as_reviewed(self, applied: Loaded[Any]) -> bool:
        """Whether only values of the volumes differ from those of the last review, which found nothing."""
        standing = self._standing.stands() or self._vanished or self._gone or self._frozen
        if standing or applied.restart_pending or any(layer.values for layer in self._loader.sources.layers):
            return False
        has_names = all(map(_has_names_of, applied.feeds, self._reviewed.feeds))
        return has_names and not self._removals(applied).with_inside_values()

    def _whereabouts(self, places: Sequence[Fingerprint | None] | None) -> tuple[object, ...]:
        """All that what is frozen depends on."""
        places = self._seen(places)
        unfinished = [updates.unfinished(place) for updates, place in zip(self._updates, places, strict=True)]
        return self._mode(), [place and place.directory for place in places], unfinished, self._inside()

    def _seen(self, places: Sequence[Fingerprint | None] | None) -> Sequence[Fingerprint | None]:
        return places or [take_fingerprint(volume.path) for volume in self._loader.volumes]

    def _inside(self) -> list[tuple[object, ...]]:
        """Return the states of the files that are mounted below each volume."""
        try:
            return [mounts.states() for mounts in self._mounts]
        except Unresponsive:  # said elsewhere
            return []

    def _removals(self, applied: Loaded[Any]) -> Removals:
        return Removals(self._loader, self._origins, self._reviewed, applied)

    def _note_vanished(self, applied: Loaded[Any]) -> None:
        removals = self._removals(applied)
        there = {name: since for name, since in self._vanished.items() if has_place(applied.snapshot, name)}
        self._vanished = {name: since for name, since in there.items() if not removals.is_fed(name)}
        entries: dict[str, list[Removal]] = {}
        for removal in removals.with_inside_values():
            if removal.is_entry:
                entries.setdefault(removal.field, []).append(removal)
            elif not self._loader.plan.needs_restart(removal.fallen_back):  # that one keeps its value
                self._vanished.setdefault(removal.fallen_back, _clock.now())
        self._note_gone(removals, entries, applied)

    def _note_gone(self, removals: Removals, entries: Mapping[str, Sequence[Removal]], applied: Loaded[Any]) -> None:
        """Keep one record for each field: of several changes that removed something from it, the newest."""
        values = self._loader.of_volumes(applied.feeds)
        gone = {field: known.missing_in(values) for field, known in self._gone.items()}
        for field, removed in entries.items():
            first, paths = min(removed, key=lambda each: each.name), tuple(each.path for each in removed)
            gone[field] = GoneEntries(removals.in_words(first), paths, _clock.now(), removals.is_elsewhere(first))
        self._gone = {field: each for field, each in gone.items() if each.paths and self._lacks_entries(field, applied)}

    def _lacks_entries(self, field: str, applied: Loaded[Any]) -> bool:
        """Whether a field can lack entries: not if its value stays until a restart, or if it fell back as a whole."""
        fell_back = field in self._vanished or self._loader.plan.needs_restart(field)
        return not fell_back and has_place(applied.snapshot, field)

    # Log lines about events

    def log_overdue(self) -> None:
        """Log that a check of the volumes does not return."""
        hung = [volume.path for volume in self._loader.volumes if file_calls.hung_since(volume.path)]
        _log.warning(
            "%s: the check of its volumes has been running for 30 s: %s does not return. The settings stay as they are "
            "until it does; other settings objects are not affected",
            self._name,
            f"a file call on {', '.join(hung)}" if hung else "a validator, or a handler of the log,",
        )

    def logs_versions(self) -> bool:
        """Whether the log takes a line about a version."""
        return _log.isEnabledFor(logging.INFO)

    def log_applied(self, new: Version) -> None:
        """Log a version, and the environment variables that are now older than their fields."""
        before, self._logged = self._logged, self._engine.applied.feeds
        if not self.logs_versions() and not self._standing.stands():
            return
        fields = self.history.changed(new)
        _log.info(
            "%s: version %d applied: %s (%s)", self._name, new.number, ", ".join(fields), generations(new.generations)
        )
        behind = (stale for stale in self._standing.standing() if stale.reason == "shadowed-environment")
        if again := [stale for stale in behind if self._is_newer(stale.field, before)]:
            _log.warning(
                "%s: the volume changed %s; the environment still has an older value. Remove the variable from the pod",
                self._name,
                names_with_variables(again),
            )

    def _is_newer(self, name: str, before: Feeds) -> bool:
        """Whether the volumes give a field a new value, which the environment does not hold."""
        feeds = self._engine.applied.feeds
        return self._origins.has_changed(name, before, feeds) and self._origins.differs(name, feeds)

    def log_rejected(self, rejected: Rejected) -> None:
        """Log a rejection, with the fields that it holds back."""
        where = f" ({generations(rejected.generations)})" if rejected.generations else ""
        _log.error(
            "%s: rejected at stage %s%s: %s; the last good configuration stays in use%s",
            self._name,
            rejected.stage,
            where,
            rejected.reason,
            held_back(rejected.held),
        )

    def log_recovered(self, recovered: Recovered) -> None:
        """Log the end of a rejection."""
        after = recovered.after
        where = f" ({generations(after.generations)})" if after.generations else ""
        _log.info(
            "%s: recovered: the rejection at stage %s%s has ended; attempts: %d; version %d is in use",
            self._name,
            after.stage,
            where,
            after.attempt,
            recovered.version,
        )

    # Origins and status

    def stale(self) -> tuple[Stale, ...]:
        """Return the standing `Stale` records."""
        return self._standing.standing()

    def origin(self, name: str, applied: Loaded[Any]) -> Origin:
        """Return the origin of one leaf."""
        return self._origins.of(name, applied, self._frozen, self._vanished)

    def origins(self, applied: Loaded[Any]) -> dict[str, Origin]:
        """Return the origin of every leaf."""
        return dict(self._content_of(self._present(applied)).origins)

    def status(self, seen: Observation) -> Status:
        """The status, from what was observed."""
        present = self._present(seen.applied)
        return status_of(
            seen,
            present,
            self._content_of(present),
            list(self._sentences(seen)),
            self.stale(),
            self.history.entries(seen.rejections),
        )

    def report_key(self) -> tuple[object, ...] | None:
        """Return what the report depends on beside the engine and the delivery; None while something is stale."""
        if self._standing.stands() or self._vanished or self._gone:
            return None
        return self._mode(), self._frozen, self.history.newest(), _log.disabled

    def report(self, seen: Observation) -> Mapping[str, Any]:
        """Return the entry of these settings in the report of this process."""
        present = self._present(seen.applied)
        problems = [text for text, is_problem in self._sentences(seen) if is_problem]
        history = self.history.texts(seen.rejections)
        return report_of(seen, present, frozen_fields(present), problems, self._standing.standing(), history)

    def is_healthy(self, seen: Observation) -> bool:
        """Whether the status would be healthy; nothing else is computed."""
        return not any(is_problem for _, is_problem in self._sentences(seen))

    def _sentences(self, seen: Observation) -> Iterator[tuple[str, bool]]:
        yield from sentences_about(seen)
        yield from self._standing.sentences()

    def _content_of(self, present: PresentState) -> Content:
        known = self._content
        if known is None or not known[0].has_content_of(present):
            known = self._content = present, content_of(present, self._unused_names)
        return known[1]

    def _by_sources(self, snapshot: Any) -> tuple[str, ...]:
        return self._loader.sources.given_by_sources(snapshot, follows_volumes=bool(self._loader.volumes))

    def _present(self, applied: Loaded[Any]) -> PresentState:
        known = self._content
        same = known is not None and known[0].applied is applied
        snapshot = applied.snapshot
        variables = known[0].variables if known and same else self._loader.sources.variables(snapshot)
        by_sources = known[0].by_sources if known and same else self._by_sources(snapshot)
        return PresentState(
            self._loader,
            self._origins,
            applied,
            variables,
            by_sources,
            self._frozen,
            dict(self._vanished),
            dict(self._gone),
            self._mode(),
            self._why_polling(),
            self._environment_since,
            self._replaced,
        )


def _has_names_of(now: Feed, before: Feed) -> bool:
    same = now.keys == before.keys and now.entries == before.entries and now.unused == before.unused
    revision, other = now.revision, before.revision
    same = same and now.unquoted == before.unquoted and revision.files.keys() == other.files.keys()
    return same and revision.mode == other.mode and revision.volumes == other.volumes
