"""The Role in examples/operations: what the commands ask the API server for, no more and no less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from liveconfig.cli import main

ROLE = Path(__file__).parents[3] / "examples" / "operations" / "rbac" / "liveconfig-operator.yaml"
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


def test_the_role_is_valid() -> None:
    """The Role and its binding are valid for Kubernetes."""
    version = kubernetes_validate.latest_version()
    for document in documents():
        kubernetes_validate.validate(document, version, strict=True)


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
