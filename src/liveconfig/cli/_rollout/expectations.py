"""The expected ConfigMaps and Secrets of each container: digests of each value, under a key of this call."""

from __future__ import annotations

import json
import os
import posixpath
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from liveconfig._manifests import Container, DataObject, KeyRef, Mount, ObjectId, Source, VolumeSource, read
from liveconfig._processes import ABSENT, digest_of
from liveconfig.cli._kubectl import Kubectl
from liveconfig.cli._rollout.pods import Pod, is_transient

Content = Mapping[str, bytes]


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
        content: The values by object, or why they are not known. None: there is no such object.
        binary: The keys of ``binaryData`` by object. The kubelet makes no variables of them.
    """

    content: Mapping[ObjectId, Content | Unreadable | None] = field(repr=False)
    binary: Mapping[ObjectId, frozenset[str]] = field(default_factory=dict)

    def files(self, mount: Mount) -> Content | Unreadable | Refused:
        """Return the files that the kubelet writes for a volume (kubernetes, the projected volume plugin)."""
        files: dict[str, bytes] = {}
        for source in mount.volume.sources:
            content = self.content.get(source.object)
            if isinstance(content, Unreadable):
                return content
            if content is None and not source.optional:
                return Refused(f"{named(source.object)} does not exist")
            if missing := _missing_keys(source, content or {}):
                keys = ", ".join(f"`{key}`" for key in missing)
                return Refused(f"{named(source.object)} has no key {keys}, which `items` of the volume names")
            files.update(_projected(source, content or {}))
        return files

    def of(self, container: Container) -> Mapping[ObjectId, Content | Unreadable | None]:
        """The objects that one container mounts or has variables from."""
        return {each: self.content.get(each) for each in _objects_of(container)}

    def variables(self, container: Container) -> dict[str, tuple[ObjectId, Value]]:
        """The variables of a container that come from a ConfigMap or Secret, with the value that they should have.

        Of several entries for one name the last one wins, and ``env`` wins over ``envFrom``, as in the kubelet.
        """
        found: dict[str, tuple[ObjectId, Value]] = {}
        for source in container.env_from:
            for key, value in self._texts(source.object).items():
                if not (source.prefix + key)[0].isdigit():  # kubelets before 1.34 leave such a key out
                    found[source.prefix + key] = source.object, value
        for variable in container.env:
            found.pop(variable.name, None)
            if variable.key_ref is not None:
                found[variable.name] = variable.key_ref.object, self._value(variable.key_ref)
        return found

    def _texts(self, object_id: ObjectId) -> Content:
        content, binary = self.content.get(object_id), self.binary.get(object_id, frozenset())
        if not isinstance(content, Mapping):
            return {}
        return {key: value for key, value in content.items() if key not in binary}

    def _value(self, key_ref: KeyRef) -> Value:
        content = self.content.get(key_ref.object)
        return content if isinstance(content, Unreadable) else self._texts(key_ref.object).get(key_ref.key)


def _missing_keys(source: VolumeSource, content: Content) -> list[str]:
    """The keys of ``items`` that are not there: unless the source is optional, they keep the kubelet from writing."""
    return [] if source.optional else [item.key for item in source.items or () if item.key not in content]


def _projected(source: VolumeSource, content: Content) -> Content:
    if source.items is None:
        return content
    return {item.path: content[item.key] for item in source.items if item.key in content}


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
    wanted = {each for pod in pods for container in pod.containers for each in _objects_of(container)}
    content: dict[ObjectId, Content | Unreadable | None] = {}
    binary: dict[ObjectId, frozenset[str]] = {}
    for kind in ("ConfigMap", "Secret"):
        ids = sorted(each for each in wanted if each.kind == kind)
        if ids:
            for each, data in _asked(kubectl, scope, kind, ids, left()).items():
                content[each] = data if isinstance(data, Unreadable) else _content(data)
                if isinstance(data, DataObject):
                    binary[each] = frozenset(key.name for key in data.keys.values() if key.binary)
    return Objects(content, binary)


def _objects_of(container: Container) -> Iterator[ObjectId]:
    yield from (source.object for mount in mounts_of(container) for source in mount.volume.sources)
    yield from (source.object for source in container.env_from)
    yield from (variable.key_ref.object for variable in container.env if variable.key_ref is not None)


def mounts_of(container: Container) -> Iterator[Mount]:
    """The mounts of volumes that the kubelet writes from ConfigMaps and Secrets."""
    for mount in container.mounts:
        if mount.volume.holds_files and mount.volume.sources and not is_transient(mount.volume.name):
            yield mount


def _asked(
    kubectl: Kubectl, scope: Sequence[str], kind: str, ids: Sequence[ObjectId], left: float
) -> dict[ObjectId, DataObject | Unreadable | None]:
    names = [each.name for each in ids]
    answer = kubectl.run("get", kind.lower(), *names, "--ignore-not-found", "-o", "json", scope=scope, timeout=left)
    if answer.code != 0:
        reason = "may not be read" if "forbidden" in answer.error.lower() else answer.error or "kubectl failed"
        return {each: Unreadable(f"{named(each)}: {reason}") for each in ids}
    found = {each.id.name: each for each in read([Source("", answer.output or "{}")], values=True).objects}
    return {each: found.get(each.name) for each in ids}


def _content(data: DataObject | None) -> Content | Unreadable | None:
    if data is None:
        return None
    known = {name: key.value for name, key in data.keys.items() if key.value is not None}
    return known if len(known) == len(data.keys) else Unreadable(f"{named(data.id)} holds values that are encrypted")


class Expectations:
    """Makes the documents for ``liveconfig ps --expect``. The key lives as long as this object and is sent along.

    Args:
        objects: The objects of the cluster.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._key = secrets.token_bytes(32)

    def document(self, pod: Pod, container: Container) -> bytes:
        """Return the expected content of one container, without any value."""
        volumes: dict[str, dict[str, str] | None] = {}
        files: dict[str, str | None] = {}
        for mount in mounts_of(container):
            content = self.objects.files(mount)
            if mount.whole:
                volumes[mount_path(mount)] = self._digests(content) if isinstance(content, Mapping) else None
            elif mount.sub_path:
                files.update(self._of_subpath(mount, content))
        variables = {name: self._digest(value) for name, (_, value) in self.objects.variables(container).items()}
        names = {mount_path(mount): mount.volume.name for mount in mounts_of(container)}
        beside = {path: pod.beside[name] for path, name in names.items() if name in pod.beside}
        document = {
            "version": 1,
            "key": self._key.hex(),
            "volumes": volumes,
            "beside": {path: None if files is None else sorted(files) for path, files in beside.items()},
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

    def _of_subpath(self, mount: Mount, content: Content | Unreadable | Refused) -> dict[str, str | None]:
        if not isinstance(content, Mapping):
            return {mount_path(mount): None}
        part = mount.sub_path.strip("/")
        if part in content:
            return {mount_path(mount): digest_of(self._key, content[part])}
        below = {name: value for name, value in content.items() if name.startswith(part + "/")}
        return {
            posixpath.join(mount_path(mount), name[len(part) + 1 :]): digest_of(self._key, value)
            for name, value in below.items()
        } or {mount_path(mount): ABSENT}


def mount_path(mount: Mount) -> str:
    """The path of a mount, as a process in the container writes it."""
    return os.path.normpath(mount.path)
