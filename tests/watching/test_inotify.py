"""The observer: what watchdog raises, and on which threads it is stopped."""

from __future__ import annotations

import errno
import gc
import logging
import os
import queue
import shutil
import tempfile
import threading
import time
import weakref
from pathlib import Path

import pytest
from pydantic import BaseModel
from watchdog.observers.inotify_c import InotifyFD

from liveconfig import Settings, SettingsConfigDict
from liveconfig._volumes import take_fingerprint
from liveconfig._watching import directories, watcher
from liveconfig._watching.directories import ObservedDirectories
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0


def await_end_of_other_threads(threads):
    """Wait until there are only these threads; one that ends may start others."""
    deadline = time.monotonic() + PATIENCE
    while left := set(threading.enumerate()) - threads:
        assert time.monotonic() < deadline, f"threads left behind: {left}"
        for thread in left:
            if thread.ident is not None:  # one that is just being started cannot be joined
                thread.join(0.2)


class Part(BaseModel):
    message: str = "default"


class Parts(Settings):
    model_config = SettingsConfigDict(resync=3600.0)
    first: Part = Part()
    second: Part = Part()


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


@pytest.mark.usefixtures("inotify")
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
    await_end_of_other_threads(threads)
    assert not inotify_descriptors()


@pytest.fixture
def collected_by_hand():
    """The garbage collector runs only when a test calls it."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("inotify", "collected_by_hand")
def test_collected_on_a_thread_of_watchdog(kubelet_volume, on_a_thread_of_watchdog):
    """G06: settings that the garbage collector finds on a thread of watchdog are released, and all threads end."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})
    settings, begun, done = Still.load(_volumes=kubelet_volume.path), threading.Event(), threading.Event()
    settings.__dict__["me"] = settings  # only the garbage collector finds it
    gone = weakref.ref(settings)
    del settings

    def collect():
        begun.set()
        deadline = time.monotonic() + PATIENCE
        while gone() is not None and time.monotonic() < deadline:  # a check that is running holds it
            gc.collect()
        done.set()

    on_a_thread_of_watchdog(collect)
    kubelet_volume.write({"message": "two"})
    assert begun.wait(PATIENCE)
    assert done.wait(2 * PATIENCE)
    assert gone() is None, gc.get_referrers(gone())
    await_end_of_other_threads(threads)


@pytest.mark.usefixtures("inotify")
def test_closed_while_the_reader_is_held_up(kubelet_volume, on_a_thread_of_watchdog, inotify_descriptors, gate):
    """G06: close() returns while the thread that reads inotify is inside a finalizer; it ends, and closes all, after it."""
    threads = set(threading.enumerate())
    kubelet_volume.write({"message": "one"})
    settings, inside = Still.load(_volumes=kubelet_volume.path), threading.Event()

    def finalize():
        inside.set()
        gate.wait(PATIENCE)

    on_a_thread_of_watchdog(finalize)
    kubelet_volume.write({"message": "two"})
    assert inside.wait(PATIENCE)
    settings.live.close()
    assert set(threading.enumerate()) - threads, "the reader has ended already"
    gate.set()
    await_end_of_other_threads(threads)
    assert not inotify_descriptors()


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
    await_end_of_other_threads(threads)
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
    await_end_of_other_threads(threads)
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
    await_end_of_other_threads(threads)
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


@pytest.mark.usefixtures("inotify")
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


def test_one_of_two_folders_is_deleted(load, tmp_path):
    """K01: a folder that is deleted and created again is followed by event, and so is the other one."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "message").write_text("one")
    settings = load(Parts, _volumes=tmp_path)
    for name in ("second", "first"):
        shutil.rmtree(tmp_path / name)
        settings.live.wait(lambda s, name=name: getattr(s, name).message == "default", PATIENCE)
        (tmp_path / name).mkdir()
        (tmp_path / name / "message").write_text("two")
        settings.live.wait(lambda s, name=name: getattr(s, name).message == "two", PATIENCE)
    (tmp_path / "second" / "message").write_text("three")
    settings.live.wait(lambda s: s.second.message == "three", PATIENCE)


@pytest.mark.usefixtures("inotify")
def test_an_empty_plain_directory_is_deleted(load, tmp_path):
    """K01: the end of a plain directory in which nothing else happens is found by event."""
    path, rejected = tmp_path / "plain", threading.Event()
    path.mkdir()
    settings = load(Still, _volumes=path)
    settings.live.on_reject(lambda _: rejected.set())
    path.rmdir()
    assert rejected.wait(PATIENCE)
    assert not settings.live.status().healthy


def test_a_directory_of_links_is_deleted(make_kubelet_volume, load, tmp_path, until):
    """K01: a directory with a link on the way to the volume may be deleted; the link in a new one is followed."""

    class Rechecked(Still):
        model_config = SettingsConfigDict(resync=0.2)

    volumes = [make_kubelet_volume(name) for name in ("one", "two")]
    for volume in volumes:
        volume.write({"message": volume.path.name})
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "link").symlink_to(volumes[0].path)
    settings = load(Rechecked, _volumes=tmp_path / "links" / "link")
    shutil.rmtree(tmp_path / "links")
    until(lambda: not settings.live.status().healthy)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "link").symlink_to(volumes[1].path)
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    until(lambda: settings.live.status().healthy)


@pytest.mark.usefixtures("inotify")
def test_the_reader_ended_without_a_word(kubelet_volume, load, monkeypatch, caplog):
    """C02: a thread that reads inotify, and has ended while its descriptors are open, is replaced, and the log says so."""
    kubelet_volume.write({"message": "one"})
    with monkeypatch.context() as ends:
        ends.setattr(InotifyFD, "run", lambda _: None)
        settings = load(Still, _volumes=kubelet_volume.path)
        for thread in threading.enumerate():
            if type(thread).__name__ == "Reader":
                thread.join(PATIENCE)
    kubelet_volume.write({"message": "two"})  # by event, or by the look that follows the new watch
    settings.live.status()  # finds that it has ended, unless the end of the load has found it
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    assert settings.live.status().healthy
    assert "the thread that reads inotify had ended" in caplog.text


@pytest.fixture
def heard():
    """What the observer of a test reports: a hint or new folders, and the path."""
    return queue.Queue()


@pytest.fixture
def observer(heard):
    """The watches of a test."""
    observer = observer_that_tells(heard)
    yield observer
    observer.keep_only(set)


def observer_that_tells(heard):
    return ObservedDirectories(
        lambda path: heard.put(("hint", path)), lambda path: heard.put(("grown", path)), lambda: heard.put("lost")
    )


def is_watched_already(observer, path):
    """Whether the watches of a path are complete; they are when this returns."""
    return observer.ensure(str(path), take_fingerprint(str(path)))


def turn(link, target):
    """Replace a link in one step."""
    new = link.with_name("new")
    new.symlink_to(target)
    new.rename(link)


@pytest.mark.usefixtures("inotify")
def test_deleted_while_it_is_about_to_be_watched(observer, tmp_path, monkeypatch):
    """C02: a directory that is deleted just before it is watched is not watched, with that reason."""
    path, access = tmp_path / "volume", os.access
    path.mkdir()

    def delete_then(*arguments):
        answer = access(*arguments)
        shutil.rmtree(path, ignore_errors=True)
        return answer

    monkeypatch.setattr(os, "access", delete_then)
    assert not observer.ensure(str(path), take_fingerprint(str(path)))
    assert observer.refusal([str(path)]) == "FileNotFoundError: ENOENT"
    assert not observer.is_watched(str(path))


@pytest.mark.usefixtures("inotify")
def test_a_link_that_is_turned_while_it_is_about_to_be_watched(make_kubelet_volume, load, tmp_path, monkeypatch):
    """C02: a link on the way that leads elsewhere since just before it was watched is followed by event all the same."""
    first, second = make_kubelet_volume("first"), make_kubelet_volume("second")
    first.write({"message": "first"})
    second.write({"message": "second"})
    link, access = tmp_path / "link", os.access
    link.symlink_to(first.path)

    def turn_then(path, *arguments, **options):
        if path == str(first.path) and threading.current_thread().name.startswith("liveconfig"):
            monkeypatch.undo()
            (tmp_path / "new").symlink_to(second.path)
            (tmp_path / "new").rename(link)
        return access(path, *arguments, **options)

    monkeypatch.setattr(os, "access", turn_then)
    settings = load(Still, _volumes=link)
    settings.live.wait(lambda s: s.message == "second", PATIENCE)
    second.write({"message": "third"})
    settings.live.wait(lambda s: s.message == "third", PATIENCE)
    assert settings.live.status().watcher == "inotify"


@pytest.mark.usefixtures("inotify")
def test_closed_while_its_watch_is_held_up(kubelet_volume, monkeypatch, gate, inotify_descriptors):
    """G01: settings that are closed while a file call holds up their watch leave no watch when the call returns."""
    threads, realpath = set(threading.enumerate()), os.path.realpath
    kubelet_volume.write({"message": "one"})
    inside = threading.Event()

    def hang(path, **options):
        if threading.current_thread().name == "liveconfig" and not inside.is_set():
            inside.set()
            gate.wait(PATIENCE)
        return realpath(path, **options)

    monkeypatch.setattr(watcher, "BOUND", 0.05)
    monkeypatch.setattr(directories, "HELD_UP", 0.05)
    monkeypatch.setattr(os.path, "realpath", hang)
    settings = Still.load(_volumes=kubelet_volume.path)
    assert inside.wait(PATIENCE)
    settings.live.close()
    gate.set()
    await_end_of_other_threads(threads)
    assert not inotify_descriptors()


@pytest.mark.usefixtures("inotify")
def test_the_kernel_watches_no_more_folders(observer, tmp_path, monkeypatch):
    """D01: a plain directory of which a new folder cannot be watched is not watched by events, with that reason."""
    path, add = str(tmp_path), InotifyFD.add_callback
    assert not observer.ensure(path, take_fingerprint(path))
    assert observer.ensure(path, take_fingerprint(path))
    (tmp_path / "folder").mkdir()

    def refuse(reader, directory, *arguments):
        if directory.endswith(b"folder"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return add(reader, directory, *arguments)

    with monkeypatch.context() as full:
        full.setattr(InotifyFD, "add_callback", refuse)
        assert not observer.ensure(path, take_fingerprint(path))
    assert observer.refusal([path]) == "ENOSPC: fs.inotify.max_user_watches is reached"
    assert not observer.ensure(path, take_fingerprint(path))
    assert observer.refusal([path]) is None
    assert observer.ensure(path, take_fingerprint(path))


@pytest.mark.usefixtures("inotify")
def test_a_file_call_on_one_volume_does_not_return(observer, tmp_path, monkeypatch, gate):
    """G01: while a file call on one volume hangs, others are not watched in its place, and the reason is given."""
    inside, realpath = threading.Event(), os.path.realpath
    hanging, other = tmp_path / "hanging", tmp_path / "other"
    for path in (hanging, other):
        path.mkdir()

    def hang(path, **options):
        if path == str(hanging):
            inside.set()
            gate.wait(PATIENCE)
        return realpath(path, **options)

    monkeypatch.setattr(directories, "HELD_UP", 0.05)
    monkeypatch.setattr(os.path, "realpath", hang)
    seen = take_fingerprint(str(other))
    thread = threading.Thread(target=observer.ensure, args=(str(hanging), take_fingerprint(str(hanging))))
    thread.start()
    assert inside.wait(PATIENCE)
    assert not observer.ensure(str(other), seen)
    assert not observer.keep_only(set)
    assert observer.refusal([str(other)]) == "a file call on another volume does not return"
    gate.set()
    thread.join(PATIENCE)
    assert not observer.ensure(str(other), seen)
    assert observer.ensure(str(other), seen)
    assert observer.refusal([str(other)]) is None


@pytest.mark.usefixtures("inotify")
def test_the_reader_wakes_for_the_swap_alone(observer, heard, kubelet_volume, monkeypatch):
    """Of all that an update of a kubelet's volume does there, only the swap wakes the thread that reads inotify."""
    names, handle = [], InotifyFD.handle_event

    def note_and_handle(reader, event):
        names.append(event.name)
        handle(reader, event)

    monkeypatch.setattr(InotifyFD, "handle_event", note_and_handle)
    path = str(kubelet_volume.path)
    kubelet_volume.write({"message": "one"})
    assert not is_watched_already(observer, path)
    for payload in ({"message": "two", "other": "new"}, {"message": "three"}):
        kubelet_volume.write(payload)
        assert heard.get(timeout=PATIENCE) == ("hint", path)
    assert names == [b"..data", b"..data"]


@pytest.mark.usefixtures("inotify")
def test_a_deleted_volume_is_released(observer, heard, make_kubelet_volume, caplog):
    """C02: the watch of a volume that was deleted is released without a line of watchdog in the log."""
    gone, other = make_kubelet_volume("gone"), make_kubelet_volume("other")
    for volume in (gone, other):
        volume.write({"message": "one"})
        assert not is_watched_already(observer, volume.path)
    caplog.set_level(logging.DEBUG, "watchdog")
    shutil.rmtree(gone.path)
    assert heard.get(timeout=PATIENCE) == ("hint", str(gone.path))
    other.write({"message": "two"})  # its event comes after all those of the deletion
    assert heard.get(timeout=PATIENCE) == ("hint", str(other.path))
    assert observer.keep_only(lambda: {str(other.path)})
    assert not [each.getMessage() for each in caplog.records if each.name.startswith("watchdog")]


@pytest.mark.usefixtures("inotify")
def test_a_file_of_a_plain_directory_is_deleted(observer, heard, tmp_path):
    """The removal of a file from a plain directory is reported by event."""
    (tmp_path / "message").write_text("one")
    assert not is_watched_already(observer, tmp_path)
    (tmp_path / "message").unlink()
    assert heard.get(timeout=PATIENCE) == ("hint", str(tmp_path))


@pytest.mark.usefixtures("inotify")
def test_a_link_that_leads_through_another_link(observer, tmp_path):
    """K01: after a new link on the way to a volume is watched, the volume is read once more, and not at later checks."""
    plain, link, next_link = tmp_path / "plain", tmp_path / "link", tmp_path / "more" / "next"
    plain.mkdir()
    next_link.parent.mkdir()
    link.symlink_to(plain)
    next_link.symlink_to(plain)
    assert not is_watched_already(observer, link)
    assert is_watched_already(observer, link)
    turn(link, next_link)
    assert not is_watched_already(observer, link)
    assert is_watched_already(observer, link)


@pytest.mark.usefixtures("inotify")
def test_other_names_beside_a_link(observer, heard, kubelet_volume, tmp_path):
    """K01: in a directory with a link on the way to a volume, only a change of the link is reported."""
    link = tmp_path / "links" / "link"
    link.parent.mkdir()
    kubelet_volume.write({"message": "one"})
    link.symlink_to(kubelet_volume.path)
    assert not is_watched_already(observer, link)
    (link.parent / "other").touch()
    kubelet_volume.write({"message": "two"})
    assert heard.get(timeout=PATIENCE) == ("hint", str(link))
    turn(link, kubelet_volume.path)
    assert heard.get(timeout=PATIENCE) == ("grown", str(link))


@pytest.mark.usefixtures("inotify")
def test_links_that_may_be_read_later(holds_in_child):
    """K01: a link in a directory that may not be read does not count as new at each check; it is watched once that may."""
    nobody = 65534
    with tempfile.TemporaryDirectory(prefix="liveconfig-") as folder:  # those of pytest are closed to other users
        plain, link = Path(folder) / "plain", Path(folder) / "links" / "link"
        plain.mkdir()
        link.parent.mkdir()
        link.symlink_to(plain)
        link.parent.chmod(0o311)
        Path(folder).chmod(0o755)
        if os.geteuid() == 0:
            os.chown(link.parent, nobody, nobody)

        def check():
            if os.geteuid() == 0:  # to which nothing is closed
                os.setgroups([])
                os.setresgid(nobody, nobody, nobody)
                os.setresuid(nobody, nobody, nobody)
            heard = queue.Queue()
            observer = observer_that_tells(heard)
            assert not is_watched_already(observer, link)
            assert is_watched_already(observer, link)
            link.parent.chmod(0o755)
            assert not is_watched_already(observer, link)
            assert is_watched_already(observer, link)
            turn(link, plain)
            return heard.get(timeout=PATIENCE) == ("grown", str(link))

        assert holds_in_child(check)
        link.parent.chmod(0o755)  # so that it can be removed
