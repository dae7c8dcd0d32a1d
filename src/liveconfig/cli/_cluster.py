"""The ConfigMaps, Secrets and workloads of a cluster, read with kubectl; values of Secrets are not requested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from liveconfig._manifests import DataObject, Manifests, ObjectId, Problem, RefPath, Source, kind_of, read
from liveconfig.cli._kubectl import Answer, Kubectl

_NAMES = ("deploy", "sts", "ds", "rs", "cronjob", "job", "pod", "cm", "ing", "sa")
_NOT_EVERYWHERE = (
    "replicationcontrollers",
    "rollouts.argoproj.io",
    "services.serving.knative.dev",
    "gateways.gateway.networking.k8s.io",
)
_NO_SUCH_KIND = "the server doesn't have a resource type"
_NO_DATA = (
    "Secrets were listed without their data, so that missing-key, trailing-newline, used-by-outdated, "
    "frozen-immutable and frozen-hashed-name cannot look at them."
)
_NO_SECRETS = "Secrets could not be listed ({}), so that no rule that needs the list looks at them."


@dataclass(frozen=True, slots=True)
class Cluster:
    """The objects of a cluster.

    Attributes:
        manifests: Its objects.
        namespace: The only namespace that was listed; empty if there were several.
        notes: Sentences about parts that it did not list.
        unlisted: Kinds that it did not list.
    """

    manifests: Manifests
    namespace: str
    notes: tuple[str, ...]
    unlisted: tuple[str, ...]


def read_cluster(
    kubectl: Kubectl, scope: Sequence[str], ref_paths: Iterable[RefPath], progress: Callable[[int], None]
) -> Cluster:
    """List the objects of a cluster.

    Args:
        kubectl: Runs kubectl.
        scope: ``["-n", NAMESPACE]``, ``["-A"]``, or nothing for the namespace of the context.
        ref_paths: Fields of custom resources, whose kinds are listed too.
        progress: Called with the number of objects read so far.

    Raises:
        KubectlMissing: There is no kubectl.
    """
    ref_paths, notes = tuple(ref_paths), list[str]()
    answers = _answers(kubectl, scope, ref_paths, notes)
    manifests = read(answers, ref_paths=ref_paths, listed=map(kind_of, _NAMES), progress=progress)
    namespaces = {each.id.namespace for each in manifests.objects}
    namespaces |= {each.id.namespace for each in manifests.workloads}
    namespace = scope[1] if len(scope) > 1 else namespaces.pop() if len(namespaces) == 1 else ""
    secrets = None if manifests.problems else _secrets(kubectl.run("get", "secrets", *scope), namespace, notes)
    manifests = replace(manifests, objects=manifests.objects + (secrets or ()))
    return Cluster(manifests, namespace, tuple(notes), ("Secret",) if secrets is None else ())


def _answers(
    kubectl: Kubectl, scope: Sequence[str], ref_paths: Iterable[RefPath], notes: list[str]
) -> Iterator[Source | Problem]:
    main = kubectl.run("get", ",".join(_NAMES), *scope, "-o", "json")
    if main.code == 0 or main.output.startswith("{"):
        yield Source("", main.output)
    if main.code != 0:
        yield Problem("kubectl", None, main.error or f"exit code {main.code}")
        return
    for kind in (*_NOT_EVERYWHERE, *dict.fromkeys(f"{path.kind}.{path.group}".rstrip(".") for path in ref_paths)):
        answer = kubectl.run("get", kind, *scope, "-o", "json")
        if answer.code == 0:
            yield Source("", answer.output)
        elif _NO_SUCH_KIND not in answer.error:
            notes.append(f"{kind} could not be listed ({answer.error}), so that their uses are not seen.")


def _secrets(answer: Answer, namespace: str, notes: list[str]) -> tuple[DataObject, ...] | None:
    """Return the Secrets with their names and types, from kubectl's table; None if they could not be listed."""
    if answer.code:
        notes.append(_NO_SECRETS.format(answer.error))
        return None
    header, *lines = answer.output.splitlines() or ["NAME TYPE"]
    if not {"NAME", "TYPE"} <= set(header.split()):
        notes.append(_NO_SECRETS.format("kubectl's answer is not a table of them"))
        return None
    rows = [dict(zip(header.split(), line.split(), strict=False)) for line in lines]
    found = [row for row in rows if {"NAME", "TYPE"} <= row.keys()]
    if found:
        notes.append(_NO_DATA)
    ids = [ObjectId("Secret", row.get("NAMESPACE", namespace), row["NAME"]) for row in found]
    types = [row["TYPE"] for row in found]
    return tuple(DataObject(each, {}, complete=False, type=kind) for each, kind in zip(ids, types, strict=True))
