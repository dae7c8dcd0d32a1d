"""Containers that print nonsense, calls that hang, and objects of every shape: never a traceback, never a process left."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from liveconfig.cli import main

SETTINGS = {"state": "current", "problems": [], "volumes": []}
ENTRY = {"path": "/etc/config", "kind": "volume", "expected": "equal", "since": None}


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command; returns its exit code, its rows, and its standard error."""

    def run(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        code = main(["status", *arguments, "-o", "json"])
        said = capsys.readouterr()
        return code, json.loads(said.out)["rows"] if said.out else [], said.err

    return run


@pytest.mark.parametrize(
    "answer",
    [
        "{}",
        "[" * 100_000,
        {"processes": [1]},
        {"processes": [{"pid": 1}]},
        {"processes": [{"pid": 1, "settings": "x"}]},
        {"processes": [{"pid": 1.5, "settings": []}]},
        {"processes": [{"pid": 1, "settings": [{**SETTINGS, "volumes": [{"path": 5}]}]}]},
        {"processes": [], "disk": [5]},
        {"processes": [], "disk": [{**ENTRY, "since": "2026-01-01T00:00:00"}]},
        {"processes": [], "disk": [{**ENTRY, "since": "yesterday"}]},
        {"processes": [], "disk": {"a": 1}},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_what_a_container_prints(cluster: Any, status: Any, answer: Any) -> None:
    """An answer that is not what ``liveconfig ps`` prints is a row with the reason, and no traceback."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"output": answer if isinstance(answer, str) else json.dumps(answer)}
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"]) == (1, "NO REPORT")
    assert "not what `liveconfig ps` prints" in row["problem"]


def test_nothing_for_the_terminal(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters that a container prints do not reach the terminal."""
    cluster.pod("a")
    settings = {**SETTINGS, "state": "hidden", "problems": ["\033[2Jgone\u202e\ud800"]}
    answer = {"processes": [{"pid": 1, "settings": [settings]}]}
    cluster.state["containers"]["a/app"] = {"output": json.dumps(answer)}
    cluster.save()
    assert main(["status", "deploy/web"]) == 1
    assert not {"\033", "\u202e", "\ud800"} & set(capsys.readouterr().out)


@pytest.mark.parametrize(
    "answer", ["", "[]", "null", '{"kind": "List", "items": null}', '{"kind": "List", "items": [1]}']
)
@pytest.mark.parametrize("kind", ["deploy", "pods"])
def test_odd_answers_of_the_cluster(cluster: Any, status: Any, kind: str, answer: str) -> None:
    """An answer of kubectl that is no object is one line and exit code 2."""
    cluster.state["raw"] = {kind: answer}
    cluster.save()
    code, rows, said = status("deploy/web")
    assert (code, rows) == (2, [])
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("target", ["web", "deploy/", "/web"])
def test_no_kind_and_name(cluster: Any, status: Any, target: str) -> None:
    """A target that is not KIND/NAME is one line and exit code 2."""
    code, _, said = status(target)
    assert code == 2
    assert "KIND/NAME" in said


def test_a_cluster_that_hangs(cluster: Any, status: Any) -> None:
    """Where kubectl hangs already with the pods, the command ends after its time with exit code 2."""
    cluster.state["hanging"] = ["get"]
    cluster.save()
    began = time.monotonic()
    code, _, said = status("deploy/web", "--timeout", "1")
    assert (code, len(said.splitlines())) == (2, 1)
    assert time.monotonic() - began < 10


def test_a_plugin_that_hangs(cluster: Any, status: Any) -> None:
    """A call that is ended after its time ends at once, although a process that it started still holds its pipes."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"plugin": True}
    cluster.save()
    began = time.monotonic()
    code, [row], _ = status("deploy/web", "--timeout", "2")
    assert (code, row["state"]) == (1, "UNREACHABLE")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["status", "sync"])
def test_ended_by_a_signal(cluster: Any, number: int, command: str) -> None:
    """After Ctrl-C, or the end of a pipeline's job, no kubectl and nothing that it started is left behind."""
    for name in ("a", "b"):
        cluster.pod(name)
        cluster.state["containers"][f"{name}/app"] = {"plugin": True}
    cluster.save()
    with subprocess.Popen(
        [sys.executable, "-m", "liveconfig", command, "deploy/web"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        deadline = time.monotonic() + 20
        while len(_plugins(cluster.folder)) < 2:
            assert time.monotonic() < deadline
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 128 + number
    assert b"Traceback" not in said
    assert not _plugins(cluster.folder)


def _plugins(folder: Path) -> list[int]:
    """The processes called sleep with the variable CLUSTER of this test."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            mine = f"CLUSTER={folder}\0".encode() in Path(f"/proc/{name}/environ").read_bytes()
            if mine and Path(f"/proc/{name}/cmdline").read_bytes().startswith(b"sleep\0"):
                found.append(int(name))
        except OSError:
            continue
    return found


def test_cronjob(cluster: Any, status: Any) -> None:
    """The pods of a CronJob are those of its jobs."""
    metadata = {"name": "report", "namespace": "shop"}
    cluster.state["objects"]["cronjob/report"] = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata}
    owner = [{"kind": "CronJob", "name": "report"}]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "report-1", "ownerReferences": owner}}
    other = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other"}}
    cluster.state["raw"] = {"jobs": json.dumps({"kind": "List", "items": [job, other]})}
    cluster.pod("a")
    cluster.pod("b")
    cluster.state["pods"][0]["metadata"]["labels"] = {"job-name": "report-1"}
    cluster.save()
    code, rows, _ = status("cronjob/report")
    assert (code, [row["pod"] for row in rows]) == (0, ["a"])
    cluster.state["raw"] = {"jobs": json.dumps({"kind": "List", "items": [other]})}
    cluster.save()
    assert status("cronjob/report")[:2] == (0, [])


def test_variables_as_the_kubelet_makes_them(cluster: Any, status: Any) -> None:
    """No variable comes of binaryData, of a key that begins with a digit, or of an optional key that is not there."""
    flags = cluster.state["objects"]["configmap/flags"]
    flags["data"]["1st"] = "x"
    flags["binaryData"] = {"blob": base64.b64encode(b"\xff").decode()}
    optional = [
        {"name": "NO_KEY", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "none", "optional": True}}},
        {"name": "NO_MAP", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "none", "optional": True}}},
    ]
    sources = [{"configMapRef": {"name": "flags"}, "prefix": "F_"}, {"configMapRef": {"name": "flags"}}]
    cluster.pod("a", envFrom=sources, env=optional)
    cluster.volumes["a"].write({"message": "one", "1st": "x", "blob": b"\xff"})
    cluster.state["containers"]["a/app"] = {"environment": {"F_message": "one", "message": "one", "F_1st": "x"}}
    cluster.save()
    deadline = time.monotonic() + 20
    while True:
        code, rows, _ = status("deploy/web")
        states = {row["volume"]: (row["state"], row["counts"]) for row in rows}
        if code == 0:
            break
        assert time.monotonic() < deadline, rows
    assert states["env"] == ("FROZEN", False)
    cluster.state["containers"]["a/app"]["environment"]["NO_KEY"] = "removed from the cluster"
    cluster.save()
    assert [(row["state"], row["counts"]) for row in status("deploy/web")[1] if row["volume"] == "env"] == [
        ("FROZEN", True)
    ]


def test_sidecars_are_asked(cluster: Any, status: Any) -> None:
    """An init container that keeps running is asked; one that ends is not."""
    cluster.pod("a")
    spec = cluster.state["pods"][0]["spec"]
    own = dict(spec["containers"][0])
    spec["initContainers"] = [{**own, "name": "proxy", "restartPolicy": "Always"}, {**own, "name": "prepare"}]
    cluster.state["containers"]["a/proxy"] = {"programs": []}
    cluster.save()
    code, rows, _ = status("deploy/web")
    assert code == 0
    assert [(row["container"], row["state"]) for row in rows] == [("app", "SYNCED"), ("proxy", "NO REPORT")]
