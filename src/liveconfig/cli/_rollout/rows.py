"""The rows of a container: the state of each volume, and why it is not in sync."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal

from liveconfig._manifests import Container, Mount, ObjectId
from liveconfig._processes import STAYS_IN_USE
from liveconfig.cli._rollout.container_queries import Report
from liveconfig.cli._rollout.expectations import Content, Objects, Refused, Unreadable, Value, mount_path, named
from liveconfig.cli._rollout.pods import Pod

State = Literal[
    "SYNCED",
    "PENDING",
    "BEHIND",
    "REJECTED",
    "FROZEN",
    "UNKNOWN",
    "NOT FOLLOWED",
    "NO REPORT",
    "UNREACHABLE",
]
WAITED_FOR = ("PENDING", "BEHIND", "UNREACHABLE")
"""The states that can become SYNCED by themselves; `_can_change` says when UNKNOWN can."""

SAME_VALUE = "same value"


@dataclass(frozen=True, slots=True)
class Row:
    """One volume of one container, or its variables.

    Attributes:
        namespace: Of the pod.
        pod: Its name.
        container: The container.
        volume: The mount point; ``env`` for variables.
        object: The ConfigMaps and Secrets, as ``configmap/NAME``.
        state: Whether it is in sync.
        since: When the kubelet wrote what is on disk, as ISO 8601 text; None where that is not known.
        processes: How many processes follow the volume.
        current: How many of them use what is on disk.
        problem: What is wrong, and what to do.
        counts: Whether the exit code depends on it.
        waits: Whether waiting can help.
    """

    namespace: str
    pod: str
    container: str
    volume: str
    object: str
    state: State
    since: str | None = None
    processes: int = 0
    current: int = 0
    problem: str = ""
    counts: bool = True
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One container with its answer."""

    pod: Pod
    container: Container
    report: Report
    objects: Objects

    def disk(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The results of ``ps --expect``, by path."""
        found = (self.report.data or {}).get("disk") or ()
        return {each["path"]: each for each in found if each["kind"] == kind}


def rows_of(seen: Seen, only: tuple[str, str] | None, restart: str) -> Iterator[Row]:
    """Return the rows of one container.

    Args:
        seen: The container.
        only: Kind and name of the ConfigMap or Secret that was asked for; None for all.
        restart: The command that restarts the workload.
    """
    for mount in _mounts(seen, only):
        yield _of_volume(seen, mount) if mount.whole else _of_subpath(seen, mount, restart)
    yield from _of_environment(seen, only, restart)


def processes_of(seen: Seen, only: tuple[str, str] | None) -> Mapping[int, bool]:
    """The processes of one container that follow a volume, each once, and whether they use what is on disk.

    Args:
        seen: The container.
        only: Kind and name of the ConfigMap or Secret that was asked for; None for all.
    """
    return _by_process(user for mount in _mounts(seen, only) if mount.whole for user in _followers(seen, mount))


def _mounts(seen: Seen, only: tuple[str, str] | None) -> Iterator[Mount]:
    for mount in seen.container.file_mounts:
        if only is None or any((each.object.kind, each.object.name) == only for each in mount.volume.sources):
            yield mount


def _followers(seen: Seen, mount: Mount) -> list[_User]:
    path = mount_path(mount)
    links = seen.disk("volume").get(path, {}).get("followed_as", ())
    return list(_users(seen.report.data or {"processes": []}, {path, *links}))


def _by_process(users: Iterable[_User]) -> dict[int, bool]:
    """Of a process with several settings objects, all have to be current."""
    found: dict[int, bool] = {}
    for user in users:
        found[user.pid] = found.get(user.pid, True) and user.is_current
    return found


def _row(seen: Seen, volume: str, objects: Sequence[ObjectId], state: State, **more: Any) -> Row:
    name = ", ".join(dict.fromkeys(named(each) for each in objects))
    more.setdefault("waits", state in WAITED_FOR)
    return Row(seen.pod.namespace, seen.pod.name, seen.container.name, volume, name, state, **more)


def _sources(mount: Mount) -> list[ObjectId]:
    return [source.object for source in mount.volume.sources]


def _of_volume(seen: Seen, mount: Mount) -> Row:
    path, content = mount_path(mount), seen.objects.files(mount)
    refused = _REFUSED.format(content.reason) if isinstance(content, Refused) else ""
    if seen.report.data is None:
        problem = "; ".join(filter(None, (seen.report.problem, refused)))
        waits = _can_change(seen.report.failure, content, ())
        return _row(seen, path, _sources(mount), seen.report.failure, problem=problem, waits=waits)
    disk = seen.disk("volume").get(path, {})
    users = _followers(seen, mount)
    processes = _by_process(users)
    state, problem = _state_of(seen, content, disk.get("expected"), users)
    return _row(
        seen,
        path,
        _sources(mount),
        state,
        since=disk.get("since"),
        processes=len(processes),
        current=sum(processes.values()),
        problem=problem,
        counts=state != "NOT FOLLOWED",
        waits=_can_change(state, content, users),
    )


def _can_change(state: State, content: Content | Unreadable | Refused, users: Sequence[_User]) -> bool:
    """Whether waiting can help: also where a volume does not answer or is being written, unlike for missing rights."""
    if state == "UNKNOWN":
        return isinstance(content, Mapping) and not any(each.state == "hidden" for each in users)
    return state in WAITED_FOR and not isinstance(content, Refused)


_REFUSED = "the kubelet does not write this volume: {}"


@dataclass(frozen=True, slots=True)
class _User:
    """A settings object of a process that follows a volume, or may do so.

    Attributes:
        pid: The process.
        state: The state of the settings object.
        in_use: The generation that it uses.
        on_disk: The one on disk.
        rejected: The one of this volume that it has rejected; None if there is none, or if it is not known.
        names_rejected: Whether it names a generation of any of its volumes that it has rejected.
        problems: Why it is not healthy.
    """

    pid: int
    state: str
    in_use: str | None
    on_disk: str | None
    rejected: str | None
    names_rejected: bool
    problems: Sequence[str]

    @property
    def is_blind(self) -> bool:
        return self.state in ("hidden", "unknown")

    @property
    def is_current(self) -> bool:
        return not self.is_blind and self.in_use == self.on_disk

    @property
    def is_behind(self) -> bool:
        return not self.is_blind and not self.is_current

    @property
    def rejects(self) -> bool:
        is_on_disk = self.rejected == self.on_disk or not self.names_rejected
        return self.is_behind and self.state == "rejected" and is_on_disk

    def problem_of(self) -> str:
        if self.is_behind and self.state == "rejected" and not self.rejects:  # the problems are those of other content
            return f"process {self.pid}: has neither applied nor rejected {self.on_disk or 'what is on disk'} yet"
        problems = [*self.problems, *[STAYS_IN_USE] * self.rejects]
        return f"process {self.pid}: {'; '.join(problems) or self.state}"


def _users(data: Mapping[str, Any], paths: AbstractSet[str]) -> Iterator[_User]:
    for process in data["processes"]:
        for settings in process["settings"]:
            if settings["state"] == "hidden":
                yield _User(process["pid"], "hidden", None, None, None, False, settings["problems"])
            names_rejected = any(volume["rejected"] is not None for volume in settings["volumes"])
            for volume in settings["volumes"]:
                if posixpath.normpath(volume["path"]) in paths:
                    yield _User(
                        process["pid"],
                        settings["state"],
                        volume["generation"],
                        volume["on_disk"],
                        volume["rejected"],
                        names_rejected,
                        settings["problems"],
                    )


def _state_of(
    seen: Seen, content: Content | Unreadable | Refused, expected: str | None, users: Sequence[_User]
) -> tuple[State, str]:
    """Return the state of a volume, and its problem."""
    if not any(each.state != "hidden" for each in users):
        if seen.report.problem:
            return "NO REPORT", seen.report.problem
        if not users:
            return "NOT FOLLOWED", "no settings class names this volume"
    if isinstance(content, Refused):
        return "PENDING", _REFUSED.format(content.reason)
    if expected == "different":
        return "PENDING", "the kubelet has not written the newest content yet"
    faults: tuple[tuple[State, list[_User]], ...] = (
        ("REJECTED", [each for each in users if each.rejects]),
        ("BEHIND", [each for each in users if each.is_behind]),
        ("UNKNOWN", [each for each in users if each.is_blind]),
    )
    for state, found in faults:
        if found:
            return state, "; ".join(each.problem_of() for each in found)
    if expected != "equal":
        return "UNKNOWN", content.reason if isinstance(content, Unreadable) else "the volume could not be read"
    return "SYNCED", "; ".join(each.problem_of() for each in users if each.problems and each.state != "rejected")


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What cannot change while the container runs: it counts only where the value is another one.

    Attributes:
        volume: The mount point, or ``env``.
        objects: What it comes from.
        what: The same in words.
        compared: The result for each file or variable.
        reasons: Why some of them are not known.
    """

    volume: str
    objects: Sequence[ObjectId]
    what: str
    compared: Sequence[str]
    reasons: Sequence[str]

    def row(self, seen: Seen, restart: str) -> Row:
        if seen.report.data is None:
            return _row(seen, self.volume, self.objects, seen.report.failure, problem=seen.report.problem)
        if "different" in self.compared:
            problem = f"{self.what}: an old value, and it never changes while the container runs: {restart}"
            return _row(seen, self.volume, self.objects, "FROZEN", problem=problem)
        if not self.compared or "unknown" in self.compared:
            reason = "; ".join(dict.fromkeys(self.reasons)) or "what is in the container could not be read"
            problem = f"{self.what} that cannot be compared: {reason}"
            return _row(seen, self.volume, self.objects, "UNKNOWN", problem=problem)
        return _row(seen, self.volume, self.objects, "FROZEN", problem=f"{self.what}: {SAME_VALUE}", counts=False)


def _of_subpath(seen: Seen, mount: Mount, restart: str) -> Row:
    path, content = mount_path(mount), seen.objects.files(mount)
    files = seen.disk("file").items()
    compared = [each["expected"] for file, each in files if file == path or file.startswith(path + "/")]
    reasons = [] if isinstance(content, Mapping) else [content.reason]
    return _Fixed(path, _sources(mount), "a subPath mount", compared, reasons).row(seen, restart)


def _of_environment(seen: Seen, only: tuple[str, str] | None, restart: str) -> Iterator[Row]:
    def is_asked_for(each: ObjectId) -> bool:
        return only is None or (each.kind, each.name) == only

    found = seen.objects.variables(seen.container).items()
    variables = {name: each for name, each in found if is_asked_for(each[0])}
    sources = (source.object for source in seen.container.env_from if is_asked_for(source.object))
    unreadable = {
        each: content for each in sources if isinstance(content := seen.objects.content.get(each), Unreadable)
    }
    objects = [*(object_id for object_id, _ in variables.values()), *unreadable]
    if objects:
        compared, reasons = _compared_variables(seen, variables)
        compared += ["unknown"] * len(unreadable)
        reasons = [*(content.reason for content in unreadable.values()), *reasons]
        yield _Fixed("env", objects, "environment variables", compared, reasons).row(seen, restart)


def _compared_variables(seen: Seen, variables: Mapping[str, tuple[ObjectId, Value]]) -> tuple[list[str], list[str]]:
    """Return the result for each variable, and why some of them are not known."""
    disk = seen.disk("variable")
    compared: dict[str, str] = {name: disk.get(name, {}).get("expected", "unknown") for name in variables}
    reasons = [value.reason for _, value in variables.values() if isinstance(value, Unreadable)]
    is_set = [name for name, (_, value) in variables.items() if value is None and compared[name] == "unknown"]
    reasons += [_SET_ANYWAY.format(", ".join(is_set))] * bool(is_set)
    return list(compared.values()), reasons


_SET_ANYWAY = "{}: set although the cluster has no such key: the image may set it, or it is an old value"
