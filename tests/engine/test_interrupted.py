"""A signal handler that raises in the middle of a call, as a soft time limit of Celery does."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import pytest
from pydantic import field_validator
from watchdog.observers.inotify_c import InotifyFD

import liveconfig
from liveconfig import Settings, SettingsConfigDict
from liveconfig._delivery.threads import DeliveryThreads
from liveconfig._engine.reader import VolumesReader
from liveconfig._engine.verifier_calls import Attempt

PATIENCE = 60.0
OURS = os.path.dirname(liveconfig.__file__) + os.sep, contextlib.__file__
STEP = int(os.environ.get("LIVECONFIG_INTERRUPT_STEP", "37"))
"""Of so many places where a handler can raise, one is tried; 1 tries each."""


class TimeLimit(Exception):
    """The exception of the signal handler."""


def limit(*_):
    """The handler of a signal."""
    raise TimeLimit


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in the end of a generator


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = 0
    user: str = "nobody"


def interrupted(at, call):
    """Call something in which a handler raises at the n-th place. Returns whether it came so far.

    Python runs the handlers of signals when a function is entered and after each call has returned. These are the
    moments at which a profile function is called, and what it raises is raised there.
    """
    left = [at]

    def profile(frame, event, called):
        # The number of a descriptor that `os.open` has just returned is lost: Python gives no way to keep it.
        if event == "c_call" or called is os.open:
            return
        if frame.f_code.co_filename.startswith(OURS):
            left[0] -= 1
            if left[0] == 0:
                sys.setprofile(None)
                limit()

    before = signal.signal(signal.SIGUSR1, limit)
    sys.setprofile(profile)
    try:
        call()
    except TimeLimit:
        return True
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGUSR1, before)
    return left[0] <= 0


def places():
    """The places to be tried, until the call is over before."""
    at = 1
    while True:
        yield at
        at += STEP


def in_a_thread(call):
    """The result of a call on another thread, which holds none of the locks that this one may have left."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert results, "another thread hangs"
    return results[0]


@pytest.fixture
def volume(kubelet_volume):
    """A volume that holds the first values."""
    kubelet_volume.write({"message": "0", "user": "0"})
    return kubelet_volume


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("watch", [False, True])
def test_reload(load, volume, watch, verified):
    """G08: a handler that raises inside reload() leaves no lock and no dead candidate: the next call works."""
    settings = load(App, _volumes=volume.path, _watch=watch)
    seen = []
    settings.live.on_change("message")(lambda change: seen.append((change.old, change.new)))
    if verified:
        settings.live.verify(on="user", timeout=PATIENCE)(lambda _: True)
    for at in places():
        text = str(at)
        volume.write({"message": text, "user": text})
        raised = interrupted(at, settings.live.reload)
        assert in_a_thread(settings.live.reload)
        assert settings.live.reload()
        assert (settings.message, settings.user) == (text, text)
        assert settings.live.latest().message == text
        assert settings.live.status().candidate is None
        if not raised:
            break
    assert at > 1, "no call was interrupted"
    assert seen[-1][1] == text
    assert all(change[0] == before[1] for before, change in zip(seen, seen[1:], strict=False))


def test_a_look_that_ends_with_an_error(load, volume, monkeypatch):
    """P7: after an error of the library itself the settings are unhealthy, until a look ends well."""
    settings = load(App, _volumes=volume.path, _watch=False)
    volume.write({"message": "1"})

    def fail(*_):
        raise IndexError

    with monkeypatch.context() as patched:
        patched.setattr(VolumesReader, "look", fail)
        with pytest.raises(IndexError):
            settings.live.reload()
        assert any("ended with an error (IndexError at" in problem for problem in settings.live.status().problems)
    assert settings.live.reload()
    assert settings.live.healthy


def test_rejected(load, volume):
    """G08: a handler that raises while content is rejected, or recovers, loses no event of it for good."""
    settings = load(App, _volumes=volume.path, _watch=False)
    rejected, recovered = [], []
    settings.live.on_reject(rejected.append)
    settings.live.on_recover(recovered.append)
    count = 0
    for at in places():
        count += 1
        volume.write({"number": f"many {at}"})
        raised = interrupted(at, settings.live.reload)
        assert not in_a_thread(settings.live.reload)
        volume.write({"number": str(at)})
        raised = interrupted(at, settings.live.reload) or raised
        assert in_a_thread(settings.live.reload)
        assert settings.number == at
        assert settings.live.status().healthy
        if not raised:
            break
    assert count > 1, "no call was interrupted"
    assert len(rejected) >= count
    assert len(recovered) >= count


@pytest.mark.parametrize("watch", [False, True])
def test_load(volume, watch):
    """G08: a handler that raises inside load() leaves no thread, no watch, and nothing that follows the volume."""
    for at in places():
        opened = []
        raised = interrupted(at, lambda: opened.append(App.load(_volumes=volume.path, _watch=watch)))  # noqa: B023
        for settings in opened:
            in_a_thread(settings.live.close)
        if not raised:
            break
    assert at > 1, "no call was interrupted"
    assert opened


def test_close(load, volume):
    """G08: a handler that raises inside close() leaves settings that the next close() closes."""
    for at in places():
        settings = App.load(_volumes=volume.path)
        settings.live.on_change("message")(lambda _: None)
        settings.live.verify(on="user")(lambda _: True)
        raised = interrupted(at, settings.live.close)
        in_a_thread(settings.live.close)
        assert settings.live.status().watcher == "off"
        if not raised:
            break
    assert at > 1, "no call was interrupted"


@pytest.mark.parametrize("call", ["start", "close"])
def test_start_after_an_interruption(volume, call):
    """G08: after a handler has raised inside start() or close(), start() follows the volume and close() ends that."""
    settings = App.load(_volumes=volume.path)
    for at in places():
        if call == "start":
            settings.live.close()
        raised = interrupted(at, getattr(settings.live, call))
        in_a_thread(settings.live.start)
        volume.update({"message": str(at)})
        settings.live.wait(lambda snapshot: snapshot.message == str(at), PATIENCE)  # noqa: B023
        assert settings.live.status().healthy
        if not raised:
            break
    assert at > 1, "no call was interrupted"
    settings.live.close()
    assert settings.live.status().watcher == "off"
    volume.update({"message": "after the end"})
    assert not settings.live.status().healthy


def test_a_verifier_that_hangs(load, volume):
    """G08: a handler that raises while reload() waits for a verifier leaves the candidate as it was."""
    settings = load(App, _volumes=volume.path, _watch=False)
    gate, inside = threading.Event(), threading.Event()

    @settings.live.verify(on="user", timeout=60)
    def check(_):
        inside.set()
        return gate.wait(PATIENCE)

    before = signal.signal(signal.SIGUSR1, limit)
    try:
        volume.write({"message": "1", "user": "1"})
        threading.Thread(target=lambda: inside.wait(PATIENCE) and os.kill(os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(TimeLimit):
            settings.live.reload()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert settings.live.status().candidate.reason is None
    gate.set()
    assert in_a_thread(settings.live.reload)
    assert settings.user == "1"


@pytest.mark.parametrize("place", ["validator", "selector"])
def test_inside_user_code(load, volume, place):
    """G08: a time limit that is over inside a validator or a selector reaches the caller, and nothing is rejected."""

    class Limited(App):
        @field_validator("user")
        @classmethod
        def slow(cls, value):
            if place == "validator" and value == "1":
                signal.raise_signal(signal.SIGUSR1)
            return value

    def select(snapshot):
        if place == "selector" and snapshot.user == "1":
            signal.raise_signal(signal.SIGUSR1)
        return snapshot.user

    settings = load(Limited, _volumes=volume.path, _watch=False)
    settings.live.verify(on=select)(lambda _: True)
    before = signal.signal(signal.SIGUSR1, limit)
    try:
        volume.write({"user": "1"})
        with pytest.raises(TimeLimit):
            settings.live.reload()
        assert not settings.live.status().rejections
    finally:
        signal.signal(signal.SIGUSR1, before)
    place = "nowhere"
    assert settings.live.reload()
    assert settings.user == "1"


def test_inside_each_call_of_a_selector(load, volume, monkeypatch):
    """G08: a time limit that is over inside any call of a selector costs that call only: the next look applies."""
    monkeypatch.setattr(InotifyFD, "handle_event", lambda reader, event: None)  # no other look comes first
    calls, at = 0, 0

    def select(snapshot):
        nonlocal calls
        if threading.current_thread() is threading.main_thread():
            calls += 1
            if calls == at:
                signal.raise_signal(signal.SIGUSR1)
        return snapshot.user

    settings = load(App, _volumes=volume.path)
    settings.live.verify(on=select)(lambda _: True)
    before = signal.signal(signal.SIGUSR1, limit)
    try:
        while calls >= at:
            calls, at, text = 0, at + 1, f"turn {at}"
            volume.write({"user": text})
            with contextlib.suppress(TimeLimit):
                settings.live.reload()
            in_a_thread(settings.live.start)
            settings.live.wait(lambda snapshot, text=text: snapshot.user == text, PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert at > 2, "no call was interrupted"


@contextlib.contextmanager
def interrupted_inside(function):
    """Interrupt the main thread once, as soon as it waits inside a function."""

    def is_inside():
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame is not None and frame.f_code is not function.__code__:
            frame = frame.f_back
        return frame is not None

    def interrupt():
        while not is_inside() and not over.is_set():
            threading.Event().wait(0.001)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    over, thread = threading.Event(), threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGUSR1, limit)
    thread.start()
    try:
        with pytest.raises(TimeLimit):
            yield
    finally:
        over.set()
        thread.join(PATIENCE)
        signal.signal(signal.SIGUSR1, before)


class Counted:
    """A verifier or subscriber that counts its calls, and returns when it is told to."""

    def __init__(self):
        self.calls = 0
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _):
        self.calls += 1
        self.entered.set()
        assert self.go_on.wait(PATIENCE)


def test_a_verifier_that_is_waited_for(kubelet_volume):
    """A handler that raises while `reload` waits for a verifier makes nobody call the verifier a second time."""
    kubelet_volume.write({"message": "one"})
    settings, check = App.load(_volumes=kubelet_volume.path), Counted()
    with settings.live:
        settings.live.add_verifier(check)
        kubelet_volume.write({"message": "two"})
        with interrupted_inside(Attempt.wait):
            settings.live.reload()
        assert check.entered.wait(PATIENCE)
        settings.live.reload(wait=False)
        check.go_on.set()
        assert settings.live.reload()
        assert (settings.message, check.calls) == ("two", 1)


def test_a_subscriber_that_a_close_waits_for(kubelet_volume):
    """A handler that raises while `close` waits for a subscriber makes nobody call the subscriber a second time."""
    kubelet_volume.write({"message": "one"})
    settings, subscriber = App.load(_volumes=kubelet_volume.path), Counted()
    settings.live.subscribe("message", subscriber)
    kubelet_volume.write({"message": "two"})
    settings.live.reload(wait=False)
    assert subscriber.entered.wait(PATIENCE)
    with interrupted_inside(DeliveryThreads.close):
        settings.live.close()
    settings.live.start()
    settings.live.reload(wait=False)
    subscriber.go_on.set()
    settings.live.reload()
    settings.live.close()
    assert subscriber.calls == 1
