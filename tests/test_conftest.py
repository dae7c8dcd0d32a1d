"""The checks after every test find violations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BREACHES = """
import logging, os, sys, threading, uuid, warnings

release = threading.Event()

def test_good(canary):
    thread = threading.Thread(target=threading.Event().wait, args=(0.2,))
    thread.start()

def test_thread():
    threading.Thread(target=release.wait, daemon=True).start()

def test_descriptor():
    os.open(os.devnull, os.O_RDONLY)

def test_log(canary):
    logging.getLogger("liveconfig").warning("refused: %s", canary)

def test_log_arguments(canary):
    logging.getLogger("liveconfig").warning("refused", extra={"value": [canary]})

def test_log_traceback(canary):
    try:
        raise ValueError(canary)
    except ValueError:
        logging.getLogger("liveconfig").exception("failed")

def test_stderr(canary):
    os.write(2, canary.encode())

def test_warning(canary):
    warnings.warn(canary)
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """The output and the exit code of a session that breaks each rule once."""
    folder = tmp_path_factory.mktemp("session")
    rules = Path(__file__).with_name("conftest.py").read_text()
    (folder / "conftest.py").write_text(rules.replace("GRACE = 30.0", "GRACE = 0.5"))
    (folder / "test_breaches.py").write_text(BREACHES)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd=folder, env=env, timeout=60, check=False, capture_output=True, text=True)
    return done.stdout, done.returncode


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("test_thread", "ERROR"),
        ("test_descriptor", "ERROR"),
        ("test_log", "FAILED"),
        ("test_log_arguments", "ERROR"),
        ("test_log_traceback", "FAILED"),
        ("test_stderr", "FAILED"),
        ("test_warning", "FAILED"),
    ],
)
def test_breach(session, test, outcome):
    """A thread, a descriptor or a canary that a test leaves behind fails it."""
    lines = session[0].splitlines()
    assert any(line.startswith(f"{outcome} test_breaches.py::{test}") for line in lines), session[0]
    assert session[1] == 1


def test_good(session):
    """A thread that ends by itself in a moment is no leak, nor is a canary that is kept."""
    assert "PASSED test_breaches.py::test_good" in session[0]
    assert not any(line.startswith("ERROR test_breaches.py::test_good") for line in session[0].splitlines())
