"""The rules of ``liveconfig audit``, which make findings from manifests."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from liveconfig._manifests.annotations import USED_BY, outdated, restarters
from liveconfig._manifests.kubelet import keys_of_variables
from liveconfig._manifests.objects import Annotation, DataObject, ObjectId, Place
from liveconfig._manifests.reading import Manifests
from liveconfig._manifests.references import NO_NAME, Use

Level: TypeAlias = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
IGNORE = "liveconfig.dev/ignore-"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        name: In kebab-case.
        level: The level of its findings.
        title: What is wrong, in general.
        advice: What to do about it.
    """

    name: str
    level: Level
    title: str
    advice: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a rule.

    Attributes:
        rule: The name of the rule.
        level: ``"error"``, ``"warning"`` or ``"note"``.
        object: The ConfigMap or Secret.
        workload: The workload that uses it; None for a finding about the object itself.
        field: The path in the manifest of the workload, or of the object if there is no workload.
        message: The finding. It contains names and keys, no values.
        place: The file and line; None for what was read from a cluster.
        key: The key or variable, for a finding about a field of a settings class.
    """

    rule: str
    level: Level
    object: ObjectId | None
    workload: ObjectId | None
    field: str
    message: str
    place: Place | None
    key: str = ""


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "frozen-subpath",
            "error",
            "a file mounted with subPath never changes while the container runs",
            "Mount the whole volume as a directory, without subPath, and read the file from there.",
        ),
        Rule(
            "missing-key",
            "error",
            "a key that the object does not have",
            "Correct the key or path, or add the key. If it is not for a `subPath`, `optional: true` also helps.",
        ),
        Rule(
            "missing-object",
            "error",
            "a ConfigMap or Secret that is not there",
            "Correct the name, add the object, or set `optional: true`.",
        ),
        Rule(
            "frozen-env",
            "warning",
            "a variable never changes while the container runs",
            "Mount the key as a file and read it from there, or restart the workload after each change.",
        ),
        Rule(
            "frozen-env-from",
            "warning",
            "variables never change while the container runs",
            "Mount the object as a volume and read its files, or restart the workload after each change.",
        ),
        Rule(
            "frozen-env-file",
            "warning",
            "a variable that is set from a file never changes while the container runs",
            "Mount the ConfigMap or Secret into the container that reads it.",
        ),
        Rule(
            "frozen-init-only",
            "warning",
            "only an init container mounts the object, and it runs once",
            "Mount the object into the container that uses it; a copy made at the start does not change.",
        ),
        Rule(
            "restarted-anyway",
            "warning",
            "a workload that follows the files is restarted all the same",
            "Remove the annotation only if the application follows the files.",
        ),
        Rule(
            "trailing-newline",
            "warning",
            "a Secret's value of one line ends in a line break",
            "Encode it without the line break: `echo -n`, `printf %s`, or `stringData` without `|`.",
        ),
        Rule(
            "used-by-outdated",
            "warning",
            f"the annotation `{USED_BY}` does not name the workloads that use the object",
            "Write it as `liveconfig audit --annotate` prints it.",
        ),
        Rule(
            "frozen-immutable",
            "note",
            "an immutable object never changes",
            "Create a new object under a new name, and let the workload name that one.",
        ),
        Rule(
            "frozen-hashed-name",
            "note",
            "an object with kustomize's hash in its name never changes",
            "Nothing, if a rollout for each change is what you want; else `disableNameSuffixHash: true`.",
        ),
        Rule(
            "unused-object",
            "note",
            "nothing in the input uses the object",
            "Delete it only if nothing reads it through the API, and no custom resource names it (`--ref-path`).",
        ),
    )
}

_EVERYWHERE = "kube-root-ca.crt"
_USED_BY_THE_CLUSTER = ("helm.sh/release.v1", "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")


def audit(manifests: Manifests, *, cluster: bool = False, unlisted: Collection[str] = ()) -> tuple[Finding, ...]:
    """Apply every rule.

    Args:
        manifests: What was read.
        cluster: Whether it holds all objects of a cluster's namespaces, so that other objects are missing.
        unlisted: ``["Secret"]`` if the cluster did not list Secrets; then none is reported as missing.
    """
    found = (
        *_frozen(manifests),
        *_missing(manifests, cluster=cluster, unlisted=unlisted),
        *_restarted_anyway(manifests),
        *_trailing_newline(manifests),
        *_used_by_outdated(manifests, cluster=cluster),
        *_unused(manifests),
    )
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _order(finding: Finding) -> tuple[object, ...]:
    names = list(RULES)
    return LEVELS.index(finding.level), names.index(finding.rule), finding.place or Place("", 0), finding.field


def _finding(
    rule: str,
    message: str,
    *,
    of: ObjectId | None,
    workload: ObjectId | None = None,
    field: str,
    place: Place | None,
    level: Level | None = None,
) -> Finding:
    return Finding(rule, level or RULES[rule].level, of, workload, field, message, place)


def _of(rule: str, use: Use, message: str, **more: object) -> Finding:
    values = {"of": use.object, "workload": use.workload, "field": use.field, "place": use.place, **more}
    return _finding(rule, message, **values)  # type: ignore[arg-type]


# frozen-*


def _frozen(manifests: Manifests) -> Iterator[Finding]:
    mounted_later = {(use.object, use.workload) for use in manifests.uses if use.is_mount and not use.run_once}
    reported: set[tuple[object, ...]] = set()
    for use in manifests.uses:
        rule = f"frozen-{use.cause}"
        if rule not in RULES or (use.cause == "init-only" and (use.object, use.workload) in mounted_later):
            continue
        once = (rule, use.object, use.workload)  # for what is said of the object, not of one way to use it
        if use.cause in ("immutable", "hashed-name") and once in reported:
            continue
        reported.add(once)
        yield _of(rule, use, _frozen_message(use))


def _frozen_message(use: Use) -> str:
    where = f"container {use.container or NO_NAME} of {use.workload}"
    if use.cause == "env":
        return f"{use.target} in {where} is set from {_keys(use)}, once, when the container starts"
    if use.cause == "env-from":
        return f"{where} gets its variables from {use.object}, once, when it starts"
    if use.cause == "env-file":
        origin = f" that is made from {use.object}" if use.object else ""
        return f"{use.target} in {where} is set from a file{origin}, once, when the container starts"
    if use.cause == "subpath":
        return f"{where} mounts {_keys(use)} at {use.target} with {use.how}: it is never updated"
    if use.cause == "init-only":
        return f"init {where} mounts {_keys(use)} at {use.target}, and no other container does"
    if use.cause == "immutable":
        return f"{use.object}, used by {use.workload}, is immutable"
    return f"{use.object}, used by {use.workload}, has the hash of its content in its name"


def _keys(use: Use) -> str:
    return f"{', '.join(name for name, _ in use.keys)} of {use.object}" if use.keys else str(use.object)


# missing-*


def _missing(manifests: Manifests, *, cluster: bool, unlisted: Collection[str]) -> Iterator[Finding]:
    reported: set[tuple[object, ...]] = set()
    for use in manifests.uses:
        if use.object is not None and use.other_paths:
            yield _no_path(use)
        if use.object is None or use.optional or use.object.name in ("", _EVERYWHERE):
            continue
        objects = manifests.known(use.object)
        if objects:
            yield from _missing_keys(use, objects)
        elif (use.object, use.workload) not in reported and use.object.kind not in unlisted:
            reported.add((use.object, use.workload))
            level: Level = "error" if cluster else "warning" if use.object.kind == "ConfigMap" else "note"
            where = "cluster" if cluster else "input"
            message = f"{use.object}, used by {use.workload}, is not in the {where}"
            yield _of("missing-object", use, message, place=use.named_at, level=level)


def _missing_keys(use: Use, objects: Iterable[DataObject]) -> Iterator[Finding]:
    known = {name for each in objects for name in (keys_of_variables(each) if use.how == "env" else each.keys)}
    if not all(each.complete for each in objects) or use.how == "subPathExpr" or use.other_paths:
        return
    for name, place in use.keys or ():
        if name not in known:
            message = f"{use.object}, used by {use.workload}, {_no_key(name, known, objects)}"
            yield _of("missing-key", use, message, field=f"{use.field}[{name}]", place=place)


def _no_path(use: Use) -> Finding:
    """The finding about a path that no file of a volume has, whatever keys the object has."""
    path = ", ".join(name for name, _ in use.keys or ())
    hint = f"; did you mean {use.other_paths[0]}?" if len(use.other_paths) == 1 else _hint(path, use.other_paths)
    message = f"{use.object}, used by {use.workload}: no entry of `items` has the path {path}{hint}"
    return _of("missing-key", use, message, field=f"{use.field}[{path}]")


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _no_key(name: str, known: Collection[str], objects: Iterable[DataObject]) -> str:
    if any(name in each.keys for each in objects):
        return f"has the key {name} in `binaryData` only, of which no variable is made"
    return f"has no key {name}{_hint(name, known)}"


# The rest


def _restarted_anyway(manifests: Manifests) -> Iterator[Finding]:
    by_workload = defaultdict(list)
    for use in manifests.uses:
        by_workload[use.workload].append(use)
    for workload in manifests.workloads:
        found = restarters(workload, by_workload[workload.id], manifests.objects)
        for object_id, names in found.items():
            message = (
                f"{workload.id} mounts {object_id} live, and {' and '.join(names)} restart{'s' * (len(names) == 1)} it"
            )
            field = f"metadata.annotations[{names[0]}]"
            place = workload.annotations[names[0]].place
            yield _finding("restarted-anyway", message, of=object_id, workload=workload.id, field=field, place=place)


def _trailing_newline(manifests: Manifests) -> Iterator[Finding]:
    for data in manifests.objects:
        for key in data.keys.values():
            if key.ends_in_newline:
                message = f"the value of {key.name} in {data.id} ends in a line break"
                field = f"data[{key.name}]"
                yield _finding("trailing-newline", message, of=data.id, field=field, place=key.place)


def users_of(manifests: Manifests) -> dict[ObjectId, set[ObjectId]]:
    """The workloads that use each ConfigMap and Secret."""
    workloads = {workload.id for workload in manifests.workloads}
    found = defaultdict(set)
    for use in manifests.uses:
        if use.object is not None and use.workload in workloads:
            found[use.object].add(use.workload)
    return found


def _used_by_outdated(manifests: Manifests, *, cluster: bool) -> Iterator[Finding]:
    users = users_of(manifests)
    workloads = {workload.id for workload in manifests.workloads}
    for data in manifests.objects:
        others = None if cluster else others_than(workloads, users[data.id], data.id)
        if faults := "; ".join(outdated(data, users[data.id], others)):
            message = f"the annotation {USED_BY} of {data.id} {faults}"
            field, place = f"metadata.annotations[{USED_BY}]", data.annotations[USED_BY].place
            yield _finding("used-by-outdated", message, of=data.id, field=field, place=place)


def others_than(workloads: set[ObjectId], users: set[ObjectId], object_id: ObjectId) -> set[ObjectId]:
    """The workloads of an object's namespace that do not use it."""
    return {each for each in workloads - users if each.namespace == object_id.namespace}


def _unused(manifests: Manifests) -> Iterator[Finding]:
    used = {use.object for use in manifests.uses}
    for data in manifests.objects:
        by_cluster = data.id.name == _EVERYWHERE or data.type in _USED_BY_THE_CLUSTER
        if data.id not in used and not data.created_by and not by_cluster:
            message = f"nothing in the input uses {data.id}"
            yield _finding("unused-object", message, of=data.id, field="", place=data.place)


# Ignoring


@dataclass(frozen=True, slots=True)
class Ignored:
    """Findings after the ``liveconfig.dev/ignore-RULE`` annotations.

    Attributes:
        findings: Those that stay.
        count: How many are silenced.
    """

    findings: tuple[Finding, ...]
    count: int


def without_ignored(findings: Iterable[Finding], manifests: Manifests) -> Ignored:
    """Leave out what an annotation on the workload, or on the ConfigMap or Secret, silences with a reason."""
    annotations: dict[ObjectId | None, dict[str, Annotation]] = defaultdict(dict)
    for object_id, each in manifests.all_annotations():
        annotations[object_id].update(each)
    kept = []
    findings = tuple(findings)
    for finding in findings:
        given = [annotations[each].get(IGNORE + finding.rule) for each in (finding.workload, finding.object)]
        reasons = [annotation.value.strip() for annotation in given if annotation is not None]
        if not any(reasons):
            kept.append(_without_reason(finding) if reasons else finding)
    return Ignored(tuple(kept), len(findings) - len(kept))


def unknown_ignores(manifests: Manifests) -> Iterator[str]:
    """Yield a sentence for each annotation that would silence a rule which does not exist."""
    for _, given in manifests.all_annotations():
        for name, annotation in given.items():
            rule = name.removeprefix(IGNORE)
            if rule not in (name, *RULES):
                close = difflib.get_close_matches(rule, RULES, n=1)
                hint = f"; did you mean {IGNORE}{close[0]}?" if close else ""
                where = f"{annotation.place.file}:{annotation.place.line}: " if annotation.place else ""
                yield f"{where}{name} silences nothing, as there is no such rule{hint}"


def _without_reason(finding: Finding) -> Finding:
    note = f" ({IGNORE}{finding.rule} gives no reason, so it does not silence this)"
    return replace(finding, message=finding.message + note)
