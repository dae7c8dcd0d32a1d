"""The check of a settings class against manifests: the fields of each container, and the findings."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from pydantic_settings import BaseSettings

from liveconfig._checks.mounted_files import Surroundings, Variables, of_objects, of_workload
from liveconfig._checks.trial_load import CannotCheck, Trial, try_out, volumes_of
from liveconfig._loading import leaves, same
from liveconfig._manifests import Finding, Manifests, ObjectId, Place, is_kind


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of the input to check.

    Attributes:
        workload: ``KIND/NAME``, or empty for every workload that mounts a volume of the class.
        container: The name of a container, or empty for all that mount no fewer volumes than another one of their pod.
        volumes: The objects by mount path, for input without a workload.
        namespace: That of `workload`, or empty for each one of that name.
    """

    workload: str = ""
    container: str = ""
    volumes: Mapping[str, tuple[ObjectId, ...]] = field(default_factory=dict)
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that differs between two versions of the manifests.

    Attributes:
        field: Its dotted name.
        when: Whether a running process takes the change, or its next start.
    """

    field: str
    when: Literal["live", "restart"]


@dataclass(frozen=True, slots=True)
class NotCompared:
    """A container that only one version of the manifests has.

    Attributes:
        workload: The workload; None for objects that are checked by themselves.
        container: The container's name.
        only_in: The version.
    """

    workload: ObjectId | None
    container: str
    only_in: Literal["old", "new"]


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences between two versions of the manifests.

    Attributes:
        changes: The fields that differ.
        unknown: The fields whose values are not in the input.
        not_compared: The containers that only one of the versions has.
        nothing_compared: No container is in both.
    """

    changes: tuple[FieldChange, ...]
    unknown: tuple[str, ...]
    not_compared: tuple[NotCompared, ...]
    nothing_compared: bool


def check(cls: type[BaseSettings], manifests: Manifests, selection: Selection) -> tuple[Trial, ...]:
    """Load the class for each selected container.

    Args:
        cls: The settings class.
        manifests: The input, read with values.
        selection: The part of it to check.

    Raises:
        CannotCheck: There is no such workload or container, nothing to check, or a source of the class that fails.
    """
    places, counting = _places(manifests), _without_earlier(manifests)
    return tuple(try_out(cls, _with_places(each, places)) for each in _surroundings(cls, counting, selection))


def _without_earlier(manifests: Manifests) -> Manifests:
    """The input in which an object that stands there several times is the last one, as after ``kubectl apply``."""
    last = {(each.id, each.created_by): each for each in manifests.objects}
    return replace(manifests, objects=tuple(last.values()))


def _places(manifests: Manifests) -> Mapping[ObjectId, tuple[Place, ...]]:
    """The places of each object that stands in the input itself; one place for a file that was read twice."""
    found: dict[ObjectId, dict[Place, Place]] = defaultdict(dict)
    for each in manifests.objects:
        if each.place is not None and not each.created_by:
            found[each.id][each.place._replace(file=posixpath.normpath(each.place.file))] = each.place
    return {each: tuple(places.values()) for each, places in found.items()}


def _with_places(surroundings: Surroundings, places: Mapping[ObjectId, tuple[Place, ...]]) -> Surroundings:
    repeated = {each: places[each] for each in surroundings.used if len(places.get(each, ())) > 1}
    return replace(surroundings, repeated=repeated)


def must_hold_something(manifests: Manifests, selection: Selection) -> None:
    """Raise CannotCheck for input without anything to check: a wrong path must not look like a valid configuration."""
    if not (manifests.objects or manifests.workloads or selection.volumes):
        raise CannotCheck("the input holds no ConfigMap, no Secret and no workload")


def _surroundings(cls: type[BaseSettings], manifests: Manifests, selection: Selection) -> Iterator[Surroundings]:
    def paths_of(variables: Variables) -> Sequence[str]:
        return [volume.path for volume in volumes_of(cls, variables)]

    paths = paths_of({})
    if not paths:
        raise CannotCheck(f"{cls.__name__} declares no volumes, so no manifest feeds it")
    if others := [each for each in selection.volumes if each not in paths]:
        raise CannotCheck(f"{others[0]} is no volume of {cls.__name__}, which declares {', '.join(paths)}")
    if selection.volumes:
        yield of_objects(manifests, selection.volumes, paths)
        return
    chosen = (each for each in manifests.workloads if _is_chosen(each.id, selection))
    found = [each for workload in chosen for each in of_workload(manifests, workload, paths_of, selection.container)]
    if not found and (selection.workload or selection.container or manifests.workloads):
        raise CannotCheck(_nothing(manifests, selection, paths))
    if not found:
        every = tuple(dict.fromkeys(each.id for each in manifests.objects))
        yield of_objects(manifests, {paths[0]: every}, paths[:1])
    yield from found


def _is_chosen(each: ObjectId, selection: Selection) -> bool:
    kind, _, name = selection.workload.partition("/")
    is_named = is_kind(each.kind, kind) and each.name == name and selection.namespace in ("", each.namespace)
    return is_named or not selection.workload


def _nothing(manifests: Manifests, selection: Selection, paths: Iterable[str]) -> str:
    known = ", ".join(sorted({str(each.id) for each in manifests.workloads})) or "none"
    where = f" in namespace {selection.namespace}" if selection.namespace else ""
    wanted = f"{selection.workload}{where}" if selection.workload else "a workload"
    container = f", container {selection.container}," if selection.container else ""
    return f"{wanted}{container} that mounts {' or '.join(paths)} is not in the input; workloads there: {known}"


def changes(old: Iterable[Trial], new: Iterable[Trial]) -> Changes:
    """Return the fields that differ between two versions of the same manifests, each once.

    Raises:
        CannotCheck: One of the versions is not valid.
    """
    before_by_name = {each.identity: each for each in old}
    after_by_name = {each.identity: each for each in new}
    pairs = [(before, after_by_name[name]) for name, before in before_by_name.items() if name in after_by_name]
    unknown = [_unknown(before, after) for before, after in pairs]
    _must_be_valid(before_by_name, after_by_name)
    found: dict[str, FieldChange] = {}
    for (before, after), not_known in zip(pairs, unknown, strict=True):
        differing = (_change(name, before, after) for name in _differing(before, after) if name not in not_known)
        found |= {each.field: each for each in differing if each.when == "restart" or each.field not in found}
    alone = (
        *(NotCompared(*name, "old") for name in before_by_name if name not in after_by_name),
        *(NotCompared(*name, "new") for name in after_by_name if name not in before_by_name),
    )
    return Changes(tuple(found.values()), tuple(sorted(frozenset().union(*unknown))), alone, not pairs)


_Trials: TypeAlias = Mapping[tuple[ObjectId | None, str], Trial]


def _unknown(before: Trial, after: Trial) -> frozenset[str]:
    """The fields whose value is not known in one of the versions, or that have none in either."""
    missing = before.fields_in("missing") & after.fields_in("missing")
    return missing | before.fields_in("unknown") | after.fields_in("unknown")


def _must_be_valid(old: _Trials, new: _Trials) -> None:
    versions = ("OLD", old, new), ("NEW", new, old)
    invalid = [name for name, these, others in versions if _is_rejected(these, others)]
    if invalid:
        verb = "has" if len(invalid) == 1 else "have"
        raise CannotCheck(f"{' and '.join(invalid)} {verb} no valid configuration: check it without --diff first")


def _is_rejected(these: _Trials, others: _Trials) -> bool:
    return any(_has_error(trial, others.get(name)) for name, trial in these.items())


def _has_error(trial: Trial, other: Trial | None) -> bool:
    if any(each.rule == "invalid-value" for each in trial.findings):
        return True
    return not trial.fields_in("missing", "invalid") <= _may_be_missing(trial, other)


def _may_be_missing(trial: Trial, other: Trial | None) -> frozenset[str]:
    """The fields that other objects may feed; which ones there are is known of a workload alone."""
    if trial.surroundings.workload is not None:
        return frozenset()
    return trial.fields_in("missing") if other is None else _unknown(trial, other)


def _differing(before: Trial, after: Trial) -> Iterator[str]:
    if before.snapshot is not None and after.snapshot is not None:
        old, new = dict(leaves(before.snapshot)), dict(leaves(after.snapshot))
    else:
        old, new = dict(before.known_values()), dict(after.known_values())
    for name, value in new.items():
        if name not in old or not same(old[name], value):
            yield name
    yield from (name for name in old if name not in new and name.rpartition(".")[0] not in new)


def _change(name: str, before: Trial, after: Trial) -> FieldChange:
    restart = after.needs_restart(name) or _needs_new_container(name, before, after)
    return FieldChange(name, "restart" if restart else "live")


def _needs_new_container(name: str, before: Trial, after: Trial) -> bool:
    """Whether a change of a field is none of files that are mounted in both versions."""
    old, new = before.row(name), after.row(name)
    if old is None or new is None:
        return False
    if new.state not in ("live", "default") or old.state == "frozen":
        return True
    if old.state == "environment" and new.state == "default":
        return True
    return not (before.uses(new.object) and after.uses(old.object))


def findings(trials: Iterable[Trial]) -> tuple[Finding, ...]:
    """Return the findings of all containers, each once; of a workload with several, it names those that have it."""
    containers: dict[ObjectId | None, dict[str, None]] = {}
    found: dict[Finding, dict[str, None]] = {}
    for trial in trials:
        container = trial.surroundings.container
        containers.setdefault(trial.surroundings.workload, {})[container] = None
        for finding in trial.findings:
            found.setdefault(finding, {})[container] = None
    return tuple(
        _naming(names, finding) if len(containers[finding.workload]) > 1 else finding
        for finding, names in found.items()
    )


def _naming(containers: Collection[str], finding: Finding) -> Finding:
    text = f"container{'s' * (len(containers) > 1)} {', '.join(containers)}: {finding.message}"
    return replace(finding, message=text)
