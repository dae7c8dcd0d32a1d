"""The promises P1, P2, P3, P8, P9 and P10, each in its plainest form; tests/faults goes further."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from watchdog.observers.inotify_c import InotifyFD
from watchdog.observers.polling import PollingObserver

import liveconfig._clock
from liveconfig import Settings, SettingsConfigDict

PATIENCE = 60.0


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = 0


class Often(App):
    model_config = SettingsConfigDict(resync=0.1)


@pytest.fixture
def no_events(monkeypatch):
    """Every event is lost."""
    monkeypatch.setattr(InotifyFD, "handle_event", lambda reader, event: None)


@pytest.mark.usefixtures("inotify")
def test_newest_by_event(kubelet_volume, load):
    """P1: with no re-check in sight the newest state is reached by event, swap after swap."""
    kubelet_volume.write({"number": "0"})
    settings = load(App, _volumes=kubelet_volume.path)
    for number in range(1, 100):
        kubelet_volume.write({"number": str(number)})
        settings.live.wait(lambda s, number=number: s.number == number, PATIENCE)


def test_newest_without_events(kubelet_volume, load, no_events):
    """P1: with every event lost the newest state is reached by re-check, swap after swap."""
    kubelet_volume.write({"number": "0"})
    settings = load(Often, _volumes=kubelet_volume.path)
    for number in range(1, 10):
        kubelet_volume.write({"number": str(number)})
        settings.live.wait(lambda s, number=number: s.number == number, PATIENCE)


@pytest.fixture
def opens():
    """A function that returns a counter of the opened files of a folder since its last call."""
    import ctypes
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    descriptors = []

    def watch(folder):
        descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(descriptor, os.fsencode(folder), 0x20) >= 0
        descriptors.append(descriptor)

        def count():
            found = 0
            try:
                while data := os.read(descriptor, 65536):
                    while data:
                        _, mask, _, length = struct.unpack_from("iIII", data)
                        found += not mask & 0x40000000
                        data = data[16 + length :]
            except BlockingIOError:
                return found

        return count

    yield watch
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.usefixtures("inotify")
def test_applied_is_never_read_again(kubelet_volume, load, opens):
    """P2, P8: an applied generation is never read again."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings = load(Often, _volumes=kubelet_volume.path)
    opened = opens(kubelet_volume.path / kubelet_volume.generation)
    for _ in range(50):
        assert settings.live.reload()
        settings.live.status()
    threading.Event().wait(0.5)  # five re-checks
    assert opened() == 0
    (kubelet_volume.path / kubelet_volume.generation / "message").read_text()
    assert opened() == 1


def test_rejected_is_looked_at_again(kubelet_volume, load, opens):
    """P2: a generation that was rejected is looked at again at each re-check, and taken when it is good."""
    kubelet_volume.write({"message": "one"})
    settings = load(Often, _volumes=kubelet_volume.path)
    heard = threading.Event()
    settings.live.on_reject(lambda _: heard.set())
    for step in kubelet_volume.steps({"message": "two"}):
        if step == "symlink":
            os.mkfifo(kubelet_volume.path / os.readlink(kubelet_volume.path / "..data_tmp") / "number")
    assert heard.wait(PATIENCE)
    generation = kubelet_volume.path / kubelet_volume.generation
    (kubelet_volume.path / "number").write_text("2")
    os.rename(kubelet_volume.path / "number", generation / "number")
    assert settings.live.wait(lambda s: s.message == "two", PATIENCE).number == 2


class Verified(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = 0
    secret: SecretStr = SecretStr("none")


@pytest.mark.usefixtures("inotify")
def test_good_content_is_taken_at_once(kubelet_volume, load, monkeypatch):
    """P3: good content is taken at once, whatever back-off a rejected candidate is in: here one of 100 s or more."""
    kubelet_volume.write({"message": "one"})
    settings = load(Verified, _volumes=kubelet_volume.path)
    taken = threading.Event()
    settings.live.on_change("number")(lambda _: taken.set())
    settings.live.verify(on="message")(lambda candidate: candidate.message != "bad")
    clock, start = liveconfig._clock.monotonic, liveconfig._clock.monotonic()
    monkeypatch.setattr(liveconfig._clock, "monotonic", lambda: start + (clock() - start) / 100)
    for number in range(1, 6):
        taken.clear()
        kubelet_volume.write({"message": "bad"})
        assert not settings.live.reload()
        assert not settings.live.status().healthy
        kubelet_volume.write({"message": "good", "number": str(number)})
        assert taken.wait(PATIENCE)
        assert settings.number == number
        assert settings.live.status().healthy
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("bad", "stage"),
    [({"message": b"\xff"}, "parse"), ({"number": "many"}, "validate"), ({"message": "refused"}, "verify")],
)
def test_bad_content_is_never_visible(kubelet_volume, load, bad, stage):
    """P3: at each stage, bad content is reported once and never visible in an attribute, a snapshot or an event."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings = load(Verified, _volumes=kubelet_volume.path)
    rejected, reloaded = [], []
    settings.live.on_reject(rejected.append)
    settings.live.on_reload(reloaded.append)

    @settings.live.verify()
    def check(candidate):
        return candidate.message != "refused"

    before = settings.live.latest()
    kubelet_volume.write(bad)
    for _ in range(5):
        assert not settings.live.reload()
        assert (settings.message, settings.number) == ("one", 1)
        assert settings.live.latest() is settings.live.snapshot() is before
    assert [event.stage for event in rejected] == [stage]
    assert reloaded == []
    assert settings.live.version == 1


def test_volume_that_disappears(kubelet_volume, load):
    """P3: a volume that disappears is a fault and not an empty configuration, even where every field has a default."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.path.rename(kubelet_volume.path.with_name("away"))
    assert not settings.live.reload()
    assert settings.message == "one"
    assert not settings.live.status().healthy


def test_no_polling_observer(kubelet_volume, load, monkeypatch):
    """P8: where inotify cannot be had it looks by itself, and watchdog's polling observer is not used."""
    made = []
    monkeypatch.setattr(PollingObserver, "__init__", lambda *args, **kwargs: made.append(args))
    monkeypatch.setattr(InotifyFD, "add_callback", lambda *_: (_ for _ in ()).throw(OSError(28, "no")))
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    assert settings.live.status().watcher == "polling"
    kubelet_volume.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert made == []


class Plain(BaseModel):
    model_config = ConfigDict(frozen=True)
    message: str = "default"
    number: int = 0


def calls(read):
    """The functions, in Python and in C, that are called while something runs."""
    seen = []

    def profile(frame, event, argument):
        if event == "call":
            seen.append(frame.f_code.co_name)
        elif event == "c_call":
            seen.append(argument.__name__)

    sys.setprofile(profile)
    try:
        read()
    finally:
        sys.setprofile(None)
    return seen


def test_reading_is_plain(kubelet_volume, load):
    """P10: reading an attribute calls no more functions than on a plain frozen model: none; also after a reload."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings, plain = load(App, _volumes=kubelet_volume.path, _watch=False), Plain()
    expected = calls(lambda: (plain.message, plain.number))
    assert calls(lambda: (settings.message, settings.number)) == expected
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert calls(lambda: (settings.message, settings.number)) == expected
    assert type(settings).__getattribute__ is Plain.__getattribute__ is object.__getattribute__
    assert "message" not in vars(type(settings))


class Gate:
    """Where a thread of liveconfig is held up, in the middle of a user's code."""

    def __init__(self):
        self.reached, self.open = threading.Event(), threading.Event()

    def pass_through(self):
        self.reached.set()
        assert self.open.wait(PATIENCE)


gates: dict[str, Gate] = {}


class Gated(Verified):
    @field_validator("number")
    @classmethod
    def hold(cls, number):
        if number and "validator" in gates:
            gates["validator"].pass_through()
        return number


@pytest.mark.parametrize("place", ["validator", "verifier", "subscriber"])
def test_readers_wait_for_nobody(kubelet_volume, load, monkeypatch, place):
    """E09: 16 threads read on, in every way there is, while a validator, a verifier or a subscriber does not return."""
    kubelet_volume.write({"message": "one"})
    settings = load(Gated, _volumes=kubelet_volume.path)
    gate = Gate()
    monkeypatch.setitem(gates, place, gate)
    if place == "verifier":
        settings.live.verify()(lambda _: gate.pass_through())
    if place == "subscriber":
        settings.live.on_reload(lambda _: gate.pass_through())
    kubelet_volume.write({"message": "two", "number": "1"})
    assert gate.reached.wait(PATIENCE)
    expected = {"two"} if place == "subscriber" else {"one"}
    seen = set()

    def read():
        for _ in range(200):
            with settings.live.pinned() as pinned:
                snapshots = settings, pinned, settings.live.snapshot(), settings.live.latest()
                seen.update(each.message for each in snapshots)
            assert settings.live.version == 1 + (place == "subscriber")

    readers = [threading.Thread(target=read) for _ in range(16)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE)
    assert not any(reader.is_alive() for reader in readers)
    gate.open.set()
    assert seen == expected
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


@pytest.mark.usefixtures("inotify")
def test_close_leaves_nothing(kubelet_volume):
    """P9: close() leaves no thread, no descriptor and no inotify watch, and is harmless a second time."""
    before = set(threading.enumerate()), set(os.listdir("/proc/self/fd")), inotify_watches()
    kubelet_volume.write({"message": "one"})
    settings = App.load(_volumes=kubelet_volume.path)
    assert inotify_watches() == before[2] + 1
    settings.live.close()
    settings.live.close()
    assert (set(threading.enumerate()), set(os.listdir("/proc/self/fd")), inotify_watches()) == before
    kubelet_volume.write({"message": "two"})
    assert (settings.message, settings.live.reload(), settings.message) == ("one", True, "two")


def inotify_watches():
    """How many there are in this process, by what the kernel says of its descriptors: proc_pid_fdinfo(5)."""
    found = 0
    for descriptor in os.listdir("/proc/self/fdinfo"):
        with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}") as lines:
            found += sum(line.startswith("inotify wd:") for line in lines)
    return found
