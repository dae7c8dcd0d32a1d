"""``liveconfig sync``: the kubelets are asked, every process is waited for, and nothing is waited for in vain."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

PATIENCE = 60.0


def times_asked(cluster: Any, pod: str) -> int:
    """How often the command has asked a pod."""
    return sum(call[:2] == ["exec", pod] for call in cluster.calls())


def until_asked(cluster: Any, pod: str, times: int) -> None:
    """Wait until the command has asked a pod that often."""
    deadline = time.monotonic() + PATIENCE
    while times_asked(cluster, pod) < times:
        assert time.monotonic() < deadline, cluster.calls()
        time.sleep(0.01)


def test_until_every_process_has_it(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """After a change the pods are annotated, and the command returns 0 when every process uses the new content."""
    for name in ("a", "b", "c"):
        cluster.pod(name, processes=2)
    cluster.configmap("flags", {"message": "two"})
    when_annotated(lambda: cluster.swap_all({"message": "two"}))
    code, rows, _ = sync("configmap/flags", "--timeout", "100")
    assert code == 0
    assert [(row["state"], row["current"]) for row in rows] == [("SYNCED", 2)] * 3
    *_, annotate = [call for call in cluster.calls() if call[0] == "annotate"]  # several if it was run again
    assert annotate[1:5] == ["pod", "a", "b", "c"]
    assert annotate[5].startswith("liveconfig.dev/synced-at=")


def test_a_rejection_ends_early(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """A pod that rejects the change is named with the reason, long before the time is up."""
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.configmap("flags", {"port": "x"})
    when_annotated(lambda: cluster.swap_all({"port": "x"}))
    began = time.monotonic()
    code, rows, _ = sync("deploy/web", "--timeout", "60")
    assert code == 1
    assert time.monotonic() - began < 50
    assert [row["state"] for row in rows] == ["REJECTED", "REJECTED"]
    assert "port" in rows[0]["problem"]


VERIFYING = """
import threading
decide = threading.Event()

@settings.live.verify(on="message", timeout=60.0)
def verify(candidate):
    return candidate.message != "bad" and decide.wait(60.0)
"""


def test_a_rejection_of_older_content(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """Content that a process rejected before does not end the wait for the content that corrects it."""
    cluster.pod("a")
    process = cluster.running[0]
    process.do(VERIFYING)
    cluster.swap_all({"message": "bad"})
    process.do("import time\nwhile not settings.live.status().rejections: time.sleep(0.01)")
    cluster.configmap("flags", {"message": "good"})

    def correct() -> None:
        cluster.swap_all({"message": "good"})
        until_asked(cluster, "a", times_asked(cluster, "a") + 4)
        process.do("decide.set()")

    when_annotated(correct)
    code, rows, said = sync("deploy/web", "--timeout", "100")
    assert (code, [row["state"] for row in rows]) == (0, ["SYNCED"])
    assert "BEHIND" in said


def test_a_pod_that_never_swaps(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """A pod that never swaps makes exit code 1 when the time is up; the others are SYNCED."""
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.configmap("flags", {"message": "two"})
    when_annotated(lambda: cluster.volumes["a"].write({"message": "two"}))
    code, rows, _ = sync("deploy/web", "--timeout", "15")
    assert code == 1
    assert [(row["pod"], row["state"]) for row in rows] == [("a", "SYNCED"), ("b", "PENDING")]


def test_what_cannot_change_is_not_waited_for(cluster: Any, sync: Any) -> None:
    """Frozen values, missing rights and containers without liveconfig are listed at once."""
    cluster.pod("a")
    cluster.state["containers"]["a/app"] = {"programs": []}
    cluster.save()
    began = time.monotonic()
    code, [row], _ = sync("deploy/web", "--timeout", "60")
    assert (code, row["state"]) == (1, "NO REPORT")
    assert time.monotonic() - began < 50


@pytest.mark.parametrize(
    ("state", "expected"), [("unknown", "equal"), ("current", "unknown")], ids=["no answer", "being written"]
)
def test_a_volume_that_does_not_answer_for_a_moment(
    cluster: Any, sync: Any, when_annotated: Any, state: str, expected: str
) -> None:
    """A volume that did not answer, or was being written, is asked again."""
    cluster.pod("a")
    path = str(cluster.volumes["a"].path)
    volume = {"path": path, "generation": "..1", "on_disk": "..1"}
    settings = {"state": state, "problems": [], "volumes": [volume]}
    answer = {
        "processes": [{"pid": 1, "settings": [settings]}],
        "disk": [{"path": path, "kind": "volume", "expected": expected, "since": None}],
    }
    cluster.state["containers"]["a/app"] = {"output": json.dumps(answer)}
    cluster.save()

    def answers_again() -> None:
        until_asked(cluster, "a", 2)
        cluster.state["containers"]["a/app"] = {}
        cluster.save()

    when_annotated(answers_again)
    code, [row], _ = sync("deploy/web", "--timeout", "60")
    assert (code, row["state"]) == (0, "SYNCED")


def test_annotating_is_forbidden(cluster: Any, sync: Any) -> None:
    """Where the pods may not be annotated the command says so, and waits all the same."""
    cluster.pod("a")
    cluster.state["errors"]["annotate"] = 'Error from server (Forbidden): pods "a" is forbidden: User "u" cannot patch'
    cluster.save()
    code, rows, said = sync("deploy/web")
    assert (code, rows[0]["state"]) == (0, "SYNCED")
    assert "could not be annotated" in said


def test_a_pod_that_comes_meanwhile(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """A pod that appears while the command waits is followed to the end, and one that has gone is forgotten."""
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.configmap("flags", {"message": "two"})

    def roll_out() -> None:
        cluster.state["pods"].pop(0)
        cluster.pod("c", content={"message": "two"})
        cluster.volumes["b"].write({"message": "two"})

    when_annotated(roll_out)
    code, rows, _ = sync("deploy/web", "--timeout", "100")
    assert code == 0
    assert [row["pod"] for row in rows] == ["b", "c"]


def test_a_pod_of_the_same_name(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """A pod that is deleted and made again under its name, as a StatefulSet does it, is asked again."""
    for name in ("web-0", "web-1"):
        cluster.pod(name)
    for pod in cluster.state["pods"]:
        pod["metadata"]["uid"] = "first"
    cluster.save()
    cluster.configmap("flags", {"message": "two"})

    def recreate() -> None:
        cluster.volumes["web-0"].write({"message": "two"})
        until_asked(cluster, "web-1", 3)
        cluster.state["pods"][0]["metadata"]["uid"] = "second"
        cluster.state["containers"]["web-0/app"] = {"programs": []}
        cluster.save()
        cluster.volumes["web-1"].write({"message": "two"})

    when_annotated(recreate)
    code, rows, _ = sync("deploy/web", "--timeout", "100")
    assert code == 1
    assert [(row["pod"], row["state"]) for row in rows] == [("web-0", "NO REPORT"), ("web-1", "SYNCED")]
    assert ["web-0"] in [call[2:-2] for call in cluster.calls() if call[0] == "annotate"]


def test_an_object_that_changes_meanwhile(cluster: Any, sync: Any, when_annotated: Any) -> None:
    """Pods that were in sync with what the cluster held before are asked again after another change."""
    for name in ("a", "b"):
        cluster.pod(name)
    cluster.configmap("flags", {"message": "two"})

    def change_again() -> None:
        cluster.volumes["a"].write({"message": "two"})
        until_asked(cluster, "b", 3)
        cluster.configmap("flags", {"message": "three"})
        cluster.volumes["b"].write({"message": "three"})
        until_asked(cluster, "a", times_asked(cluster, "a") + 1)
        cluster.volumes["a"].write({"message": "three"})

    when_annotated(change_again)
    code, rows, _ = sync("deploy/web", "--timeout", "100")
    assert code == 0, rows
    assert [(row["pod"], row["state"]) for row in rows] == [("a", "SYNCED"), ("b", "SYNCED")]
    assert cluster.volumes["a"].path.joinpath("message").read_text() == "three"


def test_a_volume_that_the_kubelet_does_not_write(cluster: Any, sync: Any) -> None:
    """A volume of which a key in `items` is missing is not waited for."""
    cluster.pod("a")
    volume = cluster.state["pods"][0]["spec"]["volumes"][0]
    volume["configMap"]["items"] = [{"key": "gone", "path": "gone"}]
    cluster.save()
    began = time.monotonic()
    code, [row], _ = sync("deploy/web", "--timeout", "120")
    assert (code, row["state"]) == (1, "PENDING")
    assert "has no key `gone`" in row["problem"]
    assert time.monotonic() - began < 60


def test_a_pod_that_has_gone_before_it_is_annotated(cluster: Any, sync: Any) -> None:
    """A pod that has gone meanwhile is no reason for a warning."""
    cluster.pod("a")
    cluster.state["errors"]["annotate"] = 'Error from server (NotFound): pods "b" not found'
    cluster.save()
    code, rows, said = sync("deploy/web")
    assert (code, rows[0]["state"]) == (0, "SYNCED")
    assert "annotated" not in said
