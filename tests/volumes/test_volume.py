"""One volume as it is read: which generation, what is refused, and what is said of it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import time
from itertools import pairwise
from unittest.mock import Mock

import pytest
from pydantic import BaseModel, model_validator

from liveconfig import Settings, SettingsConfigDict, Volume, VolumeError, _clock
from liveconfig._volumes.limits import TreeError
from liveconfig._volumes.tree import Content, entries_of, read_tree
from liveconfig._volumes.unfinished_updates import newer_generation
from liveconfig._volumes.volume import QUIET, VolumeBusy, VolumeReader, VolumeUnreadable, _explain
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0
MAX_BYTES = 16_777_216
MAX_DEPTH = 100


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    number: int = 0


class Folder(BaseModel):
    message: str = "default"


class Foldered(Settings):
    folder: Folder = Folder()


class TestReading:
    def test_an_answer_that_another_thread_gives_late(self, kubelet_volume):
        """A thread that is held up after it has read does not replace what another thread has read since."""
        reader, has_read, go_on = VolumeReader(str(kubelet_volume.path)), threading.Event(), threading.Event()

        def hold_up(frame, event, _):
            if event == "return" and frame.f_code is VolumeReader._alone.__code__:
                has_read.set()
                go_on.wait(PATIENCE)

        def refresh_late():
            sys.setprofile(hold_up)
            reader.refresh(None)

        kubelet_volume.write({"a": "1"})
        late = threading.Thread(target=refresh_late)
        late.start()
        assert has_read.wait(PATIENCE)
        kubelet_volume.write({"a": "2"})
        reader.refresh(None)
        go_on.set()
        late.join(PATIENCE)
        assert reader.latest(None).files == {"a": b"2"}

    def test_changed_between_two_readings(self, tmp_path, monkeypatch):
        """A plain directory of which two readings differ is not taken yet."""
        (tmp_path / "a").write_text("1")
        contents = iter([{"a": b"1"}, {"a": b"2"}])
        monkeypatch.setattr("liveconfig._volumes.volume.read_tree", lambda *_: Content(next(contents), 0.0, ()))
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        reader = VolumeReader(str(tmp_path))
        with pytest.raises(VolumeBusy) as caught:
            reader.read(None)
        assert caught.value.delay == 0
        monkeypatch.undo()
        with pytest.raises(VolumeBusy) as again:  # quiet is counted anew from here
            reader.read(None)
        assert 0 < again.value.delay <= QUIET + 0.001
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        assert reader.read(None).files == {"a": b"1"}

    def test_until_it_is_quiet(self, tmp_path, monkeypatch):
        """A plain directory is read after 50 ms without a change; until then, the caller gets the rest of that time."""
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        (tmp_path / "a").write_text("1")
        reader, left = VolumeReader(str(tmp_path)), []
        for pause in (0.0, 0.03):
            now[0] += pause
            with pytest.raises(VolumeBusy) as caught:
                reader.read(None)
            left.append(caught.value.delay)
        assert left == pytest.approx([QUIET, QUIET - 0.03], abs=0.002)
        now[0] += left[-1]
        assert reader.read(None).path == str(tmp_path)

    def test_untouched(self, tmp_path, monkeypatch):
        """A plain directory is news when any of its files was touched, and not before."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        for name in ("a", "b", "c"):  # in whatever order the file system lists them
            (tmp_path / f"{name}-folder").mkdir()
            (tmp_path / name).write_text("1")
            (tmp_path / f"{name}-link").symlink_to("nowhere")
        reader = VolumeReader(str(tmp_path))
        known = reader.read(None)
        for name in ("a", "b", "c"):
            assert reader.read(known) is None
            (tmp_path / name).write_text("2")
            known = reader.read(known)
            assert known.files[name] == b"2"

    def test_rejected_twice(self, tmp_path, load, monkeypatch):
        """Bad content of a plain directory that is looked at again is not read again."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        (tmp_path / "number").write_text("1")
        settings = load(App, _volumes=tmp_path, _watch=False)
        (tmp_path / "number").write_text("many")
        assert not settings.live.reload()
        monkeypatch.setattr("liveconfig._volumes.volume.read_tree", None)
        assert not settings.live.reload()
        assert settings.number == 1

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("folder", "leads to no regular file"),
            ("number", "leads to itself"),
            ("/etc/passwd", "leads outside the volume"),
        ],
    )
    def test_a_link_that_is_refused(self, tmp_path, load, monkeypatch, target, reason):
        """A key that is a link to something else than a file of the volume is refused by its name, and for what it is."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "number").write_text("1")
        settings, rejected = load(App, _volumes=tmp_path, _watch=False), []
        settings.live.on_reject(rejected.append)
        (tmp_path / "number").symlink_to(target)
        assert not settings.live.reload()
        assert rejected[0].reason == f"{tmp_path}: 'number' is a link that {reason}"
        assert rejected[0].fields == ("number",)

    def test_a_link_that_turns_on_itself(self, tmp_path, load, monkeypatch):
        """A link that dangled, and has come to lead to itself, is seen and refused."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        (tmp_path / "number").symlink_to("nowhere")
        settings = load(App, _volumes=tmp_path, _watch=False)
        assert settings.live.reload()
        (tmp_path / "new").symlink_to("number")
        (tmp_path / "new").rename(tmp_path / "number")
        assert not settings.live.reload()
        assert settings.live.status().last_rejected.reason.endswith("'number' is a link that leads to itself")

    def test_a_link_to_what_is_too_large(self, tmp_path, load, monkeypatch):
        """The key of a link to a file that is too large is what the error names, not the file's own name."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        with (tmp_path / "..large").open("wb") as file:
            file.truncate(MAX_BYTES + 1)
        (tmp_path / "message").symlink_to("..large")
        with pytest.raises(VolumeError, match=r"holds more than 16 MiB \(at 'message'\)"):
            load(App, _volumes=tmp_path, _watch=False)

    def test_another_volume_inside_a_plain_directory(self, tmp_path, load, monkeypatch):
        """A volume of the kubelet's that is mounted below a plain directory feeds nothing there, however it changes."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        (tmp_path / "folder").mkdir()
        inner = KubeletVolume(tmp_path / "folder")
        inner.write({"message": "another's"})
        settings = load(Foldered, _volumes=tmp_path, _watch=False)
        reader = VolumeReader(str(tmp_path))
        known = reader.read(None)
        inner.write({"message": "still another's"})
        assert settings.live.reload()
        assert settings.folder.message == "default"
        assert reader.read(known) is None

    def test_a_link_inside_a_folder(self, tmp_path, load):
        """A link inside a folder leads to a file of the volume as one at the top does."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "there").write_text("hello")
        (tmp_path / "folder" / "message").symlink_to("../there")
        assert load(Foldered, _volumes=tmp_path, _watch=False).folder.message == "hello"

    def test_a_directory_that_did_not_come_to_rest(self, tmp_path, load, monkeypatch):
        """One that was written to for too long is looked at again by itself, and taken when it has come to rest."""
        (tmp_path / "message").write_text("one")
        settings = load(App, _volumes=tmp_path)
        monkeypatch.setattr("liveconfig._volumes.volume.LONGEST_WRITE", 0.0)
        monkeypatch.setattr("liveconfig._engine.engine.BUSY_PAUSE", 0.1)
        heard = threading.Event()
        rejected = []
        settings.live.on_reject(lambda event: (rejected.append(event.reason), heard.set()))
        (tmp_path / "message").write_text("two")
        settings.live.wait(lambda s: s.message == "two", PATIENCE)
        assert heard.wait(PATIENCE)
        assert "does not come to rest" in rejected[0]

    def test_a_directory_that_is_being_written(self, tmp_path, load, monkeypatch):
        """P7: one that is written to for longer than a swap takes makes the settings unhealthy: its content is unknown."""
        (tmp_path / "message").write_text("one")
        settings = load(App, _volumes=tmp_path, _watch=False)
        monkeypatch.setattr("liveconfig._diagnostics.status.GRACE", 0.0)
        assert settings.live.healthy
        tried, read = threading.Semaphore(0), VolumeReader._read

        def busy(reader, known):
            tried.release()
            raise VolumeBusy(0.01)

        monkeypatch.setattr(VolumeReader, "_read", busy)
        reload = threading.Thread(target=settings.live.reload)
        reload.start()
        assert all(tried.acquire(timeout=PATIENCE) for _ in range(2))
        assert any("has been written to for" in problem for problem in settings.live.status().problems)
        monkeypatch.setattr(VolumeReader, "_read", read)
        reload.join(PATIENCE)
        assert settings.live.healthy


class TestPatience:
    def test_what_is_gone(self, kubelet_volume, monkeypatch):
        """For a second what is gone may be a writer at work; what is gone next, under another link, has its own."""
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        kubelet_volume.write({"message": "one"})
        reader, link = VolumeReader(str(kubelet_volume.path)), kubelet_volume.path / "..data"
        revision = reader.read(None)

        def after(seconds):
            now[0] += seconds
            with pytest.raises((VolumeBusy, VolumeUnreadable)) as caught:
                reader.read(revision)
            return caught.type

        link.unlink()
        assert [after(seconds) for seconds in (0, 0.9, 0.1)] == [VolumeBusy, VolumeBusy, VolumeUnreadable]
        link.symlink_to("..2026_01_01_00_00_00.1")
        assert [after(seconds) for seconds in (0, 0.9, 0.1)] == [VolumeBusy, VolumeBusy, VolumeUnreadable]

    def test_a_generation_that_is_being_removed(self, kubelet_volume, monkeypatch):
        """One that lacks a key which it had a moment ago is not taken, and after a second it counts as gone."""
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        kubelet_volume.write({"message": "one", "number": "1"})
        reader = VolumeReader(str(kubelet_volume.path))
        assert reader.read(None).files.keys() == {"message", "number"}
        (kubelet_volume.path / kubelet_volume.generation / "number").unlink()
        with pytest.raises(VolumeBusy):
            reader.read(None)
        now[0] += 1
        with pytest.raises(VolumeUnreadable, match=r"'\.\.data' or what it leads to is gone"):
            reader.read(None)

    def test_likely_names(self, kubelet_volume):
        """A key has the string of a likely name, and a likely name without a file is no key."""
        kubelet_volume.write({"".join(["na", "me"]): "value", "other": "value"})
        name = "".join(["nam", "e"])
        revision = VolumeReader(str(kubelet_volume.path), [name, "absent"]).read(None)
        assert sorted(revision.files) == ["name", "other"]
        assert next(key for key in revision.files if key == "name") is name

    def test_files_without_a_size(self, kubelet_volume, monkeypatch):
        """H03: files that cannot be asked for their size are read to their end."""
        files = {"short": "value", "long": "x" * 100_000, "empty": ""}
        kubelet_volume.write(files)
        monkeypatch.setattr(os, "lseek", Mock(side_effect=OSError(errno.EINVAL, os.strerror(errno.EINVAL))))
        revision = VolumeReader(str(kubelet_volume.path)).read(None)
        assert revision.files == {key: content.encode() for key, content in files.items()}


class TestSwappedWhileItIsRead:
    @pytest.fixture
    def swaps(self, kubelet_volume, monkeypatch):
        """The contents that come one after another, each while the one before is being read."""
        swaps = []

        def read_and_swap(root, folder, names):
            found = read_tree(root, folder, names)
            if swaps:
                kubelet_volume.write(swaps.pop(0))
            return found

        monkeypatch.setattr("liveconfig._volumes.volume.read_tree", read_and_swap)
        return swaps

    def test_once(self, kubelet_volume, swaps):
        """What came while the one before was read is what is taken, and is known from then on."""
        kubelet_volume.write({"message": "one"})
        swaps.append({"message": "two"})
        reader = VolumeReader(str(kubelet_volume.path))
        revision = reader.read(None)
        assert (revision.files, revision.generation) == ({"message": b"two"}, kubelet_volume.generation)
        assert reader.read(revision) is None

    def test_again_and_again(self, kubelet_volume, swaps):
        """Where they come faster than they can be read, a little later is tried again."""
        kubelet_volume.write({"message": "one"})
        swaps.extend({"message": str(number)} for number in range(20))
        reader = VolumeReader(str(kubelet_volume.path))
        with pytest.raises(VolumeBusy) as caught:
            reader.read(None)
        assert 0 < caught.value.delay < 1
        swaps.clear()
        assert reader.read(None).generation == kubelet_volume.generation


def test_the_most_that_a_volume_may_hold(tmp_path):
    """Sixteen MiB are read to the last byte, and one byte more is refused."""
    for name, size in (("a", MAX_BYTES - 5000), ("b", 5000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert sum(map(len, read_tree(str(tmp_path), str(tmp_path))[0].values())) == MAX_BYTES
    (tmp_path / "c").write_text("x")
    with pytest.raises(TreeError) as caught:
        read_tree(str(tmp_path), str(tmp_path))
    assert str(caught.value).startswith("the volume holds more than 16 MiB (at ")
    assert caught.value.key in ("a", "b", "c")  # the last one that is read


def test_many_files(tmp_path, monkeypatch):
    """Reading many files gives way again and again; an event loop would wait for milliseconds otherwise."""
    for number in range(200):
        (tmp_path / f"key_{number}").write_text("x")
    read_before = []
    opened = Mock(side_effect=os.open)
    monkeypatch.setattr("os.open", opened)
    monkeypatch.setattr(_clock, "LONG_STEP", 0.0)
    monkeypatch.setattr(_clock, "give_way", lambda: read_before.append(opened.call_count))
    assert len(read_tree(str(tmp_path), str(tmp_path)).files) == 200
    steps = [after - before for before, after in pairwise([0, *read_before, opened.call_count])]
    assert len(steps) > 2
    assert max(steps) <= 50


def test_folders_in_folders(tmp_path):
    """Folders are read a hundred deep, and one deeper is refused, by the name of the uppermost."""
    deep = tmp_path / "top" / "/".join(["x"] * (MAX_DEPTH - 1))
    deep.mkdir(parents=True)
    (deep / "key").write_text("there")
    assert list(read_tree(str(tmp_path), str(tmp_path))[0].values()) == [b"there"]
    (deep / "one-more").mkdir()
    with pytest.raises(TreeError) as caught:
        read_tree(str(tmp_path), str(tmp_path))
    assert str(caught.value) == f"'top' holds folders more than {MAX_DEPTH} deep"
    assert caught.value.key == "top"


@pytest.mark.parametrize("gone", ["key", "folder"])
def test_removed_after_it_was_listed(tmp_path, monkeypatch, gone):
    """A key or a folder that is removed after it was listed is an error that names the key, and no path."""
    (tmp_path / "key").write_text("there")
    (tmp_path / "folder").mkdir()

    def list_and_remove(directory):
        entries = entries_of(directory)
        (tmp_path / "key").unlink() if gone == "key" else (tmp_path / "folder").rmdir()
        return entries

    monkeypatch.setattr("liveconfig._volumes.tree.entries_of", list_and_remove)
    with pytest.raises(FileNotFoundError) as caught:
        read_tree(str(tmp_path), str(tmp_path))
    assert caught.value.filename == gone


def test_a_link_to_a_name_that_is_too_long(tmp_path):
    """A link to a name that no file system holds is an error that names the key, and no path."""
    (tmp_path / "key").symlink_to("x" * 300)
    with pytest.raises(OSError, match="File name too long") as caught:
        read_tree(str(tmp_path), str(tmp_path))
    assert caught.value.filename == "key"


def test_a_platform_without_descriptors_of_folders(tmp_path, monkeypatch):
    """Folders are read at any depth on a platform that opens no folder, as Windows."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "inner" / "key").write_text("there")
    monkeypatch.setattr("liveconfig._volumes.tree._FOLDER", None)
    assert read_tree(str(tmp_path), str(tmp_path))[0] == {"outer/inner/key": b"there"}


def test_a_folder_that_was_deleted(tmp_path):
    """A folder that is held open, as a mount does, and was deleted is not empty but gone."""
    folder = tmp_path / "folder"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    folder.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        read_tree(str(tmp_path), f"/proc/self/fd/{descriptor}/.")
    os.close(descriptor)
    assert caught.value.errno == errno.ENOENT


class TestUnfinishedUpdate:
    """A generation that the kubelet began to write beside the one in use."""

    @pytest.fixture
    def in_use(self, kubelet_volume):
        """The name of the generation in use, on a file system that counts the folders of a directory."""
        kubelet_volume.write({"message": "one", "number": "1"})
        if os.stat(kubelet_volume.path).st_nlink != 3:
            pytest.skip("this file system does not count the folders of a directory")
        return os.readlink(kubelet_volume.path / "..data")

    def test_one_other_folder(self, kubelet_volume, in_use):
        """One newer folder beside the generation in use is found, and one with an older name is not."""
        older = kubelet_volume.path / "..2020_01_01_00_00_00.1"
        newer = kubelet_volume.path / "..2999_01_01_00_00_00.1"
        later = time.time() + 60.0
        older.mkdir()
        os.utime(older, (later, later))
        assert newer_generation(str(kubelet_volume.path), in_use) is None
        older.rmdir()
        newer.mkdir()
        os.utime(newer, (later, later))
        assert newer_generation(str(kubelet_volume.path), in_use) == newer.name

    def test_of_the_same_second(self, kubelet_volume, in_use):
        """A folder whose name is of the same second counts if it was modified later than the generation in use."""
        other = kubelet_volume.path / f"{in_use.rpartition('.')[0]}.999999999"
        other.mkdir()
        written = (kubelet_volume.path / in_use).stat().st_mtime_ns
        for modified, found in ((written - 1000, None), (written, None), (written + 1000, other.name)):
            os.utime(other, ns=(modified, modified))
            assert newer_generation(str(kubelet_volume.path), in_use) == found

    def test_no_other_folder(self, kubelet_volume, in_use, monkeypatch):
        """A volume with no folder but the generation in use is not listed, however many keys it has."""

        def listed(path):
            raise AssertionError(f"{path} was listed")

        monkeypatch.setattr(os, "listdir", listed)
        assert newer_generation(str(kubelet_volume.path), in_use) is None
        (kubelet_volume.path / "..2999_01_01_00_00_00.1").mkdir()
        with pytest.raises(AssertionError, match="was listed"):
            newer_generation(str(kubelet_volume.path), in_use)

    def test_folders_are_not_counted(self, kubelet_volume, in_use, monkeypatch):
        """Where the file system does not count folders, and says 1 as Btrfs does, a newer folder is found too."""
        newer = kubelet_volume.path / "..2999_01_01_00_00_00.1"
        newer.mkdir()
        later = time.time() + 60.0
        os.utime(newer, (later, later))
        real = os.stat

        def uncounted(path, **options):
            status = real(path, **options)
            return os.stat_result((*status[:3], 1, *status[4:10]), {"st_mtime_ns": status.st_mtime_ns})

        monkeypatch.setattr(os, "stat", uncounted)
        assert newer_generation(str(kubelet_volume.path), in_use) == newer.name


class TestWhy:
    """The messages for a volume that cannot be read."""

    @pytest.fixture
    def reason_of(self, kubelet_volume, load, monkeypatch):
        """A function: the rejection after something was done to the volume; nobody is patient."""
        monkeypatch.setattr("liveconfig._volumes.volume.PATIENCE", 0.0)
        kubelet_volume.write({"message": "one"})
        settings = load(App, _volumes=kubelet_volume.path, _watch=False)

        def reason_of(act):
            rejected = []
            settings.live.on_reject(rejected.append)
            act(kubelet_volume.path)
            assert not settings.live.reload()
            assert settings.message == "one"
            return rejected[-1]

        return reason_of

    @pytest.mark.parametrize(
        ("act", "reason", "fields"),
        [
            (shutil.rmtree, "the volume has disappeared", ()),
            (lambda path: (path / "..data").unlink(), "'..data' or what it leads to is gone", ()),
            (
                lambda path: ((path / "..data").unlink(), (path / "..data").mkdir()),
                "'..data' is not a symbolic link",
                ("..data",),
            ),
            (
                lambda path: ((path / "..data").unlink(), (path / "..data").symlink_to("/etc")),
                "'..data' is a link that leads outside the volume",
                ("..data",),
            ),
        ],
    )
    def test_a_volume(self, reason_of, kubelet_volume, act, reason, fields):
        """A volume that cannot be read any more is rejected with its path and what is wrong with it."""
        rejected = reason_of(act)
        assert (rejected.reason, rejected.fields) == (f"{kubelet_volume.path}: {reason}", fields)

    def test_a_generation_that_is_gone(self, reason_of, kubelet_volume):
        """Where the link leads nowhere, it is named as what is rejected."""

        def dangle(path):
            (path / "..data").unlink()
            (path / "..data").symlink_to("..2026_01_01_00_00_00.1")

        rejected = reason_of(dangle)
        assert rejected.generations == {str(kubelet_volume.path): "..2026_01_01_00_00_00.1"}
        assert rejected.reason.endswith("'..data' or what it leads to is gone")

    def test_a_key_that_is_no_file(self, reason_of, kubelet_volume):
        """A key that is neither file, link nor folder is named."""
        rejected = reason_of(lambda path: os.mkfifo(path / os.readlink(path / "..data") / "pipe") or swap_link(path))
        assert rejected.reason == f"{kubelet_volume.path}: 'pipe' is not a regular file"
        assert rejected.fields == ("pipe",)

    def test_the_directory_behind_a_mount(self, tmp_path):
        """A directory that was deleted on the node and exists only in a mount differs from a missing one."""
        (tmp_path / "gone").mkdir()
        descriptor = os.open(tmp_path / "gone", os.O_RDONLY)
        (tmp_path / "gone").rmdir()
        text = _explain(FileNotFoundError(errno.ENOENT, ""), f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
        assert text == "its directory has been deleted"

    @pytest.mark.parametrize("call", range(1, 9))
    @pytest.mark.parametrize("place", ["without the generation", "without the link", "plain"])
    def test_a_volume_that_disappears_during_a_read(self, kubelet_volume, monkeypatch, place, call):
        """A volume that disappears before any of the system calls of a read cannot be read; no other error comes out."""
        monkeypatch.setattr("liveconfig._volumes.volume.PATIENCE", 0.0)
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        kubelet_volume.write({"message": "one"})
        path, reader = kubelet_volume.path, VolumeReader(str(kubelet_volume.path))
        known = reader.read(None) if place == "without the link" else None
        if place == "without the generation":
            shutil.rmtree(path / kubelet_volume.generation)
        else:
            (path / "..data").unlink()
        left = iter(range(call - 1, -1, -1))

        def vanishing(function):
            def called(*arguments, **options):
                if next(left, None) == 0:
                    path.rename(path.with_name("away"))
                return function(*arguments, **options)

            return called

        outcomes = ["the volume has disappeared", "'..data' or what it leads to is gone"]
        outcomes += [] if known else ["missing", "plain"]
        with monkeypatch.context() as during:
            for name in ("stat", "readlink", "scandir", "open"):
                during.setattr(os, name, vanishing(getattr(os, name)))
            try:
                found = reader.read(known).mode
            except VolumeUnreadable as error:
                found = str(error)
        assert found in outcomes

    def test_what_may_not_be_read(self, tmp_path):
        """What the system says is repeated."""
        assert (
            _explain(PermissionError(errno.EACCES, "Permission denied"), str(tmp_path))
            == "it may not be read: Permission denied"
        )

    def test_several_faults(self, kubelet_volume, load):
        """Each field at fault is named with what is wrong with it, and what concerns none stands by itself."""

        class Two(Settings):
            one: int = 0
            two: int = 0

        kubelet_volume.write({"one": "1"})
        settings, rejected = load(Two, _volumes=kubelet_volume.path, _watch=False), []
        settings.live.on_reject(rejected.append)
        kubelet_volume.write({"one": "x", "two": "y"})
        assert not settings.live.reload()
        assert rejected[0].reason.startswith("one: Input should be a valid integer")
        assert "; two: Input should be" in rejected[0].reason
        assert rejected[0].fields == ("one", "two")

    def test_what_concerns_no_field(self, kubelet_volume, load):
        """The error of a validator of the whole class has no field name."""

        class Whole(Settings):
            one: int = 0

            @model_validator(mode="after")
            def check(self):
                if self.one:
                    raise RuntimeError
                return self

        settings, rejected = load(Whole, _volumes=kubelet_volume.path, _watch=False), []
        settings.live.on_reject(rejected.append)
        kubelet_volume.write({"one": "1"})
        assert not settings.live.reload()
        assert rejected[0].reason.startswith("a validator raised RuntimeError")

    def test_a_missing_volume_is_no_news(self, tmp_path, load):
        """A volume that was not there at the start, and is not there now, is no fault of a reload."""
        settings = load(App, _volumes=Volume(tmp_path / "nowhere", required=False), _watch=False)
        assert settings.live.reload()
        assert settings.live.status().healthy
        assert settings.live.status().volumes[0].mode == "missing"


def swap_link(path):
    """Make the link anew, to a generation of another name with the same files."""
    old = os.readlink(path / "..data")
    (path / old).rename(path / "..2026_01_01_00_00_00.2")
    (path / "..data").unlink()
    (path / "..data").symlink_to("..2026_01_01_00_00_00.2")


class TestPlainGenerations:
    def test_their_names(self, tmp_path, load, monkeypatch):
        """A plain directory has a new generation for each new content, and none for files that were only touched."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        (tmp_path / "lost+found").mkdir()
        (tmp_path / "first").write_text("1")
        (tmp_path / "link").symlink_to("nowhere")
        inner = tmp_path / "folder" / "inner"
        inner.mkdir(parents=True)
        (inner / "other").write_text("1")
        (inner / "another").write_text("1")
        (tmp_path / "message").write_text("one")
        settings = load(App, _volumes=tmp_path, _watch=False)
        assert settings.live.status().volumes[0].mode == "plain"

        def after(act):
            act()
            assert settings.live.reload()
            return settings.live.status().volumes[0].generation_applied

        contents = [
            lambda: None,
            lambda: os.utime(tmp_path / "message", (1, 1)),
            lambda: (tmp_path / "message").write_text("two"),
            lambda: (inner / "other").write_text("two"),
            lambda: (inner / "another").write_text("two"),
            lambda: (tmp_path / "first").write_text("two"),
        ]
        generations = ["plain-1", "plain-1", "plain-2", "plain-3", "plain-4", "plain-5"]
        assert [after(act) for act in contents] == generations
        monkeypatch.setattr("liveconfig._volumes.volume.read_tree", None)
        assert after(lambda: None) == "plain-5"

    def test_names_that_are_no_keys(self, tmp_path, load, monkeypatch):
        """In a plain directory a name of the kubelet's or of a file system is no key, at the top as inside a folder."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        (tmp_path / "folder").mkdir()
        for folder in (tmp_path, tmp_path / "folder"):
            for name in ("..note", "lost+found", "key"):
                (folder / name).write_text("x")
        settings = load(App, _volumes=tmp_path, _watch=False)
        assert {unused.key for unused in settings.live.status().unused_keys} == {"folder/key", "key"}

    def test_a_long_key(self, tmp_path, load, monkeypatch):
        """A key of more than a few reads is one text, to the last byte."""
        monkeypatch.setattr("liveconfig._volumes.volume.QUIET", 0.0)
        text = "x" * (2 * 1024 * 1024 + 4097)
        (tmp_path / "message").write_text(text)
        assert load(App, _volumes=tmp_path, _watch=False).message == text
