"""``liveconfig status``: one row for each pod and volume, exact, bounded and without a value."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from liveconfig.cli import main

PATIENCE = 60.0


def until(status: Any, state: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = status(*arguments)
        if found[1][0]["state"] == state:
            return found
        assert time.monotonic() < deadline, found


def test_in_sync(cluster: Any, status: Any) -> None:
    """Pods whose disk and processes are as the cluster are SYNCED, and the exit code is 0."""
    for name in ("a", "b"):
        cluster.pod(name, processes=2)
    code, rows, _ = status("deploy/web", "-n", "shop")
    assert code == 0
    assert [(row["pod"], row["state"], row["processes"], row["current"]) for row in rows] == [
        ("a", "SYNCED", 2, 2),
        ("b", "SYNCED", 2, 2),
    ]
    assert [row["object"] for row in rows] == ["configmap/flags"] * 2


def test_table(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The table ends with one sentence that counts pods and processes."""
    cluster.pod("a", processes=2)
    assert main(["status", "deploy/web"]) == 0
    header, row, sentence = capsys.readouterr().out.splitlines()
    assert header.split() == ["POD", "VOLUME", "STATE", "ON", "DISK", "SINCE", "PROCESSES", "PROBLEM"]
    assert " SYNCED " in row
    assert " 2/2" in row
    assert sentence.startswith("1 of 1 pods, 2 of 2 processes, ")


@pytest.mark.parametrize("target", [("configmap/flags",), ("-l", "app=web"), ("cm/flags",)])
def test_other_targets(cluster: Any, status: Any, target: tuple[str, ...]) -> None:
    """A ConfigMap and a selector find the pods too."""
    cluster.pod("a")
    code, rows, _ = status(*target)
    assert (code, [row["state"] for row in rows]) == (0, ["SYNCED"])


def test_pending(cluster: Any, status: Any) -> None:
    """A pod whose kubelet has not written the newest content is PENDING, and the exit code is 1."""
    cluster.pod("a")
    cluster.configmap("flags", {"message": "two"})
    code, [row], _ = status("deploy/web")
    assert (code, row["state"], row["current"], row["processes"]) == (1, "PENDING", 1, 1), row


def test_a_key_that_the_pod_lacks(cluster: Any, status: Any) -> None:
    """A key that was added to or removed from the cluster's object makes a difference too."""
    cluster.pod("a")
    cluster.configmap("flags", {"message": "one", "port": "2"})
    assert status("deploy/web")[1][0]["state"] == "PENDING"
    cluster.configmap("flags", {})
    assert status("deploy/web")[1][0]["state"] == "PENDING"


def test_behind(cluster: Any, status: Any, stopped: Any) -> None:
    """A process that has not taken what is on disk is BEHIND, by its number."""
    cluster.pod("a", processes=2)
    pid = cluster.running[0].pid
    with stopped(pid):
        cluster.configmap("flags", {"message": "two"})
        cluster.swap_all({"message": "two"})
        code, [row], _ = until(status, "BEHIND", "deploy/web")
        assert code == 1
        assert f"process {pid}" in row["problem"]
    assert until(status, "SYNCED", "deploy/web")[0] == 0


def test_rejected(cluster: Any, status: Any) -> None:
    """A process that rejects what is on disk is REJECTED, with the reason."""
    cluster.pod("a")
    cluster.configmap("flags", {"port": "x"})
    cluster.swap_all({"port": "x"})
    code, [row], _ = until(status, "REJECTED", "deploy/web")
    assert code == 1
    assert "port" in row["problem"]
    assert row["problem"].endswith("; the last good configuration stays in use")


@pytest.mark.parametrize(
    ("rejected", "states"),
    [
        ({}, ["REJECTED", "REJECTED"]),
        ({"a": "..2"}, ["REJECTED", "BEHIND"]),
        ({"b": "..2"}, ["BEHIND", "REJECTED"]),
        ({"a": "..2", "b": "..2"}, ["REJECTED", "REJECTED"]),
        ({"a": "..1"}, ["BEHIND", "BEHIND"]),
    ],
    ids=str,
)
def test_rejected_volumes(cluster: Any, status: Any, rejected: dict[str, str], states: list[str]) -> None:
    """Only the volumes that hold the rejected content are REJECTED; all where a report does not name it."""
    volumes: list[dict[str, str]] = []
    for name in ("a", "b"):
        named = {"rejected": rejected[name]} if name in rejected else {}
        volumes.append({"path": f"/{name}", "generation": "..0", "on_disk": "..2", **named})
    cluster.pod("a", processes=0)
    spec = cluster.state["pods"][0]["spec"]
    spec["containers"][0]["volumeMounts"] = [{"name": "flags", "mountPath": each["path"]} for each in volumes]
    settings = {"state": "rejected", "problems": ["the reason"], "volumes": volumes}
    answer = {"processes": [{"pid": 7, "settings": [settings]}], "disk": []}
    cluster.state["containers"]["a/app"] = {"output": json.dumps(answer)}
    cluster.save()
    _, rows, _ = status("deploy/web")
    assert [row["state"] for row in rows] == states
    for row in rows:
        assert ("the reason" in row["problem"]) is (row["state"] == "REJECTED")


def test_may_not_be_read(cluster: Any, status: Any) -> None:
    """Where the caller may not read the object the row is UNKNOWN, never SYNCED."""
    cluster.pod("a")
    cluster.state["errors"]["get configmap"] = (
        'Error from server (Forbidden): configmaps "flags" is forbidden: User "u" cannot get resource "configmaps"'
    )
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"]) == (1, "UNKNOWN")
    assert "may not be read" in row["problem"]


def test_items(cluster: Any, status: Any) -> None:
    """``items`` mounts some keys under other names: other keys of the object make no difference."""
    cluster.configmap("flags", {"message": "one", "other": "x"})
    cluster.pod("a", content={"message": "one"})
    volume = cluster.state["pods"][0]["spec"]["volumes"][0]
    volume["configMap"]["items"] = [{"key": "message", "path": "message"}]
    cluster.save()
    assert status("deploy/web")[1][0]["state"] == "SYNCED"
    cluster.configmap("flags", {"message": "one", "other": "y"})
    assert status("deploy/web")[0] == 0


def test_projected(cluster: Any, status: Any) -> None:
    """A projected volume is compared with all of its sources; a token beside them makes no difference."""
    cluster.secret("login", {"password": "p"})
    cluster.pod("a", content={"message": "one", "password": "p", "token": "t"})
    cluster.state["pods"][0]["spec"]["volumes"][0] = {
        "name": "flags",
        "projected": {
            "sources": [
                {"configMap": {"name": "flags"}},
                {"secret": {"name": "login"}},
                {"secret": {"name": "gone", "optional": True}},
                {"serviceAccountToken": {"path": "token"}},
            ]
        },
    }
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"]) == (0, "SYNCED")
    assert row["object"] == "configmap/flags, secret/login, secret/gone"
    cluster.secret("login", {"password": "q"})
    assert status("secret/login")[1][0]["state"] == "PENDING"


def test_frozen(cluster: Any, status: Any) -> None:
    """Variables and subPath files are FROZEN; they count only where their value is not the cluster's."""
    cluster.configmap("flags", {"message": "one"})
    single = cluster.folder / "single"
    single.write_text("one")
    cluster.pod(
        "a",
        env=[{"name": "MESSAGE", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "message"}}}],
        more_mounts=[{"name": "flags", "mountPath": str(single), "subPath": "message"}],
    )
    cluster.state["containers"]["a/app"]["environment"] = {"MESSAGE": "one"}
    cluster.save()
    code, rows, _ = status("deploy/web")
    assert code == 0
    assert {row["volume"]: (row["state"], row["counts"]) for row in rows} == {
        str(cluster.volumes["a"].path): ("SYNCED", True),
        str(single): ("FROZEN", False),
        "env": ("FROZEN", False),
    }
    cluster.configmap("flags", {"message": "two"})
    cluster.swap_all({"message": "two"})
    code, rows, _ = status("deploy/web")
    frozen = [row for row in rows if row["state"] == "FROZEN"]
    assert code == 1
    assert [row["counts"] for row in frozen] == [True, True]
    assert all("kubectl rollout restart deploy/web" in row["problem"] for row in frozen)
    frozen = [row for row in status("deploy/web", "--context", "prod")[1] if row["state"] == "FROZEN"]
    assert all("kubectl rollout restart deploy/web --context prod" in row["problem"] for row in frozen)
    frozen = [row for row in status("deploy/web", "--context", "my $(id)")[1] if row["state"] == "FROZEN"]
    assert all("kubectl rollout restart deploy/web --context 'my $(id)'" in row["problem"] for row in frozen)


@pytest.mark.parametrize(
    ("owner", "labels", "advice"),
    [
        (("ReplicaSet", "web-7c9d8b6f5"), {"pod-template-hash": "7c9d8b6f5"}, "kubectl rollout restart deployment/web"),
        (("StatefulSet", "web"), {}, "kubectl rollout restart statefulset/web"),
        (("DaemonSet", "agent"), {}, "kubectl rollout restart daemonset/agent"),
        (("ReplicaSet", "web-7c9d8b6f5"), {"rollouts-pod-template-hash": "7c9d8b6f5"}, "restart it"),
        (("Job", "import"), {}, "restart it"),
        (None, {}, "restart it"),
    ],
)
def test_advice_for_an_object(
    cluster: Any, status: Any, owner: tuple[str, str] | None, labels: dict[str, str], advice: str
) -> None:
    """Asked about a ConfigMap, a FROZEN row names the command that restarts the workload of its pod, if there is one."""
    cluster.configmap("flags", {"message": "one"})
    cluster.pod("a", env=[{"name": "MESSAGE", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "message"}}}])
    metadata = cluster.state["pods"][0]["metadata"]
    metadata["labels"] |= labels
    if owner is not None:
        kind, name = owner
        metadata["ownerReferences"] = [{"kind": "Other", "name": "x"}, {"kind": kind, "name": name, "controller": True}]
    cluster.state["containers"]["a/app"]["environment"] = {"MESSAGE": "one"}
    cluster.save()
    cluster.configmap("flags", {"message": "two"})
    cluster.swap_all({"message": "two"})
    (frozen,) = [row for row in status("configmap/flags")[1] if row["state"] == "FROZEN"]
    assert frozen["problem"].endswith(f"while the container runs: {advice}")


def test_not_followed(cluster: Any, status: Any) -> None:
    """A volume that no settings class names is NOT FOLLOWED and does not count."""
    cluster.pod("a")
    other = cluster.folder / "other"
    cluster.volumes["other"] = type(cluster.volumes["a"])(other)
    cluster.volumes["other"].write({"message": "one"})
    cluster.state["pods"][0]["spec"]["containers"][0]["volumeMounts"].append({"name": "flags", "mountPath": str(other)})
    cluster.save()
    code, rows, _ = status("deploy/web")
    assert code == 0
    assert [row["state"] for row in rows] == ["SYNCED", "NOT FOLLOWED"]


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ({"programs": []}, "there is no Python in the container on its PATH: name the interpreter (--python PATH)"),
        (
            {"error": "/usr/bin/python3: No module named liveconfig"},
            "not installed in the container: add it to the image",
        ),
        (
            {"error": "usage: liveconfig\nliveconfig: error: invalid choice: 'ps'", "code": 2},
            "before 0.2: build its image with 0.2",
        ),
    ],
)
def test_no_report(cluster: Any, status: Any, place: dict[str, Any], problem: str) -> None:
    """A container that does not answer has NO REPORT, with the reason."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = place
    cluster.save()
    code, [row], _ = status("deploy/web")
    assert (code, row["state"]) == (1, "NO REPORT")
    assert problem in row["problem"]


def test_an_interpreter_that_is_not_there(cluster: Any, status: Any) -> None:
    """Where the interpreter of --python does not exist, the row names it."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"programs": ["python3"]}
    cluster.save()
    [row] = status("deploy/web", "--python", "/venv/bin/python")[1]
    assert row["problem"] == "there is no /venv/bin/python in the container: give --python the path of its interpreter"


def test_the_next_way(cluster: Any, status: Any) -> None:
    """Where the script is not on PATH, python3 -m liveconfig is asked, and then python."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"programs": ["python"]}
    cluster.save()
    assert status("deploy/web")[1][0]["state"] == "SYNCED"
    commands = [call[call.index("--") + 1] for call in cluster.calls() if call[0] == "exec"]
    assert commands == ["liveconfig", "python3", "python"]


def test_a_proxy_does_not_count(cluster: Any, status: Any) -> None:
    """A container without liveconfig does not count where another one of the pod reports."""
    cluster.pod("a")
    [container] = cluster.state["pods"][0]["spec"]["containers"]
    cluster.state["pods"][0]["spec"]["containers"].append({**container, "name": "proxy"})
    cluster.state["containers"]["a/proxy"] = {"programs": []}
    cluster.save()
    code, rows, _ = status("deploy/web")
    assert code == 0
    assert {row["container"]: (row["state"], row["counts"]) for row in rows} == {
        "app": ("SYNCED", True),
        "proxy": ("NO REPORT", False),
    }
    assert [row["container"] for row in status("deploy/web", "-c", "proxy")[1]] == ["proxy"]


def test_unreachable(cluster: Any, status: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that hangs is UNREACHABLE after its time, and holds up no other."""
    monkeypatch.setattr("liveconfig.cli._rollout.container_queries.PATIENCE", 6.0)
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.state["containers"]["a/app"] = {"hang": True}
    cluster.save()
    code, rows, _ = status("deploy/web")
    assert code == 1
    assert [row["state"] for row in rows] == ["UNREACHABLE", "SYNCED"]


def test_finished_and_terminating(cluster: Any, status: Any) -> None:
    """Pods that are finished or terminating are left out; one that is starting is UNREACHABLE."""
    cluster.pod("a")
    for name in ("done", "going", "starting"):
        cluster.pod(name, processes=0)
    done, going, starting = cluster.state["pods"][1:]
    done["status"]["phase"] = "Succeeded"
    going["metadata"]["deletionTimestamp"] = "2026-11-28T04:09:45Z"
    starting["status"]["phase"] = "Pending"
    cluster.save()
    _, rows, _ = status("deploy/web")
    assert [(row["pod"], row["state"]) for row in rows] == [("a", "SYNCED"), ("starting", "UNREACHABLE")]


def test_nothing_runs(cluster: Any, status: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A workload without pods, and an object that no pod uses, are in sync, and the table says that nothing runs."""
    for target, what in (("deploy/web", "nothing runs"), ("configmap/flags", "nothing runs that uses it")):
        assert status(target)[0] == 0
        assert main(["status", target]) == 0
        assert capsys.readouterr().out == f"{target}: {what}, so nothing has to change.\n"


@pytest.mark.parametrize(
    ("arguments", "errors", "line"),
    [
        (("deploy/nope",), {}, 'deploys "nope" not found'),
        (("configmap/nope",), {}, 'configmaps "nope" not found'),
        (("-l", "app=nope"), {}, "no pod matches the selector 'app=nope'"),
        (
            ("deploy/web",),
            {
                "get": "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
            },
            "The connection to the server 127.0.0.1:6443 was refused",
        ),
        (
            ("deploy/web",),
            {"get pods": 'Error from server (Forbidden): pods is forbidden: User "u" cannot list resource "pods"'},
            "pods is forbidden",
        ),
        (
            ("deploy/web",),
            {
                "get": 'E1128 09:00:00.000000 7 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API"\n'
                "error: You must be logged in to the server (Unauthorized)"
            },
            "You must be logged in to the server (Unauthorized)",
        ),
        (
            ("deploy/web",),
            {"get": "Error: unknown shorthand flag: 'o' in -o\nSee 'kubectl get --help' for usage."},
            "unknown shorthand flag",
        ),
    ],
)
def test_cannot_ask(cluster: Any, status: Any, arguments: tuple[str, ...], errors: dict[str, str], line: str) -> None:
    """An error of the cluster is one readable line and exit code 2."""
    cluster.state["errors"] = errors
    cluster.save()
    code, rows, said = status(*arguments)
    assert (code, rows) == (2, [])
    assert said.count("\n") == 1
    assert said.startswith("liveconfig status: ")
    assert line in said


def test_no_kubectl(cluster: Any, status: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without kubectl one line says what to install."""
    monkeypatch.setenv("KUBECTL", "/nowhere/kubectl")
    code, _, said = status("deploy/web")
    assert code == 2
    assert "/nowhere/kubectl cannot be run" in said


def test_no_value_travels(cluster: Any, status: Any, canary: str) -> None:
    """No value is in an argument, in the output, or in what the container is sent."""
    cluster.configmap("flags", {"message": canary})
    cluster.pod("a", env=[{"name": "M", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "message"}}}])
    code, rows, said = status("deploy/web")
    assert code == 1
    assert canary not in json.dumps([rows, said, cluster.calls()])
