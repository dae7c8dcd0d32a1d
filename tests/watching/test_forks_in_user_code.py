"""User code that liveconfig calls and that forks: the child ends where its call ends, and no chain of processes begins.

Each program runs in a process group of its own, which is killed at the end, and forks 6 times at most: it counts in a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from liveconfig._watching import call_user_code

PROGRAM = """
import asyncio, json, logging, os, sys, threading, time
from liveconfig import Settings, SettingsConfigDict, signals
from liveconfig.testing import KubeletVolume

directory, place, end = sys.argv[1:]
count, parent, children, pause = os.path.join(directory, "forks"), os.getpid(), [], threading.Event()
volume = KubeletVolume(os.path.join(directory, "volume"))
volume.write({"message": "one", "flag": "no"})

def forks():
    return os.stat(count).st_size if os.path.exists(count) else 0

def fork(*_):
    with open(count, "ab", buffering=0) as file:
        file.write(b".")
    if forks() > 6:
        os._exit(99)
    pid = os.fork()
    if pid:
        children.append(pid)
        return
    if end == "sys.exit":
        sys.exit(3)
    if end == "os._exit":
        os._exit(4)
    if end == "exception":
        raise ConnectionError("CANARY")
    if end == "lives":
        limit = time.monotonic() + 20
        while settings.flag != "yes" and time.monotonic() < limit:
            pause.wait(0.05)  # through several re-checks
        pause.wait(1.0)
        os._exit(5 if settings.flag == "yes" else 6)

class App(Settings):
    model_config = SettingsConfigDict(resync=0.2)
    message: str = ""
    flag: str = ""

    def model_post_init(self, _):
        if place == "validator" and self.message == "two" and self.flag == "no":
            fork()

settings = App.load(_volumes=volume.path)
live = settings.live
if place == "subscriber":
    live.on_change("message")(fork)
elif place == "receiver":
    receive = lambda sender, event: event.new.message != event.old.message and fork()
    signals.reloaded.connect(receive, sender=settings)
elif place == "selector":
    live.on_change(lambda s: s.message == "two" and s.flag == "no" and fork())(lambda change: None)
elif place == "verifier":
    @live.verify(on="message")
    def verify(candidate):
        fork()
elif place == "async verifier":
    @live.verify(on="message")
    async def verify(candidate):
        await asyncio.sleep(0)
        fork()
elif place == "log handler":
    class Handler(logging.Handler):
        def emit(self, record):
            fork()
    logging.getLogger("liveconfig").addHandler(Handler(logging.INFO))
    logging.getLogger("liveconfig").setLevel(logging.INFO)

def exit_codes(patience):
    codes, limit = [], time.monotonic() + patience
    while len(codes) < len(children) and time.monotonic() < limit:
        pid, status = os.waitpid(-1, os.WNOHANG)
        codes += [os.waitstatus_to_exitcode(status)] if pid else []
        pause.wait(0.02)
    return codes

def main():
    volume.update({"message": "two"})
    live.wait(lambda s: s.message == "two", 20)
    limit = time.monotonic() + 20
    while not forks() and time.monotonic() < limit:
        pause.wait(0.01)
    pause.wait(1.5)  # a retry would come after 1 s
    first = forks()
    if place != "log handler":
        volume.update({"flag": "yes"})
        live.wait(lambda s: s.flag == "yes", 20)
    codes = exit_codes(10)
    live.close()
    print(json.dumps({"forks": [first, forks()], "codes": codes, "children": len(children)}))

if place == "coroutine":
    @live.on_change("message")
    async def hear(change):
        fork()
    async def run():
        async with live:
            thread = threading.Thread(target=main)
            thread.start()
            while thread.is_alive():
                await asyncio.sleep(0.02)
    asyncio.run(run())
else:
    main()
"""

CODES = {"sys.exit": 3, "os._exit": 4, "exception": 1, "return": 0, "lives": 5}


def run(tmp_path, *arguments):
    """What the program found out, and whether a process of it was left."""
    code, out, err, left = _run(PROGRAM, str(tmp_path), *arguments)
    assert code == 0, err
    assert "CANARY" not in err
    assert "never retrieved" not in err
    return json.loads(out), left


def _run(program, *arguments):
    """Run a program that forks: its exit code, its output, its errors, and whether a process of it was left."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            left = _kill_group(process.pid)
    return process.returncode, out, err, left


def _kill_group(group):
    """Whether a process of it was running."""
    running = False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            running = running or (int(its_group) == group and state != "Z")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return running


@pytest.mark.parametrize("end", list(CODES))
@pytest.mark.parametrize("place", ["subscriber", "receiver", "selector"])
def test_a_fork_in_a_subscriber(tmp_path, place, end):
    """G05: a child that a subscriber forks ends where the call ends, with its exit code, and the subscriber is not called in it."""
    found, left = run(tmp_path, place, end)
    assert found == {"forks": [1, 1], "codes": [CODES[end]], "children": 1}
    assert not left


@pytest.mark.parametrize("end", ["sys.exit", "os._exit", "exception", "return"])
@pytest.mark.parametrize("place", ["verifier", "async verifier", "validator"])
def test_a_fork_in_a_check(tmp_path, place, end):
    """G05: a child that a verifier or validator forks ends where the call ends, and checks nothing again."""
    found, left = run(tmp_path, place, end)
    refused = (place, end) == ("validator", "exception")  # a ValueError of a validator refuses the content, there too
    assert found == {"forks": [1, 1], "codes": [0 if refused else CODES[end]], "children": 1}
    assert not left


@pytest.mark.parametrize("place", ["verifier", "async verifier", "validator"])
def test_a_child_of_a_check_lives_on(tmp_path, place):
    """G05: a child of a check that lives on never checks the same content; what it forks at other content follows no more."""
    found, _ = run(tmp_path, place, "lives")
    assert found["forks"][0] == found["children"] == 1
    assert found["forks"][1] <= 2
    assert found["codes"] == [CODES["lives"]]


@pytest.mark.parametrize("end", ["sys.exit", "os._exit", "exception", "return"])
def test_a_fork_in_a_log_handler(tmp_path, end):
    """G05: a child that a log handler forks ends where its call ends; its own last words are handled once."""
    found, left = run(tmp_path, "log handler", end)
    assert 1 <= found["children"] <= found["forks"][1] <= 2 * found["children"]
    # `logging` releases a lock that it made anew in the child: that raises, whatever the handler did.
    assert found["codes"] == [4 if end == "os._exit" else 1] * found["children"]
    assert not left


@pytest.mark.parametrize("end", ["sys.exit", "os._exit", "lives"])
def test_a_fork_in_a_coroutine(tmp_path, end):
    """G05: a child that a coroutine forks ends by itself, and forks no other."""
    found, left = run(tmp_path, "coroutine", end)
    assert found == {"forks": [1, 1], "codes": [CODES[end]], "children": 1}
    assert not left


ON_A_THREAD = """
import os, sys, threading
from liveconfig import Settings
from liveconfig.testing import KubeletVolume

class App(Settings):
    message: str = ""

volume = KubeletVolume(sys.argv[1])
volume.write({"message": "one"})
settings = App.load(_volumes=volume.path)
ours, theirs = os.pipe()
pids = []

def follow():
    settings.live.wait(lambda s: s.message == "two", 20)
    os.write(theirs, settings.message.encode())

def fork():
    pids.append(os.fork())
    if not pids[-1] and sys.argv[2] == "thread":  # it goes on when the one that forked has ended
        threading.Thread(target=follow, daemon=sys.argv[3] == "daemon").start()
    elif not pids[-1]:
        follow()

thread = threading.Thread(target=fork)
thread.start()
thread.join()
volume.update({"message": "two"})
assert os.read(ours, 3) == b"two"
assert os.waitpid(pids[0], 0)[1] == 0
"""


@pytest.mark.parametrize("kind", [("same", ""), ("thread", "daemon"), ("thread", "no daemon")])
@pytest.mark.usefixtures("inotify")
def test_a_fork_on_a_thread(tmp_path, kind):
    """G05: a child that is forked on a thread of the application ends with its last thread, as it does without liveconfig."""
    assert _run(ON_A_THREAD, str(tmp_path), *kind) == (0, "", "", False)


IN_A_LOOK = """
import os, signal, sys
from liveconfig import Settings
from liveconfig.testing import KubeletVolume

place, pids = sys.argv[2], []

def fork(*_):
    pids.append(os.fork())

class App(Settings):
    message: str = ""

    def model_post_init(self, _):
        if self.message == "two" and not pids:
            fork() if place == "validator" else signal.raise_signal(signal.SIGUSR1)

signal.signal(signal.SIGUSR1, fork)
volume = KubeletVolume(sys.argv[1])
volume.write({"message": "one"})
settings = App.load(_volumes=volume.path, _watch=False)
for _ in range(20):
    settings.live.reload()
volume.update({"message": "two"})
assert settings.live.reload()
if pids[0]:
    assert os.waitpid(pids[0], 0)[1] == 0
else:
    volume.update({"message": "three"})
    settings.live.start()
    settings.live.wait(lambda s: s.message == "three", 20)
    volume.update({"message": "four"})
    settings.live.wait(lambda s: s.message == "four", 20)
"""


@pytest.mark.parametrize("place", ["validator", "signal handler"])
@pytest.mark.usefixtures("inotify")
def test_a_fork_in_a_look_on_a_thread_of_the_application(tmp_path, place):
    """G05: a child that is forked in the middle of a `reload()`, and goes on after it, follows its volumes at once."""
    assert _run(IN_A_LOOK, str(tmp_path), place) == (0, "", "", False)


LAST_WORDS = """
import os, sys, threading
from liveconfig import Settings
from liveconfig.testing import KubeletVolume

class App(Settings):
    message: str = ""

directory, streams, code = sys.argv[1:]
volume = KubeletVolume(directory)
volume.write({"message": "one"})
settings = App.load(_volumes=volume.path)
children, forked = [], threading.Event()

@settings.live.on_change("message")
def fork(change):
    if children:
        return
    children.append(os.fork())
    if children[-1]:
        forked.set()
        return
    if streams == "closed":
        sys.stdout = sys.stderr = None
    else:
        print("out", end="")
    sys.exit({"none": None, "text": "no licence", "large": 259}[code])

volume.update({"message": "two"})
assert forked.wait(20)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""


@pytest.mark.parametrize("streams", ["open", "closed"])
@pytest.mark.parametrize(("code", "number"), [("none", 0), ("text", 1), ("large", 3)])
@pytest.mark.usefixtures("inotify")
def test_the_last_words_of_a_child(tmp_path, streams, code, number):
    """G05: a child that ends with `sys.exit` has the exit code, and says the text, that it has without liveconfig."""
    said = {"open": "out", "closed": ""}[streams]
    words = "no licence\n" if (code, streams) == ("text", "open") else ""
    assert _run(LAST_WORDS, str(tmp_path), streams, code) == (0, f"{said}{number}\n", words, False)


def test_a_child_that_a_call_forks(monkeypatch):
    """G05: on a thread of liveconfig, a call inside which the process was forked ends the child, with its exception."""
    forks, ended = [0, 1, 1], []
    monkeypatch.setattr("liveconfig._watching.forks_in_user_code.fork_count", lambda: forks.pop(0))
    monkeypatch.setattr("liveconfig._watching.forks_in_user_code.is_own_thread", lambda _: True)
    monkeypatch.setattr("liveconfig._watching.forks_in_user_code.end_process", ended.append)
    error = ConnectionError()

    def fails():
        raise error

    with pytest.raises(ConnectionError):
        call_user_code(fails)
    forks.append(1)
    assert call_user_code(lambda: "result") == "result"
    assert ended == [error]
