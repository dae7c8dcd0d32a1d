"""``liveconfig watch``, read line by line while volumes are swapped beneath it."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from liveconfig.cli.watch import _Follower


@pytest.fixture
def watch(start):
    """A function that starts to watch a directory, and skips the line that says so."""

    def watch(directory, *options, **more):
        command = start("watch", str(directory), *options, **more)
        if not options:
            assert command.line().startswith(f"Watching {directory} until Ctrl-C.")
        return command

    return watch


def test_names_of_keys_that_changed(watch, kubelet_volume, canary):
    """Each generation is a line with its name and what changed, was added or removed; values are nowhere."""
    kubelet_volume.write({"message": "hello", "password": canary})
    command = watch(kubelet_volume.path)
    assert "atomic volume, followed by" in command.line()
    assert command.line().endswith(f"  {kubelet_volume.generation}  holds: message, password")
    kubelet_volume.update({"password": f"{canary}2", "db/user": "root"})
    assert command.line().endswith(f"  {kubelet_volume.generation}  changed: password; added: db/user")
    kubelet_volume.remove("message")
    assert command.line().endswith(f"  {kubelet_volume.generation}  removed: message")
    assert command.end(signal.SIGINT) == (0, "")
    assert canary not in "".join(command.said)


def test_a_folder_of_the_same_bytes(watch, make_kubelet_volume):
    """A new generation with the same bytes says that no key changed."""
    volume, other = make_kubelet_volume("one"), make_kubelet_volume("two")
    for each in (volume, other):
        each.write({"message": "hello"})
    command = watch(volume.path)
    command.until("holds: message")
    shutil.copytree(other.path / other.generation, volume.path / other.generation)
    (volume.path / "..data_tmp").symlink_to(other.generation)
    (volume.path / "..data_tmp").rename(volume.path / "..data")
    assert command.line().endswith(f"  {other.generation}  no key changed")


def test_json_lines(watch, kubelet_volume):
    """With --json each line is one object: how the volume is watched, then its generations."""
    kubelet_volume.write({"message": "hello"})
    command = watch(kubelet_volume.path, "--json")
    how, first = json.loads(command.line()), json.loads(command.line())
    assert {name: how[name] for name in ("event", "path", "mode", "frozen")} == {
        "event": "watching",
        "path": str(kubelet_volume.path),
        "mode": "atomic",
        "frozen": {},
    }
    assert how["watcher"] in ("inotify", "polling")
    assert (first["event"], first["first"], first["added"]) == ("generation", True, ["message"])
    kubelet_volume.write({"other": "hello"})
    then = json.loads(command.line())
    assert (then["generation"], then["written_at"][:4]) == (kubelet_volume.generation, first["at"][:4])
    assert (then["changed"], then["added"], then["removed"]) == ([], ["other"], ["message"])


def test_a_directory_that_appears_and_goes(watch, tmp_path):
    """A missing directory is said to be missing, read when it appears, and missed when it goes."""
    directory = tmp_path / "later"
    command = watch(directory)
    assert "missing" in command.line()
    directory.mkdir()
    (directory / "message").write_text("hello")
    assert "plain volume" in command.line()
    assert command.line().endswith("  plain-1  holds: message")
    shutil.rmtree(directory)
    assert "cannot be read: the volume has disappeared" in command.line()


def test_what_cannot_be_read(watch, kubelet_volume):
    """A generation that may not be read is a line that says why, and so is its end."""
    kubelet_volume.write({"message": "hello"})
    command = watch(kubelet_volume.path)
    command.until("holds: message")
    good = kubelet_volume.generation
    for target in ("../elsewhere", good):
        (kubelet_volume.path / "..data_tmp").symlink_to(target)
        (kubelet_volume.path / "..data_tmp").rename(kubelet_volume.path / "..data")
        line = command.line()
        assert ("cannot be read: '..data' is a link that leads outside" in line) == (target != good)
    assert "can be read again; nothing has changed" in line


def test_polling_is_said(watch, kubelet_volume, without_inotify):
    """D01: where no inotify instance can be had, it says that it polls, and sees a swap all the same."""
    kubelet_volume.write({"message": "hello"})
    command = watch(kubelet_volume.path, before=without_inotify)
    assert "followed by polling every 2 s, because inotify is unavailable" in command.line()
    command.line()
    kubelet_volume.write({"message": "other"})
    assert command.line().endswith("changed: message")


def test_a_file(run, tmp_path):
    """A file is no volume: one line, exit code 2."""
    (tmp_path / "message").write_text("hello")
    done = run("watch", "message")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"liveconfig watch: {tmp_path}/message is a file: name the directory that is mounted\n"


def test_nobody_reads_on(start, kubelet_volume):
    """A reader that has seen enough (``| head``) ends it without a traceback."""
    kubelet_volume.write({"message": "hello"})
    command = start("watch", str(kubelet_volume.path))
    command.until("holds: message")
    command.process.stdout.close()
    kubelet_volume.write({"message": "other"})
    assert command.process.wait(60) == 141  # as a shell has it; 1 is the word of `explain` for a frozen field
    assert command.process.stderr.read() == b""


def test_names_that_are_commands(watch, tmp_path):
    """A file name that a terminal would take for a command is made harmless."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a\x1b[2Jb").write_text("")
    command = watch(tmp_path / "plain")
    assert command.until("plain-1").endswith("holds: a?[2Jb")


def test_the_same_fault_is_told_once(kubelet_volume):
    """A fault of a volume is printed when it appears, not at each look."""
    follower = _Follower(str(kubelet_volume.path))
    (kubelet_volume.path / "..data").mkdir()
    assert [[event["event"] for event in follower.look()] for _ in range(2)] == [["unreadable"], []]
