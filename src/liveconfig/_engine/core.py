"""The parts of one settings object, connected: engine, delivery, watching and diagnostics."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import Publisher, RecentValues, SignalSubscribers, Subscriber, Version
from liveconfig._diagnostics import Monitor, Observation, UnwatchedVolumes, green_threads, started_at
from liveconfig._engine.composition import Identity
from liveconfig._engine.engine import Engine
from liveconfig._engine.verifier_calls import Verifier
from liveconfig._loading import Loader, Origins, Sources
from liveconfig._processes import process_report
from liveconfig._volumes import Fingerprint, Volume
from liveconfig._watching import (
    DelayedCall,
    Fingerprints,
    Mode,
    Registration,
    check_period,
    process_watcher,
    renew_in_child,
)
from liveconfig.events import Recovered, Rejected
from liveconfig.status import HistoryEntry, Status

S = TypeVar("S", bound=BaseSettings)


def _collected() -> None:
    # Called by the garbage collector, on any thread and under any lock: only `note` is safe here. If the scheduler does
    # not run, the call would wait for its next start; the next update of the report does the same.
    if process_watcher.scheduler.is_alive():
        process_watcher.scheduler.note(process_report.drop_collected)


class Core(Generic[S]):
    """The implementation of one live object.

    Args:
        cls: The settings class.
        volumes: Its volumes, the strongest last.
        sources: All other sources.
        replaced: Whether ``LIVECONFIG_VOLUMES`` replaced the declared volumes.
        loader: Makes the instances.

    Raises:
        StartupFailure: There is no valid configuration.
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
        config = cast("Mapping[str, Any]", cls.model_config)
        self.watch: bool = config["watch"]
        self._resync = float(config["resync"])
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
        self.publisher = Publisher(
            cls.__name__,
            self.engine.version,
            process_watcher.scheduler,
            self._log_event,
            SignalSubscribers(cls.__name__, self._instance),
            self._report_soon,
            self._is_silent,
        )
        self.engine.publish, self.engine.post, self.engine.recover = self._publish, self._reject, self._recover
        self.engine.deliver = self.publisher.deliver
        self.monitor.post = self.publisher.post
        self._report = DelayedCall(process_watcher.scheduler, self._update_report_after_pause)
        self.recent = RecentValues(cls.__name__, self.engine.version)
        self._published = self.engine.applied
        self._instance_ref: Callable[[], S | None] = lambda: None
        self._kept: S | None = None
        self._entries = 0
        self._closed = False
        self._watcher_runs = True  # as far as is known; each re-check finds out
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.RLock()
        self._reviewing = threading.Lock()
        self._anchoring = threading.RLock()
        self._looked_at = _clock.monotonic()
        self._unwatched = UnwatchedVolumes()

    def renew(self) -> None:
        """In a forked child: create the locks again."""
        self._set_up()
        self._report.forget()
        self.engine.renew()
        self.engine.in_use.show()
        self.publisher.renew()
        self.monitor.renew()
        self.recent.renew()
        process_report.renew()

    def resume(self) -> None:
        """In a forked child: deliver what is due there, and publish a report of its own."""
        self.engine.resume()
        self.publisher.resume()
        process_report.update(self)

    def attach(self, instance: S) -> None:
        """Make ``instance`` the live object, which always shows the newest version."""
        self._instance_ref = self.engine.in_use.instance = weakref.ref(instance)
        renew_in_child(process_watcher, first=True)  # its scheduler also runs timers of settings that are not watched
        renew_in_child(self)
        weakref.finalize(self, _collected).atexit = False

    def _instance(self) -> S | None:
        return self._instance_ref()

    # Watching

    def follow(self) -> None:
        """Watch the volumes, even if the class or the constructor has ``watch=False``."""
        self.watch = True
        self.start()

    def begin(self) -> None:
        """Start for the first time. The first report of this process says what is stale."""
        self._start()
        self.monitor.review()
        process_report.update(self)

    def start(self) -> None:
        """Watch the volumes from now on. A swap since the last look is found at once."""
        self._start()
        process_report.update(self)

    def _start(self) -> None:
        with self._lock:
            self._closed = False
            self._looked_at = _clock.monotonic()
            if self.loader.volumes and self.watch and not green_threads():
                self.engine.unpause()
                self._register()
                self._update_anchor()
        if self._closed:  # a signal handler closed it before the registration was set
            self.close()
            return
        if self.registration is not None:
            self.look()
        self.publisher.resume()

    def _register(self) -> None:
        paths = [volume.path for volume in self.loader.volumes]
        registration = self.registration or Registration(self, paths, self._resync)
        try:
            process_watcher.register(registration)
        finally:  # also if a signal handler raises, so that `start` and `close` find it
            self.registration = registration

    def close(self) -> None:
        """Stop watching, and cancel everything that waits."""
        with self._lock:
            self._closed = True
        self._close()

    def _close(self) -> None:
        registration = self.registration
        self.engine.pause()
        self.publisher.close()
        if registration is not None:
            registration.anchor = None
            process_watcher.remove(registration)
            with self._lock:  # last: if a signal handler raises before, the next call removes it
                registration.complete = False
                restarted = not self._closed
                if not restarted and self.registration is registration:
                    self.registration = None
            if restarted:  # by another thread or a signal handler, in the middle of the removal
                self.start()
                return
        self._kept = None
        process_report.update(self)

    def closed(self) -> bool:
        """Whether it was closed and not started again."""
        return self._closed

    def enter(self) -> None:
        """Count one more user; start it again if it was closed."""
        with self._lock:
            self._entries += 1
        if self._closed or self.registration is None:
            self.start()

    def leave(self) -> None:
        """Count one user less; the last one closes it."""
        with self._lock:
            self._entries -= 1
            last = self._entries <= 0
            self._closed = self._closed or last  # together: one that enters from now on starts it again
        if last:
            self._close()

    def look(self) -> None:
        """Look at the volumes: one may have changed."""
        self._look(again=False)

    def _look(self, *, again: bool) -> None:
        if self.engine.look(again=again):
            self._looked_at = _clock.monotonic()

    def reload(self, wait: bool, retry: bool) -> bool:
        """Look now; with ``wait``, return after the verifiers have decided and the subscribers were called."""
        applied = self.engine.reload(wait, retry)
        self._looked_at = _clock.monotonic()
        if wait and not self.engine.in_transaction():
            self.publisher.barrier()
            self.review()
        return applied

    def recheck(self, seen: Fingerprints) -> None:
        """Look at the volumes, whatever inotify reported, and review what is stale: a re-check is due."""
        places = [seen.get(volume.path) for volume in self.loader.volumes]
        published = self.publisher.newest is self.engine.version  # else a Ctrl-C came between: a look publishes it
        in_use = published and self.engine.is_settled() and self.engine.in_use.matches(places)
        if in_use:
            self._looked_at = _clock.monotonic()
        else:
            self._look(again=True)
        if self._reviewing.acquire(blocking=False):  # else a log handler blocks an earlier review
            try:
                self._review(places if in_use else None)
            finally:
                self._reviewing.release()

    def overdue(self) -> None:
        """Log that a look or a re-check has been running for 30 seconds."""
        self.monitor.log_overdue()

    def review(self) -> None:
        """Review what is stale, if anything that matters for it has changed."""
        self._review(None)

    def _review(self, places: Sequence[Fingerprint | None] | None) -> None:
        self._watcher_runs = process_watcher.revive()
        self.publisher.revive()
        self.monitor.review_if_changed(places)
        self.recent.forget()
        process_report.update(self)

    def _mode(self) -> Mode:
        return process_watcher.mode(self.registration)

    def _why_polling(self) -> str | None:
        registration = self.registration
        return None if registration is None else process_watcher.refusal(registration)

    def _update_anchor(self) -> None:
        """Keep the settings alive while they have subscribers or verifiers."""
        instance = self._instance()
        with self._anchoring:  # one thread decides, or one that found no subscriber could overrule one that adds it
            decided: bool | None = None
            while decided != (used := self.publisher.has_subscribers() or bool(self.engine.verifiers)):
                decided = used  # a finalizer of this thread may cancel in between
                self._kept = instance if used else None
                if self.registration is not None:
                    self.registration.anchor = self if used else None

    # Subscribers and verifiers

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber."""
        self.publisher.add(subscriber, self._standing)
        self._update_anchor()

    def _standing(self) -> tuple[tuple[Any, Any], ...]:
        """Return the standing events, each as it is published and as it is now."""
        return (*self.engine.rejections.published(), *((stale, stale) for stale in self.monitor.stale()))

    def cancel(self, member: Subscriber | Verifier) -> None:
        """Cancel a subscriber or a verifier."""
        if isinstance(member, Verifier):
            self.engine.remove_verifier(member)
        else:
            self.publisher.remove(member)
            process_watcher.scheduler.note(self._update_report)  # it may have been failing
        self._update_anchor()

    def add_verifier(self, verifier: Verifier) -> None:
        """Add a verifier."""
        self.engine.add_verifier(verifier)
        self._update_anchor()

    # Diagnostics

    def _is_silent(self, event: object) -> bool:
        """Whether `_log_event` has no line to write about an event, and no selector to call."""
        return isinstance(event, tuple) and not self.monitor.logs_versions() and not self.recent.are_kept()

    def _log_event(self, event: Rejected | Recovered | tuple[Version, Version]) -> None:
        """Log an event. Called on a delivery thread, before the subscribers; a silent one also on the scheduler."""
        if isinstance(event, Rejected):
            self.monitor.log_rejected(event)
        elif isinstance(event, Recovered):
            self.monitor.log_recovered(event)
        else:
            self._log_version(*event)
        if self.registration is None:  # no watch keeps a scheduler thread, and one more would be started
            process_report.update(self)
        else:
            self._report_soon()

    def _log_version(self, old: Version, new: Version) -> None:
        if new is not old:
            self.monitor.log_applied(new)
            self.recent.settle()
        if self.registration is not None:
            process_watcher.attend(self.registration)  # a volume that has just appeared sends no event yet
        self.monitor.review_applied()

    def _publish(self, version: Version) -> None:
        """Publish a version. Called at the end of each transaction, even if nothing was applied."""
        self.monitor.history.publish(version)
        self.recent.publish(version)
        applied, before = self.engine.applied, self._published
        self._published = applied
        same = version.number == self.publisher.newest.number
        if version is not self.publisher.newest:
            self.publisher.publish(version)
        if self.engine.rejections.stand() and self.registration is not None:
            self._report_soon()  # the same content may be in a new generation now, for which there is no event
        if same and applied is not before:  # the content differs but no field does: no event, but perhaps a log line
            self.publisher.log((version, version))

    def _reject(self, rejected: Rejected) -> None:
        self.monitor.history.reject(rejected)
        self.publisher.reject(rejected)

    def _recover(self, recovered: Recovered) -> None:
        self.monitor.history.recover(recovered)
        self.publisher.recover(recovered)

    def _report_soon(self) -> None:
        """Update the report of this process on the scheduler thread.

        The caller may be an event loop, or a delivery thread that has subscribers to call.
        """
        self._report.later(0.0)

    def _update_report(self) -> None:
        process_report.update(self)

    def _update_report_after_pause(self) -> None:
        _clock.give_way()  # else an event loop waits for the look and for the report together
        process_report.update(self)

    def report_key(self) -> object | None:
        """Return all that the report depends on; None while it also depends on the time, or on a subscriber."""
        if not self.engine.is_calm() or self.publisher.is_failing() or self._is_late():
            return None
        key = self.monitor.report_key()
        return key and (Identity(self.engine.in_use.state), self._watcher_runs, self._closed, *key)

    def _is_late(self) -> bool:
        """Whether a look runs, or has been due for long."""
        return self.engine.looking_for() is not None or self._overdue(self._mode()) > 0.0

    def report(self) -> Mapping[str, Any]:
        """Return the entry of these settings in the report of this process."""
        return self.monitor.report(self._observe())

    def status(self) -> Status:
        """Return the state of the settings."""
        return self.monitor.status(self._look_and_observe())

    def is_healthy(self) -> bool:
        """Whether the status is healthy."""
        return self.monitor.is_healthy(self._look_and_observe())

    def history(self) -> tuple[HistoryEntry, ...]:
        """Return the newest outcomes, newest first."""
        return self.monitor.history.entries(self.engine.rejections.standing())

    def _observe(self) -> Observation:
        applied, version, apply_delay = self.engine.in_use.state
        mode = self._mode()
        return Observation(
            applied=applied,
            version=version,
            apply_delay=apply_delay,
            loaded_at=self.engine.in_use.loaded_at,
            found=self.engine.reader.found(),
            cut_short=self.engine.cut_short,
            busy_for=self.engine.reader.busy_for(),
            faults=self.engine.unreadable(),
            rejections=self.engine.rejections.standing(),
            last_rejected=self.engine.rejections.newest(),
            candidate=self.engine.candidate_status(),
            verifying_for=self.engine.verifying_for(),
            settled=self.engine.is_settled(),
            subscribers=self.publisher.all_subscribers(),
            watched=mode != "off",
            watcher_runs=self._watcher_runs,
            closed=self._closed,
            overdue_for=self._overdue(mode),
            looking_for=self.engine.looking_for(),
            unwatched={},
        )

    def _look_and_observe(self) -> Observation:
        """Observe the settings; if nothing watches their volumes, look at these now."""
        self._watcher_runs = process_watcher.revive()
        seen = self._observe()
        if seen.watched:
            return seen
        return seen._replace(unwatched=self._unwatched.look([feed.revision for feed in seen.applied.feeds]))

    def _overdue(self, mode: Mode) -> float:
        """Return the seconds for which a re-check has been due; negative if none is."""
        period = check_period(self._resync, is_polling=mode == "polling")
        return _clock.monotonic() - self._looked_at - period
