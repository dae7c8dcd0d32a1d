"""Faults of the volume itself: gone, made again, not allowed, or full of what is no configuration."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import liveconfig._clock
from liveconfig import LiveConfigError, Settings, SettingsConfigDict, Volume, VolumeError
from liveconfig.testing import KubeletVolume

needs_another_user = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")

PATIENCE = 30.0


class App(Settings):
    model_config = SettingsConfigDict(resync=0.2)
    message: str = "default"
    number: int = 0


class Still(App):
    """Its re-check never comes: what it sees, it sees by event or by asking."""

    model_config = SettingsConfigDict(resync=3600.0)


def rejection(settings):
    """A function that waits for the next rejection from now on, and returns it."""
    heard, box = threading.Event(), []

    def hear(event):
        box.append(event)
        heard.set()

    settings.live.on_reject(hear)

    def wait():
        assert heard.wait(PATIENCE)
        return box[0]

    return wait


@pytest.fixture
def slow_clock(monkeypatch):
    """A clock that is a thousand times as slow: what waits for a second does not come to its end."""
    clock = liveconfig._clock.monotonic
    start = clock()
    monkeypatch.setattr(liveconfig._clock, "monotonic", lambda: start + (clock() - start) / 1000)


@pytest.fixture
def fast_clock(monkeypatch):
    """A clock that is 20 times as fast."""
    clock = liveconfig._clock.monotonic
    start = clock()
    monkeypatch.setattr(liveconfig._clock, "monotonic", lambda: start + (clock() - start) * 20)


def in_time(call):
    """The result of a call, if it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(PATIENCE)


# Gone, and there again


@pytest.mark.parametrize("keep_folder", [True, False])
def test_everything_removed(kubelet_volume, load, keep_folder):
    """C01: when ..data or the whole mount is removed the last good stays, unhealthy, until something is written."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings = load(App, _volumes=kubelet_volume.path)
    rejected = rejection(settings)
    shutil.rmtree(kubelet_volume.path)
    if keep_folder:
        kubelet_volume.path.mkdir()
    assert rejected().stage == "read"
    assert (settings.message, settings.number) == ("one", 1)
    status = settings.live.status()
    assert not status.healthy
    assert str(kubelet_volume.path) in status.problems[0]
    assert status.volumes[0].generation_on_disk is None
    assert not settings.live.reload()
    KubeletVolume(kubelet_volume.path).write({"message": "two"})
    assert settings.live.wait(lambda s: s.message == "two", PATIENCE).number == 0
    assert settings.live.reload()
    assert settings.live.status().healthy


def test_removed_step_by_step(kubelet_volume, load):
    """C01: a generation that is removed file by file under its link is never taken for a shorter one."""
    payload = {"message": "one", "number": "1"}
    kubelet_volume.write(payload)
    settings = load(Still, _volumes=kubelet_volume.path, _watch=False)
    generation = kubelet_volume.path / kubelet_volume.generation
    for key in payload:
        (generation / key).unlink()
        assert settings.live.reload()
        assert (settings.message, settings.number) == ("one", 1)
    generation.rmdir()
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("one", 1)


@pytest.mark.parametrize("bad", [{"number": "bad", "message": "two"}, {"number": b"\xff", "message": "two"}])
def test_rejected_removed_step_by_step(kubelet_volume, load, bad):
    """C20: a rejected generation that loses its bad key while it is removed is not taken for a good, shorter one."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings = load(Still, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write(bad)
    assert not settings.live.reload()
    (kubelet_volume.path / kubelet_volume.generation / "number").unlink()
    assert not settings.live.reload()
    assert (settings.message, settings.number) == ("one", 1)
    kubelet_volume.write({"message": "three"})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("three", 0)


@pytest.mark.parametrize("inode", ["same", "other"])
@pytest.mark.usefixtures("inotify")
def test_mount_made_again(kubelet_volume, load, tmp_path, inode):
    """C02: a mount that is deleted and made again is followed within one re-check, by events afterwards."""

    class Slow(App):
        model_config = SettingsConfigDict(resync=3.0)

    kubelet_volume.write({"message": "one"})
    settings = load(Slow, _volumes=kubelet_volume.path)
    shutil.rmtree(kubelet_volume.path)
    if inode == "other":
        (tmp_path / "in the way").mkdir()
    volume = KubeletVolume(kubelet_volume.path)
    volume.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    begun = time.monotonic()
    for number in range(1, 21):
        volume.update({"number": str(number)})
        settings.live.wait(lambda s, number=number: s.number == number, PATIENCE)
    assert time.monotonic() - begun < 10 * 3.0, "by re-checks alone, twenty swaps take 57 s"
    assert settings.live.status().healthy


def test_mount_moved_away_and_back(kubelet_volume, load, tmp_path):
    """C02: a mount directory that is renamed away, and another one that is renamed to its place, is followed."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    rejected = rejection(settings)
    kubelet_volume.path.rename(tmp_path / "away")
    assert rejected().stage == "read"
    KubeletVolume(tmp_path / "away").write({"message": "lost"})
    other = KubeletVolume(tmp_path / "other")
    other.write({"message": "two"})
    other.path.rename(kubelet_volume.path)
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    KubeletVolume(kubelet_volume.path).write({"message": "three"})
    settings.live.wait(lambda s: s.message == "three", PATIENCE)


def test_mount_replaced_by_a_file(kubelet_volume, load):
    """C32: a mount directory in whose place there is a file is a fault; the last good stays."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    rejected = rejection(settings)
    shutil.rmtree(kubelet_volume.path)
    kubelet_volume.path.write_text("message")
    assert rejected().stage == "read"
    assert settings.message == "one"
    kubelet_volume.path.unlink()
    KubeletVolume(kubelet_volume.path).write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


def test_mount_appears_later(tmp_path, load):
    """C05: a mount that appears after the start is picked up, and followed by events from then on."""
    settings = load(App, _volumes=Volume(tmp_path / "later", required=False))
    status = settings.live.status()
    assert status.volumes[0].mode == "missing"
    assert status.healthy
    volume = KubeletVolume(tmp_path / "later")
    volume.write({"message": "one"})
    settings.live.wait(lambda s: s.message == "one", PATIENCE)
    assert settings.live.status().volumes[0].mode == "atomic"
    assert settings.live.origin("message").live
    for number in range(5):
        volume.update({"number": str(number + 1)})
        settings.live.wait(lambda s, number=number: s.number == number + 1, PATIENCE)


def test_mount_appears_step_by_step(tmp_path, load):
    """C05: at no step of a volume that is being set up for the first time is anything rejected or torn."""
    for legacy in (False, True):
        path = tmp_path / f"legacy-{legacy}"
        settings = load(Still, _volumes=Volume(path, required=False), _watch=False)
        volume = KubeletVolume(path, legacy=legacy)
        for _ in volume.steps({"message": "one", "number": "1", "deep/key": "x"}):
            assert settings.live.reload()
            assert (settings.message, settings.number) in (("default", 0), ("one", 1))
        assert settings.live.reload()
        assert (settings.message, settings.number) == ("one", 1)
        assert settings.live.status().last_rejected is None


def test_optional_config_map(kubelet_volume, load):
    """C06: an optional ConfigMap that is absent, created and deleted: defaults, values, defaults."""
    kubelet_volume.write({})
    settings = load(Still, _volumes=kubelet_volume.path)
    assert (settings.message, settings.number) == ("default", 0)
    kubelet_volume.write({"message": "one", "number": "1"})
    assert settings.live.wait(lambda s: s.message == "one", PATIENCE).number == 1
    kubelet_volume.write({})
    assert settings.live.wait(lambda s: s.message == "default", PATIENCE).number == 0
    assert settings.live.status().volumes[0].mode == "atomic"
    assert settings.live.status().last_rejected is None


def test_data_becomes_a_folder(kubelet_volume, load):
    """C31: a ..data that is no link is named, and the last good stays."""
    kubelet_volume.write({"message": "one"})
    settings = load(Still, _volumes=kubelet_volume.path, _watch=False)
    (kubelet_volume.path / "..data").unlink()
    (kubelet_volume.path / "..data").mkdir()
    assert not settings.live.reload()
    assert settings.message == "one"
    assert "..data" in settings.live.status().last_rejected.reason


def test_data_dangles(kubelet_volume, load):
    """C21: a ..data that leads to a generation that is not there (yet) is waited for."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    name = "..2026_11_22_06_30_00.1"
    os.symlink(name, kubelet_volume.path / "..data_tmp")
    os.rename(kubelet_volume.path / "..data_tmp", kubelet_volume.path / "..data")
    rejected = rejection(settings)
    assert rejected().stage == "read"
    assert settings.message == "one"
    (kubelet_volume.path / "new").mkdir()
    (kubelet_volume.path / "new" / "message").write_text("two")
    (kubelet_volume.path / "new").rename(kubelet_volume.path / name)
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


def test_required_volume(tmp_path, load):
    """C22: a required volume that is not there, or may not be read, ends the start with an error that names it."""
    with pytest.raises(VolumeError, match="nowhere") as caught:
        load(App, _volumes=Volume(tmp_path / "nowhere", required=True))
    assert caught.value.__cause__ is caught.value.__context__ is None


# Not allowed


@needs_another_user
def test_not_allowed_for_a_moment(child, open_folder):
    """C07: EACCES for 200 ms after a swap in the old order, as another user, is no rejection; then the new value."""
    volume = KubeletVolume(open_folder / "volume")
    volume.write({"message": "one"})
    nobody = child("as_nobody", volume.path)
    assert nobody.report() == {"message": "one", "rejected": 0, "healthy": True}
    steps = KubeletVolume(volume.path, legacy=True).steps({"message": "two"})
    for step in steps:
        if step == "rename":
            threading.Event().wait(0.2)  # the fault itself
    assert nobody.go() == {"message": "two", "rejected": 0, "healthy": True}


@needs_another_user
def test_not_allowed(child, open_folder):
    """C07: EACCES that stays is a rejection after its patience, once; the last good stays until it may be read."""
    volume = KubeletVolume(open_folder / "volume")
    volume.write({"message": "one"})
    nobody = child("as_nobody", volume.path)
    assert nobody.report()["message"] == "one"
    steps = KubeletVolume(volume.path, legacy=True).steps({"message": "two"})
    while next(steps) != "rename":
        pass
    assert nobody.go() == {"message": "one", "rejected": 1, "healthy": False}
    for _ in steps:
        pass
    assert nobody.go() == {"message": "two", "rejected": 1, "healthy": True}


@needs_another_user
def test_patience_begins_anew(child, open_folder):
    """C23: a fault that stands takes no patience from the next generation."""
    volume = KubeletVolume(open_folder / "volume")
    volume.write({"message": "one"})
    nobody = child("as_nobody", volume.path)
    assert nobody.report()["message"] == "one"
    volume.path.chmod(0o700)
    assert nobody.go() == {"message": "one", "rejected": 1, "healthy": False}
    steps = KubeletVolume(volume.path, legacy=True).steps({"message": "two"})
    while next(steps) != "rename":
        pass
    volume.path.chmod(0o755)
    threading.Event().wait(0.2)  # the fault itself: what may be read now holds what may not
    for _ in steps:
        pass
    assert nobody.go() == {"message": "two", "rejected": 1, "healthy": True}


# What is no configuration


def fifo(generation):
    os.mkfifo(generation / "odd")


def unix_socket(generation):
    where = os.getcwd()
    os.chdir(generation)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("odd")
    finally:
        os.chdir(where)


def device(generation):
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a device")
    os.mknod(generation / "odd", 0o600 | 0o020000, os.makedev(1, 5))


def link(target):
    return lambda generation: os.symlink(target, generation / "odd")


def circle(generation):
    os.symlink("odd", generation / "even")
    os.symlink("even", generation / "odd")


def deep(generation):
    where = os.getcwd()
    os.chdir(generation)
    try:
        for _ in range(450):
            os.mkdir("odd")
            os.chdir("odd")
    finally:
        os.chdir(where)


def large(generation):
    with open(generation / "odd", "wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room


def large_together(generation):
    for part in range(17):
        (generation / f"odd{part}").write_bytes(b"x" * 1024 * 1024)


ODD = {
    "a FIFO": fifo,
    "a socket": unix_socket,
    "a device": device,
    "/dev/zero": link("/dev/zero"),
    "/dev/stdin": link("/dev/stdin"),
    "itself": link("odd"),
    "a circle": circle,
    "/etc/passwd": link("/etc/passwd"),
    "another generation's folder": link(".."),
    "a folder outside": link("/etc"),
    "a way out": link("../../../../etc/passwd"),
    "/proc": link("/proc/self/environ"),
    "a deep folder": deep,
    "a huge file": large,
    "too much together": large_together,
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_key(kubelet_volume, load, swap_with, slow_clock, odd):
    """C09, C10, C11: what is no regular file below the volume, or too large, is refused at once and named."""
    kubelet_volume.write({"message": "one"})
    settings = load(Still, _volumes=kubelet_volume.path, _watch=False)
    swap_with(kubelet_volume, {"message": "two"}, ODD[odd])
    assert not in_time(settings.live.reload)
    assert settings.message == "one"
    rejected = settings.live.status().last_rejected
    assert rejected.stage == "read"
    assert "odd" in rejected.reason or "even" in rejected.reason
    assert rejected.generations == {str(kubelet_volume.path): kubelet_volume.generation}
    assert "root:" not in repr(settings.live.status())
    if odd == "a huge file":
        (kubelet_volume.path / kubelet_volume.generation / "odd").unlink()  # the volume would compare it
    kubelet_volume.write({"message": "three"})
    assert in_time(settings.live.reload)
    assert settings.message == "three"
    shutil.rmtree(kubelet_volume.path)  # pytest would not get rid of the deep folder


@pytest.mark.parametrize("odd", ODD)
def test_odd_key_at_the_start(kubelet_volume, load, swap_with, slow_clock, odd):
    """C09, C10, C11: at the start the same is an error that names it."""
    swap_with(kubelet_volume, {"message": "two"}, ODD[odd])
    with pytest.raises(VolumeError, match=r"odd|even") as caught:
        in_time(lambda: load(Still, _volumes=kubelet_volume.path))
    assert caught.value.__cause__ is None
    shutil.rmtree(kubelet_volume.path)


@pytest.mark.parametrize("odd", ODD)
def test_odd_file_in_a_plain_directory(tmp_path, load, odd):
    """C09, C10, C11: a plain directory is held to the same."""
    (tmp_path / "plain" / "inner").mkdir(parents=True)
    (tmp_path / "plain" / "message").write_text("two")
    ODD[odd](tmp_path / "plain" / "inner")
    with pytest.raises(VolumeError, match=r"odd|even"):
        in_time(lambda: load(Still, _volumes=tmp_path / "plain"))
    shutil.rmtree(tmp_path / "plain")


@pytest.mark.parametrize("target", ["/etc", "../other", "..", ".", "../volume", "..data/..2026", "./..2026"])
def test_data_leads_outside(make_kubelet_volume, load, target):
    """C10: a ..data that leads anywhere but to a folder of the volume is refused and named."""
    volume, other = make_kubelet_volume("volume"), make_kubelet_volume("other")
    volume.write({"message": "one"})
    other.write({"message": "stolen"})
    (other.path / "passwd").write_text("stolen")
    settings = load(Still, _volumes=volume.path, _watch=False)
    os.symlink(target, volume.path / "..data_tmp")
    os.rename(volume.path / "..data_tmp", volume.path / "..data")
    assert not settings.live.reload()
    assert settings.message == "one"
    rejected = settings.live.status().last_rejected
    assert (rejected.stage, rejected.fields) == ("read", ("..data",))


def test_data_leads_outside_between_two_looks(make_kubelet_volume, load):
    """C24: a ..data that turns to outside while its generation is being read is never followed."""
    volume, other = make_kubelet_volume("volume"), make_kubelet_volume("other")
    payload = {"message": "one", **{f"key{number}": "x" for number in range(40)}}
    volume.write(payload)
    other.write({"message": "stolen"})
    inside, outside = volume.generation, f"../other/{other.generation}"
    settings = load(Still, _volumes=volume.path, _watch=False)
    stop = threading.Event()

    def turn():
        while not stop.is_set():
            for target in (outside, inside):
                os.symlink(target, volume.path / "..data_tmp")
                os.rename(volume.path / "..data_tmp", volume.path / "..data")

    with ThreadPoolExecutor(1) as pool:
        turning = pool.submit(turn)
        try:
            for number in range(60):
                copy = f"..2026_11_22_06_30_00.{number}"
                shutil.copytree(volume.path / inside, volume.path / copy)
                (volume.path / copy / "message").write_text(str(number))
                inside = copy
                settings.live.reload(wait=False)
                assert settings.message != "stolen"
        finally:
            stop.set()
            turning.result()


def test_what_is_ignored(kubelet_volume, load):
    """C12: dangling links, left-overs, lost+found and other things in the mount are ignored; the key .env is kept."""
    kubelet_volume.write({"message": "one", ".env": "NUMBER=7"})

    class Documented(Still):
        model_config = SettingsConfigDict(documents=[".env"])

    root = kubelet_volume.path
    os.symlink("..data/gone", root / "gone")
    os.symlink("/nowhere/at/all", root / "nowhere")
    (root / "..2020_01_01_00_00_00.1").mkdir()
    (root / "..2020_01_01_00_00_00.1" / "message").write_text("old")
    os.symlink("..2020_01_01_00_00_00.1", root / "..data_tmp")
    (root / "lost+found").mkdir(mode=0o700)
    (root / "folder").mkdir()
    os.mkfifo(root / "folder" / "fifo")
    os.mkfifo(root / "message2")
    settings = load(Documented, _volumes=root, _watch=False)
    assert (settings.message, settings.number) == ("one", 7)
    assert settings.live.status().unused_keys == ()
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("two", 0)


def test_what_is_ignored_in_a_generation(kubelet_volume, load, swap_with):
    """C12: dangling links and lost+found in a generation are ignored; a link inside the volume is followed."""

    def spoil(generation):
        os.symlink("nowhere", generation / "dangling")
        (generation / "lost+found").mkdir()
        os.mkfifo(generation / "lost+found" / "fifo")
        os.symlink("message", generation / "number")

    swap_with(kubelet_volume, {"message": "42"}, spoil)
    settings = load(Still, _volumes=kubelet_volume.path, _watch=False)
    assert (settings.message, settings.number) == ("42", 42)


def test_what_is_ignored_in_a_plain_directory(tmp_path, load):
    """C12: in a plain directory too."""
    root = tmp_path / "plain"
    root.mkdir()
    (root / "message").write_text("one")
    os.symlink("nowhere", root / "dangling")
    (root / "..2020_01_01_00_00_00.1").mkdir()
    (root / "..hidden").write_text("x")
    (root / "lost+found").mkdir(mode=0o700)
    inner = KubeletVolume(root / "nested")
    inner.write({"message": "nested"})
    settings = load(Still, _volumes=root, _watch=False)
    assert settings.message == "one"
    assert settings.live.status().unused_keys == ()


def test_names_that_are_not_text(tmp_path, load):
    """C25: a file name that is not UTF-8, or contains a line end, does no harm: the status is still valid JSON."""
    root = tmp_path / "plain"
    root.mkdir()
    (root / "message").write_text("one")
    for name in (b"caf\xe9", b"line\nend", b"\xff"):
        with open(os.fsencode(root) + b"/" + name, "w") as file:
            file.write("x")
    settings = load(Still, _volumes=root, _watch=False)
    assert settings.message == "one"
    status = settings.live.status()
    assert len(status.unused_keys) == 3
    json.dumps(status.as_dict()).encode()
    assert "\n" not in json.dumps(status.as_dict())


def test_absurd_time(tmpfs, load):
    """C26: a generation whose modification time is in no calendar is read like any other."""
    volume = KubeletVolume(tmpfs / "volume")
    volume.write({"message": "one"})
    os.utime(volume.path / volume.generation, (10**12, 10**12))
    settings = load(Still, _volumes=volume.path, _watch=False)
    assert settings.message == "one"
    assert settings.live.status().volumes[0].written_at is None
    for step in volume.steps({"message": "two"}):
        if step == "rename":
            os.utime(volume.path / volume.generation, (-(10**12), -(10**12)))
    assert settings.live.reload()
    assert settings.message == "two"


def test_restless_plain_directory(tmp_path, load, fast_clock, monkeypatch):
    """C27: a plain directory that changes all the time blocks no caller for ever."""
    root = tmp_path / "plain"
    root.mkdir()
    (root / "message").write_text("one")
    settings, scandir = load(Still, _volumes=root, _watch=False), os.scandir

    def grow_and_scan(path):
        with open(root / "log", "a") as log:
            log.write("x")
        return scandir(path)

    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as restless:
        restless.setattr(os, "scandir", grow_and_scan)
        assert pool.submit(settings.live.reload).result(PATIENCE) is False
        assert not settings.live.status().healthy
        with pytest.raises(LiveConfigError, match="rest"):
            pool.submit(Still, _volumes=root, _watch=False).result(PATIENCE)
    in_time(lambda: [None for _ in iter(settings.live.reload, True)])
    assert settings.live.status().healthy


def test_plain_touch(tmp_path, load):
    """C28: rewritten files with the same content are the same generation: a standing rejection is not repeated."""
    root = tmp_path / "plain"
    root.mkdir()
    (root / "number").write_text("1")
    settings = load(Still, _volumes=root, _watch=False)
    rejections = []
    settings.live.on_reject(rejections.append)
    (root / "number").write_text("bad")
    assert not settings.live.reload()
    generation = settings.live.status().last_rejected.generations
    for _ in range(3):
        (root / "number").write_text("bad")
        settings.live.reload(wait=False)
        assert not settings.live.status().healthy
        assert not settings.live.reload()
    assert len(rejections) == 1
    assert settings.live.status().last_rejected.generations == generation


# Mounts


NAMESPACE = ("--mount", "--propagation", "private")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_sub_path(child, tmp_path, kind):
    """C13, H05: a subPath mount gives one warning at the start, and an error when it becomes stale."""
    scene = child("sub_path", tmp_path, kind, unshare=NAMESPACE)
    start = scene.report()
    assert start["value"] == "one"
    assert start["live"] is False
    assert start["stale"] == ["subpath"]
    assert start["told"] == [["subpath"], []]
    assert [level for level, text in start["log"] if "subPath" in text] == [logging.WARNING]
    updated = scene.go()
    assert updated["value"] == "one"
    assert updated["told"] == [["subpath", "subpath"], ["subpath"]]
    assert not updated["healthy"]
    assert [level for level, text in updated["log"] if "subPath" in text] == [logging.WARNING, logging.ERROR]


def test_orphaned_mount(child, tmp_path):
    """C13: a mount whose directory was deleted on the node is found to be stale at a re-check, and said once."""
    scene = child("orphan", tmp_path, unshare=NAMESPACE)
    assert scene.report() == {"value": "one", "healthy": True, "stale": []}
    orphaned = scene.go()
    assert orphaned["value"] == "one"
    assert not orphaned["healthy"]
    assert orphaned["stale"] == ["stale-mount"]
    assert orphaned["errors"] == 1


@pytest.mark.usefixtures("inotify")
def test_mounted_over(child, tmp_path):
    """C29: a volume mounted over another one is followed, by events too, and so is the one below when it is back."""
    scene = child("mounted_over", tmp_path, unshare=NAMESPACE)
    seen = ["one", "over", *(f"over {number}" for number in range(10)), "one", "two"]
    assert scene.report() == {"seen": seen, "by event": True, "healthy": True}


def test_nested_mounts(child, tmp_path):
    """C12: a mount inside a volume or a plain directory is ignored, and the rest is read."""
    scene = child("nested_mounts", tmp_path, unshare=NAMESPACE)
    assert scene.report() == {"atomic": ["one", "two"], "plain": ["one", "two"], "unused": []}


# As fast as it goes


def test_swap_every_millisecond(kubelet_volume, load):
    """C15: under a swap every millisecond for 10 s nothing is rejected, and in the end the last value is there."""
    settings = load(Still, _volumes=kubelet_volume.path)
    stop = threading.Event()

    def write():
        number = 0
        while not stop.wait(0.001):
            number += 1
            kubelet_volume.write({"message": str(number), "number": str(number)})
        return number

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        threading.Event().wait(10.0)  # the fault itself
        stop.set()
        last = writing.result()
    settings.live.wait(lambda s: s.number == last, PATIENCE)
    status = settings.live.status()
    assert status.last_rejected is None
    assert status.healthy
    assert settings.message == str(last)
