"""Annotations about ConfigMaps and Secrets: the workloads that use them, and tools that restart workloads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from liveconfig._manifests.objects import Annotation, DataObject, ObjectId
from liveconfig._manifests.references import Use
from liveconfig._manifests.workloads import Workload

USED_BY = "used-by-deployments"

_RELOADER = "reloader.stakater.com"
_ENTRY = re.compile(r"[^\s(:]+")


def restarters(workload: Workload, uses: Iterable[Use], objects: Iterable[DataObject]) -> dict[ObjectId, list[str]]:
    """Return the annotations that restart a workload after a change of a live object, by object.

    Args:
        workload: The workload.
        uses: Its uses.
        objects: The ConfigMaps and Secrets of the input; their annotations can opt in or out.
    """
    by_object: dict[ObjectId, list[Use]] = {}
    for use in uses:
        if use.object is not None:
            by_object.setdefault(use.object, []).append(use)
    live = {object_id for object_id, each in by_object.items() if all(use.live and use.container for use in each)}
    marked = {each.id: each.annotations for each in objects}
    found = {}
    for object_id in sorted(live):
        named = [
            name for name in workload.annotations if _restarts(workload, name, object_id, marked.get(object_id, {}))
        ]
        named += [
            name for name in sorted(workload.template_annotations) if _is_checksum_of(name, object_id, by_object, live)
        ]
        if named:
            found[object_id] = named
    return found


def _restarts(workload: Workload, name: str, object_id: ObjectId, marks: Mapping[str, Annotation]) -> bool:
    """Whether an annotation of Reloader or Wave applies to an object."""
    value = workload.annotations[name].value
    if name == "wave.pusher.com/update-on-config-change":
        return value == "true"
    before, at, action = name.partition(f"{_RELOADER}/")
    if not at or _says_true(marks, "ignore") or _excluded(workload, object_id):
        return False
    if before and before.rstrip(".s") != object_id.kind.lower():
        return False
    if action == "reload":
        return object_id.name in re.split(r"[,\s]+", value)
    return value == "true" and (action == "auto" or (action == "search" and _says_true(marks, "match")))


def _says_true(marks: Mapping[str, Annotation], action: str) -> bool:
    mark = marks.get(f"{_RELOADER}/{action}")
    return mark is not None and mark.value == "true"


def _excluded(workload: Workload, object_id: ObjectId) -> bool:
    listed = workload.annotations.get(f"{object_id.kind.lower()}s.exclude.{_RELOADER}/reload")
    return listed is not None and object_id.name in re.split(r"[,\s]+", listed.value)


def _is_checksum_of(name: str, object_id: ObjectId, uses: Mapping[ObjectId, list[Use]], live: set[ObjectId]) -> bool:
    """Whether a checksum can belong to this object and to none with a frozen use, which needs the checksum."""
    words = name.lower()
    if "checksum" not in words:
        return False
    kinds = [kind for kind, action in (("Secret", "secret"), ("ConfigMap", "config")) if action in words]
    covered = {each for each in uses if not kinds or each.kind in kinds}
    return object_id in covered and covered <= live


def named_in(value: str) -> dict[str, str]:
    """Return the entries of a ``used-by-deployments`` annotation, by the name of the workload.

    Args:
        value: A list, as YAML, JSON, or with commas; notes may follow a name: ``- payment-api (v1.0+)``, ``- web: x``.
    """
    entries = (entry.strip(" \t\r\"'[]*").removeprefix("- ").strip(" \"'") for entry in re.split(r"[\n,]", value))
    return {match[0].rpartition("/")[2]: entry for entry in entries if (match := _ENTRY.match(entry))}


def used_by(data: DataObject, users: Iterable[ObjectId], others: Iterable[ObjectId] | None) -> str:
    """Return the value that the annotation of a ConfigMap or Secret should have.

    Args:
        data: The ConfigMap or Secret.
        users: The workloads that use it.
        others: The workloads of the input that do not use it; None if the input has all workloads.
    """
    kinds = {user.name: user.kind for user in sorted(users)}
    now = named_in(data.annotations[USED_BY].value) if USED_BY in data.annotations else {}
    stay = {name: entry for name, entry in now.items() if name in kinds or not _is_stale(name, others)}
    new = (name if kind == "Deployment" else f"{name} ({kind})" for name, kind in kinds.items() if name not in stay)
    return "".join(f"- {entry}\n" for entry in (*stay.values(), *new))


def outdated(data: DataObject, users: Iterable[ObjectId], others: Iterable[ObjectId] | None) -> Iterator[str]:
    """Yield what is wrong with the annotation of a ConfigMap or Secret; nothing without the annotation."""
    if USED_BY not in data.annotations:
        return
    named, names = named_in(data.annotations[USED_BY].value), {user.name for user in users}
    if missing := sorted(names - named.keys()):
        yield f"does not name {', '.join(missing)}"
    if stale := sorted(name for name in named.keys() - names if _is_stale(name, others)):
        yield f"names {', '.join(stale)}, which {'does' if len(stale) == 1 else 'do'} not use it"


def _is_stale(name: str, others: Iterable[ObjectId] | None) -> bool:
    return others is None or any(other.name == name for other in others)
