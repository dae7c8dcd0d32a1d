"""One settings object assembled: engine, delivery, watching and diagnostics."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import Publisher, SignalSubscribers, Subscriber, Version, diff
from liveconfig._diagnostics import (
    Observation,
    PresentState,
    StandingCauses,
    detect_causes,
    green_threads,
    started_at,
    status_of,
)
from liveconfig._engine.acceptance import fallen_back
from liveconfig._engine.engine import Engine
from liveconfig._engine.verifiers import Verifier
from liveconfig._loading import Feed, Frozens, Loaded, Loader, Origins, Sources, beside, has_place, leaves
from liveconfig._volumes import Fingerprint, Volume, frozen_parts, read_mounts, take_fingerprint
from liveconfig._watching import Fingerprints, Registration, process_watcher, renew_in_child
from liveconfig.events import Rejected
from liveconfig.origin import Origin
from liveconfig.status import Status

S = TypeVar("S", bound=BaseSettings)

_log = logging.getLogger("liveconfig")


class Core(Generic[S]):
    """What stands behind one live object.

    Args:
        cls: The settings class.
        volumes: Its volumes, the strongest last.
        sources: Everything but the volumes.
        replaced: Whether ``LIVECONFIG_VOLUMES`` replaced the declared volumes.

    Raises:
        StartupFailure: There is nothing to begin with.
    """

    def __init__(self, cls: type[S], volumes: Sequence[Volume], sources: Sources, *, replaced: bool) -> None:
        self.config: Mapping[str, Any] = {**cls.model_config}
        self.environment_since = started_at()  # a forked child inherits it with the environment
        self.loader = Loader(cls, volumes, sources)
        self._origins = Origins(sources, self.environment_since)
        self.engine = Engine(self.loader, self._origins, process_watcher.worker)
        self.hub = Publisher(
            self.engine.version, process_watcher.worker, self._tell_log, SignalSubscribers(self._instance)
        )
        self.engine.publish, self.engine.post = self.hub.publish, self.hub.reject
        self.staleness = StandingCauses(self.config["stale_reminder"], self.hub.post)
        self.frozen: Frozens = {}
        self.vanished: dict[str, datetime] = {}
        self._said: Loaded[S] = self.engine.applied  # what the words on staleness are about
        self.registration: Registration | None = None
        self._replaced = replaced
        self._instance_ref: Callable[[], S | None] = lambda: None
        self._kept: S | None = None
        self._places: tuple[object, ...] = ()
        self._entries = 0
        self._closed = False
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.RLock()
        self._reviewing = threading.RLock()

    def renew(self) -> None:
        """In a forked child: new locks, and nobody busy."""
        self._set_up()
        self.engine.renew()
        self.engine.in_use.show()
        self.hub.renew()
        self.staleness.renew()

    def resume(self) -> None:
        """In a forked child: deliver what is still to be delivered there."""
        self.engine.resume()
        self.hub.resume()

    def attach(self, instance: S) -> None:
        """Keep ``instance`` showing the newest version, and say what is stale from the start."""
        self._instance_ref = self.engine.in_use.instance = weakref.ref(instance)
        renew_in_child(self)

    def _instance(self) -> S | None:
        return self._instance_ref()

    # Watching

    def start(self) -> None:
        """Watch the volumes from now on. What was swapped since the first reading is seen at once."""
        with self._lock:
            self._closed = False
            wanted = self.loader.volumes and self.config["watch"] and not green_threads()
            if self.registration is None and wanted:
                self.engine.wake()
                paths = [volume.path for volume in self.loader.volumes]
                self.registration = process_watcher.add(self, paths, float(self.config.get("resync", 30.0)))
                self._keep()
        if self._closed:  # meanwhile, by a signal handler, that could not see the registration yet
            self.close()
            return
        if self.registration is not None:
            self.look()
        self.hub.resume()

    def close(self) -> None:
        """Watch no more, wait for nothing more."""
        with self._lock:
            registration, self.registration = self.registration, None
            self._closed = True
        self.engine.rest()
        self.hub.close()
        if registration is not None:
            registration.anchor = None
            process_watcher.remove(registration)
        self._kept = None

    def closed(self) -> bool:
        """Whether it was closed, and not entered again."""
        return self._closed

    def enter(self) -> None:
        """One more user; a closed one is started again."""
        with self._lock:
            self._entries += 1
        if self._closed or self.registration is None:
            self.start()

    def leave(self) -> None:
        """One user less; the last one closes."""
        with self._lock:
            self._entries -= 1
            last = self._entries <= 0
        if last:
            self.close()

    def look(self) -> None:
        """A volume may have changed."""
        self.engine.look()

    def recheck(self, seen: Fingerprints) -> None:
        """A re-check is due: look, whatever was heard, and see what cannot change any more."""
        places = [seen.get(volume.path) for volume in self.loader.volumes]
        told = self.hub.newest is self.engine.version  # or a Ctrl-C came between: a look would make up for it
        if told and self.engine.is_settled() and self.engine.in_use.stands_at(places):
            self._see(places)
        else:
            self.engine.look()
            self.see()

    def see(self) -> None:
        """See what is stale, if anything has changed since the last time on which that depends."""
        self._see(self._glances())

    def _glances(self) -> list[Fingerprint | None]:
        return [take_fingerprint(volume.path) for volume in self.loader.volumes]

    def _see(self, places: Sequence[Fingerprint | None]) -> None:
        process_watcher.is_alive()  # a thread that could not be had is tried once more, on a reload by hand too
        if self._places != self._whereabouts(places) or self.staleness.stands():
            self.review()
        elif self._said is not self.engine.applied:
            with self._reviewing:
                self._say()

    def _whereabouts(self, places: Sequence[Fingerprint | None]) -> tuple[object, ...]:
        """All that what is frozen depends on."""
        return process_watcher.mode(self.registration), [place and place.directory for place in places]

    def _keep(self) -> None:
        """Who is subscribed or verifies keeps the settings alive."""
        used = self.hub.has_subscribers() or bool(self.engine.bench.verifiers)
        self._kept = self._instance() if used else None
        if self.registration is not None:
            self.registration.anchor = self if used else None

    # Subscribers and verifiers

    def subscribe(self, subscriber: Subscriber) -> None:
        """Deliver to it from now on."""
        self.hub.add(subscriber)
        self._keep()

    def cancel(self, subscriber: Subscriber) -> None:
        """Deliver to it no more."""
        self.hub.remove(subscriber)
        self._keep()

    def verify(self, verifier: Verifier) -> None:
        """Ask it before anything is applied from now on."""
        self.engine.bench.verifiers.append(verifier)
        self._keep()

    # What is said

    def _tell_log(self, event: Rejected | tuple[Version, Version]) -> None:
        """On a delivery thread, before anybody else is told."""
        if isinstance(event, Rejected):
            self._rejected(event)
        else:
            self._applied(*event)

    def _applied(self, old: Version, new: Version) -> None:
        shadowed = {stale.field for stale in self.staleness.standing() if stale.reason == "shadowed-environment"}
        if shadowed or _log.isEnabledFor(logging.INFO):
            names = [str(change.field) for change in diff(old.snapshot, new.snapshot, new.number)]
            _log.info("version %d applied: %s (%s)", new.number, ", ".join(names), _generations(new.generations))
            again = [
                name for name in names if name in shadowed and self._origins.differs(name, self.engine.applied.feeds)
            ]
            if again:
                _log.warning("the volume changed %s; the environment still holds an older value", ", ".join(again))
        if self.registration is not None:
            process_watcher.attend(self.registration)  # of a volume that has appeared nothing is heard before
        with self._reviewing:
            self._say()

    def _rejected(self, event: Rejected) -> None:
        held = f"; good changes that wait with it: {', '.join(event.held)}" if event.held else ""
        generations = f" ({_generations(event.generations)})" if event.generations else ""
        _log.error("rejected at stage %s%s, the last good stays: %s%s", event.stage, generations, event.reason, held)

    def review(self) -> None:
        """See what is stale, and say what is new of it."""
        with self._reviewing:
            seen = read_mounts()
            parts = ((index, frozen_parts(volume.path, seen)) for index, volume in enumerate(self.loader.volumes))
            self.frozen = {index: frozen for index, frozen in parts if frozen}
            self._places = self._whereabouts(self._glances())
            self._say()

    def _say(self) -> None:
        # The mounts are not looked at here: a swap does not change them, and they take longer than all the rest.
        applied = self.engine.applied
        if applied is not self._said:
            if self.vanished or any(now.keys.keys() != before.keys.keys() for now, before in self._pairs(applied)):
                self._note_vanished(applied)
            self._said = applied
        self.staleness.review(detect_causes(self.present(applied)))

    def _pairs(self, applied: Loaded[S]) -> Iterator[tuple[Feed, Feed]]:
        return zip(applied.feeds, self._said.feeds, strict=True)

    def _note_vanished(self, applied: Loaded[S]) -> None:
        fed = {name for each in applied.feeds for name in each.keys}
        there = {name: since for name, since in self.vanished.items() if has_place(applied.snapshot, name)}
        self.vanished = {name: since for name, since in there.items() if name not in fed and not beside(name, fed)}
        for name in fallen_back(self._origins, self._said, applied):
            self.vanished.setdefault(name, _clock.now())

    def status(self) -> Status:
        """What a health page shows."""
        return status_of(self._observe())

    def _observe(self) -> Observation:
        applied, version = self.engine.in_use.state
        candidate = self.engine.candidate
        return Observation(
            present=self.present(applied),
            origins=self.origins(applied),
            version=version,
            loaded_at=self.engine.in_use.loaded_at,
            faults=dict(self.engine.rejections.faults),
            last_rejected=self.engine.rejections.newest,
            candidate=self.engine.candidate_status(),
            verifying=candidate is not None and candidate.fault is None,
            settled=self.engine.is_settled(),
            subscribers=self.hub.everybody(),
            stale=self.staleness.standing(),
            stale_problems=list(self.staleness.problems()),
            watched=self.registration is not None,
        )

    def present(self, applied: Loaded[S]) -> PresentState:
        """The present state, as far as origins and causes are concerned."""
        return PresentState(
            self.loader,
            self._origins,
            applied,
            self.loader.sources.variables(applied.snapshot),
            self.frozen,
            dict(self.vanished),
            process_watcher.mode(self.registration),
            self.environment_since,
            self._replaced,
        )

    def origins(self, applied: Loaded[S]) -> dict[str, Origin]:
        """The origin of every leaf."""
        return {name: self.origin(name, applied) for name, _ in leaves(applied.snapshot)}

    def origin(self, name: str, applied: Loaded[S]) -> Origin:
        """The origin of one field."""
        return self._origins.of(name, applied, self.frozen, self.vanished)


def _generations(generations: Mapping[str, str]) -> str:
    return ", ".join(f"{path}: {name}" for path, name in generations.items()) or "no volume"
