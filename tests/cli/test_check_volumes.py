"""``liveconfig check``: volumes that hold more, or something else, than the keys of one ConfigMap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from liveconfig import Settings, SettingsConfigDict
from liveconfig._checks import Selection, Trial, check
from liveconfig._manifests import Source, read


class Login(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/login"])

    token: str
    level: int = 1


def trial(source: dict[str, Any], data: dict[str, str], env: Any = (), **mount: Any) -> Trial:
    """Check `Login` in a pod with this volume at ``/etc/login``, and a ConfigMap ``login``."""
    mount = {"name": "v", "mountPath": "/etc/login"} | mount
    app = {"name": "app", "image": "app", "volumeMounts": [mount], "env": list(env)}
    pod = {"kind": "Pod", "spec": {"containers": [app], "volumes": [{"name": "v", **source}]}}
    config = {"kind": "ConfigMap", "data": data}
    documents = [each | {"apiVersion": "v1", "metadata": {"name": "login"}} for each in (pod, config)]
    (only,) = check(
        Login, read([Source("pod.yaml", "\n---\n".join(map(json.dumps, documents)))], values=True), Selection()
    )
    return only


def states(found: Trial) -> dict[str, str]:
    return {row.field: row.state for row in found.fields}


def rules(found: Trial) -> list[str]:
    return [finding.rule for finding in found.findings]


TOKEN = {"serviceAccountToken": {"path": "token"}}


@pytest.mark.parametrize(
    "source",
    [
        {"emptyDir": {}},
        {"csi": {"driver": "secrets-store.csi.k8s.io", "nodePublishSecretRef": {"name": "vault"}}},
        {"persistentVolumeClaim": {"claimName": "x"}},
        {"projected": {"sources": [{"another": {}}]}},
        {"configMap": {"name": "login"}},
    ],
    ids=lambda source: next(iter(source)),
)
def test_volumes_of_others(source: dict[str, Any]) -> None:
    """What an init container or a storage driver writes is unknown, not missing."""
    found = trial(source, {})
    missing = source == {"configMap": {"name": "login"}}
    assert states(found)["token"] == ("missing" if missing else "unknown")
    assert rules(found) == ["missing-field"] * missing


def test_a_token_beside_keys() -> None:
    """A token of a projected volume feeds its field with an unknown value; the keys beside it are checked."""
    source = {"projected": {"sources": [TOKEN, {"configMap": {"name": "login"}}]}}
    found = trial(source, {"level": "high"})
    assert (states(found)["token"], rules(found)) == ("unknown", ["invalid-value"])
    assert trial(source, {"level": "3"}).findings == ()


def test_one_key_as_two_files() -> None:
    """A key that ``items`` names twice is two files."""
    items = [{"key": "a", "path": "token"}, {"key": "a", "path": "./level"}]
    found = trial({"configMap": {"name": "login", "items": items}}, {"a": "7"})
    assert (states(found), found.findings) == ({"token": "live", "level": "live"}, ())


@pytest.mark.parametrize(
    ("value", "state"), [("a", "frozen"), ("b", "missing"), (None, "unknown")], ids=["known", "other", "unknown"]
)
def test_a_sub_path_with_variables(value: str | None, state: str) -> None:
    """A subPathExpr mounts the folder that its variables tell; if one is not known, nothing is."""
    items = [{"key": "a", "path": "a/token"}]
    from_pod = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    env = [{"name": "WHO", **({"value": value} if value else from_pod)}]
    found = trial({"configMap": {"name": "login", "items": items}}, {"a": "7"}, env, subPathExpr="$(WHO)")
    assert states(found)["token"] == state
