"""Fields of a wrong type in the pod templates of workloads, which kubectl refuses and a reader would miss.

Only in kinds whose fields are known: in a custom resource, a field of the same name can hold anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

from liveconfig._manifests.objects import ObjectId, group_of
from liveconfig._manifests.parser import Map, Seq
from liveconfig._manifests.payload import in_words

# A shape is str for text, [SHAPE] for a list, and a dict for a mapping with these fields among others.
_NAMED = {"name": str}
_KEY = {"name": str, "key": str}
_ITEMS = [{"key": str, "path": str}]
_CONFIG_MAP = {"name": str, "items": _ITEMS}
_CONTAINERS = [
    {
        "name": str,
        "env": [{"name": str, "valueFrom": {"configMapKeyRef": _KEY, "secretKeyRef": _KEY, "fileKeyRef": {}}}],
        "envFrom": [{"prefix": str, "configMapRef": _NAMED, "secretRef": _NAMED}],
        "volumeMounts": [{"name": str, "mountPath": str, "subPath": str, "subPathExpr": str}],
    }
]
_POD = {
    "initContainers": _CONTAINERS,
    "containers": _CONTAINERS,
    "ephemeralContainers": _CONTAINERS,
    "volumes": [
        {
            "name": str,
            "configMap": _CONFIG_MAP,
            "secret": {"secretName": str, "items": _ITEMS},
            "projected": {"sources": [{"configMap": _CONFIG_MAP, "secret": _CONFIG_MAP}]},
        }
    ],
    "imagePullSecrets": [_NAMED],
}


def _with_pod_at(path: str) -> Any:
    return reduce(lambda inner, name: {name: inner}, reversed(path.split(".")), _POD)


_TEMPLATE = _with_pod_at("spec.template.spec")
_SHAPES = {
    ("Pod", ""): _with_pod_at("spec"),
    ("PodTemplate", ""): _with_pod_at("template.spec"),
    ("ReplicationController", ""): _TEMPLATE,
    ("Deployment", "apps"): _TEMPLATE,
    ("StatefulSet", "apps"): _TEMPLATE,
    ("DaemonSet", "apps"): _TEMPLATE,
    ("ReplicaSet", "apps"): _TEMPLATE,
    ("Job", "batch"): _TEMPLATE,
    ("CronJob", "batch"): _with_pod_at("spec.jobTemplate.spec.template.spec"),
    ("Rollout", "argoproj.io"): _TEMPLATE,
    ("Service", "serving.knative.dev"): _TEMPLATE,
}
"""What a workload looks like, by kind and group."""


def faults_of_types(manifest: Map, object_id: ObjectId) -> Iterator[tuple[int, str]]:
    """Yield the line and the reason for each field whose type makes an API server refuse a workload."""
    shape = _SHAPES.get((object_id.kind, group_of(manifest)), {})
    for line, field, reason in sorted(_faults(manifest, shape, "", manifest.line)):
        yield line, f"`{field}` of {object_id} {reason}"


def _faults(node: Any, shape: Any, field: str, line: int) -> Iterator[tuple[int, str, str]]:
    if shape is str:
        if not isinstance(node, str):
            advice = "" if isinstance(node, (Map, Seq)) else ": put it in quotes"
            yield line, field, f"must be text, not {in_words(node)}{advice}"
    elif isinstance(shape, list):
        yield from _faults_of_list(node, shape[0], field, line)
    elif not isinstance(node, Map):
        yield line, field, f"must be a mapping, not {in_words(node)}"
    else:
        for name, inner in shape.items():
            if node.get(name) is not None:
                yield from _faults(node[name], inner, f"{field}.{name}".lstrip("."), node.line_of(name))


def _faults_of_list(node: Any, shape: Any, field: str, line: int) -> Iterator[tuple[int, str, str]]:
    if not isinstance(node, Seq):
        yield line, field, f"must be a list, not {in_words(node)}"
        return
    for index, (item, at) in enumerate(zip(node, node.lines, strict=True)):
        yield from _faults(item, shape, f"{field}[{index}]", at)
