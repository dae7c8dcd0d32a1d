"""Forked, forkserved and spawned children, signals and the end of the interpreter, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "scripts"
STRICT = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
Script = Callable[..., None]
PATIENCE = 60.0


@pytest.fixture
def script(canary: str, environment: dict[str, str]) -> Script:
    """Run a script to its end: with exit code 0, and not a word on stderr."""

    def run(name: str, *arguments: str) -> None:
        command = [sys.executable, *STRICT, str(SCRIPTS / name), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
        assert canary not in done.stdout + done.stderr
        assert (done.returncode, done.stderr) == (0, "")

    return run


@pytest.mark.usefixtures("inotify")
def test_a_child_of_os_fork_follows(script: Script) -> None:
    """E11: After os.fork the child reads at once, follows, calls its subscribers and closes, and the parent still follows."""
    script("fork_plain.py")


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.usefixtures("inotify")
def test_a_child_of_multiprocessing_follows(script: Script, method: str) -> None:
    """E11: A multiprocessing child of each start method reads at once and follows by events, and so does its parent."""
    script("fork_multiprocessing.py", method)


@pytest.mark.parametrize("method", ["execv", "subprocess"])
@pytest.mark.usefixtures("inotify")
def test_a_program_inherits_no_watch(script: Script, method: str) -> None:
    """E196: A program that takes this one's place, or is started with all its descriptors, has no inotify descriptor of it."""
    script("programs.py", method)


@pytest.mark.usefixtures("inotify")
def test_a_fork_inside_a_subscriber(script: Script) -> None:
    """E11: A child that is forked inside a subscriber is not deadlocked: it reads, reloads and calls its subscribers."""
    script("fork_in_subscriber.py")


@pytest.mark.usefixtures("inotify")
def test_a_fork_during_a_reload(script: Script) -> None:
    """E11: 20 children, forked while other threads reload, swap and subscribe, reload and close without a deadlock."""
    script("fork_in_reload.py")


@pytest.mark.usefixtures("inotify")
def test_the_interpreter_ends_inside_a_subscriber(environment: dict[str, str]) -> None:
    """E18: With the watcher running and a subscriber inside a call, the interpreter ends silently, with 0."""
    process = subprocess.Popen(
        [sys.executable, *STRICT, str(SCRIPTS / "end_in_subscriber.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ends\n"
            assert process.wait(timeout=PATIENCE) == 0  # the call never ends
            assert process.stderr is not None
            assert process.stderr.read() == ""
        finally:
            process.kill()


@pytest.mark.usefixtures("inotify")
def test_signals_during_a_reload(start: Callable[..., Any]) -> None:
    """E19: SIGHUP that reloads, SIGINT as an exception and SIGTERM that closes, in the middle of reloads: no deadlock."""
    program = start(*STRICT, str(SCRIPTS / "signals.py"))
    for number in [signal.SIGHUP] * 50 + [signal.SIGINT] * 50 + [signal.SIGHUP] * 10:
        program.wait_for("ready")
        program.send(number)
    program.wait_for("ready")
    assert program.stop() == 0


@pytest.mark.usefixtures("inotify")
def test_a_snapshot_is_what_travels(script: Script) -> None:
    """E21: copy, deepcopy, pickle and an argument of a spawned process give a snapshot that never changes."""
    script("pickled.py")
