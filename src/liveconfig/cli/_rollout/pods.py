"""The pods of a workload, a selector, or all that use one ConfigMap or Secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liveconfig._manifests import Container, ObjectId, Source, read
from liveconfig.cli._kubectl import Answer, Kubectl

_OBJECTS = {"configmap": "ConfigMap", "configmaps": "ConfigMap", "cm": "ConfigMap", "secret": "Secret"}
_OBJECTS["secrets"] = "Secret"
_TRANSIENT = "kube-api-access-"


class CannotAsk(Exception):  # noqa: N818 - one clear line for a person
    """The cluster did not answer, or what was asked for does not exist."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that runs, or is about to.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        containers: Those that run beside each other: no init containers.
        partial: The names of volumes that hold more than ConfigMaps and Secrets, as a token.
        waiting: Why it does not run yet; empty if it does.
    """

    namespace: str
    name: str
    containers: tuple[Container, ...]
    partial: frozenset[str]
    waiting: str


@dataclass(frozen=True, slots=True)
class Target:
    """What the user asks about.

    Attributes:
        scope: ``["-n", NAMESPACE]``, or nothing for the namespace of the context.
        name: ``KIND/NAME``; empty for a selector.
        selector: A label selector; empty for a name.
        container: The only container that is asked; empty for all.
    """

    scope: Sequence[str]
    name: str
    selector: str
    container: str

    @property
    def object(self) -> tuple[str, str] | None:
        """Kind and name of a ConfigMap or Secret; None for a workload and a selector."""
        kind, _, name = self.name.partition("/")
        return (_OBJECTS[kind.lower()], name) if kind.lower() in _OBJECTS else None

    @property
    def is_workload(self) -> bool:
        """Whether it names a workload."""
        return bool(self.name) and self.object is None


def pods_of(kubectl: Kubectl, target: Target) -> tuple[Pod, ...]:
    """The pods that are not finished and not terminating, in the order of their names.

    Args:
        kubectl: The way to ask the cluster.
        target: What the user asks about.

    Raises:
        CannotAsk: The cluster does not answer, the object does not exist, or a selector matches no pod.
        KubectlMissing: There is no kubectl.
    """
    if target.object is not None:
        kind, name = target.object
        _must_exist(kubectl.run("get", f"{kind.lower()}/{name}", "-o", "name", scope=target.scope), target.name)
        pods = _listed(kubectl.run("get", "pods", "-o", "json", scope=target.scope))
        return tuple(pod for pod in pods if any(uses(each, kind, name) for each in pod.containers))
    selector = target.selector or _selector_of(kubectl, target)
    if not selector:
        return _listed(kubectl.run("get", target.name, "-o", "json", scope=target.scope))
    answer = kubectl.run("get", "pods", "-l", selector, "-o", "json", scope=target.scope)
    pods = _listed(answer)
    if target.selector and not _items(answer):
        raise CannotAsk(f"no pod matches the selector {target.selector!r}")
    return pods


def uses(container: Container, kind: str, name: str) -> bool:
    """Whether a container mounts a ConfigMap or Secret, or has variables from it."""
    return any((each.kind, each.name) == (kind, name) for each in _objects_of(container))


def _objects_of(container: Container) -> Iterator[ObjectId]:
    for mount in container.mounts:
        yield from (source.object for source in mount.volume.sources)
    yield from (source.object for source in container.env_from)
    yield from (variable.key_ref.object for variable in container.env if variable.key_ref is not None)


def _must_exist(answer: Answer, name: str) -> None:
    if answer.code and "forbidden" not in answer.error.lower():  # who may not read it may still ask about it
        raise CannotAsk(f"{name}: {answer.error}")


def _selector_of(kubectl: Kubectl, target: Target) -> str:
    """The label selector of a workload; empty for a pod."""
    answer = kubectl.run("get", target.name, "-o", "json", scope=target.scope)
    [workload] = _items(answer)
    if workload.get("kind") == "Pod":
        return ""
    selector = (workload.get("spec") or {}).get("selector") or {}
    terms = [f"{label}={value}" for label, value in (selector.get("matchLabels") or {}).items()]
    terms += [_expression(each) for each in selector.get("matchExpressions") or ()]
    if not terms:
        raise CannotAsk(f"{target.name} has no pod selector: name its pods with -l SELECTOR")
    return ",".join(terms)


def _expression(term: Mapping[str, Any]) -> str:
    """One of ``matchExpressions``, as kubectl's -l takes it."""
    key, values = term["key"], ",".join(term.get("values") or ())
    terms = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": str(key),
        "DoesNotExist": f"!{key}",
    }
    return terms[term["operator"]]


def _items(answer: Answer) -> list[dict[str, Any]]:
    if answer.code != 0:
        raise CannotAsk(answer.error or f"kubectl ended with exit code {answer.code}")
    try:
        document = json.loads(answer.output)
        items = document["items"] if str(document["kind"]).endswith("List") else [document]
    except (ValueError, KeyError, TypeError):
        pass  # raised below, so that the answer is not in the context
    else:
        return list(items)
    raise CannotAsk("kubectl's answer is not the JSON of Kubernetes objects")


def _listed(answer: Answer) -> tuple[Pod, ...]:
    raw = {_name(item): item for item in _items(answer)}
    found = read([Source("", answer.output)]).workloads
    pods = [
        _pod(raw[each.id.namespace, each.id.name], tuple(each.containers)) for each in found if each.id.kind == "Pod"
    ]
    return tuple(sorted((pod for pod in pods if pod is not None), key=lambda pod: (pod.namespace, pod.name)))


def _name(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _pod(item: Mapping[str, Any], containers: tuple[Container, ...]) -> Pod | None:
    status, metadata = item.get("status") or {}, item["metadata"]
    if metadata.get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    running = tuple(each for each in containers if each.type != "init")
    return Pod(*_name(item), running, _partial(item), _waiting(status))


def _partial(item: Mapping[str, Any]) -> frozenset[str]:
    """The projected volumes that have other sources too."""
    projected = {each["name"]: each.get("projected") or {} for each in item["spec"].get("volumes") or ()}
    return frozenset(
        name
        for name, volume in projected.items()
        if any(not {"configMap", "secret"} & source.keys() for source in volume.get("sources") or ())
    )


def _waiting(status: Mapping[str, Any]) -> str:
    if status.get("phase") == "Running":
        return ""
    states = (each.get("state", {}).get("waiting") or {} for each in status.get("containerStatuses") or ())
    reason = next((each["reason"] for each in states if each.get("reason")), "")
    return f"the pod is {status.get('phase') or 'Pending'}" + (f" ({reason})" if reason else "")


def is_transient(volume: str) -> bool:
    """Whether a volume is the token that Kubernetes adds to each pod."""
    return volume.startswith(_TRANSIENT)
