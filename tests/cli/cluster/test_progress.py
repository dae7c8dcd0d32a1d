"""The progress of ``liveconfig sync``."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from liveconfig.cli import main


def test_in_a_pipe(cluster: Any, when_annotated: Any, capsys: Any) -> None:
    """In a pipe, standard error gets a plain line for each new state of a pod, and standard output the table alone."""
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.configmap("flags", {"message": "two"})
    when_annotated(lambda: threading.Timer(1, lambda: cluster.swap_all({"message": "two"})).start())
    assert main(["sync", "deploy/web", "--timeout", "60"]) == 0
    said = capsys.readouterr()
    assert "\033" not in said.err
    states = re.findall(r"^\d+\.\d s  (\w+): (\w+)", said.err, re.MULTILINE)
    assert {("a", "SYNCED"), ("b", "SYNCED")} <= set(states)
    assert len(states) == len(said.err.splitlines())
    assert "0 s  a" not in said.out
    assert said.out.splitlines()[-1].startswith("2 of 2 pods, 2 of 2 processes, ")


def test_on_a_terminal(cluster: Any, when_annotated: Any, tmp_path: Path) -> None:
    """On a terminal each pod has a line, which is drawn anew and removed at the end."""
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.configmap("flags", {"message": "two"})
    when_annotated(lambda: cluster.swap_all({"message": "two"}))
    ours, terminal = pty.openpty()
    seen: list[bytes] = []
    command = [sys.executable, "-m", "liveconfig", "sync", "deploy/web", "--timeout", "60"]
    table = tmp_path / "table"
    with table.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=terminal) as running:
        os.close(terminal)
        reader = threading.Thread(target=_read, args=(ours, seen))
        reader.start()
        assert running.wait(90) == 0, table.read_text()
    reader.join(20)
    os.close(ours)
    text = b"".join(seen).decode()
    assert "a  SYNCED\r\nb  SYNCED\r\n2 of 2 pods in sync, " in text
    assert text.endswith("\033[3F\033[J")


def _read(descriptor: int, seen: list[bytes]) -> None:
    try:
        while chunk := os.read(descriptor, 4096):
            seen.append(chunk)
    except OSError:  # the other end is closed
        return
