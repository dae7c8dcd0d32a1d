"""Reports that lie, and processes that hide secrets in their command lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from liveconfig import processes
from liveconfig._processes import disk_check, procfs, scan
from liveconfig.testing import KubeletVolume

SETTINGS = {
    "name": "app.App",
    "version": 1,
    "state": "current",
    "healthy": True,
    "problems": [],
    "volumes": [],
    "applied_at": "2026-01-01T00:00:00+00:00",
    "apply_delay": 0.5,
    "frozen": [],
    "restart_pending": [],
    "stale": [],
    "failing_subscribers": [],
    "watcher": "inotify",
    "history": [],
}
VOLUME = {
    "path": "/none",
    "mode": "atomic",
    "generation": "..1",
    "written_at": None,
    "fault": None,
    "fingerprint": None,
}


@pytest.fixture
def show(program, kubelet_volume, monkeypatch):
    """A process that shows a foreign report; returns the record that is made of it."""
    monkeypatch.setenv("LIVECONFIG_REPORT", "0")
    kubelet_volume.write({"message": "one"})
    running = program()
    running.do("from liveconfig._processes.memory_file import MemoryFile; foreign = MemoryFile()")

    def shown(settings: dict[str, object], **document: object):
        whole = {
            "schema": 1,
            "pid": running.pid,
            "liveconfig": "0.2.0",
            "unlisted": 0,
            "settings": [{**SETTINGS, **settings}],
            **document,
        }
        running.do(f"foreign.replace({json.dumps(whole).encode()!r})")
        [process] = processes(running.pid)
        return process

    return shown


def test_a_right_one(show):
    """A report of the right shape is shown as it is."""
    assert show({}).is_current


@pytest.mark.parametrize(
    "settings",
    [
        {"version": 1.5},
        {"version": True},
        {"version": "7"},
        {"version": float("nan")},
        {"version": 10**400},
        {"applied_at": "2026-01-01T00:00:00"},
        {"applied_at": 5},
        {"apply_delay": float("inf")},
        {"apply_delay": 1e300},
        {"problems": "a text"},
        {"frozen": {"a": 1}},
        {"volumes": [{**VOLUME, "path": "none"}]},
        {"volumes": [{**VOLUME, "path": "/a\0b"}]},
        {"volumes": {"path": "/none"}},
        {"history": [5]},
        {"state": ["current"]},
    ],
    ids=str,
)
def test_wrong_types(show, settings):
    """A report with a number, a time or a list of the wrong type is hidden, and never an exception."""
    process = show(settings)
    assert [each.state for each in process.settings] == ["hidden"]
    assert not process.is_current


@pytest.mark.parametrize(
    "document", [{"pid": None}, {"pid": "1"}, {"unlisted": 1e9}, {"unlisted": "many"}, {"liveconfig": None}], ids=str
)
def test_wrong_types_around_the_settings(show, document):
    """A report without its process's number, or with a count that is none, is hidden, and never an exception."""
    assert [each.state for each in show({}, **document).settings] == ["hidden"]


def test_half_a_surrogate_pair(show):
    """Text that is no Unicode is shown escaped, so that every exporter can encode it."""
    process = show({"name": "app.\ud800"})
    assert process.settings[0].name == "app.\\ud800"


@pytest.mark.parametrize(("rejected", "state"), [(None, "rejected"), ("..0", "behind")])
def test_a_report_of_an_older_version(show, kubelet_volume, rejected, state):
    """A rejection in a report that does not name the rejected content, as older versions wrote it, stays one."""
    volume = {**VOLUME, "path": str(kubelet_volume.path), **({"rejected": rejected} if rejected else {})}
    place = kubelet_volume.path / "..data"
    deadline = time.monotonic() + 60
    while time.time() - place.lstat().st_ctime <= disk_check.GRACE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    [settings] = show({"state": "rejected", "healthy": False, "volumes": [volume]}).settings
    assert settings.state == state


@pytest.mark.parametrize("options", [("-c",), ("-uc",), ("-Ic",), ("-W", "ignore", "-Bc"), ("-uXdev", "-c")], ids=str)
def test_a_program_as_text(canary, options):
    """The text of a program after -c is not shown, whichever options are joined with it."""
    code = f"print(flush=True); input(); '/{canary}'"
    with subprocess.Popen([sys.executable, *options, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        assert procfs.command(running.pid).split()[1:] == ["-c"]
        running.communicate(b"\n", timeout=20)


def test_mounts_that_hang_do_so_together(program, kubelet_volume, monkeypatch):
    """Volumes that do not answer cost one second together, however many processes have them."""
    kubelet_volume.write({"message": "one"})
    running = {program().pid for _ in range(4)}
    released = threading.Event()
    monkeypatch.setattr(disk_check, "generation_at", lambda _: released.wait(30) or None)
    began = time.monotonic()
    found = [each for each in scan().processes if each.pid in running]
    took = time.monotonic() - began
    released.set()
    assert took < 3.5
    assert {settings.state for each in found for settings in each.settings} == {"unknown"}


def test_the_processes_of_other_containers(program, kubelet_volume, monkeypatch):
    """Where containers share their processes, those with another root directory are left out if asked so."""
    kubelet_volume.write({"message": "one"})
    pid = program().pid
    assert pid in {each.pid for each in scan(own_root=True).processes}
    own = os.stat

    def stat(path, *more, **options):
        return own("/proc" if path == f"/proc/{pid}/root" else path, *more, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert pid not in {each.pid for each in scan(own_root=True).processes}
    assert pid in {each.pid for each in scan().processes}


IN_A_ROOT = """
import os, sys
from liveconfig import Settings, SettingsConfigDict
import liveconfig.live, liveconfig.settings

class First(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[2])
    message: str = "unset"

class App(Settings):
    model_config = SettingsConfigDict(volumes="/srv/config")
    message: str

First.load().live.close()
os.chroot(sys.argv[1])
os.chdir("/")
os.makedirs("/proc/self", exist_ok=True)
settings = App.load()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs chroot")
def test_absolute_links_in_another_root(tmp_path):
    """A volume that a process names by an absolute link is looked at in the root directory of that process."""
    root = tmp_path / "root"
    inside = KubeletVolume(root / "etc/config")
    inside.write({"message": "one"})
    (root / "srv").mkdir()
    (root / "opt").mkdir()
    (root / "srv/config").symlink_to("/opt/../mnt/config")
    (root / "mnt").mkdir()
    (root / "mnt/config").symlink_to("../etc/config")
    other = KubeletVolume(tmp_path / "other")
    other.write({"message": "other"})
    command = [sys.executable, "-c", IN_A_ROOT, str(root), str(other.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        [process] = scan(running.pid).processes
        running.communicate("", timeout=20)
    [volume] = [each for settings in process.settings for each in settings.volumes if each.path == "/srv/config"]
    assert volume.on_disk == volume.generation == os.readlink(inside.path / "..data")
