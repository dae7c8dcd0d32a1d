"""The expected ConfigMaps and Secrets of each container: digests of each value, under a key of this call."""

from __future__ import annotations

import json
import os
import posixpath
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from liveconfig._manifests import (
    Container,
    DataObject,
    Mount,
    ObjectId,
    Source,
    VariableValue,
    files_of,
    folders_that_are_keys,
    missing_items,
    path_below,
    read,
    sub_path_of,
    variables_of,
)
from liveconfig._processes import ABSENT, digest_of
from liveconfig.cli._kubectl import Kubectl
from liveconfig.cli._rollout.pods import Pod

Content = Mapping[str, bytes]
_NONE = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why the content of an object is not known."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the kubelet does not write a volume, and leaves what it wrote before."""

    reason: str


Value = bytes | Unreadable | None
"""The value of one key; None: there is no such key."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The ConfigMaps and Secrets of a call.

    Attributes:
        content: The object, or why its values are not known. None: there is no such object.
    """

    content: Mapping[ObjectId, DataObject | Unreadable | None]

    def known(self, object_id: ObjectId) -> tuple[DataObject, ...]:
        """The object; one without keys if there is none, nothing if it is not known."""
        found = self.content.get(object_id)
        return () if isinstance(found, Unreadable) else (found or DataObject(object_id, {}),)

    def files(self, mount: Mount) -> Content | Unreadable | Refused:
        """Return the files that the kubelet writes for a volume (kubernetes, the projected volume plugin)."""
        files: dict[str, bytes] = {}
        for source in mount.volume.sources:
            content = self.content.get(source.object)
            if isinstance(content, Unreadable):
                return content
            if content is None and not source.optional:
                return Refused(f"{named(source.object)} does not exist")
            data = content or DataObject(source.object, {})
            if missing := missing_items(source, data):
                keys = ", ".join(f"`{item.key}`" for item in missing)
                return Refused(f"{named(source.object)} has no key {keys}, which `items` of the volume names")
            files.update((name, origin.key.value or b"") for name, origin in files_of(source, data).items())
        if both := folders_that_are_keys(files):
            return Refused(f"{both[0]!r} is the path of a file and of a folder of the volume")
        return files

    def of(self, container: Container) -> Mapping[ObjectId, DataObject | Unreadable | None]:
        """The objects that one container mounts or has variables from."""
        return {each: self.content.get(each) for each in container.objects}

    def variables(self, container: Container) -> dict[str, tuple[ObjectId, Value]]:
        """The variables of a container that come from a ConfigMap or Secret, with the value that they should have.

        Those that only some kubelets set are left out.
        """
        return {
            name: (value.object, self._value(value))
            for name, value in variables_of(container, self.known).items()
            if value.object is not None and value.is_set is not None
        }

    def _value(self, value: VariableValue) -> Value:
        content = self.content.get(value.object) if value.object else None
        if isinstance(content, Unreadable):
            return content
        return value.key.value if value.key else None


def named(object_id: ObjectId) -> str:
    """``configmap/NAME`` or ``secret/NAME``."""
    return f"{object_id.kind.lower()}/{object_id.name}"


def read_objects(kubectl: Kubectl, scope: Sequence[str], pods: Iterable[Pod], left: Callable[[], float]) -> Objects:
    """Read the ConfigMaps and Secrets that the containers of some pods mount or have variables from.

    Args:
        kubectl: Runs kubectl.
        scope: The namespace.
        pods: The pods.
        left: Seconds until the whole call is to end.

    Raises:
        KubectlMissing: There is no kubectl.
    """
    wanted = {each for pod in pods for container in pod.containers for each in container.objects}
    content: dict[ObjectId, DataObject | Unreadable | None] = {}
    for kind in ("ConfigMap", "Secret"):
        ids = sorted(each for each in wanted if each.kind == kind)
        if ids:
            content |= _asked(kubectl, scope, kind, ids, left())
    return Objects(content)


def _asked(
    kubectl: Kubectl, scope: Sequence[str], kind: str, ids: Sequence[ObjectId], left: float
) -> dict[ObjectId, DataObject | Unreadable | None]:
    names = [each.name for each in ids]
    answer = kubectl.run("get", kind.lower(), *names, "--ignore-not-found", "-o", "json", scope=scope, timeout=left)
    if answer.code != 0:
        reason = "may not be read" if "forbidden" in answer.error.lower() else answer.error or "kubectl failed"
        return {each: Unreadable(f"{named(each)}: {reason}") for each in ids}
    found = {each.id.name: each for each in read([Source("", answer.output or "{}")], values=True).objects}
    return {each: _readable(found.get(each.name)) for each in ids}


def _readable(data: DataObject | None) -> DataObject | Unreadable | None:
    if data is not None and any(key.value is None for key in data.keys.values()):
        return Unreadable(f"{named(data.id)} holds values that are encrypted")
    return data and replace(data, complete=True)  # of a Secret without data, too: a cluster's answer shows all keys


class Expectations:
    """Makes the documents for ``liveconfig ps --expect``. The key lives as long as this object and is sent along.

    Args:
        objects: The objects of the cluster.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._key = secrets.token_bytes(32)

    def document(self, container: Container) -> bytes:
        """Return the expected content of one container, without any value."""
        volumes: dict[str, dict[str, str] | None] = {}
        files: dict[str, str | None] = {}
        values = variables_of(container, self.objects.known)
        for mount in container.file_mounts:
            content, part = self.objects.files(mount), sub_path_of(mount, values)
            if mount.whole:
                volumes[mount_path(mount)] = self._digests(content) if isinstance(content, Mapping) else None
            elif part is not None:
                files.update(self._of_subpath(mount_path(mount), part, content))
        variables = {name: self._digest(value) for name, (_, value) in self.objects.variables(container).items()}
        beside = {
            mount_path(mount): mount.volume.beside for mount in container.file_mounts if mount.volume.beside != _NONE
        }
        document = {
            "version": 1,
            "key": self._key.hex(),
            "volumes": volumes,
            "beside": {path: None if names is None else sorted(names) for path, names in beside.items()},
            "files": files,
            "environment": variables,
        }
        return json.dumps(document).encode()

    def _digest(self, value: Value) -> str | None:
        if isinstance(value, Unreadable):
            return None
        return ABSENT if value is None else digest_of(self._key, value)

    def _digests(self, content: Content) -> dict[str, str]:
        return {name: digest_of(self._key, value) for name, value in content.items()}

    def _of_subpath(self, path: str, part: str, content: Content | Unreadable | Refused) -> dict[str, str | None]:
        if not isinstance(content, Mapping):
            return {path: None}
        files = {path_below(part, name): value for name, value in content.items()}
        digests: dict[str, str | None] = {
            posixpath.join(path, name).rstrip("/"): digest_of(self._key, value)
            for name, value in files.items()
            if name is not None
        }
        return digests or {path: ABSENT}


def mount_path(mount: Mount) -> str:
    """The path of a mount, as a process in the container writes it."""
    return os.path.normpath(mount.path)
