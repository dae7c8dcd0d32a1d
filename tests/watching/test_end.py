"""The end of the interpreter, when daemon threads stand still with whatever locks they hold."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import atexit, os, sys, threading, types
from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

place, call, state = sys.argv[2:]
inside = threading.Event()

class App(Settings):
    model_config = SettingsConfigDict(resync=0.2)
    message: str = ""

    def model_post_init(self, _):
        if self.message == "hang":
            inside.set()
            threading.Event().wait()

volume = KubeletVolume(sys.argv[1])
volume.write({"message": "one"})
settings = App.load(_volumes=volume.path)
settings.live.on_change("message")(lambda change: None)

def late(live=settings.live, call=call, write=os.write):
    if call == "cancel":
        live.subscribe("message", abs).cancel()
    else:
        getattr(live, call)()
    write(1, b"returned")

class Finalized:
    def __init__(self, late):
        self._late = late

    def __del__(self):
        self._late()

def generator(late=late):
    try:
        yield
    finally:
        late()

if place == "atexit":
    atexit.register(late)
else:
    module = sys.modules["keeper"] = sys.keeper = types.ModuleType("keeper")
    module.kept = Finalized(late) if place == "__del__" else generator()
    if place == "generator":
        next(module.kept)
if state == "swaps":
    def swap():
        for number in range(10**9):
            volume.write({"message": str(number)})
    threading.Thread(target=swap, daemon=True).start()
    settings.live.wait(lambda s: s.message != "one", 20)
elif state == "subscriber":
    @settings.live.on_change("message")
    def hang(_):
        inside.set()
        threading.Event().wait()
    volume.write({"message": "two"})
    assert inside.wait(20)
elif state == "verifier":
    @settings.live.verify(timeout=3600.0)
    def ask(candidate):
        inside.set()
        threading.Event().wait()
    volume.write({"message": "two"})
    assert inside.wait(20)
elif state == "validator":
    volume.write({"message": "hang"})
    assert inside.wait(20)
"""


@pytest.mark.parametrize("state", ["swaps", "subscriber", "validator"])
@pytest.mark.parametrize("call", ["close", "reload", "start", "status", "cancel"])
@pytest.mark.parametrize("place", ["__del__", "generator", "atexit"])
@pytest.mark.usefixtures("inotify")
def test_called_at_the_end(tmp_path, place, call, state):
    """G03: whatever is called so late returns in bounded time, and the interpreter ends with code 0 and no traceback."""
    _check_the_end(tmp_path, place, call, state)


def _check_the_end(tmp_path, place, call, state):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path), place, call, state]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "returned"), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["__del__", "generator", "atexit"])
@pytest.mark.usefixtures("inotify")
def test_reload_at_the_end_beside_a_verifier(tmp_path, place):
    """G03: a reload that is called so late does not wait for a verifier."""
    _check_the_end(tmp_path, place, "reload", "verifier")


GOES_ON = """
import sys, threading
from liveconfig import Settings
from liveconfig.testing import KubeletVolume

class App(Settings):
    message: str = ""

volume = KubeletVolume(sys.argv[1])
volume.write({"message": "one"})
settings = App.load(_volumes=volume.path)
main = threading.main_thread()

@settings.live.verify
def takes_a_moment(candidate):
    threading.Event().wait(0.3)

def work():
    main.join()
    volume.write({"message": "two"})
    assert settings.live.reload()
    print(settings.message)

threading.Thread(target=work).start()
"""


@pytest.mark.skipif((3, 12) <= sys.version_info < (3, 12, 2), reason="starts no thread then (python/cpython#113964)")
@pytest.mark.usefixtures("inotify")
def test_goes_on_without_its_main_thread(tmp_path):
    """A program whose main thread has returned is not ending: its other threads reload, and wait for the verifiers."""
    command = [sys.executable, "-c", GOES_ON, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "two\n", "")


ABANDONED = """
import asyncio, sys, threading
from liveconfig import Settings
from liveconfig.testing import KubeletVolume

class App(Settings):
    message: str = ""

volume = KubeletVolume(sys.argv[1])
volume.write({"message": "one"})
settings = App.load(_volumes=volume.path, _watch=False)
inside = threading.Event()

@settings.live.verify(timeout=3600.0)
def hangs(candidate):
    inside.set()
    threading.Event().wait()

async def main():
    volume.write({"message": "two"})
    reload = asyncio.create_task(settings.live.areload())
    while not inside.is_set():
        await asyncio.sleep(0.01)
    reload.cancel()

asyncio.run(main())
print(settings.message)
"""


def test_ends_beside_a_look_that_hangs(tmp_path):
    """G03: a program ends while the verifier that a cancelled `areload()` waits for still runs."""
    command = [sys.executable, "-c", ABANDONED, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")
