"""Celery's prefork pool, with a broker that is a directory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

APPS = Path(__file__).parent / "apps"
WORKER = "--app tasks worker --pool prefork --concurrency 2 --without-mingle --without-gossip --without-heartbeat"

Ask = Callable[[str], set[int]]


@pytest.fixture
def ask(environment: dict[str, str], tmp_path: Path, start: Callable[..., Any]) -> Iterator[Ask]:
    """Ask a pool until two of its processes have answered with a text; their ids."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        environment[f"QUEUE_{name.upper()}"] = str(tmp_path / name)
    worker = start("-m", "celery", *WORKER.split(), "--loglevel", "INFO")
    worker.wait_for(r" ready\.")

    def ask(text: str) -> set[int]:
        command = [sys.executable, "ask_tasks.py", text]
        done = subprocess.run(
            command, cwd=APPS, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr + worker.log
        return set(json.loads(done.stdout))

    yield ask
    worker.send(signal.SIGKILL)  # its own way to end takes 6 s


def test_every_process_of_the_pool_follows(ask: Ask, swap: Callable[[str], None]) -> None:
    """E13: Both processes of Celery's prefork pool, forked after the settings were loaded, see each new value."""
    workers = ask("one")
    swap("two")
    assert ask("two") == workers
