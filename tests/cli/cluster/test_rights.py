"""The Role in examples/operations: what the commands ask the API server for, no more and no less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from liveconfig.cli import main

OPERATIONS = Path(__file__).parents[3] / "examples" / "operations"
ROLE = OPERATIONS / "rbac" / "liveconfig-operator.yaml"
HOOK = OPERATIONS / "argocd" / "liveconfig-sync.yaml"
RESOURCES = {
    "deploy": ("apps", "deployments"),
    "sts": ("apps", "statefulsets"),
    "ds": ("apps", "daemonsets"),
    "rs": ("apps", "replicasets"),
    "job": ("batch", "jobs"),
    "jobs": ("batch", "jobs"),
    "cronjob": ("batch", "cronjobs"),
    "pod": ("", "pods"),
    "pods": ("", "pods"),
    "configmap": ("", "configmaps"),
    "secret": ("", "secrets"),
}
Right = tuple[str, str, str]


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(ROLE.read_text()))


def granted() -> set[Right]:
    return {
        (group, resource, verb)
        for rule in documents()[0]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked_for(call: Sequence[str]) -> Iterator[Right]:
    """What kubectl asks the API server for in one call: get and list, exec and annotate (kubectl, its own help)."""
    verb, what, *rest = call
    if verb == "exec":
        yield from (("", "pods", "get"), ("", "pods/exec", "create"), ("", "pods/exec", "get"))
        return
    if verb == "annotate":
        yield from (("", "pods", "get"), ("", "pods", "patch"))
        return
    kind, slash, _ = what.partition("/")
    named = slash or not rest[0].startswith("-")
    yield (*RESOURCES[kind], "get" if named else "list")


def test_the_manifests_are_valid() -> None:
    """The Role, its binding and the hook are valid for Kubernetes, and the hook uses the account of the binding."""
    version = kubernetes_validate.latest_version()
    hook = yaml.safe_load(HOOK.read_text())
    for document in (*documents(), hook):
        kubernetes_validate.validate(document, version, strict=True)
    [subject] = documents()[1]["subjects"]
    assert hook["spec"]["template"]["spec"]["serviceAccountName"] == subject["name"]


def test_the_hook_runs_a_command_of_ours(cluster: Any, capsys: Any) -> None:
    """The command of the hook is one that `sync` takes, and ends before the Job does."""
    cluster.pod("a")
    spec = yaml.safe_load(HOOK.read_text())["spec"]
    program, *arguments = spec["template"]["spec"]["containers"][0]["command"]
    assert program == "liveconfig"
    main(arguments)
    assert " of 1 pods, " in capsys.readouterr().out
    assert float(arguments[arguments.index("--timeout") + 1]) < spec["activeDeadlineSeconds"]


def test_the_role_grants_what_is_asked_for(cluster: Any, capsys: Any) -> None:
    """The Role grants exactly what `status` and `sync` ask for, for every kind of workload."""
    cluster.secret("login", {"password": "p"})
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}]
    cluster.pod("a", env=env)
    web = cluster.state["objects"]["deploy/web"]
    for kind in ("sts", "ds", "rs", "job"):
        cluster.state["objects"][f"{kind}/web"] = web
    cluster.state["objects"]["pod/a"] = cluster.state["pods"][0]
    cronjob = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "web", "namespace": "shop"}}
    cluster.state["objects"]["cronjob/web"] = cronjob
    cluster.state["raw"] = {"jobs": json.dumps({"apiVersion": "v1", "kind": "List", "items": []})}
    cluster.save()
    targets = ["deploy/web", "sts/web", "ds/web", "rs/web", "job/web", "cronjob/web", "pod/a"]
    targets += ["configmap/flags", "secret/login"]
    for target in targets:
        assert main(["status", target, "-n", "shop"]) in (0, 1), target
    main(["sync", "-l", "app=web", "-n", "shop", "--timeout", "20"])
    capsys.readouterr()
    assert {right for call in cluster.calls() for right in asked_for(call)} == granted()
