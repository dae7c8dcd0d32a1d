"""The observer: what watchdog raises, and on which threads it is stopped."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import time
import weakref

import pytest
from watchdog.observers.inotify_c import InotifyFD

from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0


class Still(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"


@pytest.fixture
def on_a_thread_of_watchdog(monkeypatch):
    """A function that has something called on watchdog's thread, before each event that it handles."""

    def start(call):
        handle = InotifyFD.handle_event

        def call_and_handle(reader, event):
            call()
            handle(reader, event)

        monkeypatch.setattr(InotifyFD, "handle_event", call_and_handle)

    return start


def test_closed_on_a_thread_of_watchdog(kubelet_volume, on_a_thread_of_watchdog, inotify_descriptors):
    """G06: close() on the thread that reads inotify returns, and ends all threads of liveconfig and watchdog."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})
    settings, done = Still.load(_volumes=kubelet_volume.path), threading.Event()
    names = []

    def close():
        names.append(type(threading.current_thread()).__name__)
        settings.live.close()
        done.set()

    on_a_thread_of_watchdog(close)
    kubelet_volume.write({"message": "two"})
    assert done.wait(PATIENCE)
    assert names[0] == "Reader"
    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
    assert set(threading.enumerate()) == threads
    assert not inotify_descriptors()


def test_collected_on_a_thread_of_watchdog(kubelet_volume, on_a_thread_of_watchdog):
    """G06: settings that the garbage collector finds on a thread of watchdog are released, and all threads end."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})
    settings, done = Still.load(_volumes=kubelet_volume.path), threading.Event()
    settings.__dict__["me"] = settings  # only the garbage collector finds it
    gone = weakref.ref(settings)
    del settings

    def collect():
        deadline = time.monotonic() + PATIENCE
        while gone() is not None and time.monotonic() < deadline:  # a check that is running holds it
            gc.collect()
        done.set()

    on_a_thread_of_watchdog(collect)
    kubelet_volume.write({"message": "two"})
    assert done.wait(PATIENCE)
    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
    assert set(threading.enumerate()) == threads


@pytest.mark.parametrize("error", [OSError, RuntimeError, KeyError])
@pytest.mark.parametrize("where", [(InotifyFD, "remove_callbacks"), (InotifyFD, "close")])
def test_watchdog_raises(kubelet_volume, monkeypatch, inotify_descriptors, where, error):
    """G06: whatever watchdog raises when it is stopped, close() returns, and no thread and no descriptor stays."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})
    settings = Still.load(_volumes=kubelet_volume.path)

    def refuse(*_):
        raise error

    monkeypatch.setattr(*where, refuse)
    settings.live.close()
    assert set(threading.enumerate()) == threads
    assert not inotify_descriptors()


@pytest.mark.parametrize("error", [OSError, RuntimeError, KeyError, RuntimeWarning])
def test_watchdog_raises_at_the_start(kubelet_volume, monkeypatch, inotify_descriptors, error):
    """Whatever watchdog raises when a directory is to be watched, the volume is polled, and nothing stays."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})

    def refuse(*_):
        raise error

    monkeypatch.setattr(InotifyFD, "add_callback", refuse)
    settings = Still.load(_volumes=kubelet_volume.path)
    assert settings.live.status().watcher == "polling"
    settings.live.close()
    assert set(threading.enumerate()) == threads
    assert not inotify_descriptors()


def test_a_reader_that_closes_its_pipe(kubelet_volume, monkeypatch, caplog, inotify_descriptors):
    """G06: close() is no error if the thread that reads inotify ends, and closes its pipe, before it is woken."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})
    settings = Still.load(_volumes=kubelet_volume.path)
    write = os.write

    def closed_meanwhile(descriptor, data):
        write(descriptor, data)
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", closed_meanwhile)
    settings.live.close()
    assert set(threading.enumerate()) == threads
    assert not inotify_descriptors()
    assert "internal error" not in caplog.text


def test_watchdog_raises_beside_others(make_kubelet_volume, load, monkeypatch):
    """G06: what watchdog raises when one object is closed does not keep another from following by event."""
    first, second = make_kubelet_volume("first"), make_kubelet_volume("second")
    for volume in (first, second):
        volume.write({"message": "one"})
    closed, followed = load(Still, _volumes=first.path), load(Still, _volumes=second.path)

    def refuse(*_):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(InotifyFD, "remove_callbacks", refuse)
        closed.live.close()
    second.write({"message": "two"})
    followed.live.wait(lambda s: s.message == "two", PATIENCE)


def test_healthy_while_the_reader_starts(kubelet_volume, load, monkeypatch):
    """C02: while the thread that reads inotify is about to start, no status says that the watcher does not run."""

    class Rechecked(Still):
        model_config = SettingsConfigDict(resync=0.2)

    kubelet_volume.write({"message": "one"})
    settings = load(Rechecked, _volumes=kubelet_volume.path)
    problems, started, start = [], threading.Event(), InotifyFD.start

    def start_and_look(reader):
        problems.append(settings.live.status().problems)
        start(reader)
        started.set()

    monkeypatch.setattr(InotifyFD, "start", start_and_look)
    shutil.rmtree(kubelet_volume.path)
    settings.live.reload()
    KubeletVolume(kubelet_volume.path).write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert started.wait(PATIENCE)
    assert not [each for each in problems if "the watcher does not run" in "".join(each)]
