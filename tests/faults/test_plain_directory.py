"""Directories of ordinary files: links that are turned, folders, and volumes inside."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time

import pytest
from pydantic import BaseModel
from watchdog.observers.inotify_c import InotifyFD

from liveconfig import InvalidSettingsError, Settings, SettingsConfigDict

PATIENCE = 30.0


class Database(BaseModel):
    host: str = "default"


class Outer(BaseModel):
    inner: Database = Database()


class Still(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    message: str = "default"
    db: Database = Database()


class Deep(Still):
    outer: Outer = Outer()

    @property
    def hosts(self) -> dict[str, str]:
        return {"db/host": self.db.host, "outer/inner/host": self.outer.inner.host}


class Rechecked(Still):
    model_config = SettingsConfigDict(resync=0.2)


def write(path, content):
    """Write a file as an editor does: beside it, then renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / "..aside"
    aside.write_text(content)
    aside.rename(path)


def until(holds):
    """Wait for what no event tells."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def turn(link, target):
    """Have a link lead elsewhere, in one step."""
    os.symlink(target, link.parent / "next")
    os.rename(link.parent / "next", link)


@pytest.fixture
def work_trees(tmp_path):
    """A directory of git-sync: work trees, each with a file ``.git``, and a link to the one in use."""

    def make(number):
        tree = tmp_path / "root" / ".worktrees" / f"commit{number}"
        tree.mkdir(parents=True)
        (tree / ".git").write_text("gitdir: ../../.git/worktrees/x")
        write(tree / "message", str(number))
        write(tree / "db" / "host", f"host{number}")
        turn(tmp_path / "root" / "current", f".worktrees/commit{number}")
        return tree

    return make


@pytest.mark.parametrize("cls", [Still, Rechecked])
@pytest.mark.usefixtures("inotify")
def test_git_sync(work_trees, load, tmp_path, cls):
    """K01: a link to a plain directory is read and followed when it is turned, by event too, and the old one may go."""
    old = work_trees(1)
    settings = load(cls, _volumes=tmp_path / "root" / "current")
    assert (settings.message, settings.db.host) == ("1", "host1")
    for number in (2, 3):
        new = work_trees(number)
        shutil.rmtree(old)
        old = new
        seen = settings.live.wait(lambda s, number=number: s.message == str(number), PATIENCE)
        assert seen.db.host == f"host{number}"
    until(lambda: settings.live.status().healthy)  # on a busy machine a re-check may be late for a moment
    assert settings.live.status().watcher == "inotify"
    assert settings.live.origin("message").path == str(tmp_path / "root" / "current" / "message")


def test_files_behind_a_link(work_trees, load, tmp_path):
    """K01: a file that changes behind the link is followed by event, after a turn too."""
    work_trees(1)
    settings = load(Still, _volumes=tmp_path / "root" / "current")
    for number in (2, 3):
        tree = work_trees(number)
        settings.live.wait(lambda s, number=number: s.message == str(number), PATIENCE)
        write(tree / "message", f"{number} edited")
        settings.live.wait(lambda s, number=number: s.message == f"{number} edited", PATIENCE)


def test_a_link_on_the_way(work_trees, load, tmp_path):
    """K01: a link on the way to the volume, absolute or relative, is followed when it is turned."""
    work_trees(1)
    os.symlink(tmp_path / "root", tmp_path / "absolute")

    class Inner(Still):
        host: str = "default"

    inner = load(Inner, _volumes=tmp_path / "absolute" / "current" / "db")
    assert inner.host == "host1"
    work_trees(2)
    inner.live.wait(lambda s: s.host == "host2", PATIENCE)


@pytest.mark.parametrize("where", ["first", "second"])
@pytest.mark.usefixtures("inotify")
def test_two_links_in_one_directory(load, tmp_path, where):
    """K01: of two links in one directory on the way to the volume, each is followed when it is turned."""
    for number in ("one", "two"):
        write(tmp_path / "trees" / number / "message", number)
    os.symlink("trees/one", tmp_path / "second")
    os.symlink("second", tmp_path / "first")
    settings = load(Still, _volumes=tmp_path / "first")
    turn(tmp_path / where, "trees/two")
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert settings.live.status().watcher == "inotify"


@pytest.mark.parametrize("depth", range(3))
def test_three_links_in_one_directory(load, tmp_path, depth):
    """K01: of three links in one directory, each is followed when it is turned, and turned again."""
    for number in ("one", "two", "three"):
        write(tmp_path / "trees" / number / "message", number)
    links = [tmp_path / name for name in ("a", "b", "c")]
    for link, target in zip(links, ("b", "c", "trees/one"), strict=True):
        os.symlink(target, link)
    settings = load(Still, _volumes=links[0])
    for number in ("two", "three", "one"):
        turn(links[depth], f"trees/{number}")
        settings.live.wait(lambda s, number=number: s.message == number, PATIENCE)


@pytest.mark.parametrize("link", ["config/current", "config/next-link", "releases/latest", "releases/stable"])
def test_links_in_two_directories(load, tmp_path, link):
    """K01: a chain of links through two directories, two links in each, is followed wherever it is turned."""
    for number in ("one", "two"):
        write(tmp_path / "releases" / number / "message", number)
    (tmp_path / "config").mkdir()
    os.symlink("next-link", tmp_path / "config" / "current")
    os.symlink("../releases/latest", tmp_path / "config" / "next-link")
    os.symlink("stable", tmp_path / "releases" / "latest")
    os.symlink("one", tmp_path / "releases" / "stable")
    settings = load(Still, _volumes=tmp_path / "config" / "current")
    turn(tmp_path / link, tmp_path / "releases" / "two")
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


@pytest.mark.parametrize("kind", ["plain", "kubelet"])
@pytest.mark.usefixtures("inotify")
def test_a_link_turned_to_another_link(make_kubelet_volume, load, tmp_path, kind):
    """K01: a link that is turned to another one with the same target is followed, and the other one too."""

    def fill(name, message):
        if kind == "plain":
            write(tmp_path / name / "message", message)
        else:
            make_kubelet_volume(name).write({"message": message})

    fill("one", "one")
    fill("two", "two")
    for link, target in (("blue", "one"), ("green", "one"), ("current", "blue")):
        os.symlink(target, tmp_path / link)
    settings = load(Still, _volumes=tmp_path / "current")
    turn(tmp_path / "current", "green")
    fill("one", "edited")
    settings.live.wait(lambda s: s.message == "edited", PATIENCE)  # the event of the link came before
    turn(tmp_path / "green", "two")
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert settings.live.status().watcher == "inotify"


def test_a_folder_of_a_kubelets_volume(kubelet_volume, load):
    """K01: a folder of a kubelet's volume, given as a volume, is followed by event from generation to generation."""
    kubelet_volume.write({"folder/message": "one"})
    settings = load(Still, _volumes=kubelet_volume.path / "folder")
    for number in ("two", "three", "four"):
        kubelet_volume.write({"folder/message": number})
        settings.live.wait(lambda s, number=number: s.message == number, PATIENCE)


def test_a_link_that_dangles(work_trees, load, tmp_path):
    """K01: a link that leads nowhere for a while leaves the last good values, and is followed when it leads on."""
    tree = work_trees(1)
    settings = load(Rechecked, _volumes=tmp_path / "root" / "current")
    rejected = []
    settings.live.on_reject(rejected.append)
    shutil.rmtree(tree)
    settings.live.reload()
    assert settings.message == "1"
    assert not settings.live.status().healthy
    work_trees(2)
    settings.live.wait(lambda s: s.message == "2", PATIENCE)
    assert settings.live.status().healthy
    assert len(rejected) == 1


def test_a_link_to_another_kind_of_volume(make_kubelet_volume, load, tmp_path):
    """K01: a link may be turned from a plain directory to a kubelet's volume."""
    write(tmp_path / "plain" / "message", "one")
    volume = make_kubelet_volume("atomic")
    volume.write({"message": "two"})
    os.symlink("plain", tmp_path / "link")
    settings = load(Still, _volumes=tmp_path / "link")
    assert settings.message == "one"
    turn(tmp_path / "link", volume.path)
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    volume.write({"message": "three"})
    settings.live.wait(lambda s: s.message == "three", PATIENCE)


@pytest.mark.parametrize("key", ["db/host", "outer/inner/host"])
def test_files_in_folders(load, tmp_path, key):
    """H06: a file in a folder of a plain directory, at any depth, is found by event, renamed or written in place."""
    file = tmp_path / "volume" / key
    write(file, "one")
    settings = load(Deep, _volumes=tmp_path / "volume")
    assert settings.hosts[key] == "one"
    write(file, "two")
    settings.live.wait(lambda s: s.hosts[key] == "two", PATIENCE)
    file.write_text("three")
    settings.live.wait(lambda s: s.hosts[key] == "three", PATIENCE)
    file.unlink()
    settings.live.wait(lambda s: s.hosts[key] == "default", PATIENCE)


def test_folders_that_come(load, tmp_path):
    """H06: files in folders that come while the process runs, made there or moved in, are found by event."""
    root = tmp_path / "volume"
    write(root / "message", "one")
    settings = load(Deep, _volumes=root)
    write(root / "outer" / "inner" / "host", "made")
    settings.live.wait(lambda s: s.outer.inner.host == "made", PATIENCE)
    write(root / "outer" / "inner" / "host", "edited")
    settings.live.wait(lambda s: s.outer.inner.host == "edited", PATIENCE)
    write(tmp_path / "aside" / "host", "moved")
    os.rename(tmp_path / "aside", root / "db")
    settings.live.wait(lambda s: s.db.host == "moved", PATIENCE)
    write(root / "db" / "host", "edited")
    settings.live.wait(lambda s: s.db.host == "edited", PATIENCE)


def test_folders_that_go_and_come_back(load, tmp_path):
    """H06: a folder that is deleted and made again is followed by event, as often as that happens."""
    root = tmp_path / "volume"
    write(root / "db" / "host", "0")
    settings = load(Deep, _volumes=root)
    for number in range(1, 6):
        shutil.rmtree(root / "db")
        settings.live.wait(lambda s: s.db.host == "default", PATIENCE)
        write(root / "db" / "host", str(number))
        settings.live.wait(lambda s, number=number: s.db.host == str(number), PATIENCE)


@pytest.mark.usefixtures("inotify")
def test_no_watch_left_for_a_folder(load, tmp_path, monkeypatch):
    """H06: where the kernel watches no more folders it is polling, and by event again when it does."""
    root = tmp_path / "volume"
    write(root / "db" / "host", "one")
    add = InotifyFD.add_callback

    def full(reader, path, *arguments):
        if path.endswith(b"/db"):
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return add(reader, path, *arguments)

    with monkeypatch.context() as exhausted:
        exhausted.setattr(InotifyFD, "add_callback", full)
        settings = load(Rechecked, _volumes=root)
        assert settings.live.status().watcher == "polling"
        assert any("max_user_watches" in note for note in settings.live.status().notes)
        write(root / "db" / "host", "two")
        settings.live.wait(lambda s: s.db.host == "two", PATIENCE)
    until(lambda: settings.live.status().watcher == "inotify")


@pytest.mark.usefixtures("inotify")
def test_folders_cost_no_thread(load, tmp_path):
    """H06: watching fifty folders takes no further thread, and close() leaves none."""
    for number in range(50):
        write(tmp_path / "volume" / "db" / f"folder{number}" / "unused", "x")
    before = threading.active_count()
    settings = load(Still, _volumes=tmp_path / "volume")
    assert settings.live.status().watcher == "inotify"
    assert threading.active_count() <= before + 4
    settings.live.close()
    assert threading.active_count() == before


@pytest.mark.usefixtures("inotify")
def test_only_volumes(make_kubelet_volume, load, tmp_path, caplog):
    """A directory that holds volumes but no key of its own is reported, with their paths, and no longer once it has one."""
    for name in ("config", "secrets"):
        make_kubelet_volume(f"etc/{name}").write({"message": "unread"})
    with caplog.at_level(logging.INFO, "liveconfig"):
        settings = load(Still, _volumes=tmp_path / "etc")
        assert settings.message == "default"
        [note] = settings.live.status().notes
        assert "no key of its own" in note
        assert f"{tmp_path}/etc/config, {tmp_path}/etc/secrets" in note
        assert sum("no key of its own" in record.message for record in caplog.records) == 1
        write(tmp_path / "etc" / "message", "one")
        settings.live.wait(lambda s: s.message == "one", PATIENCE)
        assert settings.live.reload()
    assert settings.live.status().notes == ()


@pytest.mark.usefixtures("inotify")
def test_only_volumes_further_down(make_kubelet_volume, load, tmp_path):
    """Volumes in a folder of a directory without keys are reported too; an empty directory is not."""
    make_kubelet_volume("etc/app/config").write({"message": "unread"})
    [note] = load(Still, _volumes=tmp_path / "etc").live.status().notes
    assert f"{tmp_path}/etc/app/config" in note
    (tmp_path / "empty").mkdir()
    assert load(Still, _volumes=tmp_path / "empty").live.status().notes == ()


def test_only_volumes_at_the_start(make_kubelet_volume, tmp_path):
    """An error at the start about a missing key says that the directory holds only volumes."""
    make_kubelet_volume("etc/config").write({"needed": "unread"})

    class Needing(Still):
        needed: str

    with pytest.raises(InvalidSettingsError, match="no key of its own") as failure:
        Needing.load(_volumes=tmp_path / "etc")
    assert f"{tmp_path}/etc/config" in str(failure.value)


def test_no_directory_at_the_start(make_kubelet_volume, tmp_path):
    """An error at the start names the volumes whose directory does not exist, and the variable that names another."""
    there = make_kubelet_volume("there")
    there.write({"message": "hello"})

    class Needing(Still):
        needed: str

    with pytest.raises(InvalidSettingsError, match=f"no such directory: {tmp_path}/a, {tmp_path}/b\\.") as failure:
        Needing.load(_volumes=[tmp_path / "a", there.path, tmp_path / "b"])
    assert f"LIVECONFIG_VOLUMES, for example to {tmp_path}/a=./a" in str(failure.value)
