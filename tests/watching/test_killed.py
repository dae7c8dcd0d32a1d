"""Threads of liveconfig into which other code throws exceptions: a tracer, a time limit, a debugger."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
import threading
import time
import weakref

import pytest

from liveconfig import Settings, SettingsConfigDict
from liveconfig._watching.scheduler import Scheduler

PATIENCE = 60.0


class App(Settings):
    model_config = SettingsConfigDict(resync=0.2)
    message: str = ""


class Killed(BaseException):
    """Thrown into a thread; it counts how often."""

    thrown = 0

    def __init__(self):
        type(self).thrown += 1


@pytest.fixture
def settings(kubelet_volume, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(Killed, "thrown", 0)
    logging.getLogger("liveconfig").setLevel(logging.CRITICAL + 1)
    kubelet_volume.write({"message": "0"})
    settings = App.load(_volumes=kubelet_volume.path)
    yield settings
    settings.live.close()
    logging.getLogger("liveconfig").setLevel(logging.NOTSET)


def kill(thread):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Killed))


# Under a tracer, such as coverage, no thread of CPython 3.11 goes on while a sleeping thread has a pending exception.
@pytest.mark.skipif(sys.version_info < (3, 12) and sys.gettrace() is not None, reason="would hang under a tracer")
@pytest.mark.parametrize("name", ["liveconfig", "liveconfig-standby", "liveconfig-delivery"])
def test_killed(settings, kubelet_volume, until, name):
    """G09: after an exception was thrown into a thread of liveconfig, whatever it did, changes are seen and delivered as before."""
    told, struck, pause = [], set(), threading.Event()  # no lock of the test's own: one that is killed may keep it

    @settings.live.on_change("message")
    def hear(change):
        told.append(change.new)
        deadline = time.monotonic() + PATIENCE
        while change.new in odd and change.new not in struck and time.monotonic() < deadline:
            time.sleep(0.001)  # there is a thread to be killed inside a delivery; else just after it

    odd = {str(number) for number in range(1, 21, 2)}
    for number in range(1, 21):
        before = threading.enumerate()  # one that is killed while it starts has its `start()` wait for ever
        kubelet_volume.update({"message": str(number)})
        deadline = time.monotonic() + 0.5
        while not (inside := told[-1:] == [str(number)]) and time.monotonic() < deadline:
            pause.wait(0.001)
        for thread in threading.enumerate():
            if thread.name == name and (thread in before or (inside and "delivery" in name)):
                kill(thread)
        struck.add(str(number))
        if number % 5 == 0:
            until(lambda number=number: told[-1:] == [str(number)])
    until(lambda: Killed.thrown)  # a thread that sleeps gets it when it wakes
    kubelet_volume.update({"message": "last"})
    until(lambda: told[-1:] == ["last"] and settings.live.status().healthy)


def test_thrown_between_two_calls(settings, kubelet_volume, until, monkeypatch):
    """G09: an exception that is thrown between two calls of the watcher ends no thread, and no change is lost."""
    has_part, thrown = Scheduler._has_part, threading.Event()

    def throw_once(scheduler, member):
        if not thrown.is_set():
            thrown.set()
            raise Killed
        return has_part(scheduler, member)

    monkeypatch.setattr(Scheduler, "_has_part", throw_once)
    kubelet_volume.update({"message": "1"})
    assert thrown.wait(PATIENCE)
    until(lambda: settings.message == "1" and settings.live.status().healthy)


@pytest.mark.parametrize("place", ["start", "call", "between"])
def test_a_delivery_thread_that_dies(settings, kubelet_volume, until, place):
    """G09: what a delivery thread that died had not delivered is delivered after the next re-check."""
    told, dies = [], threading.Event()

    def trace(frame, event, _):
        where = {"start": "_run", "call": "serve", "between": "_has_jobs"}[place]
        if frame.f_code.co_name == where and "delivery" in frame.f_code.co_filename and not dies.is_set():
            dies.set()
            raise Killed
        return trace

    settings.live.on_change("message")(lambda change: told.append(change.new))
    threading.settrace(trace)
    try:
        kubelet_volume.update({"message": "1"})
        assert dies.wait(PATIENCE)
    finally:
        threading.settrace(None)
    until(lambda: told == ["1"] and settings.live.status().healthy)


def test_the_thread_of_a_slow_subscriber_that_dies(settings, kubelet_volume, until, gate):
    """G09: a slow subscriber whose own thread died after its call gets the next change."""
    told, own, other, dies = [], [], threading.Event(), threading.Event()

    def trace(frame, event, _):
        if frame.f_code.co_name == "_has_jobs" and threading.current_thread() in own and not dies.is_set():
            dies.set()
            raise Killed
        return trace

    @settings.live.on_change("message")
    def slow(change):
        own.append(threading.current_thread())
        told.append(change.new)
        gate.wait(PATIENCE)

    settings.live.on_change("message")(lambda _: other.set())
    threading.settrace(trace)
    try:
        kubelet_volume.update({"message": "1"})
        assert other.wait(PATIENCE)  # so the slow one has a thread of its own
        gate.set()
        assert dies.wait(PATIENCE)
    finally:
        threading.settrace(None)
    own[0].join(PATIENCE)
    kubelet_volume.update({"message": "2"})
    until(lambda: told == ["1", "2"] and settings.live.status().healthy)


def test_subscribed_beside_a_cancel(kubelet_volume):
    """G07: settings with a live subscriber are kept, though another thread cancels a subscription at the same time."""
    kubelet_volume.write({"message": "0"})
    settings = App.load(_volumes=kubelet_volume.path)
    first, decided, subscribed = settings.live.subscribe("message", repr), threading.Event(), threading.Event()

    def trace(frame, event, _):
        if frame.f_code.co_name == "has_subscribers" and event == "return" and not decided.is_set():
            decided.set()
            subscribed.wait(0.5)
        return trace

    def cancel():
        sys.settrace(trace)
        first.cancel()

    thread, told = threading.Thread(target=cancel), threading.Event()
    thread.start()
    assert decided.wait(PATIENCE)
    settings.live.subscribe("message", lambda _: told.set())
    subscribed.set()
    thread.join()
    alive = weakref.ref(settings)
    del settings
    gc.collect()
    assert alive() is not None
    kubelet_volume.update({"message": "1"})
    assert told.wait(PATIENCE)
    alive().live.close()
