"""The main job, run as a newcomer runs it."""

from __future__ import annotations

import os
import re
import select
import signal
import sys

import pytest

PATIENCE = 60.0
PASSWORDS = ("Password-123", "Pasword-123", "UGFzc3dvcmQtMTIz", "UGFzd29yZC0xMjM=")


# Instead of its first answer the application waits for ever, so that the demo is caught on its way.
STOPS = "import json, threading\njson.dumps = lambda *_: threading.Event().wait()"

DIES = """
import os, http.server
answers = iter("abc")
def send(*given, send=http.server.BaseHTTPRequestHandler.send_response):
    next(answers, None) or os._exit(4)
    send(*given)
http.server.BaseHTTPRequestHandler.send_response = send
"""

STICKS = """
import json
first = {}
def dumps(value, dumps=json.dumps):
    return first.setdefault(tuple(value), dumps(value))
json.dumps = dumps
"""


@pytest.fixture
def folder(tmp_path):
    """The folder in which the demo makes its own."""
    path = tmp_path / "temporary"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def story(run_once):
    """The demo, run once."""
    return run_once("demo")


def test_the_story_passes(story):
    """The demo ends with 0: each edit is answered by the new value, the broken one is not and says why."""
    assert (story.returncode, story.stderr) == (0, "")
    assert re.search(
        r'hello world", checkout on.*login refused.*hello KodeKloud", checkout on.*hello KodeKloud", checkout off'
        r".*login works.*rejected.*checkout_enabled: Input should be a valid boolean.*until this is fixed: message"
        r'.*hello KodeKloud", checkout off.*hello again", checkout on.*healthy'
        r".*A second worker.*current.*current.*hello both.*current.*current.*Passed",
        story.stdout.partition("0. As it starts")[2],
        re.DOTALL,
    )


def test_one_process_answers_in_milliseconds(story):
    """Every answer carries the same process id, and each of the five edits the milliseconds from its swap."""
    assert len(set(re.findall(r"(?:process|pid) (\d+)", story.stdout))) == 1
    assert len(re.findall(r"pid \d+$", story.stdout, re.MULTILINE)) == 9
    assert len(re.findall(r"\d\.\d ms  pid", story.stdout)) == 5


def test_dumb_terminal(story):
    """The output of the demo is plain ASCII with at most 80 columns, but for its own path, without any password."""
    assert story.stdout.isascii()
    lines = [line for line in story.stdout.splitlines() if not line.endswith("/demo_app.py")]
    assert all(line.isprintable() and len(line) <= 80 for line in lines)
    assert not [password for password in PASSWORDS if password in story.stdout]


def test_a_variable_does_not_mask_the_volume(run, folder):
    """The demo passes where the environment holds other values for the same fields, and a volume of its own."""
    done = run("demo", TMPDIR=str(folder), MESSAGE="hi", MYSQL_ROOT_PASSWORD="CANARY", LIVECONFIG_VOLUMES="/nowhere")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_inotify(run, folder, without_inotify):
    """D01: where no inotify instance can be had the demo passes by re-checks, and says that it does."""
    done = run("demo", TMPDIR=str(folder), before=without_inotify)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no inotify: it looks every 2 s" in done.stdout


def test_modules_in_the_current_directory(run, module, folder):
    """A module beside that is called like one of the standard library does not stop the installed command."""
    module("socketserver", "raise RuntimeError('not this one')")
    installed = ("-c", "import sys; sys.path.pop(0); from liveconfig.cli import main; sys.exit(main(['demo']))")
    done = run(TMPDIR=str(folder), command=(sys.executable, *installed))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_ended_by_a_signal(start, sabotage, folder, number, code):
    """A demo that is interrupted ends with 128 and the signal, and leaves no process and no file."""
    demo = start("demo", TMPDIR=str(folder), **sabotage(STOPS))
    application = pid_in(demo.until("It is process"))
    assert demo.end(number) == (code, "")
    assert list(folder.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(application, 0)


def test_killed(start, sabotage, folder):
    """The application ends by itself where the demo is killed and cannot end it any more."""
    demo = start("demo", TMPDIR=str(folder), **sabotage(STOPS))
    application = os.pidfd_open(pid_in(demo.until("It is process")))
    demo.end(signal.SIGKILL)
    ended, _, _ = select.select([application], [], [], PATIENCE)
    os.close(application)
    assert ended


def pid_in(line):
    return int(re.search(r"process (\d+)", line)[1])


def test_application_does_not_start(run, sabotage, folder):
    """An application that cannot start ends the demo with 1 and its last words, and leaves nothing."""
    done = run("demo", TMPDIR=str(folder), **sabotage("import os\nprint('no way', file=sys.stderr)\nos._exit(3)"))
    assert done.returncode == 1
    assert "the application did not start" in done.stderr
    assert "exit code 3" in done.stderr
    assert "no way" in done.stderr
    assert list(folder.iterdir()) == []


def test_application_dies(run, sabotage, folder):
    """An application that dies on the way ends the demo with 1 and says with which exit code."""
    done = run("demo", TMPDIR=str(folder), **sabotage(DIES))
    assert done.returncode == 1
    assert "exit code 4" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_step_takes_too_long(run, sabotage, folder):
    """An application that goes on with its old answer ends the demo with 1, the answer and the expected one."""
    done = run("demo", TMPDIR=str(folder), **sabotage(STICKS))
    assert done.returncode == 1
    assert "hello world" in done.stderr
    assert "hello KodeKloud" in done.stderr
    assert list(folder.iterdir()) == []


def test_without_yaml(run, module, folder):
    """Without PyYAML the demo ends with 1, before it starts anything, and says what to install."""
    module("yaml", "raise ModuleNotFoundError('No module named yaml', name='yaml')")
    done = run("demo", TMPDIR=str(folder))
    assert done.returncode == 1
    assert "pip install 'pyyaml>=6" in done.stderr
    assert "Starting" not in done.stdout
    assert list(folder.iterdir()) == []


def test_no_room(run, folder):
    """A demo that finds no place for its files ends with 1 and one line, and leaves nothing."""
    done = run("demo", TMPDIR=str(folder), before=("sh", "-c", 'ulimit -f 0; exec "$@"', "sh"))
    assert done.returncode == 1
    assert re.fullmatch(r"liveconfig demo: failed: .*No usable temporary directory.*\n", done.stderr)
    assert list(folder.iterdir()) == []
