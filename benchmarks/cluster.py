"""How long ``liveconfig status`` takes for many pods, and what ``liveconfig sync`` adds to the swaps of the kubelets.

Run it with ``python -m benchmarks.cluster``. A small program stands in for kubectl and answers for every pod; it is
started once for each question, as kubectl is. The pods' processes are not started: their answers are those of one
process, so that the numbers are those of the command and of 100 starts of a program.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from liveconfig.cli import main

AT_ONCE = 16
SWAP = 0.3
"""Seconds after the annotation at which the volumes of the double are swapped."""

_DOUBLE = """
import json, os, sys, time
from pathlib import Path
folder = Path(os.environ["BENCHMARK_CLUSTER"])
arguments = sys.argv[1:]
if arguments[0] == "annotate":
    (folder / "annotated").touch()
elif arguments[0] == "exec":
    expected = json.load(sys.stdin)
    swapped = folder / "annotated"
    done = not (folder / "waits").exists() or swapped.exists() and time.time() - swapped.stat().st_mtime > SWAP
    moment = "2026-01-01T00:00:00+00:00"
    volume = {"path": "/etc/config", "generation": "..1", "on_disk": "..1"}
    settings = {"state": "current", "problems": [], "volumes": [volume]}
    disk = [{"path": "/etc/config", "kind": "volume", "expected": "equal" if done else "different", "since": moment}]
    print(json.dumps({"schema": 1, "processes": [{"pid": 1, "settings": [settings]}], "skipped": 0, "disk": disk}))
    sys.exit(not done)
else:
    print((folder / arguments[1].partition("/")[0]).read_text())
"""


def _prepare(folder: Path, pods: int) -> None:
    labels = {"app": "web"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    (folder / "deploy").write_text(json.dumps({**deployment, "spec": {"selector": {"matchLabels": labels}}}))
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flags"}, "data": {"message": "one"}}
    (folder / "configmap").write_text(json.dumps(configmap))
    container = {"name": "app", "volumeMounts": [{"name": "flags", "mountPath": "/etc/config"}]}
    spec = {"containers": [container], "volumes": [{"name": "flags", "configMap": {"name": "flags"}}]}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"web-{number:03}", "labels": labels},
            "spec": spec,
            "status": {"phase": "Running"},
        }
        for number in range(pods)
    ]
    (folder / "pods").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    program = folder / "kubectl"
    program.write_text(f"#!{sys.executable} -S\n" + _DOUBLE.replace("SWAP", str(SWAP)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    os.environ.update(KUBECTL=str(program), BENCHMARK_CLUSTER=str(folder))


def _timed(*arguments: str) -> float:
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(list(arguments))
    if code:
        raise SystemExit(f"liveconfig {' '.join(arguments)} ended with {code}")
    return time.perf_counter() - began


def _bare_starts(number: int) -> float:
    """Seconds that bare starts of Python take, as many at once as the command asks."""
    command = [sys.executable, "-c", "pass"]
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: subprocess.run(command, check=True), range(number)))
    return time.perf_counter() - began


def _run(pods: int, few: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        _prepare(Path(name), pods)
        bare = _bare_starts(pods)
        before = time.process_time()
        asked, own = _timed("status", "deploy/web"), time.process_time() - before
        print(f"{pods} bare starts of Python: {bare:.2f} s; status of {pods} pods: {asked:.2f} s")
        print(
            f"beyond the bare starts: {asked - bare:.2f} s (goal: under 5 s), of which the command's own: {own:.2f} s"
        )
    with tempfile.TemporaryDirectory() as name:
        _prepare(Path(name), few)
        (Path(name) / "waits").touch()
        took = _timed("sync", "deploy/web")
        annotated = (Path(name) / "annotated").stat().st_mtime
        after = time.time() - annotated - SWAP
        print(f"sync of {few} pods: {took:.2f} s; after the swap: {after:.2f} s (goal: under 1.5 s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--few", type=int, default=10, help="pods of sync")
    given = parser.parse_args()
    _run(given.pods, given.few)
