"""What code of the application does while ``explain``, ``check`` and ``schema`` run it, and afterwards."""

from __future__ import annotations

import json
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
    "schema": ("schema", "app:App"),
}


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
