"""gevent and eventlet: found, said, and not pretended to work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "scripts" / "green_threads.py"


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_replaced_threads_are_named(name: str, environment: dict[str, str]) -> None:
    """P6: Under monkey-patched threads the log and the status name the library; settings read and reload by hand."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    healthy, problems, left, reloaded = json.loads(done.stdout)
    assert (healthy, left, reloaded) == (False, "one", True)
    assert [problem for problem in problems if name in problem]
    assert name in done.stderr
