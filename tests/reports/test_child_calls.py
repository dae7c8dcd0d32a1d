"""Calls in a child: an answer, or none within the time, and no child that is waited for."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from unittest.mock import Mock

import pytest

from liveconfig._processes.child_calls import MOST_LEFT, ChildCalls, NoAnswer

LONG = 20.0


def stop():
    """Stand still, as a process does whose file call does not return."""
    os.kill(os.getpid(), signal.SIGSTOP)


def children():
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
        return set(map(int, file.read().split()))


def exit_code(child):
    deadline = time.monotonic() + LONG
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        assert time.monotonic() < deadline, "the child was not killed"
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(ended[1])


def test_an_answer():
    """The result of the call comes back, however large, and the child has ended."""
    before = children()
    assert ChildCalls(LONG).run(lambda: (os.getppid(), "x" * 10_000_000)) == (os.getpid(), "x" * 10_000_000)
    assert children() == before


def test_a_call_that_stops():
    """G02: a child that stands still is given up after its time, and killed."""
    before, began = children(), time.monotonic()
    with pytest.raises(NoAnswer):
        ChildCalls(0.3).run(stop)
    assert 0.3 <= time.monotonic() - began < LONG / 2
    assert {exit_code(child) for child in children() - before} <= {-signal.SIGKILL}  # one that takes its time to end


def test_a_thread_that_stays():
    """G02: an answer is not held up by a thread of the child that does not end."""

    def work():
        threading.Thread(target=threading.Event().wait).start()
        return "answer"

    assert ChildCalls(LONG).run(work) == "answer"


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_no_child(monkeypatch, call):
    """Where a limit of the system forbids a child, there is no answer, with the reason, and no descriptor stays open."""
    calls, before = ChildCalls(LONG), os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, call, Mock(side_effect=OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))))
    with pytest.raises(NoAnswer, match="cannot be looked at: Resource temporarily unavailable"):
        calls.run(os.getpid)
    assert os.listdir("/proc/self/fd") == before
    monkeypatch.undo()
    assert calls.run(lambda: "answer") == "answer"


@pytest.mark.parametrize("fault", [OSError("x"), KeyboardInterrupt()])
def test_a_call_that_raises(capfd, fault):
    """A call that raises gives no answer, at once, and writes nothing."""

    def work():
        raise fault

    with pytest.raises(NoAnswer):
        ChildCalls(LONG).run(work)
    assert capfd.readouterr() == ("", "")


def test_children_that_cannot_be_killed(monkeypatch):
    """G02: where killed children do not end, no more than three are left behind."""
    killed = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", lambda pid, _: killed.append(pid))
        calls = ChildCalls(0.05)
        for _ in range(MOST_LEFT + 2):
            with pytest.raises(NoAnswer):
                calls.run(lambda: time.sleep(60))
    assert len(killed) == MOST_LEFT
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_streams_are_released():
    """A reader of the streams of the process does not wait for a child that is left behind."""
    code = (
        "import os, signal, time\n"
        "from liveconfig._processes.child_calls import ChildCalls, NoAnswer\n"
        "os.kill = lambda pid, _: print(pid, flush=True)\n"
        "try: ChildCalls(0.2).run(lambda: time.sleep(60))\n"
        "except NoAnswer: print('given up')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG, check=True)
    pid, line = ran.stdout.splitlines()
    os.kill(int(pid), signal.SIGKILL)
    assert line == "given up"
