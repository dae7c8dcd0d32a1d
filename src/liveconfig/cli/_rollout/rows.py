"""The answers of a container -> rows: which volume is in sync, and which is not, and why."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from liveconfig._manifests import Container, Mount, ObjectId
from liveconfig.cli._rollout.container_queries import Report
from liveconfig.cli._rollout.expectations import Objects, Unreadable, mount_path, mounts_of, named
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
"""The states that can become SYNCED by themselves."""

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

    @property
    def waits(self) -> bool:
        """Whether waiting can help."""
        return self.state in WAITED_FOR


@dataclass(frozen=True, slots=True)
class Seen:
    """One container with what it answered."""

    pod: Pod
    container: Container
    report: Report
    objects: Objects

    def disk(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """What ``ps --expect`` compared, by path."""
        found = (self.report.data or {}).get("disk") or ()
        return {each["path"]: each for each in found if each["kind"] == kind}


def rows_of(seen: Seen, only: tuple[str, str] | None, restart: str) -> Iterator[Row]:
    """The rows of one container.

    Args:
        seen: The container.
        only: Kind and name of the ConfigMap or Secret that was asked for; None for all.
        restart: The command that restarts the workload.
    """
    for mount in mounts_of(seen.container):
        if only is None or any((each.object.kind, each.object.name) == only for each in mount.volume.sources):
            yield _of_volume(seen, mount) if mount.whole else _of_subpath(seen, mount, restart)
    yield from _of_environment(seen, only, restart)


def _row(seen: Seen, volume: str, objects: Sequence[ObjectId], state: State, **more: Any) -> Row:
    name = ", ".join(dict.fromkeys(named(each) for each in objects))
    return Row(seen.pod.namespace, seen.pod.name, seen.container.name, volume, name, state, **more)


def _sources(mount: Mount) -> list[ObjectId]:
    return [source.object for source in mount.volume.sources]


def _of_volume(seen: Seen, mount: Mount) -> Row:
    path = mount_path(mount)
    if seen.report.failure != "NO REPORT" or (seen.report.data is None):
        return _row(seen, path, _sources(mount), seen.report.failure, problem=seen.report.problem)
    disk = seen.disk("volume").get(path, {})
    users = list(_users(seen.report.data, path))
    current = [each for each in users if each.is_current]
    state, problem = _judged(seen, mount, disk.get("expected"), users)
    return _row(
        seen,
        path,
        _sources(mount),
        state,
        since=disk.get("since"),
        processes=len(users),
        current=len(current),
        problem=problem,
        counts=state != "NOT FOLLOWED",
    )


@dataclass(frozen=True, slots=True)
class _User:
    """A process that follows a volume, or may do so."""

    pid: int
    state: str
    in_use: str | None
    on_disk: str | None
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
        return self.is_behind and self.state == "rejected"

    def told(self) -> str:
        return f"process {self.pid}: {'; '.join(self.problems) or self.state}"


def _users(data: Mapping[str, Any], path: str) -> Iterator[_User]:
    for process in data["processes"]:
        for settings in process["settings"]:
            if settings["state"] == "hidden":
                yield _User(process["pid"], "hidden", None, None, settings["problems"])
            for volume in settings["volumes"]:
                if posixpath.normpath(volume["path"]) == path:
                    yield _User(
                        process["pid"],
                        settings["state"],
                        volume["generation"],
                        volume["on_disk"],
                        settings["problems"],
                    )


def _judged(seen: Seen, mount: Mount, expected: str | None, users: Sequence[_User]) -> tuple[State, str]:
    """The state of a volume, and its problem."""
    if not any(each.state != "hidden" for each in users):
        if seen.report.problem:
            return "NO REPORT", seen.report.problem
        if not users:
            return "NOT FOLLOWED", "no settings class names this volume"
    if expected == "different":
        return "PENDING", "the kubelet has not written the newest content yet"
    faults: tuple[tuple[State, list[_User]], ...] = (
        ("REJECTED", [each for each in users if each.rejects]),
        ("BEHIND", [each for each in users if each.is_behind]),
        ("UNKNOWN", [each for each in users if each.is_blind]),
    )
    for state, found in faults:
        if found:
            return state, "; ".join(each.told() for each in found)
    if expected != "equal":
        content = seen.objects.files(mount)
        return "UNKNOWN", content.reason if isinstance(content, Unreadable) else "the volume could not be read"
    return "SYNCED", "; ".join(each.told() for each in users if each.problems and each.state != "rejected")


def _of_subpath(seen: Seen, mount: Mount, restart: str) -> Row:
    path = mount_path(mount)
    if seen.report.data is None:
        return _row(seen, path, _sources(mount), seen.report.failure, problem=seen.report.problem)
    compared = [each for file, each in seen.disk("file").items() if file == path or file.startswith(path + "/")]
    return _frozen(seen, path, _sources(mount), [each["expected"] for each in compared], "a subPath mount", restart)


def _of_environment(seen: Seen, only: tuple[str, str] | None, restart: str) -> Iterator[Row]:
    variables = {
        name: object_id
        for name, (object_id, _) in seen.objects.variables(seen.container).items()
        if only is None or (object_id.kind, object_id.name) == only
    }
    unreadable = [
        source.object
        for source in seen.container.env_from
        if isinstance(seen.objects.content.get(source.object), Unreadable)
        and (only is None or (source.object.kind, source.object.name) == only)
    ]
    if not variables and not unreadable:
        return
    objects = [*variables.values(), *unreadable]
    if seen.report.data is None:
        yield _row(seen, "env", objects, seen.report.failure, problem=seen.report.problem)
        return
    disk = seen.disk("variable")
    expected = [disk.get(name, {}).get("expected", "unknown") for name in variables] + ["unknown"] * len(unreadable)
    yield _frozen(seen, "env", objects, expected, "environment variables", restart)


def _frozen(
    seen: Seen, volume: str, objects: Sequence[ObjectId], expected: Sequence[str], what: str, restart: str
) -> Row:
    """A row for what cannot change while the container runs: it counts only where the value is another one."""
    if "different" in expected:
        problem = f"{what}: an old value, and it never changes while the container runs: {restart}"
        return _row(seen, volume, objects, "FROZEN", problem=problem)
    if not expected or "unknown" in expected:
        return _row(seen, volume, objects, "UNKNOWN", problem=f"{what} that cannot be compared; it never changes")
    return _row(seen, volume, objects, "FROZEN", problem=f"{what}: {SAME_VALUE}", counts=False)
