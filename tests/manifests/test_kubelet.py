"""The kubelet's rules: which files and variables a container gets from ConfigMaps and Secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from liveconfig._manifests import (
    Container,
    Manifests,
    Mount,
    Source,
    files_of,
    missing_items,
    path_below,
    read,
    sub_path_of,
    variables_of,
)


def manifests(spec: dict[str, Any], data: dict[str, str], **more: Any) -> Manifests:
    """A pod with one container, and a ConfigMap ``flags``."""
    spec["containers"][0] |= {"name": "app", "image": "app"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    flags = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flags"}, "data": data, **more}
    text = "\n---\n".join(map(json.dumps, (pod, flags)))
    return read([Source("web.yaml", text)], values=True)


def container(found: Manifests) -> Container:
    (only,) = found.workloads[0].containers
    return only


def variables(data: dict[str, str], **fields: Any) -> dict[str, str | None]:
    """The variables of a container whose ``env`` and ``envFrom`` are given; None for a value that is not known."""
    found = manifests({"containers": [fields]}, data)
    return {name: each.text for name, each in variables_of(container(found), found.known).items() if each.is_set}


def volume(source: dict[str, Any], **mount: Any) -> Mount:
    mount = {"name": "v", "mountPath": "/etc/config"} | mount
    found = manifests({"containers": [{"volumeMounts": [mount]}], "volumes": [{"name": "v", **source}]}, {})
    return container(found).mounts[0]


def ref(key: str, **more: Any) -> dict[str, Any]:
    return {"valueFrom": {"configMapKeyRef": {"name": "flags", "key": key, **more}}}


# Variables

FLAGS = [{"configMapRef": {"name": "flags"}}]


def test_env_wins_over_env_from() -> None:
    """An entry of ``env`` wins over ``envFrom``, and a later entry over an earlier one."""
    env = [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]
    assert variables({"a": "0", "b": "0"}, env=env, envFrom=FLAGS) == {"a": "2", "b": "0"}


def test_an_optional_key_that_does_not_exist() -> None:
    """An optional key that does not exist leaves the variable as ``envFrom`` set it, or unset."""
    env = [{"name": "a", **ref("none", optional=True)}, {"name": "c", **ref("none", optional=True)}]
    assert variables({"a": "0"}, env=env, envFrom=FLAGS) == {"a": "0"}


def test_a_reference_to_an_optional_key_that_does_not_exist() -> None:
    """A reference to a variable that is left unset stays as it is: the container gets ``$(a)``."""
    env = [{"name": "a", **ref("none", optional=True)}, {"name": "b", "value": "$(a)"}]
    assert variables({}, env=env) == {"b": "$(a)"}


def test_a_required_key_that_does_not_exist() -> None:
    """A required key that does not exist overrides what ``envFrom`` set: the container does not start."""
    assert variables({"a": "0"}, env=[{"name": "a", **ref("none")}], envFrom=FLAGS) == {"a": None}


@pytest.mark.parametrize("name", ["9a", "-", "a.b", "a-b", ".a", "A_9"])
def test_names_of_env_from(name: str) -> None:
    """``envFrom`` makes a variable of each key; of one that begins with a digit only some kubelets do."""
    assert variables({name: "1"}, envFrom=FLAGS) == ({} if name == "9a" else {name: "1"})


@pytest.mark.parametrize(("prefix", "known"), [("P_", True), ("9", False), (".", False), ("a b", False)])
def test_prefixes_of_env_from(prefix: str, known: bool) -> None:
    """The name with its prefix decides whether every kubelet makes a variable of a key."""
    from_flags = [{"prefix": prefix, **FLAGS[0]}]
    found = manifests({"containers": [{"envFrom": from_flags}]}, {".9": "1"})
    (value,) = variables_of(container(found), found.known).values()
    assert (value.is_set, value.text) == ((True, "1") if known else (None, None))


def test_binary_data_makes_no_variables() -> None:
    """A key of ``binaryData`` becomes a file and no variable."""
    found = manifests({"containers": [{"envFrom": FLAGS}]}, {"a": "1"}, binaryData={"b": "AA=="})
    assert list(variables_of(container(found), found.known)) == ["a"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("$(a)-$(a)", "1-1"),
        ("$$(a)", "$(a)"),
        ("$a", "$a"),
        ("$(a", "$(a"),
        ("$(none)", "$(none)"),
        ("$()", "$()"),
        ("$(later)", "$(later)"),
        ("$(REDIS_SERVICE_HOST)", None),
        ("$(REDIS_PORT_6379_TCP_ADDR)", None),
        ("$(node)", None),
    ],
)
def test_expansion(value: str, text: str | None) -> None:
    """``$(NAME)`` is an earlier variable; that of a Service or of the pod is not known, and another one stays."""
    env = [
        {"name": "node", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "x", "value": value},
        {"name": "later", "value": "3"},
    ]
    assert variables({"a": "1"}, env=env, envFrom=FLAGS)["x"] == text


# Files


def files(source: dict[str, Any], data: dict[str, str]) -> dict[str, str]:
    """The path and the key of each file of a volume of the ConfigMap ``flags``."""
    spec = {"containers": [{"volumeMounts": [{"name": "v", "mountPath": "/v"}]}], "volumes": [{"name": "v", **source}]}
    found = manifests(spec, data)
    (only,) = container(found).mounts[0].volume.sources
    return {path: each.key.name for path, each in files_of(only, found.known(only.object)[0]).items()}


def test_items() -> None:
    """One key may become several files, paths are cleaned, and no items at all means all keys."""
    items = [{"key": "a", "path": "x"}, {"key": "a", "path": "./y//z"}, {"key": "b", "path": "x"}]
    assert files({"configMap": {"name": "flags", "items": items}}, {"a": "1", "b": "2"}) == {"x": "b", "y/z": "a"}
    assert files({"configMap": {"name": "flags", "items": []}}, {"a": "1"}) == {"a": "a"}


@pytest.mark.parametrize("optional", [True, False])
def test_items_without_a_key(optional: bool) -> None:
    """An entry of ``items`` without a key keeps the kubelet from writing, unless the source is optional."""
    source = {"name": "flags", "items": [{"key": "none", "path": "x"}], "optional": optional}
    spec = {"containers": [{"volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}
    found = manifests(spec | {"volumes": [{"name": "v", "configMap": source}]}, {"a": "1"})
    (only,) = container(found).mounts[0].volume.sources
    assert [item.key for item in missing_items(only, found.known(only.object)[0])] == [] if optional else ["none"]


@pytest.mark.parametrize(
    ("sub_path", "name", "path"),
    [
        ("", "a/b", "a/b"),
        (".", "a/b", "a/b"),
        ("a", "a/b", "b"),
        ("a/", "a/b", "b"),
        ("./a", "a/b", "b"),
        ("a//b", "a/b", ""),
        ("a", "a", ""),
        ("a", "ab", None),
        ("a/b", "a", None),
    ],
)
def test_sub_path(sub_path: str, name: str, path: str | None) -> None:
    """A subPath mounts one file, or the files of one folder."""
    assert path_below(sub_path, name) == path


@pytest.mark.parametrize(
    ("expression", "part"),
    [("$(who)/x", "me/x"), ("x", "x"), ("$(none)", None), ("$(node)", None), ("$$(who)", "$(who)")],
)
def test_sub_path_expr(expression: str, part: str | None) -> None:
    """A subPathExpr is expanded with the variables of the container; None if one is not known."""
    fields: dict[str, Any] = {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": expression}]}
    node = {"name": "node", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    fields["env"] = [{"name": "who", "value": "me"}, node]
    found = manifests({"containers": [fields]}, {})
    only = container(found)
    assert sub_path_of(only.mounts[0], variables_of(only, found.known)) == part


PROJECTED = [
    {"configMap": {"name": "flags"}},
    {"serviceAccountToken": {"path": "./token"}},
    {"downwardAPI": {"items": [{"path": "labels"}, {"path": "pod/name"}]}},
    {"clusterTrustBundle": {"path": "ca.pem"}},
    {"podCertificate": {"keyPath": "tls.key", "certificateChainPath": "tls.crt"}},
]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ({"configMap": {"name": "flags"}}, set()),
        ({"secret": {"secretName": "db"}}, set()),
        ({"projected": {"sources": PROJECTED}}, {"token", "labels", "pod/name", "ca.pem", "tls.key", "tls.crt"}),
        ({"projected": {"sources": [{"another": {"path": "x"}}]}}, None),
        ({"downwardAPI": {"items": [{"path": "labels"}]}}, {"labels"}),
        ({"emptyDir": {}}, None),
        ({"csi": {"driver": "x"}}, None),
    ],
)
def test_files_beside(source: dict[str, Any], names: set[str] | None) -> None:
    """The files that the kubelet makes of tokens and fields are known by name; those of a driver are not."""
    assert volume(source).volume.beside == names


def test_the_objects_of_a_container() -> None:
    """The files and variables of a container tell its objects; the volume of each pod and a driver's Secret do not."""
    volumes = [
        {"name": "v", "configMap": {"name": "flags"}},
        {"name": "kube-api-access-x", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
        {"name": "driver", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "login"}}},
    ]
    fields: dict[str, Any] = {"volumeMounts": [{"name": each["name"], "mountPath": "/v"} for each in volumes]}
    fields["envFrom"] = [{"secretRef": {"name": "db"}}]
    fields["env"] = [{"name": "a", **ref("a")}]
    found = manifests({"containers": [fields], "volumes": volumes}, {})
    assert [str(each) for each in container(found).objects] == ["configmap/flags", "secret/db", "configmap/flags"]
