"""Scenes that need a process of their own: another user, own mounts, own limits.

Each is a generator: what it yields is reported as a line of JSON, and it goes on when a line comes in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import logging
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from fuse import Mounted
from pydantic import BaseModel

from liveconfig import Settings, SettingsConfigDict, Stale, VolumeError, processes
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0
NOBODY = 65534


class Database(BaseModel):
    user: str = "default"


class App(Settings):
    model_config = SettingsConfigDict(resync=0.2)
    message: str = "default"
    number: int = 0
    db: Database = Database()


class Still(App):
    model_config = SettingsConfigDict(resync=3600.0)


class Log(logging.Handler):
    """Keeps (level, text) of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[int, str]] = []
        logging.getLogger("liveconfig").addHandler(self)
        logging.getLogger("liveconfig").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.levelno, record.getMessage()))


class Complaints(logging.Handler):
    """Passes on what liveconfig says of faults of its own, and nothing else: what is on stderr fails the test."""

    def emit(self, record: logging.LogRecord) -> None:
        if "internal error" in record.getMessage():
            sys.stderr.write(self.format(record) + "\n")


def poll(holds: Any) -> None:
    """Wait until something holds, without any help from what is tested."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        pause.wait(0.05)


class Until:
    """Waits until something holds of the settings, looked at after each event and each re-check."""

    def __init__(self, settings: App) -> None:
        self._settings = settings
        self.rejections: list[Any] = []
        self._news = threading.Event()
        settings.live.on_reject(self._rejected)
        settings.live.on_reload(lambda _: self._news.set())

    def _rejected(self, event: Any) -> None:
        self.rejections.append(event)
        self._news.set()

    def __call__(self, holds: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError
            self._news.wait(0.05)
            self._news.clear()


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


# Another user


def become_nobody() -> None:
    """Give up the rights of root; another user has none to give up."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def as_nobody(path: str) -> Iterator[Any]:
    """Follow a volume as a user to whom files are closed."""
    log = Log()
    App.load(_volumes=path, _watch=False).live.close()  # whatever is imported late is imported now
    become_nobody()
    settings = App.load(_volumes=path)
    until = Until(settings)

    def report() -> dict[str, Any]:
        errors = [text for level, text in log.records if level == logging.ERROR]
        assert len(errors) == len(until.rejections), errors
        return {
            "message": settings.message,
            "rejected": len(until.rejections),
            "healthy": settings.live.status().healthy,
        }

    with settings.live:
        while True:
            before = settings.live.version, len(until.rejections)  # what comes may be there before somebody asks
            yield report()
            until(lambda before=before: (settings.live.version, len(until.rejections)) != before)
            settings.live.reload()


def unreadable(folder: str, mode: str, closed: str) -> Iterator[Any]:
    """Keys of which one, or their folder, may not be read by the user of the process."""
    path = f"{folder}/volume"
    keys = {"message": "one", "db/user": "one"}
    if mode == "atomic":
        volume = KubeletVolume(path)
        volume.write(keys)
        place = f"{path}/{volume.generation}"
    else:
        place = path
        for key, content in keys.items():
            os.makedirs(os.path.dirname(f"{path}/{key}"), exist_ok=True)
            with open(f"{path}/{key}", "w") as file:
                file.write(content)
    App.load(_volumes=path, _watch=False)  # whatever is imported late is imported now
    os.chmod(f"{place}/{closed}", 0)
    become_nobody()
    try:
        App.load(_volumes=path, _watch=False)
    except VolumeError as error:
        yield str(error).replace(folder, "")


def unreadable_later(folder: str) -> Iterator[Any]:
    """The update of a volume brings a key that may not be read, and the next one does not."""
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = App.load(_volumes=volume.path)
    until = Until(settings)
    read, write = os.pipe()
    writer = os.fork()
    if not writer:  # it stays root
        os.close(write)
        with open(read) as orders:
            for number, _ in enumerate(orders, 2):
                for step in volume.steps({"message": str(number), "db/user": str(number)}):
                    if step == "symlink" and number == 2:
                        os.chmod(volume.path / os.readlink(volume.path / "..data_tmp") / "db/user", 0)
        os._exit(0)
    os.close(read)
    become_nobody()
    os.write(write, b"\n")
    until(lambda: until.rejections)
    rejected = until.rejections[0]
    yield {"fields": rejected.fields, "reason": rejected.reason.replace(folder, ""), "message": settings.message}
    os.write(write, b"\n")
    until(lambda: settings.message == "3")
    yield {"healthy": settings.live.status().healthy, "user": settings.db.user}
    settings.live.close()
    os.close(write)
    os.waitpid(writer, 0)


# Mounts


def sub_path(folder: str, kind: str) -> Iterator[Any]:
    """A subPath mount, before and after the volume moves on."""
    log = Log()
    volume = KubeletVolume(f"{folder}/volume")
    key = "message" if kind == "file" else "db/message"
    volume.write({key: "one"})
    source, target = f"{folder}/volume/{volume.generation}/{key.partition('/')[0]}", f"{folder}/mount"
    os.mkdir(target)
    if kind == "file":
        target += "/message"
        open(target, "w").close()
    mount("--bind", source, target)
    settings = App.load(_volumes=f"{folder}/mount")
    until = Until(settings)
    standing: list[Stale] = []
    later: list[Stale] = []
    settings.live.subscribe(Stale, standing.append, initial=True)
    settings.live.on_stale(later.append)

    def report() -> dict[str, Any]:
        status = settings.live.status()
        return {
            "value": settings.message,
            "told": [[stale.reason for stale in events] for events in (standing, later)],
            "live": settings.live.origin("message").live,
            "stale": [stale.reason for stale in status.stale],
            "healthy": status.healthy,
            "log": log.records,
        }

    with settings.live:
        yield report()
        volume.write({key: "two"})
        until(lambda: any(level == logging.ERROR and "subPath" in text for level, text in log.records))
        until(lambda: len(standing) == 2 and later)
        yield report()


def orphan(folder: str) -> Iterator[Any]:
    """A mount whose source is deleted on the node."""
    log = Log()
    volume = KubeletVolume(f"{folder}/node/volume")
    volume.write({"message": "one"})
    os.mkdir(f"{folder}/mount")
    mount("--bind", f"{folder}/node/volume", f"{folder}/mount")
    settings = App.load(_volumes=f"{folder}/mount")
    until = Until(settings)
    with settings.live:
        yield {"value": settings.message, "healthy": settings.live.status().healthy, "stale": []}
        shutil.rmtree(f"{folder}/node/volume")
        until(lambda: settings.live.status().stale)
        KubeletVolume(f"{folder}/node/volume").write({"message": "two"})
        settings.live.reload()
        status = settings.live.status()
        yield {
            "value": settings.message,
            "healthy": status.healthy,
            "stale": [stale.reason for stale in status.stale],
            "errors": sum(level == logging.ERROR and "stale mount" in text for level, text in log.records),
        }


def mounted_over(folder: str) -> Iterator[Any]:
    """Another volume on top of the first, and gone again."""
    first, other = KubeletVolume(f"{folder}/first"), KubeletVolume(f"{folder}/other")
    first.write({"message": "one"})
    other.write({"message": "over"})

    class Slow(App):
        model_config = SettingsConfigDict(resync=3.0)

    settings = Slow.load(_volumes=f"{folder}/first")
    seen = [settings.message]
    with settings.live:

        def wait(message: str) -> None:
            seen.append(settings.live.wait(lambda s: s.message == message, PATIENCE).message)

        mount("--bind", f"{folder}/other", f"{folder}/first")
        wait("over")
        began = time.monotonic()
        for number in range(10):
            other.write({"message": f"over {number}"})
            wait(f"over {number}")
        by_event = time.monotonic() - began < 5 * 3.0  # by re-checks alone, ten swaps take 27 s
        subprocess.run(["umount", f"{folder}/first"], check=True)
        wait("one")
        first.write({"message": "two"})
        wait("two")
        healthy = settings.live.reload() and settings.live.status().healthy
        yield {"seen": seen, "by event": by_event, "healthy": healthy}


def nested_mounts(folder: str) -> Iterator[Any]:
    """A file system inside a volume and inside a plain directory, on which something always happens."""
    volume = KubeletVolume(f"{folder}/atomic")
    volume.write({"message": "one"})
    os.mkdir(f"{folder}/plain")
    for path in (f"{folder}/atomic", f"{folder}/plain"):
        os.mkdir(f"{path}/nested")
        mount("-t", "tmpfs", "none", f"{path}/nested")
        os.mkfifo(f"{path}/nested/message")
    with open(f"{folder}/plain/message", "w") as file:
        file.write("one")
    stop = threading.Event()

    def busy() -> None:
        number = 0
        while not stop.wait(0.005):
            number += 1
            with open(f"{folder}/plain/nested/log", "a") as log:
                log.write(str(number))

    thread = threading.Thread(target=busy, daemon=True)
    thread.start()
    atomic, plain = (Still.load(_volumes=f"{folder}/{name}", _watch=False) for name in ("atomic", "plain"))
    before = atomic.message, plain.message
    volume.write({"message": "two"})
    with open(f"{folder}/plain/message.tmp", "w") as file:
        file.write("two")
    os.rename(f"{folder}/plain/message.tmp", f"{folder}/plain/message")
    assert atomic.live.reload()
    assert plain.live.reload()
    stop.set()
    thread.join()
    unused = [each.key for settings in (atomic, plain) for each in settings.live.status().unused_keys]
    yield {"atomic": [before[0], atomic.message], "plain": [before[1], plain.message], "unused": unused}


def mounted_file(folder: str, key: str, how: str) -> Iterator[Any]:
    """A single file mounted into a plain directory, which is replaced on the node while the process runs."""
    log = Log()
    node, target = f"{folder}/node", f"{folder}/mount/{key}"
    os.makedirs(node)
    os.makedirs(os.path.dirname(target))
    for path in (f"{node}/file", target):
        with open(path, "w") as file:
            file.write("one")
    with open(f"{folder}/mount/number", "w") as file:
        file.write("1")
    mount("--bind", f"{node}/file", target)
    settings = App.load(_volumes=f"{folder}/mount", _watch=how != "unwatched")
    until = Until(settings)
    stale: list[Stale] = []
    settings.live.on_stale(stale.append)

    def report() -> dict[str, Any]:
        status = settings.live.status()
        field = "message" if key == "message" else "db.user"
        return {
            "values": [settings.message, settings.db.user],
            "live": settings.live.origin(field).live,
            "stale": [[each.field, each.reason] for each in status.stale],
            "told": [each.reason for each in stale],
            "healthy": status.healthy,
            "frozen": [each.frozen for each in status.volumes],
            "errors": [text for level, text in log.records if level == logging.ERROR],
        }

    yield report()
    with open(f"{node}/file", "r+") as file:  # in place: the mount shows it
        file.write("two")
    until(lambda: settings.live.reload() and "two" in (settings.message, settings.db.user))
    yield report()
    if how == "renamed":
        os.rename(f"{node}/file", f"{node}/file~")
    elif how == "deleted":
        os.unlink(f"{node}/file")
    with open(f"{node}/new", "w") as file:
        file.write("three")
    os.rename(f"{node}/new", f"{node}/file")
    if how == "unwatched":
        settings.live.reload()
    until(lambda: settings.live.status().stale and stale)
    yield report()
    settings.live.close()


def mounted_file_without_a_server(folder: str) -> Iterator[Any]:
    """A single file mounted into a plain directory, on a file system whose server ends and does not come back."""
    for path, content in ((f"{folder}/node/message", "one"), (f"{folder}/mount/message", "below")):
        os.mkdir(os.path.dirname(path))
        with open(path, "w") as file:
            file.write(content)
    mirror = Mounted(f"{folder}/node", f"{folder}/fuse")
    mount("--bind", f"{folder}/fuse/message", f"{folder}/mount/message")
    settings = App.load(_volumes=f"{folder}/mount")
    until = Until(settings)

    def report() -> dict[str, Any]:
        status = settings.live.status()
        return {"value": settings.message, "healthy": status.healthy, "faulty": bool(status.volumes[0].fault)}

    yield report()
    mirror.end()
    until(lambda: settings.live.status().volumes[0].fault)
    settings.live.reload()
    yield report()
    subprocess.run(["umount", "--lazy", f"{folder}/mount/message"], check=True)
    until(lambda: settings.message == "below")
    until(lambda: settings.live.status().healthy)
    yield report()
    subprocess.run(["umount", "--lazy", f"{folder}/fuse"], check=True)
    settings.live.close()


def unfinished_update(folder: str, how: str) -> Iterator[Any]:
    """A Secret on tmpfs whose update fails: the kubelet removes the volume under the container and makes a new one."""
    log = Log()
    node, mounted = f"{folder}/node", f"{folder}/mount"
    for path in (node, mounted):
        os.mkdir(path)
    mount("-t", "tmpfs", "none", node)
    mount("--bind", node, mounted)
    volume = KubeletVolume(node)
    volume.write({"message": "one"})
    settings = App.load(_volumes=mounted)
    until = Until(settings)

    def report() -> dict[str, Any]:
        status = settings.live.status()
        return {
            "value": settings.message,
            "stale": [each.reason for each in status.stale],
            "healthy": status.healthy,
            "errors": sum(level == logging.ERROR and "has not finished" in text for level, text in log.records),
            "over": sum("is updated again" in text for _, text in log.records),
        }

    yield report()
    if how == "older":
        os.mkdir(f"{node}/..2020_01_01_00_00_00.123")
    else:
        time.sleep(max(0.0, 1.1 - time.time() % 1.0))  # a generation of another second
        next(volume.steps({"message": "two", "number": "2"}))
    if how == "orphaned":
        subprocess.run(["umount", node], check=True)
        mount("-t", "tmpfs", "none", node)
        KubeletVolume(node).write({"message": "three"})
    if how == "older":
        threading.Event().wait(3.0)
    else:
        until(lambda: settings.live.status().stale and report()["errors"])  # the line follows the status
    yield report()
    if how == "finished":
        volume.write({"message": "three"})
        until(lambda: settings.message == "three" and settings.live.status().healthy and report()["over"])
        yield report()
    settings.live.close()


# Mounts that do not answer


class Pair(App):
    """On two volumes: each field has one of its own."""

    other: str = "default"


def hung_mount(folder: str) -> Iterator[Any]:
    """A file system under one of two volumes stops to answer, and answers again."""
    log = Log()
    first, second, third = (KubeletVolume(f"{folder}/{name}") for name in ("first", "second", "third"))
    first.write({"message": "one"})
    second.write({"other": "one"})
    third.write({"message": "one"})
    mirror = Mounted(f"{folder}/first", f"{folder}/mount")
    both = Pair.load(_volumes=[f"{folder}/mount", f"{folder}/second"])
    beside = Still.load(_volumes=f"{folder}/third")
    until = Until(both)

    def report() -> dict[str, Any]:
        status, healthy = both.live.status(), beside.live.status().healthy
        return {
            "values": [both.message, both.other, beside.message],
            "healthy": [status.healthy, healthy],
            "faults": [bool(volume.fault) for volume in status.volumes],
            "errors": sum(level == logging.ERROR and "does not answer" in text for level, text in log.records),
        }

    yield report()
    mirror.order("hang")
    third.write({"message": "two"})
    began = time.monotonic()
    beside.live.wait(lambda s: s.message == "two", PATIENCE)
    until(lambda: both.live.status().volumes[0].fault)
    second.write({"other": "two"})
    both.live.wait(lambda s: s.other == "two", PATIENCE)
    late = Still.load(_volumes=f"{folder}/second")
    second.write({"other": "three"})
    late.live.close()
    both.live.wait(lambda s: s.other == "three", PATIENCE)
    settled = threading.active_count()
    threading.Event().wait(1.0)  # five re-checks
    yield {**report(), "slow": time.monotonic() - began > 10, "more threads": threading.active_count() > settled}
    first.write({"message": "two"})
    mirror.order("answer")
    until(lambda: both.message == "two" and both.live.status().healthy)
    yield report()
    for settings in (both, beside):
        settings.live.close()
    poll(lambda: threading.active_count() == 1)
    subprocess.run(["umount", "--lazy", f"{folder}/mount"], check=True)
    mirror.end()
    yield {"threads": threading.active_count()}


def ps_hung_mount(folder: str) -> Iterator[Any]:
    """``liveconfig ps`` and `processes` while the file system under one of two settings objects does not answer."""
    first, second = KubeletVolume(f"{folder}/first"), KubeletVolume(f"{folder}/second")
    for volume in (first, second):
        volume.write({"message": "one"})
    mirror = Mounted(f"{folder}/first", f"{folder}/mount")
    several = [Still.load(_volumes=f"{folder}/{name}") for name in ("mount", "second")]
    mirror.order("hang")

    def states(found: Any) -> list[str]:
        return [each["state"] for process in found if process["pid"] == os.getpid() for each in process["settings"]]

    took = []
    for arguments in ([], ["--wait", "2"]):
        command = [sys.executable, "-m", "liveconfig", "ps", "--json", *arguments]
        began = time.monotonic()
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        took.append(time.monotonic() - began)
        yield {"code": ran.returncode, "states": states(json.loads(ran.stdout)["processes"])}
    for _ in range(3):
        processes(os.getpid())
    settled = threading.active_count()
    for _ in range(5):
        found = states(each.as_dict() for each in processes(os.getpid()))
    yield {"states": found, "more threads": threading.active_count() > settled, "late": max(took) > 15.0}
    mirror.order("answer")
    for settings in several:
        settings.live.close()
    subprocess.run(["umount", "--lazy", f"{folder}/mount"], check=True)
    mirror.end()


def short_reads(folder: str) -> Iterator[Any]:
    """A file system whose reads give seven bytes at most."""
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    mirror = Mounted(f"{folder}/volume", f"{folder}/mount")
    mirror.order("short")
    settings = Still.load(_volumes=f"{folder}/mount", _watch=False)
    lengths = []
    for length in (6, 7, 8, 100, 4096, 10_000):
        volume.write({"message": "x" * length})
        assert settings.live.reload()
        lengths.append(len(settings.message))
    yield lengths
    subprocess.run(["umount", "--lazy", f"{folder}/mount"], check=True)
    mirror.end()


# Sandboxes


def forbid_marks() -> None:
    """Have the kernel refuse F_SETSIG and F_GETSIG, as the kernel of a sandbox does that knows neither (gVisor)."""
    load, equal, answer, allow, refuse = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000 | errno.EINVAL
    number = {"x86_64": 72, "aarch64": 25}[os.uname().machine]
    steps = [(load, 0, 0, 0), (equal, 0, 4, number), (load, 0, 0, 24), (equal, 1, 0, 10), (equal, 0, 1, 11)]
    program = b"".join(struct.pack("HBBI", *step) for step in [*steps, (answer, 0, 0, refuse), (answer, 0, 0, allow)])
    code = ctypes.create_string_buffer(program, len(program))
    filtered = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((38, 1, 0, 0, 0), (22, 2, filtered, 0, 0)):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def sandbox_without_marks(folder: str) -> Iterator[Any]:
    """Follow a volume by event where a descriptor cannot be marked, and find that other code has closed it."""
    forbid_marks()
    log, volume = Log(), KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = Still.load(_volumes=volume.path)
    try:
        fcntl.fcntl(0, fcntl.F_GETSIG)
        marks = True
    except OSError:
        marks = False
    volume.write({"message": "two"})
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    yield {"marks": marks, "watcher": settings.live.status().watcher}
    os.closerange(3, 100)
    with contextlib.suppress(OSError):
        settings.live.reload()
    volume.write({"message": "three"})
    settings.live.wait(lambda s: s.message == "three", PATIENCE)
    yield {"lost": sum("other code in this process closed" in text for _, text in log.records)}
    settings.live.close()


# Descriptors that others close


class Sockets:
    """Sockets of the application, which get the lowest numbers that are free."""

    def __init__(self) -> None:
        self._pairs = [socket.socketpair() for _ in range(4)]
        for _, far in self._pairs:
            far.send(b"mine")

    def are_untouched(self) -> bool:
        """Whether what was sent is still to be read there; more is sent."""
        untouched = all(near.recv(100, socket.MSG_DONTWAIT) == b"mine" for near, _ in self._pairs)
        for _, far in self._pairs:
            far.send(b"mine")
        return untouched


def descriptors_closed(folder: str, how: str) -> Iterator[Any]:
    """Every descriptor is closed under us, and the application opens others."""
    log = Log()
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = Still.load(_volumes=volume.path)
    if how == "daemon":
        for _ in range(2):
            if os.fork():
                os._exit(0)
            os.setsid()
        signal.alarm(120)  # a child inherits no alarm
    os.closerange(3, 1024)
    sockets = Sockets()
    seen = []
    for message in ("two", "three"):  # by event: there is no re-check
        poll(lambda: settings.live.status().watcher == "inotify" and settings.live.status().healthy)
        volume.write({"message": message})
        seen.append(settings.live.wait(lambda s, message=message: s.message == message, PATIENCE).message)
    began = time.process_time()
    threading.Event().wait(1.0)
    busy = time.process_time() - began > 0.5
    lines = sum("has started again" in text for _, text in log.records)
    settings.live.close()
    yield {
        "seen": seen,
        "busy": busy,
        "lines": lines,
        "sockets": sockets.are_untouched() and sockets.are_untouched(),
        "threads": threading.active_count(),
    }


def inotify_replaced(folder: str) -> Iterator[Any]:
    """Our inotify descriptor, and it alone, is closed, and the application has one of its own under its number."""
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = App.load(_volumes=volume.path)
    [ours] = [int(name) for name, link in links() if "inotify" in link]
    os.mkdir(f"{folder}/other")
    other = Opens(f"{folder}/other")
    os.dup2(other.descriptor, ours)
    poll(lambda: any("inotify" in link and int(name) not in (ours, other.descriptor) for name, link in links()))
    seen = []
    for message in ("two", "three"):
        volume.write({"message": message})
        seen.append(settings.live.wait(lambda s, message=message: s.message == message, PATIENCE).message)
    for number in range(3):
        with open(f"{folder}/other/{number}", "w"):
            pass
        threading.Event().wait(0.1)
    settings.live.close()
    yield {"seen": seen, "events": other.count(), "kept": os.fstat(ours).st_ino == os.fstat(other.descriptor).st_ino}
    yield {"threads": threading.active_count()}


def number_taken(folder: str) -> Iterator[Any]:
    """After close() the application has an inotify descriptor under our old number, and forks."""
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    first, second = Still.load(_volumes=volume.path), Still.load(_volumes=volume.path)
    [ours] = [int(name) for name, link in links() if "inotify" in link]
    first.live.close()
    second.live.close()
    assert not [name for name, link in links() if "inotify" in link]
    other = Opens(folder)
    os.dup2(other.descriptor, ours)
    child = os.fork()
    if not child:
        os._exit(0 if "inotify" in os.readlink(f"/proc/self/fd/{ours}") else 1)
    yield {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}


# Limits


def links() -> list[tuple[str, str]]:
    """Each descriptor of this process, and what it leads to."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists is closed by now
            found.append((name, os.readlink(f"/proc/self/fd/{name}")))
    return found


def descriptors() -> int:
    """How many, save the one of the report, which stays until the process ends."""
    return sum("memfd:liveconfig" not in link for _, link in links())


def allow(limit: str, number: int) -> None:
    """Set a limit of inotify, of this user namespace alone."""
    with open(f"/proc/sys/user/max_inotify_{limit}", "w") as file:
        file.write(str(number))


def inotify_exhausted(folder: str, limit: str) -> Iterator[Any]:
    """No inotify from the start; then swaps; then inotify again."""
    log = Log()
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    before = descriptors()
    allow(limit, 0)
    settings = Still.load(_volumes=volume.path)
    until = Until(settings)

    def report() -> dict[str, Any]:
        status = settings.live.status()
        return {
            "message": settings.message,
            "watcher": status.watcher,
            "healthy": status.healthy,
            "warnings": [text for level, text in log.records if level > logging.INFO],
            "more descriptors": descriptors() - before,
        }

    yield report()
    volume.write({"message": "two"})
    # The value is readable before the check has ended, which still holds the inotify instance that it tried.
    until(lambda: settings.message == "two" and descriptors() == before)
    yield report()
    allow(limit, 100)
    until(lambda: settings.live.status().watcher == "inotify")
    volume.write({"message": "three"})
    until(lambda: settings.message == "three")
    yield report()
    settings.live.close()
    yield {"more descriptors": descriptors() - before, "threads": threading.active_count()}


def inotify_exhausted_later(folder: str) -> Iterator[Any]:
    """Inotify that is lost while it cannot be had again."""
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = App.load(_volumes=volume.path)
    until = Until(settings)
    modes, messages = [settings.live.status().watcher], [settings.message]
    with settings.live:
        allow("watches", 0)
        os.rename(volume.path, f"{folder}/away")
        KubeletVolume(volume.path).write({"message": "two"})
        until(lambda: settings.message == "two" and settings.live.status().watcher == "polling")
        modes.append(settings.live.status().watcher)
        messages.append(settings.message)
        allow("watches", 100)
        until(lambda: settings.live.status().watcher == "inotify")
        KubeletVolume(volume.path).write({"message": "three"})
        until(lambda: settings.message == "three")
        modes.append(settings.live.status().watcher)
        messages.append(settings.message)
    yield {"modes": modes, "messages": messages}


class Shortage:
    """While it lasts, no descriptor is left."""

    def __enter__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, self._limits[1]))
        self._taken = []
        try:
            while True:
                self._taken.append(os.dup(0))
        except OSError:
            pass

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
        for descriptor in self._taken:
            os.close(descriptor)


class Writer:
    """A process that writes a volume when it is told to: this one may be out of descriptors."""

    def __init__(self, path: str, *payloads: dict[str, str]) -> None:
        script = (
            "import json, sys\nfrom liveconfig.testing import KubeletVolume\n"
            "for line in sys.stdin:\n    KubeletVolume(sys.argv[1]).write(json.loads(line))\n    print(flush=True)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.write({"message": "one"})

    def write(self, payload: dict[str, str]) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(payload), file=self._process.stdin, flush=True)
        self._process.stdout.readline()

    def end(self) -> None:
        self._process.communicate()


def no_descriptors(folder: str) -> Iterator[Any]:
    """A swap while no descriptor is left."""
    writer = Writer(f"{folder}/volume")
    settings = App.load(_volumes=f"{folder}/volume")
    until = Until(settings)

    def report() -> dict[str, Any]:
        return {"message": settings.message, "healthy": settings.live.status().healthy}

    with settings.live:
        yield report()
        with Shortage():
            writer.write({"message": "two"})
            until(lambda: until.rejections)
            short = report()
        yield short
        until(lambda: settings.message == "two" and settings.live.status().healthy)
        yield report()
    writer.end()


def no_descriptors_beside_a_rejection(folder: str) -> Iterator[Any]:
    """A standing rejection before, during and after a shortage that is over before its patience is."""
    writer = Writer(f"{folder}/volume")
    settings = Still.load(_volumes=f"{folder}/volume", _watch=False)
    until = Until(settings)
    writer.write({"message": "two", "number": "bad"})
    settings.live.reload()
    healthy = [settings.live.status().healthy]
    with Shortage():
        settings.live.reload(wait=False)
        healthy.append(settings.live.status().healthy)
    settings.live.reload()
    healthy.append(settings.live.status().healthy)
    validate = sum(event.stage == "validate" for event in until.rejections)
    settings.live.close()
    writer.end()
    yield {"validate": validate, "healthy": healthy, "message": settings.message}


def no_threads(folder: str) -> Iterator[Any]:
    """A mount that is made anew while no thread can be started."""
    os.chmod(folder, 0o777)
    App.load(_volumes=folder, _watch=False).live.close()  # whatever is imported late is imported now
    become_nobody()
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = App.load(_volumes=f"{folder}/volume")
    messages = [settings.message]
    limits = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, limits[1]))
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        pass
    else:
        raise AssertionError("threads can still be started")
    os.rename(f"{folder}/volume", f"{folder}/away")
    volume = KubeletVolume(f"{folder}/volume")
    for message in ("two", "three"):
        volume.write({"message": message})
        poll(lambda message=message: settings.message == message)
        messages.append(settings.message)
    resource.setrlimit(resource.RLIMIT_NPROC, limits)
    settings.live.close()
    yield {"messages": messages}


# Cost


class Opens:
    """Counts how often files of a folder are opened or read, as inotify tells."""

    IN_ACCESS, IN_OPEN, IN_ISDIR, IN_Q_OVERFLOW = 0x1, 0x20, 0x40000000, 0x4000

    def __init__(self, *folders: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in folders:
            assert libc.inotify_add_watch(self.descriptor, os.fsencode(folder), self.IN_ACCESS | self.IN_OPEN) >= 0

    def count(self) -> int:
        found = 0
        try:
            while data := os.read(self.descriptor, 65536):
                while data:
                    _, mask, _, length = struct.unpack_from("iIII", data)
                    assert not mask & self.IN_Q_OVERFLOW
                    found += not mask & self.IN_ISDIR
                    data = data[16 + length :]
        except BlockingIOError:
            pass
        return found


def touches(folder: str) -> Iterator[Any]:
    """100,000 touches of files beside the link, by another process."""
    volume = KubeletVolume(f"{folder}/volume")
    volume.write({"message": "one"})
    settings = Still.load(_volumes=volume.path)
    opens = Opens(f"{volume.path}/{volume.generation}")
    script = (
        "import os, sys\nos.chdir(sys.argv[1])\n"
        "for number in range(20_000):\n"
        "    name = f'file{number % 10}'\n"
        "    with open(name, 'a') as file: file.write('x')\n"
        "    os.utime(name)\n    os.chmod(name, 0o600)\n    os.rename(name, 'other')\n    os.unlink('other')\n"
    )
    looks, look = [], settings.live._core.look
    settings.live._core.look = lambda: (looks.append(1), look())
    with settings.live:
        subprocess.run([sys.executable, "-c", script, str(volume.path)], check=True)
        yield {"version": settings.live.version, "opened": opens.count(), "looks": len(looks)}


def wake_ups() -> int:
    """How often threads of this process, save the main one, have woken from a wait."""
    count = 0
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            with open(f"/proc/self/task/{task}/status") as status:
                count += int(next(line for line in status if line.startswith("voluntary_ctxt_switches")).split()[1])
    return count


class Idle(App):
    model_config = SettingsConfigDict(resync=3.0)


def idle(folder: str) -> Iterator[Any]:
    """Ten settings objects on two volumes each, for two periods."""
    volumes = [KubeletVolume(f"{folder}/volume{number}") for number in range(4)]
    for volume in volumes:
        volume.write({"message": "one"})
    several = [Idle.load(_volumes=[volumes[n % 4].path, volumes[(n + 1) % 4].path]) for n in range(10)]
    opens = Opens(*(f"{volume.path}/{volume.generation}" for volume in volumes))
    pause = threading.Event()
    # Half a period off the re-checks, which fall on multiples of it: each of the two lies well inside.
    pause.wait(4.5 - time.monotonic() % 3.0)
    before = wake_ups()
    pause.wait(6.0)
    yield {"wake-ups": wake_ups() - before, "opened": opens.count()}
    for settings in several:
        settings.live.close()


def main() -> None:
    scene, *arguments = sys.argv[1:]
    logging.getLogger("liveconfig").addHandler(Complaints())
    for report in globals()[scene](*arguments):
        print(json.dumps(report), flush=True)
        if not sys.stdin.readline():
            return


if __name__ == "__main__":
    main()
