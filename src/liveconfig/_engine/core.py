"""One settings object assembled: engine, delivery, watching and diagnostics."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import Publisher, RecentValues, SignalSubscribers, Subscriber, Version
from liveconfig._diagnostics import Monitor, Observation, UnfollowedVolumes, green_threads, started_at
from liveconfig._engine.engine import Engine
from liveconfig._engine.verifiers import Verifier
from liveconfig._loading import Loader, Origins, Sources
from liveconfig._processes import process_report
from liveconfig._volumes import Fingerprint, Volume
from liveconfig._watching import POLLING, Fingerprints, Mode, Registration, process_watcher, renew_in_child
from liveconfig.events import Recovered, Rejected
from liveconfig.status import HistoryEntry, Status

S = TypeVar("S", bound=BaseSettings)


class Core(Generic[S]):
    """What stands behind one live object.

    Args:
        cls: The settings class.
        volumes: Its volumes, the strongest last.
        sources: Everything but the volumes.
        replaced: Whether ``LIVECONFIG_VOLUMES`` replaced the declared volumes.
        loader: Makes the instances.

    Raises:
        StartupFailure: There is nothing to begin with.
    """

    def __init__(
        self,
        cls: type[S],
        volumes: Sequence[Volume],
        sources: Sources,
        *,
        replaced: bool,
        loader: type[Loader[Any]] = Loader,
    ) -> None:
        self.config: Mapping[str, Any] = {**cls.model_config}
        environment_since = started_at()  # a forked child inherits it with the environment
        self.loader: Loader[S] = loader(cls, volumes, sources)
        origins = Origins(sources, environment_since)
        self.engine = Engine(self.loader, origins, process_watcher.scheduler)
        self.registration: Registration | None = None
        self.monitor = Monitor(
            self.loader,
            origins,
            self.engine,
            self._mode,
            self._why_polling,
            environment_since=environment_since,
            replaced=replaced,
        )
        self.hub = Publisher(
            cls.__name__,
            self.engine.version,
            process_watcher.scheduler,
            self._log_event,
            SignalSubscribers(cls.__name__, self._instance),
        )
        self.engine.publish, self.engine.post, self.engine.recover = self._publish, self._reject, self._recover
        self.monitor.post = self.hub.post
        self.recent = RecentValues(cls.__name__, self.engine.version)
        self._published = self.engine.applied
        self._instance_ref: Callable[[], S | None] = lambda: None
        self._kept: S | None = None
        self._entries = 0
        self._closed = False
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.RLock()
        self._seeing = threading.Lock()
        self._looked_at = _clock.monotonic()
        self._unfollowed = UnfollowedVolumes()

    def renew(self) -> None:
        """In a forked child: new locks, and nobody busy."""
        self._set_up()
        self.engine.renew()
        self.engine.in_use.show()
        self.hub.renew()
        self.monitor.renew()
        self.recent.renew()
        process_report.renew()

    def resume(self) -> None:
        """In a forked child: deliver what is still to be delivered there, and show a report of its own."""
        self.engine.resume()
        self.hub.resume()
        process_report.update(self)

    def attach(self, instance: S) -> None:
        """Keep ``instance`` showing the newest version, and say what is stale from the start."""
        self._instance_ref = self.engine.in_use.instance = weakref.ref(instance)
        renew_in_child(self)

    def _instance(self) -> S | None:
        return self._instance_ref()

    # Watching

    def follow(self) -> None:
        """Watch the volumes, also if the class or the constructor said ``watch=False``."""
        self.config = {**self.config, "watch": True}
        self.start()

    def start(self) -> None:
        """Watch the volumes from now on. A swap since the first reading is seen at once."""
        with self._lock:
            self._closed = False
            self._looked_at = _clock.monotonic()
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
        process_report.update(self)

    def close(self) -> None:
        """Watch no more, wait for nothing more."""
        with self._lock:
            registration = self.registration
            self._closed = True
        self.engine.rest()
        self.hub.close()
        if registration is not None:
            registration.anchor = None
            process_watcher.remove(registration)
            with self._lock:  # only now: a signal handler may have raised before, and the next call must remove it
                if self.registration is registration:
                    self.registration = None
        self._kept = None
        process_report.update(self)

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
        self._look(again=False)

    def _look(self, *, again: bool) -> None:
        if self.engine.look(again=again):
            self._looked_at = _clock.monotonic()

    def reload(self, wait: bool) -> bool:
        """Look now; with ``wait`` until the verifiers have decided and the subscribers were called."""
        applied = self.engine.reload(wait)
        self._looked_at = _clock.monotonic()
        if wait and not self.engine.in_transaction():
            self.hub.barrier()
            self.see()
        return applied

    def recheck(self, seen: Fingerprints) -> None:
        """A re-check is due: look, whatever was heard, and see what cannot change any more."""
        places = [seen.get(volume.path) for volume in self.loader.volumes]
        told = self.hub.newest is self.engine.version  # or a Ctrl-C came between: a look would make up for it
        in_use = told and self.engine.is_settled() and self.engine.in_use.stands_at(places)
        if in_use:
            self._looked_at = _clock.monotonic()
        else:
            self._look(again=True)
        if self._seeing.acquire(blocking=False):  # else an earlier re-check is held up there, by a handler of the log
            try:
                self._see(places if in_use else None)
            finally:
                self._seeing.release()

    def overdue(self) -> None:
        """A look or a re-check has been running for 30 seconds."""
        self.monitor.log_overdue()

    def see(self) -> None:
        """Review what is stale, if anything on which that depends has changed."""
        self._see(None)

    def _see(self, places: Sequence[Fingerprint | None] | None) -> None:
        process_watcher.is_alive()  # a thread that could not be started is tried once more, on a reload by hand too
        self.monitor.see(places)
        self.recent.forget()
        process_report.update(self)

    def _mode(self) -> Mode:
        return process_watcher.mode(self.registration)

    def _why_polling(self) -> str | None:
        registration = self.registration
        return None if registration is None else process_watcher.refusal(registration)

    def _keep(self) -> None:
        """Who is subscribed or verifies keeps the settings alive."""
        used = self.hub.has_subscribers() or bool(self.engine.verifiers)
        self._kept = self._instance() if used else None
        if self.registration is not None:
            self.registration.anchor = self if used else None

    # Subscribers and verifiers

    def subscribe(self, subscriber: Subscriber) -> None:
        """Deliver to it from now on."""
        self.hub.add(subscriber, lambda: (*self.engine.rejections.standing(), *self.monitor.stale()))
        self._keep()

    def cancel(self, member: Subscriber | Verifier) -> None:
        """Call it no more."""
        if isinstance(member, Verifier):
            self.engine.remove_verifier(member)
        else:
            self.hub.remove(member)
        self._keep()

    def add_verifier(self, verifier: Verifier) -> None:
        """Ask it before anything is applied from now on."""
        self.engine.add_verifier(verifier)
        self._keep()

    # Diagnostics

    def _log_event(self, event: Rejected | Recovered | tuple[Version, Version]) -> None:
        """Log an event: on a delivery thread, before the subscribers are called."""
        if isinstance(event, Rejected):
            self.monitor.log_rejected(event)
        elif isinstance(event, Recovered):
            self.monitor.log_recovered(event)
        else:
            self._log_version(*event)
        process_report.update(self)

    def _log_version(self, old: Version, new: Version) -> None:
        if new is not old:
            self.monitor.log_applied(new)
            self.recent.settle()
        if self.registration is not None:
            process_watcher.attend(self.registration)  # no event has come from a volume that has just appeared
        self.monitor.review_content()

    def _publish(self, version: Version) -> None:
        """Called at the end of each transaction, whether it applied something or not."""
        self.monitor.history.publish(version)
        self.recent.publish(version)
        applied, before = self.engine.applied, self._published
        self._published = applied
        same = version.number == self.hub.newest.number
        if version is not self.hub.newest:
            self.hub.publish(version)
        if same and applied is not before:  # other content, and no field differs: no event, but perhaps a log line
            self.hub.log((version, version))

    def _reject(self, rejected: Rejected) -> None:
        self.monitor.history.reject(rejected)
        self.hub.reject(rejected)

    def _recover(self, recovered: Recovered) -> None:
        self.monitor.history.recover(recovered)
        self.hub.recover(recovered)

    def report(self) -> Mapping[str, Any]:
        """What the report of this process says of these settings."""
        return self.monitor.report(self._observe())

    def status(self) -> Status:
        """The state of the settings."""
        return self.monitor.status(self._look_and_observe())

    def is_healthy(self) -> bool:
        """Whether the status is healthy."""
        return self.monitor.is_healthy(self._look_and_observe())

    def history(self) -> tuple[HistoryEntry, ...]:
        """The newest outcomes, newest first."""
        return self.monitor.history.entries(self.engine.rejections.standing())

    def _observe(self) -> Observation:
        applied, version = self.engine.in_use.state
        return Observation(
            applied=applied,
            version=version,
            loaded_at=self.engine.in_use.loaded_at,
            faults=self.engine.unreadable(),
            rejections=self.engine.rejections.standing(),
            last_rejected=self.engine.rejections.newest(),
            candidate=self.engine.candidate_status(),
            verifying_for=self.engine.verifying_for(),
            settled=self.engine.is_settled(),
            subscribers=self.hub.everybody(),
            watched=self.registration is not None,
            closed=self._closed,
            overdue_for=self._overdue(),
            looking_for=self.engine.looking_for(),
            unfollowed={},
        )

    def _look_and_observe(self) -> Observation:
        """The same; the volumes that nothing follows are looked at now."""
        seen = self._observe()
        if seen.watched:
            return seen
        return replace(seen, unfollowed=self._unfollowed.look([feed.revision for feed in seen.applied.feeds]))

    def _overdue(self) -> float:
        """Seconds for which a re-check has been due; negative before it is."""
        resync = float(self.config.get("resync", 30.0))
        period = min(resync, POLLING) if self._mode() == "polling" else resync
        return _clock.monotonic() - self._looked_at - period
