"""The pods of a workload, a selector, or all that use one ConfigMap or Secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liveconfig._manifests import DATA_KINDS, Container, Source, kind_of, read
from liveconfig.cli._kubectl import Answer, Kubectl

RESTARTABLE = ("Deployment", "StatefulSet", "DaemonSet")
"""The kinds that ``kubectl rollout restart`` takes."""


class CannotAsk(Exception):  # noqa: N818 - one clear line for a person
    """The cluster did not answer, or the requested object does not exist."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that runs, or is about to.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: Tells it from another pod of the same name.
        containers: Those that run beside each other: no init containers.
        waiting: Why it does not run yet; empty if it does.
        workload: ``KIND/NAME`` of its workload, if ``kubectl rollout restart`` takes that; else empty.
    """

    namespace: str
    name: str
    uid: str
    containers: tuple[Container, ...]
    waiting: str
    workload: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The identity of the pod: a StatefulSet gives the name of a deleted pod to another one."""
        return self.namespace, self.name, self.uid


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a call.

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
        return (kind_of(kind), name) if kind_of(kind) in DATA_KINDS else None

    @property
    def is_workload(self) -> bool:
        """Whether it names a workload."""
        return bool(self.name) and self.object is None


def pods_of(kubectl: Kubectl, target: Target, left: Callable[[], float]) -> tuple[Pod, ...]:
    """Return the pods that are not finished and not terminating, in the order of their names.

    Args:
        kubectl: Runs kubectl.
        target: The target of a call.
        left: Seconds until the whole call is to end.

    Raises:
        CannotAsk: The cluster does not answer, the object does not exist, or a selector matches no pod.
        KubectlMissing: There is no kubectl.
    """
    if target.name and not all(target.name.partition("/")):
        raise CannotAsk(f"{target.name!r} is not KIND/NAME, as deploy/web or configmap/flags")

    def get(*arguments: str) -> Answer:
        return kubectl.run("get", *arguments, scope=target.scope, timeout=left())

    if target.object is not None:
        kind, name = target.object
        _must_exist(get(f"{kind.lower()}/{name}", "-o", "name"), target.name)
        pods = _listed(get("pods", "-o", "json"))
        return tuple(pod for pod in pods if any(uses(each, kind, name) for each in pod.containers))
    selector = target.selector or _selector_of(get, target.name)
    if selector is None:
        return ()
    if not selector:
        return _listed(get(target.name, "-o", "json"))
    answer = get("pods", "-l", selector, "-o", "json")
    pods = _listed(answer)
    if target.selector and not _items(answer):
        raise CannotAsk(f"no pod matches the selector {target.selector!r}")
    return pods


def uses(container: Container, kind: str, name: str) -> bool:
    """Whether a container mounts a ConfigMap or Secret, or has variables from it."""
    return any((each.kind, each.name) == (kind, name) for each in container.objects)


def _must_exist(answer: Answer, name: str) -> None:
    if answer.code and "forbidden" not in answer.error.lower():  # the user may have no right to read it
        raise CannotAsk(f"{name}: {answer.error}")


def _selector_of(get: Callable[..., Answer], target: str) -> str | None:
    """The label selector of a workload; empty for a pod, None for a CronJob without jobs."""
    workload = next(iter(_items(get(target, "-o", "json"))), {})
    if workload.get("kind") == "Pod":
        return ""
    if workload.get("kind") == "CronJob":
        return _of_jobs(_items(get("jobs", "-o", "json")), workload)
    try:
        terms = _terms((workload.get("spec") or {}).get("selector") or {})
    except (KeyError, TypeError, AttributeError):
        terms = []
    if not terms:
        raise CannotAsk(f"{target} has no pod selector: name its pods with -l SELECTOR")
    return ",".join(terms)


def _of_jobs(jobs: Iterable[Mapping[str, Any]], owner: Mapping[str, Any]) -> str | None:
    """The pods of the jobs that a CronJob has made (kubernetes.io, "Jobs": the label job-name)."""
    name = owner["metadata"]["name"]
    names = [
        job["metadata"]["name"]
        for job in jobs
        for reference in job["metadata"].get("ownerReferences") or ()
        if (reference.get("kind"), reference.get("name")) == ("CronJob", name)
    ]
    return f"job-name in ({','.join(names)})" if names else None


def _terms(selector: Mapping[str, Any]) -> list[str]:
    if "matchLabels" not in selector and "matchExpressions" not in selector:  # of a ReplicationController
        return [f"{label}={value}" for label, value in selector.items()]
    terms = [f"{label}={value}" for label, value in (selector.get("matchLabels") or {}).items()]
    return terms + [_expression(each) for each in selector.get("matchExpressions") or ()]


def _expression(term: Mapping[str, Any]) -> str:
    """Convert one of ``matchExpressions`` to the syntax of kubectl's -l."""
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
        if all(isinstance(_name(each)[1], str) for each in items):
            return list(items)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # raised below, so that the answer is not in the context
    raise CannotAsk("kubectl's answer is not the JSON of Kubernetes objects")


def _listed(answer: Answer) -> tuple[Pod, ...]:
    items = _items(answer)
    try:
        return _pods(answer, {_name(item): item for item in items})
    except (KeyError, TypeError, AttributeError):
        pass  # raised below, so that the answer is not in the context
    raise CannotAsk("kubectl's answer is not the JSON of pods")


def _pods(answer: Answer, raw: Mapping[tuple[str, str], Mapping[str, Any]]) -> tuple[Pod, ...]:
    found = [each for each in read([Source("", answer.output)]).workloads if each.id.kind == "Pod"]
    items = [(raw.get((each.id.namespace, each.id.name)), each.containers) for each in found]
    pods = [_pod(item, tuple(containers)) for item, containers in items if item is not None]
    return tuple(sorted((pod for pod in pods if pod is not None), key=lambda pod: (pod.namespace, pod.name)))


def _name(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _pod(item: Mapping[str, Any], containers: tuple[Container, ...]) -> Pod | None:
    status, metadata = item.get("status") or {}, item["metadata"]
    if metadata.get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    _check_volumes(item["spec"].get("volumes") or ())
    running = tuple(each for each in containers if each.type != "init")
    namespace, name = _name(item)
    return Pod(namespace, name, str(metadata.get("uid") or ""), running, _waiting(status), _workload(metadata))


def _workload(metadata: Mapping[str, Any]) -> str:
    """The workload that manages a pod. A Deployment names its ReplicaSets NAME-HASH, with the pods' label as HASH."""
    owners = metadata.get("ownerReferences") or ()
    kind, name = next(((str(each["kind"]), str(each["name"])) for each in owners if each.get("controller")), ("", ""))
    suffix = f"-{(metadata.get('labels') or {}).get('pod-template-hash')}"
    if kind == "ReplicaSet" and name.endswith(suffix):
        kind, name = "Deployment", name.removesuffix(suffix)
    return f"{kind.lower()}/{name}" if kind in RESTARTABLE else ""


def _check_volumes(volumes: Iterable[Mapping[str, Any]]) -> None:
    """Raise TypeError or AttributeError for a volume of another shape than Kubernetes has: its files are not known."""
    for volume in volumes:
        sources = (volume.get("projected") or {}).get("sources") or ()
        if not all(isinstance(content, Mapping) for source in sources for content in source.values()):
            raise TypeError


def _waiting(status: Mapping[str, Any]) -> str:
    if status.get("phase") == "Running":
        return ""
    states = ((each.get("state") or {}).get("waiting") or {} for each in status.get("containerStatuses") or ())
    parts = next((_told(each) for each in states if each.get("reason")), "")
    return f"the pod is {status.get('phase') or 'Pending'}" + (f" ({parts})" if parts else "")


def _told(waiting: Mapping[str, Any]) -> str:
    """``CreateContainerConfigError: couldn't find key port in ConfigMap shop/flags``."""
    return ": ".join(str(waiting[each]).partition("\n")[0] for each in ("reason", "message") if waiting.get(each))
