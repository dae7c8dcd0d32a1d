"""The report of ``liveconfig audit``: the uses, the steps after a change, and the findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from liveconfig._manifests import LEVELS, MOUNTS, NO_NAME, Finding, Manifests, ObjectId, Problem, Use
from liveconfig.cli._kubectl import command_line

WHOLE = ("volume", "projected")
"""The values of `Use.how` for files that change in place."""

LIVE_MEANS = (
    "LIVE: the mounted files change in place, within 90 seconds. Whether the application reads them again cannot "
    "be seen in a manifest; `liveconfig status` shows whether the process follows."
)


@dataclass(frozen=True, slots=True)
class Row:
    """All uses of one object by one container in one way.

    Attributes:
        object: The ConfigMap or Secret.
        workload: The workload that uses it.
        container: As `Use.container`.
        run_once: It is an init container.
        how: As `Use.how`.
        keys: The used keys; None for all keys.
        named: Whether the keys are named one by one; otherwise `keys` are all known keys.
        targets: Paths of mounts, names of variables.
        cause: As `Use.cause`; empty for a live use.
        why: As `Use.why`.
    """

    object: ObjectId
    workload: ObjectId
    container: str | None
    run_once: bool
    how: str
    keys: tuple[str, ...] | None
    named: bool
    targets: tuple[str, ...]
    cause: str
    why: str

    @property
    def live(self) -> bool:
        """True if what is used changes while the container runs."""
        return not self.cause

    @property
    def changes_in_place(self) -> bool:
        """True if a container has its keys as files that change."""
        return self.live and self.how in WHOLE and self.container is not None

    @property
    def is_mount(self) -> bool:
        """True if it has a path in the container."""
        return bool(self.targets) and self.how in MOUNTS

    def cells(self) -> list[str]:
        """The row for a table: object, workload, container, how, keys, state, why."""
        return [
            str(self.object),
            str(self.workload),
            "-" if self.container is None else f"{self.container or NO_NAME}{' (init)' * self.run_once}",
            self.how,
            ", ".join(self.keys) if self.named and self.keys else "all",
            "LIVE" if self.live else "FROZEN",
            self.why + f": {', '.join(self.targets)}" * self.is_mount,
        ]

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return {
            "object": str(self.object),
            "namespace": self.object.namespace or None,
            "workload": str(self.workload),
            "container": self.container,
            "how": self.how,
            "keys": None if self.keys is None else list(self.keys),
            "live": self.live,
            "why": self.why,
        }


def rows_of(manifests: Manifests) -> list[Row]:
    """Group the uses into rows, sorted by object and workload."""
    together: dict[tuple[object, ...], list[Use]] = {}
    for use in manifests.uses:
        key = (use.object, use.workload, use.container, use.run_once, use.how, use.cause, use.why)
        together.setdefault(key, []).append(use)
    rows = [_row(use.object, uses, manifests) for uses in together.values() if (use := uses[0]).object]
    return sorted(rows, key=lambda row: (row.object.namespace, row.object, not row.live, row.workload))


def _row(of: ObjectId | None, uses: list[Use], manifests: Manifests) -> Row:
    assert of is not None
    first = uses[0]
    names = [name for use in uses for name, _ in use.keys or ()]
    named = all(use.keys is not None for use in uses)
    keys = tuple(dict.fromkeys(names)) if named else _all_keys(of, manifests)
    targets = tuple(dict.fromkeys(use.target for use in uses if use.target))
    return Row(
        of, first.workload, first.container, first.run_once, first.how, keys, named, targets, first.cause, first.why
    )


def _all_keys(of: ObjectId, manifests: Manifests) -> tuple[str, ...] | None:
    objects = manifests.known(of)
    if not objects or not all(each.complete for each in objects):
        return None
    return tuple(dict.fromkeys(name for each in objects for name in each.keys))


# After a change


@dataclass(frozen=True, slots=True)
class AfterChange:
    """The steps after a change of one ConfigMap or Secret.

    Attributes:
        follow: Workloads whose files change in place.
        restart: Commands that restart the others.
        by_hand: Advice for workloads that no command restarts.
        replaced: Workloads of an immutable object: a change means a new object.
        rolled_out: Workloads of an object with a hash in its name: the new object rolls them out.
        nothing: Workloads for which Kubernetes reads it again.
        not_mounted: Workloads with a volume of it that no container mounts.
        by_controller: Custom resources, whose controller decides what a change does.
    """

    follow: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    rolled_out: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()
    not_mounted: tuple[str, ...] = ()
    by_controller: tuple[str, ...] = ()


_COMMANDS = {
    "Deployment": ("kubectl rollout restart", "deployment/{}"),
    "StatefulSet": ("kubectl rollout restart", "statefulset/{}"),
    "DaemonSet": ("kubectl rollout restart", "daemonset/{}"),
    "Rollout": ("kubectl argo rollouts restart", "{}"),
    "DeploymentConfig": ("oc rollout restart", "dc/{}"),
}
_ADVICE = {
    "CronJob": "nothing, its next run takes the new value",
    "Job": "delete it and create it again, if it has to run with the new value",
    "Pod": "delete it and create it again; nothing restarts it",
    "ReplicaSet": "delete its pods; it makes new ones",
    "ReplicationController": "delete its pods; it makes new ones",
    "Service": "change an annotation of its template; Knative makes a new revision",
}
_OTHER = "restart its pods, in the way that its controller documents"


def after_change(rows: Iterable[Row], manifests: Manifests, context: str = "") -> AfterChange:
    """Return the steps after a change of the object of the rows.

    Args:
        rows: Its uses.
        manifests: The input, which says what controls a pod.
        context: The context that commands name; empty for the current one.
    """
    by_workload: dict[ObjectId, list[Row]] = {}
    for row in rows:
        by_workload.setdefault(row.workload, []).append(row)
    owners = {workload.id: workload.owner[0] for workload in manifests.workloads if workload.owner}
    several = len({workload.namespace for workload in by_workload}) > 1
    lists: dict[str, list[str]] = {}
    for workload, its in by_workload.items():
        name = _what(its)
        label = f"{workload}{_where(workload)}" if several else str(workload)
        if name == "by_hand":
            label = f"{label}: {_advice(workload, owners.get(workload, ''))}"
        elif name == "restart":
            label = _restart(workload, context)
        lists.setdefault(name, []).append(label)
    return AfterChange(**{name: tuple(lines) for name, lines in lists.items()})


_OF_THE_OBJECT = {"hashed-name": "rolled_out", "immutable": "replaced"}


def _what(rows: list[Row]) -> str:
    """The list that a workload belongs to; an init container counts only where no other container mounts the object."""
    workload = rows[0].workload
    mounted = any(row.changes_in_place for row in rows)
    causes = {row.cause for row in rows if row.cause != "init-only" or not mounted}
    if causes & _OF_THE_OBJECT.keys():
        return next(_OF_THE_OBJECT[cause] for cause in _OF_THE_OBJECT if cause in causes)
    if causes != {""}:
        return "restart" if workload.kind in _COMMANDS else "by_hand"
    if mounted:
        return "follow"
    if any(row.how == "ref-path" for row in rows):
        return "by_controller"
    return "not_mounted" if all(row.how in WHOLE for row in rows) else "nothing"


def _where(workload: ObjectId) -> str:
    return f" in namespace {workload.namespace}" if workload.namespace else " without a namespace"


def _restart(workload: ObjectId, context: str) -> str:
    command, named = _COMMANDS[workload.kind]
    return command_line(command, named.format(workload.name), workload.namespace, context)


def _advice(workload: ObjectId, owner: str) -> str:
    if owner and workload.kind == "Pod":
        return f"delete it; its {owner} makes a new one"
    return _ADVICE.get(workload.kind, _OTHER)


# The report


_STEPS = {
    "follow": "After a change, files change in place (the process must follow them)",
    "restart": "After a change, restart these",
    "by_hand": "After a change, the others",
    "replaced": "A change means a new object under a new name; let these name it",
    "rolled_out": "kustomize gives the changed object a new name; applying its output rolls these out",
    "nothing": "Kubernetes reads it again for these",
    "not_mounted": "No container of these mounts it, so there is nothing to do",
    "by_controller": "The controller of these decides what a change does; see its documentation",
}


@dataclass(frozen=True)
class Report:
    """The result of an audit.

    Attributes:
        rows: The uses.
        findings: The findings, the most serious first.
        notes: Sentences about the limits of the answer.
        problems: Input that could not be read.
        read: The input, in words.
        silenced: How many findings an annotation or the baseline silences.
        subject: The object that was asked for; None for all.
        about: The place of that object.
        after: The steps after a change of it.
    """

    rows: Sequence[Row]
    findings: Sequence[Finding]
    notes: Sequence[str]
    problems: Sequence[Problem]
    read: str
    silenced: int
    subject: ObjectId | None = None
    about: str = ""
    after: AfterChange | None = None

    @property
    def summary(self) -> str:
        """Return the number of findings of each level and the input, in words."""
        numbers = {level: sum(finding.level == level for finding in self.findings) for level in LEVELS}
        counts = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in numbers.items())
        return f"{counts}{f', {self.silenced} silenced' * bool(self.silenced)}; {self.read}"

    def steps(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the steps after a change of the object: titles with their lines."""
        for name, title in _STEPS.items():
            if lines := getattr(self.after, name, ()):
                yield title, lines
