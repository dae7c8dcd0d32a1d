"""A cluster of this machine: pods are processes with volumes of their own, and a script stands in for kubectl."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from liveconfig.cli import main
from liveconfig.testing import KubeletVolume

PATIENCE = 60.0
PROGRAM = """
import os, sys
from pydantic import SecretStr
from liveconfig import Settings, SettingsConfigDict

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1:])
    message: str = "unset"
    port: int = 1
    password: SecretStr | None = None

settings = App.load()
print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Process:
    """A process of a pod."""

    def __init__(self, *volumes: KubeletVolume) -> None:
        command = [sys.executable, "-c", PROGRAM, *(str(each.path) for each in volumes)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def do(self, code: str) -> None:
        """Execute Python code there, and wait until it has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"exec({code!r})\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait(PATIENCE)


class Cluster:
    """The answers of a replacement for kubectl. ``save`` writes them to a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.volumes: dict[str, KubeletVolume] = {}
        self.running: list[Process] = []
        self.state: dict[str, Any] = {"objects": {}, "pods": [], "containers": {}, "errors": {}}
        labels = {"matchLabels": {"app": "web"}}
        self.state["objects"]["deploy/web"] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": labels},
        }
        self.save()

    def save(self) -> None:
        (self.folder / "state.new").write_text(json.dumps(self.state))
        os.replace(self.folder / "state.new", self.folder / "state.json")

    def configmap(self, name: str, data: Mapping[str, str]) -> None:
        metadata = {"name": name, "namespace": "shop"}
        self.state["objects"][f"configmap/{name}"] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": dict(data),
        }
        self.save()

    def secret(self, name: str, data: Mapping[str, str]) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.state["objects"][f"secret/{name}"] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "shop"},
            "data": encoded,
        }
        self.save()

    def pod(self, name: str, *, processes: int = 1, content: Mapping[str, str] | None = None, **spec: Any) -> None:
        """A pod that mounts the ConfigMap ``flags`` at a volume of its own; ``spec`` adds to its container."""
        volume = self.volumes[name] = KubeletVolume(self.folder / name)
        volume.write(self.state["objects"]["configmap/flags"]["data"] if content is None else content)
        container = {"name": "app", "volumeMounts": [{"name": "flags", "mountPath": str(volume.path)}], **spec}
        container["volumeMounts"] = container["volumeMounts"] + spec.get("more_mounts", [])
        self.state["pods"].append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "flags", "configMap": {"name": "flags"}}],
                },
                "status": {"phase": "Running"},
            }
        )
        self.state["containers"][f"{name}/app"] = {}
        self.save()
        self.running += [Process(volume) for _ in range(processes)]

    def swap_all(self, data: Mapping[str, str]) -> None:
        """The kubelets write the newest content into each volume."""
        for volume in self.volumes.values():
            volume.write(data)

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("kubectl.py")} "$@"\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("KUBECTL", str(kubectl))
    monkeypatch.setenv("CLUSTER", str(tmp_path))
    cluster = Cluster(tmp_path)
    cluster.configmap("flags", {"message": "one"})
    yield cluster
    for process in cluster.running:
        process.stop()


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command; returns its exit code, its rows, and its standard error."""
    return partial(_asked, capsys, "status")


@pytest.fixture
def sync(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command; returns its exit code, its rows, and its standard error."""
    return partial(_asked, capsys, "sync")


def _asked(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run a command.

    It is run again if this machine was too busy to look at a volume within a second. The standard error is that of all
    runs: a later one may find everything done.
    """
    deadline, errors = time.monotonic() + PATIENCE, ""
    while True:
        code = main([command, *arguments, "-o", "json"])
        said = capsys.readouterr()
        errors += said.err
        rows = json.loads(said.out)["rows"] if said.out else []
        is_busy = any("a volume did not answer within" in row["problem"] for row in rows)
        if not is_busy or time.monotonic() > deadline:
            return code, rows, errors


@pytest.fixture
def when_annotated(cluster: Cluster) -> Iterator[Any]:
    """Call a function on a thread as soon as the pods are annotated, as a kubelet does."""
    threads: list[threading.Thread] = []
    over = threading.Event()

    def wait(then: Any) -> None:
        while not (cluster.folder / "annotated").exists():
            if over.wait(0.005):
                return
        then()

    def start(then: Any) -> None:
        threads.append(threading.Thread(target=wait, args=(then,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
