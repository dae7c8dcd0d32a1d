"""Faults of atomicity: mixed generations, short listings, lost updates."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel, field_validator

from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

PATIENCE = 60.0
KEYS = ("a", "b", "c", "d", "e", "f")

WRITER = """
import sys
from liveconfig.testing import KubeletVolume
volume = KubeletVolume(sys.argv[1], legacy=sys.argv[3] == "legacy")
for number in range(1, int(sys.argv[2]) + 1):
    volume.write(dict.fromkeys(sys.argv[4:], str(number)))
"""


@pytest.fixture
def write_elsewhere():
    """A function that starts a process which swaps a volume some times, as fast as it goes: each key one number."""
    writers = []

    def start(volume, times, *, order="current", keys=KEYS):
        command = [sys.executable, "-c", WRITER, str(volume.path), str(times), order, *keys]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        writers.append(subprocess.Popen(command, env=env))
        return writers[-1]

    yield start
    for writer in writers:
        writer.kill()
        writer.wait()


class Six(Settings):
    """Six keys that always have one value; a default gives away a short listing."""

    model_config = SettingsConfigDict(resync=3600.0)
    a: str = "missing"
    b: str = "missing"
    c: str = "missing"
    d: str = "missing"
    e: str = "missing"
    f: str = "missing"


def values(snapshot):
    """The distinct values in a snapshot."""
    return {getattr(snapshot, key) for key in KEYS}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("order", ["current", "legacy"])
def test_torn(on_each_file_system, load, write_elsewhere, order):
    """A01: over 3,000 swaps each snapshot that 16 readers take holds one value, and none is short."""
    swaps = 3000
    volume = KubeletVolume(on_each_file_system / "volume")
    volume.write(dict.fromkeys(KEYS, "0"))
    settings = load(Six, _volumes=volume.path)
    seen, torn, stop = set(), [], threading.Event()
    settings.live.on_reload(lambda event: torn.append(event) if len(values(event.new)) > 1 else None)

    def read():
        while not stop.wait(0.0005):
            found = values(settings.live.latest())
            if len(found) > 1 or "missing" in found:
                torn.append(found)
            seen.update(found)

    def reload():
        while not stop.wait(0.001):
            settings.live.reload(wait=False)

    with ThreadPoolExecutor(16) as readers:
        reading = [readers.submit(read) for _ in range(15)] + [readers.submit(reload)]
        try:
            assert write_elsewhere(volume, swaps, order=order).wait(5 * PATIENCE) == 0  # beside 16 threads
            settings.live.wait(lambda s: s.a == str(swaps), PATIENCE)
        finally:
            stop.set()
        for each in reading:
            each.result()
    assert torn == []
    assert len(seen) > 100
    assert settings.live.status().last_rejected is None


@pytest.mark.parametrize("how", ["event", "re-check"])
def test_last_value(kubelet_volume, load, write_elsewhere, how):
    """A03: after 1,000 swaps as fast as they go the last value is there, and versions only grew."""

    class ByRecheck(Six):
        model_config = SettingsConfigDict(resync=0.2)

    kubelet_volume.write(dict.fromkeys(KEYS, "0"))
    settings = load(Six if how == "event" else ByRecheck, _volumes=kubelet_volume.path)
    versions, numbers = [], []

    def note(event):
        versions.append(event.version)
        numbers.append(int(event.new.a))

    settings.live.on_reload(note)
    assert write_elsewhere(kubelet_volume, 1000).wait(PATIENCE) == 0
    settings.live.wait(lambda s: s.a == "1000", PATIENCE)
    assert settings.live.reload()
    assert versions == sorted(set(versions))
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 1000


@pytest.mark.usefixtures("inotify")
def test_last_value_of_a_burst(kubelet_volume, load):
    """A20: the last of two swaps is never lost, whatever lies between them."""
    kubelet_volume.write({"a": "0"})
    settings = load(Six, _volumes=kubelet_volume.path)
    pause = threading.Event()
    for number in range(300):
        kubelet_volume.write({"a": f"first {number}"})
        pause.wait(number % 30 / 10_000)
        kubelet_volume.write({"a": f"last {number}"})
        settings.live.wait(lambda s, number=number: s.a == f"last {number}", PATIENCE)


def test_held_load(kubelet_volume, load):
    """A04: while the load of v1 is held, v2 and v3 come; then v3 is there, and v1 never after v3."""
    held, inside = threading.Event(), threading.Event()

    class Held(Six):
        @field_validator("a")
        @classmethod
        def hold(cls, value):
            if value == "v1":
                inside.set()
                assert held.wait(PATIENCE)
            return value

    kubelet_volume.write({"a": "v0"})
    settings = load(Held, _volumes=kubelet_volume.path)
    seen = []
    settings.live.on_change("a")(lambda change: seen.append(change.new))
    kubelet_volume.write({"a": "v1"})
    assert inside.wait(PATIENCE)
    kubelet_volume.write({"a": "v2"})
    kubelet_volume.write({"a": "v3"})
    assert settings.a == "v0"
    held.set()
    settings.live.wait(lambda s: s.a == "v3", PATIENCE)
    assert settings.live.reload()
    assert seen[-1] == "v3"
    assert seen == sorted(seen)


def test_swap_before_the_watch(kubelet_volume, load):
    """A05: a swap between the first read and the set-up of the watch is seen without a re-check."""
    kubelet_volume.write({"a": "one"})

    class Swapping(Six):
        @field_validator("a")
        @classmethod
        def swap(cls, value):
            if value == "one":
                kubelet_volume.write({"a": "two"})
            return value

    settings = load(Swapping, _volumes=kubelet_volume.path)
    assert settings.live.wait(lambda s: s.a == "two", PATIENCE).a == "two"


@pytest.fixture
def events():
    """A function that returns a list of all events of a settings object."""

    def events(settings):
        told = []
        settings.live.on_reload(told.append)
        settings.live.on_reject(told.append)
        return told

    return events


def test_same_bytes(kubelet_volume, load, swap_to, events):
    """A06: a new generation with the same bytes is no event and no version; the status shows the new generation."""
    kubelet_volume.write({"a": "one"})
    settings = load(Six, _volumes=kubelet_volume.path, _watch=False)
    told = events(settings)
    for number in range(3):
        swap_to(kubelet_volume, f"..2026_01_01_00_00_00.{number}", {"a": "one"})
        assert settings.live.reload()
        assert settings.live.status().volumes[0].generation_applied == f"..2026_01_01_00_00_00.{number}"
    assert told == []
    assert settings.live.version == 1


def test_other_bytes_same_values(kubelet_volume, load, events):
    """A06: other bytes that give the same values are no event and no version either."""
    kubelet_volume.write({"a": "one", "unused": "1"})
    settings = load(Six, _volumes=kubelet_volume.path, _watch=False)
    told = events(settings)
    for payload in ({"a": "one\n", "unused": "1"}, {"a": "one\n", "unused": "2"}, {"A": "one"}):
        kubelet_volume.write(payload)
        assert settings.live.reload()
        assert settings.live.status().volumes[0].generation_applied == kubelet_volume.generation
    assert told == []
    assert settings.live.version == 1


def test_two_volumes(make_kubelet_volume, load, write_elsewhere):
    """A09: two volumes that are swapped at different times: never half of one of them."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write(dict.fromkeys("abc", "0"))
    other.write(dict.fromkeys("def", "0"))
    settings = load(Six, _volumes=[one.path, other.path])
    torn = []

    def check(event):
        pair = tuple({getattr(event.new, key) for key in keys} for keys in ("abc", "def"))
        if max(map(len, pair)) > 1 or "missing" in pair[0] | pair[1]:
            torn.append(pair)

    settings.live.on_reload(check)
    pause = threading.Event()
    for number in range(1, 6):
        one.write(dict.fromkeys("abc", str(number)))
        pause.wait(0.05)  # the fault itself
        assert settings.live.wait(lambda s, number=number: s.a == str(number), PATIENCE).d == str(number - 1)
        other.write(dict.fromkeys("def", str(number)))
        settings.live.wait(lambda s, number=number: s.d == str(number), PATIENCE)
    writers = [write_elsewhere(one, 500, keys="abc"), write_elsewhere(other, 500, keys="def")]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0]
    settings.live.wait(lambda s: s.a == s.d == "500", PATIENCE)
    assert settings.live.reload()
    assert torn == []


@pytest.mark.parametrize("legacy", [True, False])
def test_key_added(make_kubelet_volume, load, caplog, legacy):
    """A10: a key that is added, in the old kubelet's order too, is one event, and no ENOENT surfaces at any step."""
    volume = make_kubelet_volume("volume", legacy=legacy)
    volume.write({"a": "one"})
    settings = load(Six, _volumes=volume.path, _watch=False)
    told = []
    settings.live.on_reload(told.append)
    for _ in volume.steps({"a": "one", "b": "two"}):
        assert settings.live.reload()
        assert (settings.a, settings.b) in (("one", "missing"), ("one", "two"))
    assert settings.live.reload()
    assert settings.b == "two"
    assert [[change.field for change in event.changes] for event in told] == [["b"]]
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize("legacy", [True, False])
def test_each_step(make_kubelet_volume, load, legacy):
    """A21: a look between any two steps of a swap sees the old generation before the rename, and the new one after."""
    volume = make_kubelet_volume("volume", legacy=legacy)
    volume.write({**dict.fromkeys(KEYS, "old"), "x/y": "old", "gone": "old"})
    settings = load(Six, _volumes=volume.path, _watch=False)
    expected = {"old"}
    for step in volume.steps({**dict.fromkeys(KEYS, "new"), "x/z": "new", "added": "new"}):
        expected = {"new"} if step == "rename" else expected
        assert settings.live.reload()
        assert values(settings.live.latest()) == expected, step
    assert settings.live.version == 2


@pytest.mark.parametrize("legacy", [True, False])
def test_writer_that_dies(make_kubelet_volume, load, legacy):
    """A22: a writer that dies between any two steps has no effect on readers, and the next one continues."""
    for survived in range(12):
        volume = make_kubelet_volume(f"volume {survived}", legacy=legacy)
        volume.write(dict.fromkeys(KEYS, "old"))
        settings = load(Six, _volumes=volume.path, _watch=False)
        for _ in itertools.islice(volume.steps(dict.fromkeys(KEYS, "new")), survived):
            pass
        assert settings.live.reload()
        assert len(values(settings.live.latest())) == 1
        volume.write(dict.fromkeys(KEYS, "newer"))
        assert settings.live.reload()
        assert values(settings.live.latest()) == {"newer"}
        settings.live.close()


def test_key_removed(kubelet_volume, load, caplog):
    """A11: a key that is removed falls back to the default, with an event and a warning."""
    kubelet_volume.write({"a": "one", "b": "two"})
    settings = load(Six, _volumes=kubelet_volume.path, _watch=False)
    told = []
    settings.live.on_reload(told.append)
    kubelet_volume.remove("b")
    assert settings.live.reload()
    assert settings.b == "missing"
    assert [change.field for change in told[0].changes] == ["b"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "removed" in warnings[0]
    assert "b" in warnings[0]
    kubelet_volume.update({"b": "three"})
    assert settings.live.reload()
    assert settings.b == "three"
    assert settings.live.status().stale == ()


def test_key_removed_where_that_is_refused(kubelet_volume, load):
    """A11: with missing_key="reject" a key that is removed rejects the update, and names what waits with it."""

    class Strict(Six):
        model_config = SettingsConfigDict(missing_key="reject")

    kubelet_volume.write({"a": "one", "b": "two", "c": "three"})
    settings = load(Strict, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"a": "two", "c": "three"})
    assert not settings.live.reload()
    assert (settings.a, settings.b) == ("one", "two")
    rejected = settings.live.status().last_rejected
    assert (rejected.stage, rejected.fields, rejected.held) == ("validate", ("b",), ("a",))
    kubelet_volume.update({"b": "again"})
    assert settings.live.reload()
    assert (settings.a, settings.b) == ("two", "again")


def test_deep_key(kubelet_volume, load):
    """A12: a change of x/y/z alone is an event."""

    class Y(BaseModel):
        z: str = "missing"

    class X(BaseModel):
        y: Y = Y()

    class Deep(Six):
        x: X = X()

    kubelet_volume.write({"a": "one", "x/y/z": "old"})
    settings = load(Deep, _volumes=kubelet_volume.path)
    changes = []
    settings.live.on_change("x")(changes.append)
    kubelet_volume.write({"a": "one", "x/y/z": "new"})
    settings.live.wait(lambda s: s.x.y.z == "new", PATIENCE)
    assert settings.live.reload()
    assert [(change.old.y.z, change.new.y.z) for change in changes] == [("old", "new")]


@pytest.fixture
def plain(tmp_path):
    """A plain directory."""
    root = tmp_path / "plain"
    root.mkdir()
    return root


def test_plain_rename(plain, load):
    """A13: in a plain directory a file that is renamed into place is taken, by event."""
    (plain / "a").write_text("one")
    settings = load(Six, _volumes=plain)
    for number in range(5):
        (plain / ".a.tmp").write_text(f"new {number}")
        os.rename(plain / ".a.tmp", plain / "a")
        settings.live.wait(lambda s, number=number: s.a == f"new {number}", PATIENCE)
    assert settings.live.status().volumes[0].mode == "plain"


def test_plain_in_place(plain, load):
    """A13: in a plain directory a file written in three chunks with pauses is taken when it is whole, never before.

    It counts as whole after 0.05 s without a change, so a round in which the machine held the writer up is not judged.
    """
    (plain / "a").write_text("old old old")
    settings = load(Six, _volumes=plain)
    seen, pause, judged = queue.Queue(), threading.Event(), 0
    settings.live.on_change("a")(lambda change: seen.put(change.new))
    for number in itertools.count():
        moments, whole, taken = [time.monotonic()], f"new {number} " * 3, []
        with open(plain / "a", "w") as file:
            for _ in range(3):
                file.write(f"new {number} ")
                file.flush()
                moments.append(time.monotonic())
                pause.wait(0.02)  # the fault itself
        while whole not in taken:
            taken.append(seen.get(timeout=PATIENCE))
        if all(after - before < 0.05 for before, after in zip(moments, moments[2:], strict=False)):
            assert taken == [whole]
            judged += 1
        if judged == 5:
            break
    assert settings.live.reload()
    assert seen.empty()


def test_plain_set_of_files(plain, load):
    """A13: files of a plain directory that are renamed one after the other are taken together."""
    for key in KEYS:
        (plain / key).write_text("0")
    settings = load(Six, _volumes=plain)
    torn = []
    settings.live.on_reload(lambda event: torn.append(event) if len(values(event.new)) > 1 else None)
    for number in range(1, 6):
        for key in KEYS:
            (plain / "tmp").write_text(str(number))
            os.rename(plain / "tmp", plain / key)
        settings.live.wait(lambda s, number=number: values(s) == {str(number)}, PATIENCE)
    assert torn == []


def test_plain_same_size_and_time(plain, load):
    """A23: a plain file that changes in place, with its size and modification time put back, is seen all the same."""
    (plain / "a").write_text("one")
    times = os.stat(plain / "a")
    settings = load(Six, _volumes=plain, _watch=False)
    (plain / "a").write_text("two")
    os.utime(plain / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert settings.live.reload()
    assert settings.a == "two"


def test_plain_removed_and_added(plain, load):
    """A24: files that come to a plain directory, leave it, and lie in folders are followed."""
    settings = load(Six, _volumes=plain, _watch=False)
    (plain / "a").write_text("one")
    assert settings.live.reload()
    assert settings.a == "one"
    (plain / "a").unlink()
    (plain / "b").write_text("two")
    assert settings.live.reload()
    assert (settings.a, settings.b) == ("missing", "two")
    shutil.rmtree(plain)
    assert not settings.live.reload()
    assert settings.b == "two"


def test_collapsed_reloads(plain, load):
    """A25: of many reloads at once each returns True only when what was on disk at its call is applied."""
    held, inside = threading.Event(), threading.Event()

    class Held(Six):
        @field_validator("a")
        @classmethod
        def hold(cls, value):
            if value == "held":
                inside.set()
                assert held.wait(PATIENCE)
            return value

    (plain / "a").write_text("old")
    settings = load(Held, _volumes=plain, _watch=False)

    def reload():
        return settings.live.reload(), settings.a

    with ThreadPoolExecutor(9) as pool:
        (plain / "a").write_text("held")
        first = pool.submit(reload)
        assert inside.wait(PATIENCE)
        (plain / "a").write_text("new")  # in its quiet time when the others look
        others = [pool.submit(reload) for _ in range(8)]
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            held.wait(0.05)
        held.set()
        assert first.result(PATIENCE)[0]
        assert [other.result(PATIENCE) for other in others] == [(True, "new")] * 8


def test_reload_is_newest(kubelet_volume, load):
    """A26: what was swapped before a reload is there when it returns, while the watcher is looking too."""
    kubelet_volume.write({"a": "0"})
    settings = load(Six, _volumes=kubelet_volume.path)
    for number in range(300):
        kubelet_volume.write({"a": str(number)})
        assert settings.live.reload()
        assert settings.a == str(number)


def test_seen_in_latest_too(kubelet_volume, load, write_elsewhere):
    """A27: who has seen a value in an attribute finds it, or a newer one, in latest(); the version is never behind."""
    kubelet_volume.write({"a": "0"})
    settings = load(Six, _volumes=kubelet_volume.path)
    wrong, stop = [], threading.Event()

    def read():
        while not stop.wait(0.0001):
            seen = int(settings.a)
            latest = int(settings.live.latest().a)
            if latest < seen:
                wrong.append((seen, latest))

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read) for _ in range(4)]
        assert write_elsewhere(kubelet_volume, 500, keys="a").wait(PATIENCE) == 0
        settings.live.wait(lambda s: s.a == "500", PATIENCE)
        stop.set()
        for each in reading:
            each.result()
    assert wrong == []
