"""How long ``liveconfig status`` takes for many pods, and what ``liveconfig sync`` adds to the swaps of the kubelets.

Run it with ``python -m benchmarks.cluster``. A shell script stands in for kubectl. It really starts ``liveconfig ps``
for each question, as kubectl does in a container. The pods share one volume and one application, which follows it: a
start of Python for each pod is what costs, and all of them run on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from liveconfig.cli import main
from liveconfig.testing import KubeletVolume

AT_ONCE = 16
SWAP = 0.3
"""Seconds after the annotation at which the volume is swapped."""

_KUBECTL = """#!/bin/sh
cd {folder}
case "$1" in
annotate) touch annotated ;;
exec)
    while [ "$1" != -- ]; do shift; done
    shift 2
    exec {python} -m liveconfig "$@" ;;
*) cat "${{2%%/*}}" ;;
esac
"""
_APPLICATION = """
import sys
from liveconfig import Settings, SettingsConfigDict

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1])
    message: str

settings = App.load()
print("ready", flush=True)
sys.stdin.read()
"""


def _write_answers(folder: Path, mount: Path, pods: int, message: str) -> None:
    labels = {"app": "web"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    (folder / "deploy").write_text(json.dumps({**deployment, "spec": {"selector": {"matchLabels": labels}}}))
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flags"}, "data": {"message": message}}
    (folder / "configmap").write_text(json.dumps(configmap))
    container = {"name": "app", "volumeMounts": [{"name": "flags", "mountPath": str(mount)}]}
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


@contextmanager
def _cluster(pods: int, *, changed: bool) -> Iterator[tuple[Path, KubeletVolume]]:
    """A folder with the answers of the double, and the volume, which an application follows."""
    with tempfile.TemporaryDirectory() as name:
        folder, volume = Path(name), KubeletVolume(Path(name) / "config")
        volume.write({"message": "one"})
        _write_answers(folder, volume.path, pods, "two" if changed else "one")
        kubectl = folder / "kubectl"
        kubectl.write_text(_KUBECTL.format(folder=shlex.quote(name), python=shlex.quote(sys.executable)))
        kubectl.chmod(0o755)
        os.environ["KUBECTL"] = str(kubectl)
        command = [sys.executable, "-c", _APPLICATION, str(volume.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as application:
            assert application.stdout is not None
            application.stdout.readline()
            yield folder, volume
            application.communicate(b"")


def _timed(*arguments: str) -> float:
    began = time.perf_counter()
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main(list(arguments))
    if code:
        raise SystemExit(f"liveconfig {' '.join(arguments)} ended with {code}:\n{output.getvalue()}")
    return time.perf_counter() - began


def _bare_starts(number: int) -> float:
    """Seconds that bare starts of Python take, as many at once as the command asks."""
    command = [sys.executable, "-c", "pass"]
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: subprocess.run(command, check=True), range(number)))
    return time.perf_counter() - began


def _status(pods: int) -> None:
    with _cluster(pods, changed=False):
        bare, before = _bare_starts(pods), time.process_time()
        asked, own = _timed("status", "deploy/web"), time.process_time() - before
    print(f"{pods} bare starts of Python: {bare:.2f} s; status of {pods} pods: {asked:.2f} s")
    print(f"beyond the bare starts: {asked - bare:.2f} s (goal: under 5 s), of which the command itself: {own:.2f} s")


def _sync(pods: int) -> None:
    swapped: list[float] = []

    def swap(folder: Path, volume: KubeletVolume) -> None:
        while not (folder / "annotated").exists():
            time.sleep(0.01)
        time.sleep(SWAP)
        volume.write({"message": "two"})
        swapped.append(time.perf_counter())

    with _cluster(pods, changed=True) as (folder, volume):
        kubelet = threading.Thread(target=swap, args=(folder, volume), daemon=True)
        kubelet.start()
        took = _timed("sync", "deploy/web")
        ended = time.perf_counter()
        kubelet.join()
    print(f"sync of {pods} pods: {took:.2f} s; after the swap: {ended - swapped[0]:.2f} s (goal: under 1.5 s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--pods", type=int, default=100, help="pods of status, 100 by default")
    parser.add_argument("--few", type=int, default=10, help="pods of sync, 10 by default")
    given = parser.parse_args()
    _status(given.pods)
    _sync(given.few)
