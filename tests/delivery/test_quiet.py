"""A reload after which there is nobody to call and nothing to log."""

from __future__ import annotations

import logging
import threading
import time

import pytest

import liveconfig
from liveconfig import Settings, _clock
from liveconfig._watching import process_watcher

PATIENCE = 30.0


class App(Settings):
    message: str = "default"


@pytest.fixture
def started(monkeypatch):
    """The names of the threads that are started."""
    names = []
    start = threading.Thread.start

    def note(thread):
        names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    return names


@pytest.fixture
def level():
    """A function that sets the level of the logger of liveconfig until the end of the test."""
    logger = logging.getLogger("liveconfig")
    before = logger.level
    yield logger.setLevel
    logger.setLevel(before)


def test_starts_no_delivery_thread(kubelet_volume, load, started, level):
    """A change of a watched volume without subscribers and log lines starts no delivery thread, and is reported."""
    level(logging.WARNING)
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    for message in ("two", "three"):
        kubelet_volume.write({"message": message})
        settings.live.wait(lambda s, message=message: s.message == message, PATIENCE)
        wait_for_report(settings)
    assert "liveconfig-delivery" not in started
    assert [entry.fields for entry in settings.live.status().history] == [("message",)] * 2


def wait_for_report(settings):
    """Wait until the version in use is in the report of this process."""
    status, deadline = settings.live.status(), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        reports = [each for process in liveconfig.processes() if process.pid == status.pid for each in process.settings]
        if status.version in [each.version for each in reports if each.applied_at == status.applied_at]:
            return
    raise AssertionError(f"version {status.version} is not in the report")


def test_starts_no_thread_for_the_report(kubelet_volume, load, started):
    """The report of settings that nothing watches starts no thread besides those of the deliveries and their timers."""
    kubelet_volume.write({"message": "zero"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    changes = []
    settings.live.on_change("message")(changes.append)
    for message in map(str, range(20)):
        kubelet_volume.write({"message": message})
        assert settings.live.reload()
    assert len(changes) == 20
    # The standby is one of the timers' threads, which takes over where the other one is held up by a busy machine.
    assert set(started) - {"liveconfig-standby"} == {"liveconfig", "liveconfig-delivery"}
    wait_for_report(settings)


def test_cancelling_makes_no_pause(kubelet_volume, load, monkeypatch):
    """The update of the report after a subscriber was cancelled does not pause: many may be cancelled at once."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    pauses, done = [], threading.Event()
    monkeypatch.setattr(_clock, "give_way", lambda: pauses.append(threading.current_thread().name))
    for _ in range(20):
        settings.live.subscribe("message", lambda _: None).cancel()
    process_watcher.scheduler.post(done.set)
    assert done.wait(PATIENCE)
    assert pauses == []


def test_a_log_line_has_a_thread(kubelet_volume, load, level, caplog):
    """A log line about a version is written on a delivery thread, so that a log handler holds up no look."""
    level(logging.INFO)
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"message": "two"})
    settings.live.reload(wait=True)
    [record] = [each for each in caplog.records if "version 2 applied" in each.getMessage()]
    assert record.threadName == "liveconfig-delivery"


def test_a_subscriber_that_comes_later(kubelet_volume, load, level):
    """A subscriber is called on a delivery thread for what comes after a reload that started none."""
    level(logging.WARNING)
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"message": "two"})
    settings.live.reload(wait=False)
    called, changes = threading.Event(), []

    @settings.live.on_change("message")
    def changed(change):
        changes.append((threading.current_thread().name, change.old, change.new))
        called.set()

    kubelet_volume.write({"message": "three"})
    settings.live.reload(wait=False)
    assert called.wait(PATIENCE)
    assert changes == [("liveconfig-delivery", "two", "three")]
