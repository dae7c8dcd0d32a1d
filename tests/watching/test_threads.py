"""The scheduler, the watcher and the delivery threads, part by part: cases that only a race or a lack of resources causes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
import time
import weakref
from concurrent.futures import Future

import pytest

import liveconfig._diagnostics.process
from liveconfig import Settings, SettingsConfigDict, _clock, signals
from liveconfig._delivery.calls import Calls
from liveconfig._delivery.coroutines import _outcome, _task
from liveconfig._delivery.loops import Loops
from liveconfig._delivery.publisher import AT_ONCE
from liveconfig._delivery.signal_subscribers import SignalSubscribers
from liveconfig._delivery.subjects import MOST_VERSIONS, LogQueue, Version
from liveconfig._delivery.subscribers import Subscriber
from liveconfig._delivery.threads import DeliveryThread, Job
from liveconfig._loading.loader import Invalid
from liveconfig._volumes import mounts
from liveconfig._volumes.fingerprint import take_fingerprint
from liveconfig._watching import directories
from liveconfig._watching.directories import ObservedDirectories
from liveconfig._watching.fork import renew_in_child
from liveconfig._watching.scheduler import DelayedCall, Scheduler, Timer, Timers
from liveconfig._watching.watcher import Registration, Watcher, process_watcher
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = 0


class Seldom(App):
    model_config = SettingsConfigDict(resync=1e6)


@pytest.fixture
def scheduler():
    """A separate scheduler, which has ended when the test ends."""
    scheduler = Scheduler()
    scheduler.keep("test")
    yield scheduler
    scheduler.release("test")
    scheduler.join(PATIENCE)
    assert not scheduler.is_alive()


class Looks:
    """An object that the watcher wakes; it counts the calls."""

    def __init__(self):
        self.looked = threading.Event()
        self.rechecks = []
        self._news = threading.Condition()

    def look(self):
        self.looked.set()

    def recheck(self, seen):
        with self._news:
            self.rechecks.append(seen)
            self._news.notify_all()

    def overdue(self):
        raise AssertionError

    def wait_for_rechecks(self, count):
        """Wait until there were that many, and return them."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.rechecks) >= count, PATIENCE)
        return self.rechecks


@pytest.fixture
def own_watcher():
    """A separate watcher."""
    own = Watcher()
    yield own
    for registration in list(own._registrations):
        own.remove(registration)
    own.scheduler.join(PATIENCE)


class Observed(Scheduler):
    """A scheduler that says how long its standby sleeps."""

    def standby_sleeps_until(self):
        standby = self._standby
        return -1.0 if standby is None else standby.deadline


class PostsBetween(Observed):
    """A scheduler to which a call is posted between two steps of a method of its threads, once it is armed."""

    def __init__(self, method):
        super().__init__()
        self._method, self._call = method, None

    def arm(self, call):
        self._call = call

    def _next_timer(self):
        if self._call is not None and sys._getframe(1).f_code.co_name == self._method:
            call, self._call = self._call, None
            self.post(call)
        return super()._next_timer()


class Dies(Observed):
    """A scheduler whose leader ends between two calls, as after two exceptions that a debugger throws into it."""

    def __init__(self, interrupted):
        super().__init__(interrupted)
        self.dies = threading.Event()

    def _has_part(self, me):
        if me is self._leader and self.dies.is_set():
            self.dies.clear()
            return False
        return super()._has_part(me)


class Loses(Scheduler):
    """A scheduler into whose thread an exception is thrown before the next call."""

    def __init__(self):
        super().__init__()
        self.loses = threading.Event()
        self.lost = threading.Event()

    def _begin(self, me, job):
        if self.loses.is_set():
            self.loses.clear()
            self.lost.set()
            raise KeyboardInterrupt
        super()._begin(me, job)


class TestScheduler:
    def test_what_raises(self, scheduler, caplog, canary):
        """A call that raises is logged without its message, and the next call is made."""
        done = threading.Event()

        def broken():
            raise ValueError(canary)

        scheduler.post(broken)
        scheduler.post(done.set)
        assert done.wait(PATIENCE)
        assert "please report it" in caplog.text
        assert "ValueError" in caplog.text

    def test_an_owner_that_was_collected(self, scheduler):
        """A delayed call is not made after its owner was collected."""

        class Owner:
            called = threading.Event()

            def call(self):
                self.called.set()

        owner, passed = Owner(), threading.Event()
        DelayedCall(scheduler, owner.call).later(0.0)
        postponed = DelayedCall(scheduler, owner.call)
        assert Owner.called.wait(PATIENCE)
        Owner.called.clear()
        held = threading.Event()
        scheduler.post(lambda: held.wait(PATIENCE))
        postponed.later(0.0)
        del owner
        gc.collect()
        held.set()
        scheduler.call_later(0.0, passed.set)
        assert passed.wait(PATIENCE)
        assert not Owner.called.is_set()

    @pytest.mark.parametrize("delays", [(3600.0, 0.0), (0.0, 3600.0), (3600.0, 1800.0, 0.0), (0.0, 0.0)])
    def test_a_delayed_call_that_is_scheduled_again(self, scheduler, delays):
        """A delayed call that is scheduled again is made once, at the earliest of the times."""

        class Owner:
            def __init__(self):
                self.calls = 0
                self.called = threading.Event()

            def call(self):
                self.calls += 1
                self.called.set()

        owner, held, passed = Owner(), threading.Event(), threading.Event()
        delayed = DelayedCall(scheduler, owner.call)
        scheduler.post(lambda: held.wait(PATIENCE))
        for delay in delays:
            delayed.later(delay)
        held.set()
        assert owner.called.wait(PATIENCE)
        scheduler.call_later(0.0, passed.set)
        assert passed.wait(PATIENCE)
        assert owner.calls == 1

    def test_a_call_that_is_posted_to_a_thread_that_ends(self):
        """A call that is posted at the moment at which the last thread decides to end is made."""
        scheduler, first, second = PostsBetween("_has_part"), threading.Event(), threading.Event()
        scheduler.post(lambda: (first.set(), scheduler.arm(second.set)))
        assert first.wait(PATIENCE)
        assert second.wait(PATIENCE)
        scheduler.join(PATIENCE)
        assert not scheduler.is_alive()

    def test_a_call_that_is_posted_to_a_thread_that_goes_to_sleep(self):
        """A call that is posted at the moment at which the only thread goes to sleep is made at once."""
        scheduler, done = PostsBetween("_lead"), threading.Event()
        scheduler.arm(done.set)
        scheduler.keep("test")
        assert done.wait(PATIENCE)
        scheduler.release("test")
        scheduler.join(PATIENCE)
        assert not scheduler.is_alive()

    def test_a_call_that_is_posted_while_two_threads_swap_roles(self, until):
        """A call that is posted while the leader and the standby swap roles is made by the new leader, at once."""
        scheduler, done = PostsBetween("_lead"), threading.Event()
        scheduler.keep("test")
        late = scheduler.call_later(3600.0, print)

        def arm_beside_a_standby_that_sleeps():
            until(lambda: scheduler.standby_sleeps_until() > 0.0)
            scheduler.arm(done.set)

        scheduler.post(arm_beside_a_standby_that_sleeps)
        assert done.wait(PATIENCE)
        scheduler.cancel(late)
        scheduler.release("test")
        scheduler.join(PATIENCE)
        assert not scheduler.is_alive()

    def test_deferred_by_a_call_that_another_thread_took_over_from(self, scheduler):
        """A call that a slow call defers, from which another thread has taken over, wakes that thread, and is made."""
        taken_over, done = threading.Event(), threading.Event()

        def slow():
            scheduler.post(taken_over.set)
            assert taken_over.wait(PATIENCE)
            scheduler.defer(done.set)

        scheduler.post(slow)
        assert done.wait(PATIENCE)

    def test_a_leader_that_died(self):
        """The next post after the death of the only thread starts another one, and reports the interruption."""
        interrupted, first, second = threading.Event(), threading.Event(), threading.Event()
        scheduler = Dies(interrupted.set)
        scheduler.dies.set()
        scheduler.post(first.set)
        scheduler.join(PATIENCE)
        assert not first.is_set()
        scheduler.post(second.set)
        assert first.wait(PATIENCE)
        assert second.wait(PATIENCE)
        assert interrupted.wait(PATIENCE)
        scheduler.join(PATIENCE)

    def test_a_leader_that_died_beside_a_standby(self, until):
        """The standby runs the timers of a leader that died, and reports the interruption."""
        interrupted, called = threading.Event(), threading.Event()
        scheduler = Dies(interrupted.set)
        scheduler.keep("test")

        def die_beside_a_standby():
            until(lambda: scheduler.standby_sleeps_until() > 0.0)
            scheduler.call_later(0.1, called.set)
            scheduler.dies.set()

        scheduler.post(die_beside_a_standby)
        assert called.wait(PATIENCE)
        assert interrupted.wait(PATIENCE)
        assert not scheduler.dies.is_set()
        scheduler.release("test")
        scheduler.join(PATIENCE)
        assert not scheduler.is_alive()

    def test_a_report_of_an_interruption_that_raises(self, caplog):
        """A report of an interruption that raises is logged, and not repeated."""
        reports, done = [], threading.Event()

        def report():
            reports.append(None)
            scheduler.defer(done.set)
            raise ValueError

        def broken():
            raise KeyError

        scheduler = Scheduler(report)
        scheduler.post(broken)
        assert done.wait(PATIENCE)
        scheduler.join(PATIENCE)
        assert reports == [None]
        assert ["KeyError" in each or "ValueError" in each for each in caplog.messages] == [True, True]

    def test_a_timer_that_is_due_before_it_is_returned(self, scheduler):
        """A timer that is due at once is called, although the thread that makes it is interrupted until then."""
        called, timers = threading.Event(), Timers(scheduler)

        def trace(frame, event, _):
            if frame.f_code.co_name == "_attend" and event == "return":
                called.wait(2.0)
            return trace

        sys.settrace(trace)
        try:
            timers.later(0.0, called.set)
        finally:
            sys.settrace(None)
        assert called.is_set()

    def test_a_call_without_a_delay(self, scheduler, monkeypatch):
        """A call without a delay is made as soon as a thread is free, although the clock is set back meanwhile."""
        held, called = threading.Event(), threading.Event()
        scheduler.post(lambda: held.wait(PATIENCE))
        with monkeypatch.context() as patch:
            patch.setattr(_clock, "monotonic", lambda: time.monotonic() + 1000.0)
            scheduler.call_later(0.0, called.set)
        held.set()
        assert called.wait(PATIENCE)

    @pytest.mark.parametrize("delay", [0.0, 0.01])
    def test_a_delayed_call_that_was_lost(self, delay):
        """A delayed call that was lost, because something was thrown into its thread, is scheduled by the next request."""

        class Owner:
            called = threading.Event()

            def call(self):
                self.called.set()

        scheduler, owner = Loses(), Owner()
        delayed = DelayedCall(scheduler, owner.call)
        scheduler.loses.set()
        delayed.later(delay)
        assert scheduler.lost.wait(PATIENCE)
        delayed.later(delay)
        assert owner.called.wait(PATIENCE)
        scheduler.join(PATIENCE)

    def test_no_thread_can_be_started(self, monkeypatch):
        """If no thread can be started, a posted call waits for the next post."""
        scheduler, done, second = Scheduler(), threading.Event(), threading.Event()
        with monkeypatch.context() as poor:
            poor.setattr(threading.Thread, "start", _no_thread)
            scheduler.post(done.set)
            assert not scheduler.is_alive()
        scheduler.post(second.set)
        assert done.wait(PATIENCE)
        assert second.wait(PATIENCE)
        scheduler.join(PATIENCE)


def _no_thread(self):
    raise RuntimeError("can't start new thread")


class TestWatcher:
    def test_removed_twice(self, own_watcher, tmp_path):
        """Removing a registration twice is harmless, and no re-check follows."""
        looks, other = Looks(), Looks()
        registration = own_watcher.add(looks, [str(tmp_path)], 0.05)
        own_watcher.add(other, [str(tmp_path)], 0.05)
        looks.wait_for_rechecks(1)
        own_watcher.remove(registration)
        own_watcher.remove(registration)
        assert own_watcher.mode(registration) == "off"
        other.wait_for_rechecks(len(other.rechecks) + 1)  # one may have been under way
        count = len(looks.rechecks)
        other.wait_for_rechecks(len(other.rechecks) + 2)
        assert len(looks.rechecks) == count

    def test_removed_before_it_was_whole(self, own_watcher, tmp_path):
        """A registration that a signal handler removes in the middle of its addition leaves nothing behind."""
        looks = Looks()
        registration = own_watcher.add(looks, [str(tmp_path)], 3600.0)
        registration.finalizer.detach()
        registration.finalizer = None
        own_watcher.remove(registration)
        assert not own_watcher.scheduler.is_alive()

    @pytest.mark.usefixtures("inotify")
    def test_removed_while_another_is_removed(self, own_watcher, tmp_path):
        """A registration that is removed while the paths of another removed one are dropped takes no watch from a third."""
        paths = [tmp_path / name for name in ("first", "second", "third")]
        for path in paths:
            path.mkdir()
        looks = [Looks() for _ in paths]
        first, _, third = (own_watcher.add(each, [str(p)], 3600.0) for each, p in zip(looks, paths, strict=True))
        lines, removed = [], threading.Event()

        def trace(frame, event, _):
            if "_wanted" in (frame.f_code.co_name, frame.f_back.f_code.co_name) and event == "line":
                lines.append(frame.f_lineno)
                if len(lines) == 3:  # in the loop
                    sys.settrace(None)
                    own_watcher.remove(first)
                    own_watcher.scheduler.post(removed.set)
            return trace

        own_watcher.scheduler.post(lambda: sys.settrace(trace))
        own_watcher.scheduler.post(lambda: own_watcher.remove(third))
        assert removed.wait(PATIENCE)
        looks[1].looked.clear()
        (paths[1] / "key").write_text("value")
        assert looks[1].looked.wait(PATIENCE)

    @pytest.mark.usefixtures("inotify")
    def test_a_folder_that_comes_while_the_directory_is_checked(self, own_watcher, tmp_path, monkeypatch, gate):
        """A folder that comes while a slow check lists the directory is watched after it."""
        looks, listed, passed = Looks(), threading.Event(), threading.Event()
        own_watcher.add(looks, [str(tmp_path)], 3600.0)
        folders = directories.folders

        def slow(root):
            found = list(folders(root))
            listed.set()
            gate.wait(PATIENCE)
            return found

        monkeypatch.setattr(directories, "folders", slow)
        (tmp_path / "first").mkdir()
        assert listed.wait(PATIENCE)
        (tmp_path / "second").mkdir()
        own_watcher.scheduler.call_later(0.5, gate.set)  # on the thread that has taken over
        assert gate.wait(PATIENCE)
        own_watcher.scheduler.call_later(0.3, passed.set)
        assert passed.wait(PATIENCE)
        looks.looked.clear()
        (tmp_path / "second" / "key").write_text("value")
        assert looks.looked.wait(PATIENCE)

    @pytest.mark.usefixtures("inotify")
    def test_what_a_re_check_passes(self, own_watcher, kubelet_volume, tmp_path):
        """A re-check passes fingerprints if the watch reported all the time, and none if the watch is new."""
        kubelet_volume.write({"a": "1"})
        path, looks = str(kubelet_volume.path), Looks()
        own_watcher.add(looks, [path], 0.1)
        first = looks.wait_for_rechecks(1)[0]
        assert first[path].link == kubelet_volume.generation
        kubelet_volume.path.rename(tmp_path / "away")
        KubeletVolume(path).write({"a": "2"})
        while {} not in looks.rechecks:
            looks.wait_for_rechecks(len(looks.rechecks) + 1)
        after = looks.wait_for_rechecks(looks.rechecks.index({}) + 2)[-1]
        assert after[path].link == KubeletVolume(path).generation

    def test_an_owner_that_was_collected(self):
        """Hints and re-checks that are due after their owner was collected do nothing."""
        looks = Looks()
        registration = Registration(looks, [], 3600.0)
        registration.look()
        registration.recheck({})
        assert looks.rechecks == [{}]
        gone = weakref.ref(looks)
        del looks
        gc.collect()
        registration.look()
        registration.recheck({})
        registration.overdue()
        assert gone() is None

    @pytest.mark.usefixtures("inotify")
    def test_removed_while_the_watches_are_changed(self, own_watcher, tmp_path, monkeypatch, until):
        """A watch that cannot be dropped when its registration is removed is dropped later."""
        paths = [tmp_path / name for name in ("first", "second")]
        for path in paths:
            path.mkdir()
        looks = [Looks() for _ in paths]
        first, _ = (own_watcher.add(each, [str(path)], 3600.0) for each, path in zip(looks, paths, strict=True))
        keep_only, refused = ObservedDirectories.keep_only, []

        def busy_at_first(observer, wanted):
            if not refused:
                refused.append(observer)
                return False
            return keep_only(observer, wanted)

        monkeypatch.setattr(ObservedDirectories, "keep_only", busy_at_first)
        own_watcher.remove(first)
        until(lambda: refused)
        [observer] = refused
        until(lambda: not observer.is_watched(str(paths[0])))
        assert observer.is_watched(str(paths[1]))

    def test_no_thread_at_first(self, own_watcher, tmp_path, monkeypatch):
        """If no thread could be started at first, `revive` tries again."""
        looks = Looks()
        start = threading.Thread.start
        with monkeypatch.context() as poor:
            poor.setattr(threading.Thread, "start", lambda it: _no_thread(it) if it.name == "liveconfig" else start(it))
            own_watcher.add(looks, [str(tmp_path)], 3600.0)
            assert not own_watcher.revive()
        own_watcher.revive()
        assert own_watcher.scheduler.is_alive()


@pytest.mark.usefixtures("inotify")
def test_a_dead_observer(kubelet_volume, load):
    """If the thread that reads inotify has ended, the status says so, and starts it again."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    [reader] = [thread for thread in threading.enumerate() if type(thread).__name__ == "Reader"]
    reader.stop()
    reader.join(PATIENCE)
    status = settings.live.status()
    assert not status.healthy
    assert any("the watcher does not run" in problem for problem in status.problems)
    kubelet_volume.write({"message": "two"})  # by event, or by the look that follows the new watch
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert settings.live.status().healthy
    kubelet_volume.write({"message": "three"})
    settings.live.wait(lambda s: s.message == "three", PATIENCE)


def test_a_child_goes_on_though_one_cannot(caplog, holds_in_child):
    """In a forked child, one object that cannot be restarted does not affect the others, and the log names it."""

    class Member:
        def __init__(self, act):
            self.resume = act

        def renew(self):
            pass

    went_on = []

    def broken():
        raise ValueError("CANARY-00000000-1")

    members = [Member(broken), Member(lambda: went_on.append(os.getpid()))]
    for member in members:
        renew_in_child(member)
    assert holds_in_child(lambda: went_on == [os.getpid()] and "could not restart Member" in caplog.text)
    assert went_on == []


class TestProcess:
    def test_closed_while_the_next_re_check_is_scheduled(self, kubelet_volume, gate, until_ended, monkeypatch):
        """P9: settings that are closed while a thread schedules the next re-check, and is held up, leave no thread."""
        kubelet_volume.write({"message": "one"})
        is_pending, inside = Watcher._is_pending, threading.Event()

        def held_up(watcher, period):
            if threading.current_thread() is not threading.main_thread() and not inside.is_set():
                inside.set()
                gate.wait(PATIENCE)
            return is_pending(watcher, period)

        monkeypatch.setattr(Watcher, "_is_pending", held_up)
        settings = Seldom.load(_volumes=kubelet_volume.path)
        assert inside.wait(PATIENCE)
        settings.live.close()
        gate.set()
        until_ended("liveconfig")

    def test_loaded_while_the_last_others_are_closed(self, make_kubelet_volume, gate, until, monkeypatch):
        """P9: settings that are loaded while the close() of the last others is held up have their re-check scheduled."""
        first, second = make_kubelet_volume("first"), make_kubelet_volume("second")
        first.write({"message": "one"})
        second.write({"message": "one"})
        cancel, inside, cancelled = process_watcher.scheduler.cancel, threading.Event(), threading.Event()

        def held_up(timer):
            inside.set()
            gate.wait(PATIENCE)
            cancel(timer)
            cancelled.set()

        closed = Seldom.load(_volumes=first.path)
        until(process_watcher._rounds_are_due)
        monkeypatch.setattr(process_watcher.scheduler, "cancel", held_up)
        closed.live.close()
        assert inside.wait(PATIENCE)
        settings = Seldom.load(_volumes=second.path)
        gate.set()
        assert cancelled.wait(PATIENCE)
        until(process_watcher._rounds_are_due)
        settings.live.close()

    def test_without_proc(self, monkeypatch):
        """Without /proc, no mount is known, and the process is as old as the import."""
        monkeypatch.setattr(mounts, "MOUNTINFO", "/nowhere/mountinfo")
        assert mounts.read_mounts() == []
        monkeypatch.setattr("builtins.open", _no_file)
        assert (
            liveconfig._diagnostics.process._started_at.__wrapped__(0) == liveconfig._diagnostics.process._IMPORTED_AT
        )

    def test_a_mount_with_a_space(self, monkeypatch, tmp_path):
        """Escaped characters in the table of mounts are read as what they stand for (proc_pid_mountinfo(5))."""
        table = tmp_path / "mountinfo"
        table.write_text(r"36 35 98:0 /pods/my\040app/a\134b /etc/my\040app/a\134b rw - ext4 /dev/sda rw" + "\n")
        monkeypatch.setattr(mounts, "MOUNTINFO", str(table))
        assert mounts.read_mounts() == [("/etc/my app/a\\b", "/pods/my app/a\\b")]

    def test_a_mount_that_may_not_be_looked_at(self):
        """A subPath mount of which only the root is known is frozen, and not known to be stale."""
        frozen = mounts.frozen_parts("/nowhere", [("/nowhere", "/pods/..2026_01_01_00_00_00.1/key")])
        assert frozen == {"": mounts.Frozen("subpath", stale=False)}


def _no_file(*arguments, **options):
    raise OSError


class TestDelivery:
    def test_more_subscribers_than_a_thread_gets_at_once(self, kubelet_volume, load):
        """More subscribers than a thread gets at once are all called, in order."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        received = []
        for each in range(2 * AT_ONCE + 1):
            settings.live.subscribe("number", lambda change, each=each: received.append(each))
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        assert received == list(range(2 * AT_ONCE + 1))

    def test_those_behind_a_slow_one(self, kubelet_volume, load, gate, monkeypatch):
        """Subscribers behind a slow one are called when its thread is detached."""
        monkeypatch.setattr("liveconfig._delivery.publisher.AT_ONCE", 2)
        kubelet_volume.write({"number": "0"})
        settings, received = load(App, _volumes=kubelet_volume.path, _watch=False), []
        settings.live.subscribe("number", lambda change: gate.wait(PATIENCE))
        for each in range(5):
            settings.live.subscribe("number", lambda change, each=each: received.append(each))
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        assert received == list(range(5))

    def test_the_log_queue_is_limited(self):
        """The log queue keeps a limited number of the newest entries."""
        log_queue = LogQueue()
        for number in range(MOST_VERSIONS + 2):
            log_queue.put(number)
        kept = [log_queue.take(None, again=False) for _ in range(MOST_VERSIONS)]
        assert kept == list(range(2, MOST_VERSIONS + 2))
        assert not log_queue.has_event(None)

    def test_a_loop_that_is_left_twice(self):
        """A loop that is left more often than it was entered is simply not there."""
        loops, loop = Loops(), asyncio.new_event_loop()
        loops.enter(loop)
        loops.leave(loop)
        loops.leave(loop)
        assert loops.running_one() is None
        loop.close()

    def test_a_selector_that_raises_at_the_second_call(self, kubelet_volume, load, monkeypatch, caplog):
        """A subscriber with an event due is retried after its selector raised."""
        monkeypatch.setattr("liveconfig._delivery.calls.FIRST_RETRY", 0.01)
        monkeypatch.setattr("liveconfig._delivery.subscribers.FIRST_RETRY", 0.01)
        caplog.set_level(logging.CRITICAL, logger="liveconfig")
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        moods, called = iter(["subscribe", "first", "raise"]), threading.Event()
        calls = []

        def select(s):
            if next(moods, None) == "raise":
                raise ValueError
            return s.number

        @settings.live.on_change(select)
        def hear(change):
            calls.append(change.new)
            if len(calls) == 1:
                raise ValueError
            called.set()

        kubelet_volume.write({"number": "1"})
        settings.live.reload()
        assert called.wait(PATIENCE)
        assert calls == [1, 1]

    def test_a_reload_back_to_the_delivered_value(self, kubelet_volume, load, gate):
        """A subscriber that was busy while a value changed and changed back gets no `Reloaded`."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        events, busy, done = [], threading.Event(), threading.Event()

        @settings.live.on_reload
        def hear(event):
            events.append((event.old.number, event.new.number))
            busy.set()
            gate.wait(PATIENCE)

        @settings.live.on_change(lambda s: s.message)
        def last(change):
            done.set()

        for number in (1, 2, 1):
            kubelet_volume.write({"number": str(number)})
            settings.live.reload(wait=False)
            assert busy.wait(PATIENCE)
        gate.set()
        kubelet_volume.write({"number": "1", "message": "end"})
        settings.live.reload()
        assert done.wait(PATIENCE)
        assert events == [(0, 1), (1, 1)]

    def test_no_thread_for_a_while(self, kubelet_volume, load, monkeypatch):
        """If no delivery thread can be started, it is tried again, and nothing is lost."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path)
        called, tries = threading.Event(), []
        settings.live.subscribe("number", lambda change: called.set())
        start = threading.Thread.start

        def sometimes(thread):
            if thread.name == "liveconfig-delivery" and not tries:
                tries.append(thread)
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", 0.01)
        monkeypatch.setattr(threading.Thread, "start", sometimes)
        kubelet_volume.write({"number": "1"})
        settings.live.reload(wait=False)
        assert called.wait(PATIENCE)
        assert len(tries) == 1

    def test_no_thread_for_long(self, kubelet_volume, load, monkeypatch):
        """If no thread can be started at all, as at exit in Python 3.12, a reload returns, and subscribers are called later."""
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", 0.01)
        monkeypatch.setattr("liveconfig._delivery.publisher.SLOW", 0.01)
        kubelet_volume.write({"number": "0"})
        settings, called = load(App, _volumes=kubelet_volume.path, _watch=False), threading.Event()
        settings.live.subscribe("number", lambda change: called.set())
        start, tries, allowed = threading.Thread.start, [], threading.Event()

        def later(thread):
            if thread.name == "liveconfig-delivery" and not allowed.is_set():
                tries.append(thread)
                raise RuntimeError("can't create new thread at interpreter shutdown")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", later)
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        assert settings.number == 1
        assert tries
        assert not called.is_set()
        allowed.set()
        assert called.wait(PATIENCE)

    def test_a_version_while_the_lock_is_held(self, kubelet_volume, load, monkeypatch):
        """A version whose publisher does not get the lock in time is queued and delivered later."""
        monkeypatch.setattr("liveconfig._delivery.publisher.SLOW", 0.01)
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        publisher, called = settings.live._core.publisher, threading.Event()
        settings.live.subscribe("number", lambda change: called.set())
        kubelet_volume.write({"number": "1"})
        with publisher.lock:
            reloading = threading.Thread(target=settings.live.reload, kwargs={"wait": False})
            reloading.start()
            reloading.join(PATIENCE)
            assert not reloading.is_alive()
            assert not called.is_set()
        assert called.wait(PATIENCE)

    def test_a_thread_of_an_old_publisher(self, kubelet_volume, load):
        """A thread of an old publisher (it forked inside a subscriber) gets no more jobs, and ends."""
        kubelet_volume.write({"number": "0"})
        publisher = load(App, _volumes=kubelet_volume.path, _watch=False).live._core.publisher
        delivery = DeliveryThread()
        with publisher.lock:
            assert not publisher._threads._has_jobs(delivery)
        publisher._threads._check(delivery)
        delivery.job = object()
        publisher._threads._detach(delivery)
        assert not publisher._threads._detached
        publisher.requeue([])
        assert list(publisher.next()) == []

    def test_nothing_waits_after_a_delivery(self, kubelet_volume, load, monkeypatch):
        """After a subscriber has returned in time, nothing is scheduled: the thread of the scheduler ends."""
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", 3600.0)
        kubelet_volume.write({"number": "0"})
        settings, received = load(App, _volumes=kubelet_volume.path, _watch=False), []
        settings.live.subscribe("number", received.append)
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        assert [change.new for change in received] == [1]
        process_watcher.scheduler.join(PATIENCE)
        assert not process_watcher.scheduler.is_alive()

    def test_nothing_waits_after_a_slow_one(self, kubelet_volume, load, gate, monkeypatch):
        """After a slow subscriber has returned, no thread is left and nothing is scheduled."""
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", 0.01)
        monkeypatch.setattr("liveconfig._delivery.publisher.SLOW", 0.01)
        monkeypatch.setattr("liveconfig._delivery.calls.HUNG", 3600.0)
        kubelet_volume.write({"number": "0"})
        settings, inside = load(App, _volumes=kubelet_volume.path, _watch=False), []

        @settings.live.on_change("number")
        def hold(change):
            inside.append(threading.current_thread())
            gate.wait(PATIENCE)

        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        gate.set()
        inside[0].join(PATIENCE)
        process_watcher.scheduler.join(PATIENCE)
        assert not process_watcher.scheduler.is_alive()
        thread = weakref.ref(inside.pop())
        gc.collect()
        assert thread() is None

    def test_nothing_is_scheduled_after_a_log_filter_raised(self, kubelet_volume, load, monkeypatch):
        """A log line at which a log filter raises is not logged again."""
        monkeypatch.setattr("liveconfig._delivery.subscribers.FIRST_RETRY", 3600.0)
        kubelet_volume.write({"number": "0"})
        settings, refused = load(App, _volumes=kubelet_volume.path, _watch=False), []

        def refuse(record):
            refused.append(record.getMessage())
            raise RuntimeError

        log = logging.getLogger("liveconfig")
        log.addFilter(refuse)
        try:
            kubelet_volume.write({"number": "many"})
            assert not settings.live.reload()
        finally:
            log.removeFilter(refuse)
        assert "rejected at stage validate" in refused[0]
        process_watcher.scheduler.join(PATIENCE)
        assert not process_watcher.scheduler.is_alive()

    def test_a_version_that_comes_twice(self, kubelet_volume, load, caplog):
        """A version that is published twice is delivered to no subscriber again, and logged once."""
        caplog.set_level(logging.INFO, logger="liveconfig")
        kubelet_volume.write({"number": "0"})
        settings, received = load(App, _volumes=kubelet_volume.path, _watch=False), []
        settings.live.on_reload(received.append)
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        settings.live._core.publisher.publish(settings.live._core.publisher.newest)
        assert settings.live.reload()
        assert [event.version for event in received] == [2]
        assert caplog.text.count("applied") == 1

    def test_no_thread_without_a_change(self, kubelet_volume, load, monkeypatch):
        """A reload without changes starts no thread."""
        kubelet_volume.write({"number": "0"})
        settings, received, started = load(App, _volumes=kubelet_volume.path, _watch=False), [], []
        settings.live.subscribe("number", received.append)
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        start = threading.Thread.start
        monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread)))
        assert settings.live.reload()
        assert started == []
        assert len(received) == 1

    def test_a_receiver_that_another_one_disconnects(self, kubelet_volume, load):
        """A receiver that is disconnected before it is called is not called."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        called = []

        def second(sender, event):
            called.append("second")

        def first(sender, event):
            called.append("first")
            signals.reloaded.disconnect(second, settings)

        signals.reloaded.connect(first, settings)
        signals.reloaded.connect(second, settings)
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        assert called == ["first"]

    def test_a_receiver_of_collected_settings(self):
        """A receiver is not called for settings that were collected before."""
        called, kept = [], [App(_volumes=(), _watch=False)]
        subscribers = SignalSubscribers("App", lambda: kept[0] if kept else None)
        version = Version(kept[0], 1, {}, None, None, None)

        def receive(sender, event):
            called.append(sender)

        with signals.reloaded.connected_to(receive):
            [subscriber] = subscribers(version)
            kept.clear()
            subscriber.callback(None)
            assert called == []
            assert subscribers(version) == ()

    def test_a_call_that_ended_before_it_hung(self, caplog):
        """A subscriber that is in another call is not logged as hanging in the call before."""
        timers = KeptTimer()
        subscriber = Subscriber(LogQueue(), print, initial=False, retry=True)
        subscriber.started = 1.0
        Calls("App", timers, print, print).hung(subscriber)
        subscriber.started = 2.0
        timers.call()
        assert caplog.text == ""
        subscriber.started = 1.0
        timers.call()
        assert "has been running for 30 s" in caplog.text


class KeptTimer:
    """A timer that keeps its call."""

    def later(self, delay, call):
        self.call = call

    def cancel(self, timer):
        pass


class Closing:
    """A loop that is closed at the moment when a call is scheduled on it, after ``first`` was called."""

    def __init__(self, first=lambda: None):
        self.first = first

    def is_closed(self):
        return False

    def is_running(self):
        return not self.closed

    closed = False

    def call_soon_threadsafe(self, *arguments):
        self.closed = True
        self.first()
        raise RuntimeError("Event loop is closed")


class Here:
    """A loop that keeps the scheduled calls."""

    def __init__(self):
        self.handed = []

    def is_closed(self):
        return False

    def is_running(self):
        return True

    def call_soon_threadsafe(self, call, job):
        self.handed.append(job)


class TestCoroutines:
    @pytest.fixture
    def subscriber(self):
        async def hear(event):
            raise AssertionError

        return Subscriber(LogQueue(), hear, initial=False, retry=True)

    def test_a_loop_that_closes_just_now(self, subscriber, caplog):
        """A coroutine whose loop is closed while its call is scheduled waits for another loop, and the log says so."""
        subscriber.bind(Closing())
        Calls("App", KeptTimer(), print, lambda: None).coroutines.schedule(Job(subscriber, None))
        assert subscriber.parked
        assert not subscriber.on_loop
        assert "hear is a coroutine function and no event loop runs for it" in caplog.text

    def test_another_loop_at_that_moment(self, subscriber):
        """If it moves to another loop at that moment, the call is scheduled there, once."""
        here = Here()
        subscriber.bind(Closing(lambda: subscriber.bind(here)))
        job = Job(subscriber, None)
        Calls("App", KeptTimer(), print, lambda: None).coroutines.schedule(job)
        assert here.handed == [job]
        assert subscriber.on_loop
        assert subscriber.busy
        assert not subscriber.parked

    def test_a_loop_on_which_the_settings_are_in_use(self, subscriber):
        """If the settings are in use on another loop, the call is scheduled there, and the subscriber stays there."""
        here, job = Here(), Job(subscriber, None)
        subscriber.bind(Closing())
        Calls("App", KeptTimer(), print, lambda: here).coroutines.schedule(job)
        assert here.handed == [job]
        assert subscriber.loop is here
        assert subscriber.on_loop
        assert subscriber.busy

    def test_another_loop_ends_its_back_off(self, subscriber):
        """A subscriber that moves to another loop during a back-off is due at once."""
        version = Version(None, 1, {}, None, None, None)
        subscriber.owed = subscriber.waits = True
        assert not subscriber.due(version)
        subscriber.bind(Here())
        assert subscriber.due(version)

    def test_an_end_on_a_loop_that_was_left(self, subscriber):
        """A call that ends, or is cancelled, on an earlier loop of a subscriber does not affect its present call."""
        subscriber.task, ended, cancelled = object(), Future(), Future()
        ended.set_result(None)
        cancelled.cancel()
        for other in (ended, cancelled):
            Calls("App", KeptTimer(), print, print).coroutines._ended(Job(subscriber, None), other)
        assert subscriber.error is None
        assert subscriber.task is not None

    def test_a_loop_that_runs_again_in_time(self, subscriber):
        """A subscriber stays on its loop if that runs again by the time at which it would be moved."""
        timer, loop, again = KeptTimer(), Here(), []
        coroutines = Calls("App", timer, lambda: again.append(None), Here).coroutines
        subscriber.bind(loop)
        coroutines.schedule(Job(subscriber, None))
        coroutines.loop_stopped(subscriber)
        timer.call()
        assert subscriber.loop is loop
        assert subscriber.on_loop
        assert not subscriber.parked
        assert again == []

    @pytest.mark.parametrize("noticed", ["by a look at the call", "by a delivery"])
    def test_another_loop_takes_over(self, subscriber, noticed):
        """A subscriber whose loop stops before its call begins moves to another loop that runs, and is due there."""
        timer, other, again = KeptTimer(), Here(), []
        coroutines = Calls("App", timer, lambda: again.append(None), lambda: other).coroutines
        subscriber.bind(Here())
        coroutines.schedule(Job(subscriber, None))
        subscriber.loop.is_running = lambda: False
        if noticed == "by a delivery":
            coroutines.loop_stopped(subscriber)
        timer.call()
        assert subscriber.loop is other
        assert not subscriber.busy
        assert not subscriber.parked
        assert again == [None]

    def test_a_look_at_a_call_that_has_ended(self, subscriber):
        """A look at a call that has ended meanwhile neither moves its subscriber nor looks again."""
        timer, loop = KeptTimer(), Here()
        coroutines = Calls("App", timer, print, Here).coroutines
        subscriber.bind(loop)
        coroutines.schedule(Job(subscriber, None))
        look, timer.call = timer.call, None
        subscriber.reset()
        look()
        assert subscriber.loop is loop
        assert timer.call is None

    @pytest.mark.parametrize("forks", [0, 1])
    async def test_sys_exit_in_a_forked_child(self, monkeypatch, forks):
        """`sys.exit()` in a coroutine ends the process if that was forked inside it, and no loop otherwise."""
        counted = iter([0, forks])
        monkeypatch.setattr("liveconfig._delivery.coroutines.fork_count", lambda: next(counted))

        async def leave():
            raise SystemExit(3)

        with pytest.raises(SystemExit) if forks else contextlib.nullcontext():
            assert isinstance(await _outcome(leave()), SystemExit)

    def test_no_task_can_be_created(self):
        """If a loop creates no task, the coroutine is closed, without a warning that it was never awaited."""

        async def hear(event):
            raise AssertionError

        with pytest.raises(RuntimeError):
            _task(hear, Job(None, None))
        gc.collect()

    def test_a_loop_that_was_left(self, kubelet_volume, load, caplog):
        """After the last `async with` on a loop, no call is scheduled there, although it still runs."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        inbox, called = [], asyncio.Event()

        async def hear(change):
            inbox.append(change.new)
            called.set()

        async def main():
            async with settings.live:
                pass
            await asyncio.to_thread(settings.live.subscribe, "number", hear)
            kubelet_volume.write({"number": "1"})
            await asyncio.to_thread(settings.live.reload)
            assert inbox == []
            assert "hear is a coroutine function and no event loop runs for it" in caplog.text
            async with settings.live:
                await asyncio.wait_for(called.wait(), PATIENCE)
            assert inbox == [1]

        with settings.live:
            asyncio.run(main())

    async def test_a_stream_on_a_loop_that_is_closed(self, kubelet_volume, load):
        """A stream that waited on a closed loop does not affect other subscribers."""
        kubelet_volume.write({"number": "0"})
        settings, received = load(App, _volumes=kubelet_volume.path, _watch=False), []
        stream = settings.live.changes("number")

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        settings.live.subscribe("number", lambda change: received.append(change.new))
        kubelet_volume.write({"number": "1"})
        assert settings.live.reload()
        assert received == [1]

    async def test_a_stream_whose_selector_raises(self, kubelet_volume, load, caplog):
        """A stream whose selector raises gets no change and continues, and the log has the exception."""
        kubelet_volume.write({"number": "1"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        stream = settings.live.changes(lambda s: 1 / s.number)

        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        for number in ("0", "2"):
            kubelet_volume.write({"number": number})
            await asyncio.to_thread(settings.live.reload)
        change = await waiting
        assert (change.old, change.new) == (1.0, 0.5)
        assert "the selector of a stream raised ZeroDivisionError" in caplog.text

    async def test_cancelled_after_the_close(self, kubelet_volume, load):
        """A coroutine that is cancelled after the settings were closed is not called again."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        calls, inside = [], threading.Event()

        async def hear(change):
            calls.append(change.new)
            inside.set()
            await asyncio.Event().wait()

        settings.live.subscribe("number", hear)
        kubelet_volume.write({"number": "1"})
        await asyncio.to_thread(settings.live.reload)
        await asyncio.to_thread(inside.wait, PATIENCE)
        await asyncio.to_thread(settings.live.close)
        [task] = asyncio.all_tasks() - {asyncio.current_task()}
        task.cancel()
        await asyncio.wait([task])
        assert calls == [1]

    def test_a_stream_in_a_forked_child(self, kubelet_volume, load, holds_in_child):
        """A stream that was created before a fork continues in the child, on a loop of the child."""
        kubelet_volume.write({"number": "0", "message": "one"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        stream = settings.live.changes("number")
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            waiting = loop.create_task(anext(stream))
            loop.run_until_complete(asyncio.sleep(0))
            kubelet_volume.write({"number": "0", "message": "two"})
            settings.live.reload()  # of another field: it is woken, and goes on waiting
            loop.run_until_complete(asyncio.sleep(0))

            def goes_on():
                kubelet_volume.write({"number": "1"})
                settings.live.reload()
                return asyncio.run(_in_child(stream)) == 1

            assert holds_in_child(goes_on)
            assert not waiting.done()
            waiting.cancel()
            loop.run_until_complete(asyncio.wait([waiting]))


async def _in_child(stream):
    asyncio.get_running_loop()
    return (await asyncio.wait_for(_next_of(stream), PATIENCE)).new


async def _next_of(stream):
    return await anext(stream)


class TestEngine:
    def test_going_back_to_what_is_good_no_more(self, kubelet_volume, load, monkeypatch):
        """If the values before an override are not valid any more, the present values stay in use."""
        kubelet_volume.write({"number": "1"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        engine = settings.live._core.engine
        monkeypatch.setattr(engine.loader, "load", lambda *_: Invalid((("number", "no"),)))
        engine.revert(engine.applied.feeds)
        assert (settings.number, settings.live.version) == (1, 1)

    def test_a_version_that_was_not_delivered(self, kubelet_volume, load, monkeypatch):
        """If Ctrl-C prevents the delivery of a version, the next re-check delivers it."""
        kubelet_volume.write({"number": "0"})
        settings, called = load(App, _volumes=kubelet_volume.path, _watch=False), threading.Event()
        settings.live.subscribe("number", lambda change: called.set())
        core, path = settings.live._core, str(kubelet_volume.path)

        def interrupted(version):
            raise KeyboardInterrupt

        kubelet_volume.write({"number": "1"})
        with monkeypatch.context() as pressed:
            pressed.setattr(core.engine, "publish", interrupted)
            with pytest.raises(KeyboardInterrupt):
                settings.live.reload()
        assert settings.number == 1
        assert not called.is_set()
        core.recheck({path: take_fingerprint(path)})
        assert called.wait(PATIENCE)

    def test_a_re_check_of_what_is_in_use(self, kubelet_volume, load):
        """The fingerprint of the content in use matches; that of a swapped or unreadable volume does not."""
        kubelet_volume.write({"number": "0"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)
        path, in_use = str(kubelet_volume.path), settings.live._core.engine.in_use
        assert in_use.matches([take_fingerprint(path)])
        kubelet_volume.write({"number": "0", "unused": "1"})
        assert not in_use.matches([take_fingerprint(path)])
        assert not in_use.matches([None])
        settings.live.reload()  # no field differs: no version, and it is what is in use
        assert in_use.matches([take_fingerprint(path)])


def test_cancelled_timers():
    """I10: a timer that is cancelled is not kept until it would have been due."""
    scheduler = Scheduler()
    for _ in range(2000):
        scheduler.cancel(scheduler.call_later(3600.0, print))
    assert sum(type(each) is Timer for each in gc.get_objects()) < 200
    scheduler.join(PATIENCE)
