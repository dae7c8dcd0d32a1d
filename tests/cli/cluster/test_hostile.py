"""Containers that print nonsense, calls that hang, and objects of every shape: never a traceback, never a process left."""

from __future__ import annotations

import base64
import json
import os
import resource
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
        {"processes": [], "disk": [ENTRY, {**ENTRY, "expected": "different"}]},
        {"processes": [{"pid": 1, "settings": [SETTINGS]}, {"pid": 1, "settings": []}]},
        {"processes": [], "disk": [{**ENTRY, "followed_as": "/etc/config"}]},
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
    shown = capsys.readouterr().out
    assert "gone" in shown
    assert not {"\033", "\u202e", "\ud800"} & set(shown)


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


@pytest.mark.parametrize(
    "volume",
    [
        None,
        {"projected": {"sources": [None]}},
        {"name": "x", "projected": {"sources": [5]}},
        {"name": "x", "projected": {"sources": [{"serviceAccountToken": 5}]}},
    ],
    ids=str,
)
def test_odd_pods(cluster: Any, status: Any, volume: Any) -> None:
    """Pods of another shape than Kubernetes has are one line and exit code 2."""
    cluster.pod("a")
    cluster.state["pods"][0]["spec"]["volumes"].append(volume)
    cluster.save()
    code, rows, said = status("deploy/web")
    assert (code, rows, len(said.splitlines())) == (2, [], 1)


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


def test_a_process_that_stays(cluster: Any, status: Any) -> None:
    """A process that kubectl leaves behind on purpose, with its pipes, does not make the container unreachable."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"daemon": True}
    cluster.save()
    code, [row], _ = status("deploy/web")
    left = _plugins(cluster.folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert (code, row["state"]) == (0, "SYNCED")
    assert left


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
            time.sleep(0.01)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 128 + number
    assert b"Traceback" not in said
    _wait_until_none_is_left(cluster.folder)


def _wait_until_none_is_left(folder: Path) -> None:
    """What was killed needs a moment to end."""
    deadline = time.monotonic() + 20
    while left := _plugins(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


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
    _, rows, _ = status("cronjob/report")
    assert [row["pod"] for row in rows] == ["a"]
    cluster.state["raw"] = {"jobs": json.dumps({"kind": "List", "items": [other]})}
    cluster.save()
    assert status("cronjob/report")[:2] == (0, [])


def test_a_selector_with_expressions(cluster: Any, status: Any) -> None:
    """The expressions of a workload's selector are asked for as kubectl takes them."""
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "track", "operator": "NotIn", "values": ["canary"]},
        {"key": "owner", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    selector = cluster.state["objects"]["deploy/web"]["spec"]["selector"] = {"matchExpressions": expressions}
    cluster.save()
    status("deploy/web")
    [asked] = [call for call in cluster.calls() if "-l" in call]
    assert asked[asked.index("-l") + 1] == "tier in (a,b),track notin (canary),owner,!old"
    for bad in ({}, {"matchExpressions": [{"key": "tier", "operator": "Near"}]}):
        selector.clear()
        selector.update(bad)
        cluster.save()
        code, rows, said = status("deploy/web")
        assert (code, rows) == (2, [])
        assert said == "liveconfig status: deploy/web has no pod selector: name its pods with -l SELECTOR\n"


def test_variables_as_the_kubelet_makes_them(cluster: Any, status: Any) -> None:
    """binaryData, a key that begins with a digit and an optional key that is not there make no variable."""
    flags = cluster.state["objects"]["configmap/flags"]
    flags["data"]["1st"] = "x"
    flags["binaryData"] = {"blob": base64.b64encode(b"\xff").decode()}
    cluster.secret("empty", {})
    optional = [
        {"name": "NO_KEY", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "none", "optional": True}}},
        {"name": "NO_MAP", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "none", "optional": True}}},
        {"name": "message", "valueFrom": {"secretKeyRef": {"name": "empty", "key": "none", "optional": True}}},
        {"name": "F_message", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "none", "optional": True}}},
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
    [env] = [row for row in status("deploy/web")[1] if row["volume"] == "env"]
    assert (env["state"], env["counts"]) == ("UNKNOWN", True)
    assert "NO_KEY: set although the cluster has no such key: the image may set it" in env["problem"]


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


def test_a_container_that_prints_without_end(cluster: Any, status: Any) -> None:
    """A container that prints without end is a row with the reason, and costs a bounded amount of memory."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"endless": True}
    cluster.save()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, [row], _ = status("deploy/web")
    assert (code, row["state"]) == (1, "NO REPORT")
    assert "it printed more than 16,777,216 bytes" in row["problem"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_kubectl_that_ignores_the_signal_to_end(cluster: Any, status: Any) -> None:
    """A kubectl that ignores SIGTERM, and hangs, is ended after its time."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"deaf": True, "plugin": True}
    cluster.save()
    code, [row], _ = status("deploy/web", "--timeout", "3")
    assert (code, row["state"]) == (1, "UNREACHABLE")
    _wait_until_none_is_left(cluster.folder)


def test_a_kubectl_that_dies_half_way(cluster: Any, status: Any) -> None:
    """An answer that ends in its middle is no answer, whatever the exit code."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"output": '{"schema": 1, "processes": [{"pid": 1, "settings": []}], "di'}
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"]) == (1, "NO REPORT")


@pytest.mark.parametrize("since", ["2999-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00"])
def test_clocks_that_differ(cluster: Any, capsys: pytest.CaptureFixture[str], since: str) -> None:
    """A time in the future, or long ago, is shown without a traceback and without a negative age."""
    cluster.pod("a")
    path = str(cluster.volumes["a"].path)
    volume = {"path": path, "generation": "..1", "on_disk": "..1"}
    answer = {
        "processes": [{"pid": 1, "settings": [{**SETTINGS, "volumes": [volume]}]}],
        "disk": [{**ENTRY, "path": path, "since": since}],
    }
    cluster.state["containers"]["a/app"] = {"output": json.dumps(answer)}
    cluster.save()
    assert main(["status", "deploy/web"]) == 0
    assert " -" not in capsys.readouterr().out.splitlines()[1]


def test_a_key_that_items_names_and_that_is_not_there(cluster: Any, status: Any) -> None:
    """The kubelet does not write a volume of which a key in `items` is missing: PENDING with that reason."""
    cluster.pod("a")
    items = [{"key": "message", "path": "message"}, {"key": "gone", "path": "gone"}]
    volume = cluster.state["pods"][0]["spec"]["volumes"][0]
    volume["configMap"]["items"] = items
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"], row["waits"]) == (1, "PENDING", False)
    assert "configmap/flags has no key `gone`, which `items` of the volume names" in row["problem"]
    volume["configMap"]["optional"] = True
    cluster.save()
    assert status("deploy/web")[1][0]["state"] == "SYNCED"
    volume["configMap"]["items"] = [{"key": "message", "path": path} for path in ("a", "a/b")]
    cluster.save()
    [row] = status("deploy/web")[1]
    assert (row["state"], row["waits"]) == ("PENDING", False)
    assert "'a' is the path of a file and of a folder of the volume" in row["problem"]


def test_an_object_that_is_not_there(cluster: Any, status: Any) -> None:
    """A pod that waits for an object that does not exist says so."""
    cluster.pod("a")
    del cluster.state["objects"]["configmap/flags"]
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    cluster.state["pods"][0]["status"] = {"phase": "Pending", "containerStatuses": [{"state": waiting}]}
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"], row["waits"]) == (1, "UNREACHABLE", False)
    assert row["problem"] == (
        "the pod is Pending (ContainerCreating); the kubelet does not write this volume: configmap/flags does not exist"
    )


def test_why_a_container_does_not_start(cluster: Any, status: Any) -> None:
    """A pod that does not run says what the kubelet says."""
    cluster.pod("a")
    message = "couldn't find key port in ConfigMap shop/flags"
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    cluster.state["pods"][0]["status"] = {"phase": "Pending", "containerStatuses": [{"state": waiting}]}
    cluster.save()
    assert status("deploy/web")[1][0]["problem"] == f"the pod is Pending (CreateContainerConfigError: {message})"


def test_a_key_removed_beside_a_token(cluster: Any, status: Any) -> None:
    """A key that was removed from the cluster makes a volume PENDING, also where a token lies beside it."""
    cluster.pod("a", content={"message": "one", "gone": "x", "token": "t"})
    source = {"configMap": {"name": "flags"}}
    token = {"serviceAccountToken": {"path": "token"}}
    volume = {"name": "flags", "projected": {"sources": [source, token]}}
    cluster.state["pods"][0]["spec"]["volumes"] = [volume]
    cluster.save()
    assert status("deploy/web")[1][0]["state"] == "PENDING"
    cluster.volumes["a"].write({"message": "one", "token": "t2"})
    deadline = time.monotonic() + 20
    while (state := status("deploy/web")[1][0]["state"]) != "SYNCED":
        assert time.monotonic() < deadline, state
    cluster.volumes["a"].write({"message": "one", "token": "t2", "new": "x"})
    volume["projected"]["sources"].append({"sourceOfTomorrow": {"path": "new"}})
    cluster.save()
    while (state := status("deploy/web")[1][0]["state"]) != "SYNCED":
        assert time.monotonic() < deadline, state


def test_a_settings_class_that_names_a_link(cluster: Any, status: Any, tmp_path: Path) -> None:
    """A process that names the mount point by a symbolic link follows it."""
    cluster.pod("a", processes=0)
    link = tmp_path / "link"
    link.symlink_to(cluster.volumes["a"].path)
    process = subprocess.Popen(
        [sys.executable, "-c", LINKED, str(link)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        code, [row], _ = status("deploy/web")
        process.kill()
    assert (code, row["state"], row["processes"]) == (0, "SYNCED", 1), row["problem"]


LINKED = """
import sys
from liveconfig import Settings, SettingsConfigDict

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1])
    message: str

settings = App.load()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_container_that_no_pod_has(cluster: Any, status: Any) -> None:
    """A container that no pod has is one line and exit code 2, and not "nothing to do"."""
    cluster.pod("a")
    code, rows, said = status("deploy/web", "-c", "ap")
    assert (code, rows) == (2, [])
    assert "no pod has a container 'ap'; containers there: app" in said


def test_a_process_is_counted_once(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A process with several settings objects and volumes is one process; it is current if all of them are."""
    cluster.pod("a", processes=0)
    container = cluster.state["pods"][0]["spec"]["containers"][0]
    path = container["volumeMounts"][0]["mountPath"]
    container["volumeMounts"].append({"name": "flags", "mountPath": "/etc/second"})
    old, new = ({"path": path, "generation": each, "on_disk": "..2"} for each in ("..1", "..2"))
    second = {"path": "/etc/second", "generation": "..2", "on_disk": "..2"}
    both, one = ({**SETTINGS, "volumes": volumes} for volumes in ([new, second], [old]))
    processes = [{"pid": 1, "settings": [both, both]}, {"pid": 2, "settings": [both, {**one, "state": "behind"}]}]
    disk = [{**ENTRY, "path": path}, {**ENTRY, "path": "/etc/second"}]
    cluster.state["containers"]["a/app"] = {"output": json.dumps({"processes": processes, "disk": disk})}
    cluster.save()
    assert main(["status", "deploy/web", "-o", "json"]) == 1
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["volume"], row["state"], row["processes"], row["current"]) for row in rows] == [
        (path, "BEHIND", 2, 1),
        ("/etc/second", "SYNCED", 2, 2),
    ]
    main(["status", "deploy/web"])
    assert "0 of 1 pods, 1 of 2 processes, " in capsys.readouterr().out
