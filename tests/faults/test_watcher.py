"""Faults of the watcher: no events, lost events, and what it costs to wait for them."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading

import pytest
from pydantic import field_validator
from watchdog.observers.inotify_c import InotifyFD

import liveconfig._clock
from liveconfig import LiveConfigError, Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0


class App(Settings):
    model_config = SettingsConfigDict(resync=0.2)
    message: str = "default"
    number: int = 0


class Still(App):
    """Its re-check never comes: what it sees, it sees by event or by asking."""

    model_config = SettingsConfigDict(resync=3600.0)


USER_NAMESPACE = ("--user", "--map-root-user")


@pytest.mark.parametrize("limit", ["instances", "watches"])
@pytest.mark.usefixtures("inotify")
def test_inotify_exhausted(child, open_folder, limit):
    """D01, D02: out of inotify it polls, says so once, sees each swap, leaks nothing, and goes back when it can."""
    scene = child("inotify_exhausted", open_folder, limit, unshare=USER_NAMESPACE)
    start = scene.report()
    assert start["watcher"] == "polling"
    assert start["healthy"]
    assert len(start["warnings"]) == 1
    assert "2 s" in start["warnings"][0]
    assert {"instances": "EMFILE", "watches": "ENOSPC"}[limit] in start["warnings"][0]
    swapped = scene.go()
    assert swapped["message"] == "two"
    assert swapped["more descriptors"] == 0
    assert len(swapped["warnings"]) == 1
    back = scene.go()
    assert back["watcher"] == "inotify"
    assert back["message"] == "three"
    assert len(back["warnings"]) == 1
    closed = scene.go()
    assert closed == {"more descriptors": 0, "threads": 1}


@pytest.mark.usefixtures("inotify")
def test_inotify_exhausted_later(child, open_folder):
    """D20: a watch that is lost while inotify is exhausted turns to polling, and back again."""
    scene = child("inotify_exhausted_later", open_folder, unshare=USER_NAMESPACE)
    assert scene.report() == {"modes": ["inotify", "polling", "inotify"], "messages": ["one", "two", "three"]}


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="needs the number of a system call")
@pytest.mark.usefixtures("inotify")
def test_a_sandbox_without_marks(child, open_folder):
    """G01: where the kernel does not mark descriptors (gVisor), events come, and a closed descriptor is found."""
    scene = child("sandbox_without_marks", open_folder)
    assert scene.report() == {"marks": False, "watcher": "inotify"}
    assert scene.go() == {"lost": 1}


@pytest.fixture
def no_events(monkeypatch):
    """Every event is dropped, as an overflowing queue does, and the reader lives on."""
    monkeypatch.setattr(InotifyFD, "handle_event", lambda reader, event: None)


@pytest.mark.usefixtures("inotify")
def test_events_dropped(kubelet_volume, load, no_events):
    """D04: a swap whose event is lost is found by the re-check."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    for number in range(3):
        kubelet_volume.write({"message": "two", "number": str(number)})
        settings.live.wait(lambda s, number=number: s.message == "two" and s.number == number, PATIENCE)
    assert settings.live.status().watcher == "inotify"


def test_no_descriptors(child, open_folder):
    """D06: without a descriptor left the last good stays and nothing crashes; with one again, the newest is taken."""
    scene = child("no_descriptors", open_folder)
    assert scene.report() == {"message": "one", "healthy": True}
    assert scene.go() == {"message": "one", "healthy": False}
    assert scene.go() == {"message": "two", "healthy": True}


def test_no_descriptors_beside_a_rejection(child, open_folder):
    """D21: a shortage of descriptors does not repeat a standing rejection."""
    scene = child("no_descriptors_beside_a_rejection", open_folder)
    assert scene.report() == {"validate": 1, "healthy": [False, False, False], "message": "one"}


def test_no_threads(child, open_folder):
    """D22: without more threads, a replaced mount is still followed, by re-checks."""
    scene = child("no_threads", open_folder)
    assert scene.report() == {"messages": ["one", "two", "three"]}


@pytest.mark.usefixtures("inotify")
def test_touches(child, open_folder):
    """D07: 100,000 touches of files beside the link, 20,000 renames among them, cause no look and no reading."""
    assert child("touches", open_folder).report() == {"version": 1, "opened": 0, "looks": 0}


@pytest.mark.parametrize("days", [1, -1])
@pytest.mark.usefixtures("inotify")
def test_wall_clock_jumps(kubelet_volume, load, swap_to, monkeypatch, caplog, days):
    """D08: a wall clock that jumps a day, and generation names that go back in time, have no effect."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    now = liveconfig._clock.now
    monkeypatch.setattr(liveconfig._clock, "now", lambda: now() + dt.timedelta(days=days))
    for year in (2031, 2019, 2025, 1999):
        swap_to(kubelet_volume, f"..{year}_01_01_00_00_00.{year}", {"message": str(year)})
        settings.live.wait(lambda s, year=year: s.message == str(year), PATIENCE)
    assert settings.live.reload()
    assert settings.live.version == 5
    assert settings.live.status().healthy
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.usefixtures("inotify")
def test_idle(child, open_folder):
    """D09: idle, all threads together wake at most once a re-check, and no key is opened.

    Measured over two periods of 3 s instead of 30 s, so 2 wake-ups here stand for 2 a minute.
    """
    scene = child("idle", open_folder)
    report = scene.report()
    assert report["opened"] == 0
    assert report["wake-ups"] <= 2


@pytest.mark.usefixtures("inotify")
def test_symlinked_mount(kubelet_volume, load, tmp_path):
    """D23: a volume that is named by a link to its mount is followed by events too, also when the link is turned."""
    os.symlink(kubelet_volume.path, tmp_path / "link")
    kubelet_volume.write({"message": "one"})
    settings = load(Still, _volumes=tmp_path / "link")
    assert settings.live.status().watcher == "inotify"
    kubelet_volume.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


def test_symlinked_mount_turned(make_kubelet_volume, load, tmp_path):
    """D23: a link to a mount that is turned to another one is followed within one re-check."""
    first, other = make_kubelet_volume("first"), make_kubelet_volume("other")
    first.write({"message": "one"})
    other.write({"message": "other"})
    os.symlink("first", tmp_path / "link")
    settings = load(App, _volumes=tmp_path / "link")
    os.symlink("other", tmp_path / "link2")
    os.rename(tmp_path / "link2", tmp_path / "link")
    settings.live.wait(lambda s: s.message == "other", PATIENCE)
    other.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, MemoryError, RecursionError])
def test_validator_that_ends_threads(kubelet_volume, load, error):
    """D24: a validator that raises what ends a thread is a rejection, and the watching goes on."""

    class Ending(Still):
        @field_validator("message")
        @classmethod
        def end(cls, value):
            if value == "end":
                raise error
            return value

    kubelet_volume.write({"message": "one"})
    settings = load(Ending, _volumes=kubelet_volume.path)
    heard = threading.Event()
    settings.live.on_reject(lambda _: heard.set())
    kubelet_volume.write({"message": "end"})
    assert heard.wait(PATIENCE)
    assert settings.message == "one"
    kubelet_volume.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert settings.live.status().healthy


def test_validator_that_interrupts(kubelet_volume, load):
    """D24: a validator that raises KeyboardInterrupt on the watching thread does not end it."""
    raised = threading.Event()

    class Interrupting(Still):
        @field_validator("message")
        @classmethod
        def interrupt(cls, value):
            if value == "end":
                raised.set()
                raise KeyboardInterrupt
            return value

    kubelet_volume.write({"message": "one"})
    settings = load(Interrupting, _volumes=kubelet_volume.path)
    kubelet_volume.write({"message": "end"})
    assert raised.wait(PATIENCE)
    assert settings.message == "one"
    kubelet_volume.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


@pytest.mark.usefixtures("inotify")
def test_many_settings_on_one_volume(kubelet_volume, load):
    """D25: one event wakes all settings that share a volume; closing some does not end the watch of the others."""
    kubelet_volume.write({"message": "one"})
    several = [load(Still, _volumes=kubelet_volume.path) for _ in range(5)]
    kubelet_volume.write({"message": "two"})
    for settings in several:
        settings.live.wait(lambda s: s.message == "two", PATIENCE)
    for settings in several[:4]:
        settings.live.close()
    kubelet_volume.write({"message": "three"})
    several[4].live.wait(lambda s: s.message == "three", PATIENCE)
    assert {settings.message for settings in several[:4]} == {"two"}
    assert several[4].live.status().watcher == "inotify"


def test_closed_and_started_again(kubelet_volume, load):
    """D26: a closed object sees nothing by itself, reloads by hand, and follows again, at once, when it is entered."""
    kubelet_volume.write({"message": "one"})
    settings = load(Still, _volumes=kubelet_volume.path)
    settings.live.close()
    assert settings.live.status().watcher == "off"
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"
    kubelet_volume.write({"message": "three"})
    with settings.live:
        assert settings.message == "three"
        kubelet_volume.write({"message": "four"})
        settings.live.wait(lambda s: s.message == "four", PATIENCE)


def test_swap_made_by_rename_of_link_from_elsewhere(kubelet_volume, load, tmp_path):
    """D27: a ..data that is moved in from another directory is seen by event."""
    kubelet_volume.write({"message": "one"})
    settings = load(Still, _volumes=kubelet_volume.path)
    generation = kubelet_volume.path / "..2026_01_01_00_00_00.1"
    generation.mkdir()
    (generation / "message").write_text("two")
    os.symlink(generation.name, tmp_path / "elsewhere")
    os.rename(tmp_path / "elsewhere", kubelet_volume.path / "..data")
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


def test_plain_becomes_atomic(tmp_path, load):
    """D28: a plain directory on which a volume appears is followed as one, by events too."""
    root = tmp_path / "config"
    root.mkdir()
    (root / "message").write_text("plain")
    settings = load(App, _volumes=root)
    assert settings.live.status().volumes[0].mode == "plain"
    (root / "message").unlink()
    volume = KubeletVolume(root)
    for number in range(5):
        volume.write({"message": f"atomic {number}"})
        settings.live.wait(lambda s, number=number: s.message == f"atomic {number}", PATIENCE)
    assert settings.live.status().volumes[0].mode == "atomic"


@pytest.mark.parametrize("resync", [0, -1.0, float("nan"), float("inf"), 1e300])
def test_senseless_resync(resync):
    """D29: a re-check period that is none is refused when the class is made, not by a thread that dies later."""
    with pytest.raises(LiveConfigError, match="resync"):

        class Senseless(Settings):
            model_config = SettingsConfigDict(resync=resync)
