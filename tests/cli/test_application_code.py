"""What code of the application does while ``explain``, ``check`` and ``schema`` run it, and afterwards."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap

import pytest

APP = """
from liveconfig import Settings

class App(Settings, volumes=["/etc/config"]):
    message: str = "hello"
"""

MANIFEST = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {message: "hi"}\n'

COMMANDS = {
    "explain": ("explain", "app:App", "-o", "json"),
    "check": ("check", "app:App", "app.yaml", "-o", "json"),
    "sarif": ("check", "app:App", "app.yaml", "-o", "sarif"),
    "diff": ("check", "app:App", "--diff", "app.yaml", "app.yaml", "-o", "json"),
    "schema": ("schema", "app:App"),
}

every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@pytest.fixture
def application(module, tmp_path):
    """A function that writes the module ``app``: the settings class, and this code before and after it."""
    (tmp_path / "app.yaml").write_text(MANIFEST)

    def write(*, before="", after=""):
        module("app", textwrap.dedent(before) + APP + textwrap.dedent(after))

    return write


@pytest.mark.parametrize("command", ["explain", "check", "schema"])
@pytest.mark.parametrize(
    "left",
    [
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "import atexit, threading\natexit.register(threading.Event().wait)",
    ],
    ids=["thread", "atexit"],
)
def test_what_would_never_end(run, application, command, left):
    """A thread or an exit handler of the application that never ends does not keep the command from ending."""
    application(after=left)
    done = run(*COMMANDS[command])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)


def test_exit_handlers(run, application):
    """The exit handlers of the application run, and an idle pool of threads ends before them."""
    application(
        after="""
        import atexit, sys
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor()
        pool.submit(int).result()
        atexit.register(print, "the application has ended", file=sys.stderr)
        """
    )
    assert run("schema", "app:App").stderr == "the application has ended\n"


WRITES = """
import atexit, os, subprocess, sys
from pydantic import model_validator

print("written with print")
os.write(1, b"written to the descriptor\\n")
subprocess.run(["echo", "written by a child"], check=True)
sys.__stdout__.write("written to a buffer\\n")
atexit.register(print, "written at exit")

class App(App):
    @classmethod
    def settings_customise_sources(cls, settings_cls, **sources):
        os.write(1, b"written by a source\\n")
        return tuple(sources.values())

    @model_validator(mode="after")
    def _write(self):
        os.write(1, b"written by a validator\\n")
        return self
"""


@every_command
def test_output(run, application, command):
    """What the application and its children write to standard output goes to standard error; the answer is JSON."""
    application(after=WRITES)
    done = run(*command)
    assert done.returncode == 0
    assert json.loads(done.stdout)
    assert "written " not in done.stdout
    assert len(set(done.stderr.splitlines())) == (6 if command[0] == "schema" else 7)


def test_output_of_a_function(run, application):
    """What a function of the application writes while ``explain`` calls it goes to standard error."""
    application(after="import os\ndef get_settings():\n    os.write(1, b'said')\n    return App.load()\n")
    done = run("explain", "app:get_settings", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "said")
    assert json.loads(done.stdout)


def test_streams_without_a_descriptor(run, application):
    """In a process that keeps its output in memory, as a test does, the answer is what the command writes there."""
    application(before="print('said')")
    kept = (
        "import io, sys; from liveconfig.cli import main; real, sys.stdout, sys.stderr = sys.stdout, io.StringIO(), "
        "io.StringIO(); main(sys.argv[1:]); real.write(sys.stdout.getvalue())"
    )
    done = run("schema", "app:App", command=(sys.executable, "-c", kept))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)


def test_a_child_that_runs_on(run, application, tmp_path):
    """A reader of standard output sees its end while a child that the application left is still running."""
    application(
        after="""
        import subprocess
        child = subprocess.Popen(["sleep", "600"], stderr=subprocess.DEVNULL)
        open("child", "w").write(str(child.pid))
        """
    )
    done = run("schema", "app:App", before=("sh", "-c", '"$@" 2> errors', "sh"))
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert done.returncode == 0
    assert json.loads(done.stdout)


ENDS = {
    "module": "import os\nos._exit(0)",
    "name": "from os import _exit\n_exit(0)",
    "thread": "import os, threading\nthreading.Thread(target=os._exit, args=[0]).start()\nthreading.Event().wait()",
}


@every_command
@pytest.mark.parametrize("how", ENDS)
def test_an_application_that_ends_the_process(run, application, command, how):
    """An application that ends the process with ``os._exit`` is one line and exit code 2, whatever its code is."""
    application(before=ENDS[how])
    done = run(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "liveconfig: there is no answer, because the application ended this process with os._exit(0)"
    )
    assert ("at app.py:2" in done.stderr) == (how != "thread")


def test_a_forked_child_that_ends(run, application):
    """A child that the application forks ends with its own code."""
    application(
        after="""
        import multiprocessing
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join()
        assert child.exitcode == 0
        """
    )
    done = run("schema", "app:App")
    assert (done.returncode, done.stderr) == (0, "")
