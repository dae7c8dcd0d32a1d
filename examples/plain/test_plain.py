"""The application in its own process, as a user starts it."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from liveconfig.testing import KubeletVolume

APP = Path(__file__).parent / "app.py"


class Terminal:
    """The input and the output lines of a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def press_enter(self) -> None:
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)

    def wait_for(self, words: str) -> None:
        """Return at the next line with these words; fail after 10 s without a line."""
        while words not in self._lines.get(timeout=10):
            pass


@contextlib.contextmanager
def application(*volumes: KubeletVolume) -> Iterator[Terminal]:
    process = subprocess.Popen(
        [sys.executable, str(APP)],
        env={**os.environ, "LIVECONFIG_VOLUMES": os.pathsep.join(str(volume.path) for volume in volumes)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    terminal = Terminal(process)
    reader = threading.Thread(target=terminal.listen)
    reader.start()
    with process:
        yield terminal
        assert process.stdin is not None
        process.stdin.close()
        reader.join(timeout=10)
    assert process.returncode == 0


def test_it_follows_both_volumes(make_kubelet_volume: Callable[[str], KubeletVolume]) -> None:
    """It greets with the newest message, reconnects with the new password, and keeps it when the key is removed."""
    config, secrets = make_kubelet_volume("config"), make_kubelet_volume("secrets")
    config.write({"message": "hello world"})
    secrets.write({"mysql-root-password": "corect horse"})
    with application(config, secrets) as terminal:
        terminal.press_enter()
        terminal.wait_for("hello world")
        config.update({"message": "hello KodeKloud"})
        secrets.update({"mysql-root-password": "correct horse"})
        terminal.wait_for("reconnecting with the password of version")
        secrets.remove("mysql-root-password")
        terminal.wait_for("ERROR")
        terminal.press_enter()
        terminal.wait_for("hello KodeKloud")
