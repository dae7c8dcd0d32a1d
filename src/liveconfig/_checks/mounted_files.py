"""The files and variables of one container, computed from manifests."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from liveconfig._manifests import (
    Container,
    DataKey,
    DataObject,
    KeyRef,
    Manifests,
    Mount,
    ObjectId,
    Place,
    Variable,
    VariableSource,
    VolumeSource,
    Workload,
)

MOST_OF_AN_OBJECT = 1024 * 1024
"""The largest number of bytes of a ConfigMap or Secret (kubernetes.io, "ConfigMap")."""


@dataclass(frozen=True, slots=True)
class File:
    """One key as a file of a volume.

    Attributes:
        content: Its bytes; None if they are not in the input: encrypted, or made in the cluster.
        object: The ConfigMap or Secret that it comes from.
        key: The key there.
        place: The place of the key.
        frozen: Why it never changes while the container runs; empty if it does.
    """

    content: bytes | None = field(repr=False)
    object: ObjectId
    key: str
    place: Place | None
    frozen: str = ""


@dataclass(frozen=True, slots=True)
class VariableValue:
    """One variable of the environment.

    Attributes:
        text: Its value; None if it is not in the input.
        set_at: The place in the workload.
        object: The ConfigMap or Secret that it comes from.
        place: The place of the value.
    """

    text: str | None = field(repr=False)
    set_at: Place | None
    object: ObjectId | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """One volume of a settings class in a container.

    Attributes:
        path: The mount point.
        files: The files by name.
        incomplete: Objects that may have more keys than the input shows: Secrets without data, missing objects.
        mounted: Whether anything is mounted there.
    """

    path: str
    files: Mapping[str, File]
    incomplete: tuple[ObjectId, ...] = ()
    mounted: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The files and variables of one container.

    Attributes:
        workload: The workload; None where objects are checked by themselves.
        container: The container's name.
        volumes: The volumes of the settings class, in its order.
        variables: The environment.
        missing: Objects that are mounted or set variables and are not in the input, and where the workload names them.
        open_ended: Objects that make variables of their keys and do not show all of them: which variables there are
            is not known.
        refused: The keys that an API server refuses, of the objects that the container uses.
        absent: The keys that the container names and that are in no object, so that it does not start, with the place.
        place: Where the workload stands.
    """

    workload: ObjectId | None
    container: str
    volumes: tuple[MountedVolume, ...]
    variables: Mapping[str, VariableValue] = field(default_factory=dict)
    missing: Mapping[ObjectId, Place | None] = field(default_factory=dict)
    open_ended: tuple[ObjectId, ...] = ()
    refused: Mapping[tuple[ObjectId, str], DataKey] = field(default_factory=dict)
    absent: Mapping[tuple[ObjectId, str], Place | None] = field(default_factory=dict)
    place: Place | None = None


def of_workloads(manifests: Manifests, paths: Iterable[str]) -> Iterator[Surroundings]:
    """Each container that mounts something at one of the paths, or below one.

    Args:
        manifests: The input, read with values.
        paths: The volumes of the settings class.
    """
    paths = tuple(paths)
    for workload in manifests.workloads:
        for container in workload.containers:
            if any(_is_at(mount, path) for mount in container.mounts for path in paths):
                yield _of_container(manifests, workload, container, paths)


def of_objects(manifests: Manifests, chosen: Mapping[str, Iterable[ObjectId]], paths: Iterable[str]) -> Surroundings:
    """Objects without a workload, each mounted as a whole.

    Args:
        manifests: The input, read with values.
        chosen: The objects by the path at which they are mounted.
        paths: The volumes of the settings class.
    """
    volumes = []
    missing: dict[ObjectId, Place | None] = {}
    for path in paths:
        files: dict[str, File] = {}
        incomplete: list[ObjectId] = []
        for each in chosen.get(path, ()):
            found = manifests.known(each)
            if not found:
                missing[each] = None
                incomplete.append(each)
            for data in found:
                files.update(_files(data, None, ""))
                incomplete += [data.id] * (not data.complete)
        volumes.append(MountedVolume(path, files, tuple(incomplete), path in chosen))
    refused = _refused(manifests, (each for objects in chosen.values() for each in objects))
    return Surroundings(None, "", tuple(volumes), missing=missing, refused=refused)


def _is_at(mount: Mount, path: str) -> bool:
    place = posixpath.normpath(mount.path)
    return place == path or place.startswith(path + "/")


def _of_container(manifests: Manifests, workload: Workload, container: Container, paths: Iterable[str]) -> Surroundings:
    missing: dict[ObjectId, Place | None] = {}
    volumes = tuple(_volume(manifests, container, path, missing) for path in paths)
    variables = _variables(manifests, container)
    open_ended = tuple(_open_ended(manifests, container))
    for source in open_ended:
        if not manifests.known(source.object):
            missing.setdefault(source.object, source.place)
    ids = tuple(source.object for source in open_ended)
    refused = _refused(manifests, _objects_of(container))
    absent = dict(_absent(manifests, container))
    return Surroundings(workload.id, container.name, volumes, variables, missing, ids, refused, absent, workload.place)


def _absent(manifests: Manifests, container: Container) -> Iterator[tuple[tuple[ObjectId, str], Place | None]]:
    sources = [source for mount in container.mounts for source in mount.volume.sources if not source.optional]
    named = [(source.object, item.key, item.place) for source in sources for item in source.items or ()]
    refs = [variable.key_ref for variable in container.env if variable.key_ref and not variable.key_ref.optional]
    named += [(ref.object, ref.key, ref.key_place) for ref in refs]
    for of, key, place in named:
        known = manifests.known(of)
        if known and all(data.complete and key not in data.keys for data in known):
            yield (of, key), place


def _objects_of(container: Container) -> Iterator[ObjectId]:
    yield from (source.object for mount in container.mounts for source in mount.volume.sources)
    yield from (source.object for source in container.env_from)
    yield from (variable.key_ref.object for variable in container.env if variable.key_ref is not None)


def _refused(manifests: Manifests, objects: Iterable[ObjectId]) -> Mapping[tuple[ObjectId, str], DataKey]:
    known = (data for each in dict.fromkeys(objects) for data in manifests.known(each))
    return {(data.id, key.name): key for data in known for key in data.keys.values() if key.problem}


def _open_ended(manifests: Manifests, container: Container) -> Iterator[VariableSource]:
    for source in container.env_from:
        found = manifests.known(source.object)
        if not all(data.complete for data in found) or not (found or source.optional):
            yield source


def _volume(
    manifests: Manifests, container: Container, path: str, missing: dict[ObjectId, Place | None]
) -> MountedVolume:
    files: dict[str, File] = {}
    incomplete: list[ObjectId] = []
    mounts = [mount for mount in container.mounts if _is_at(mount, path)]
    for mount in mounts:
        below = posixpath.normpath(mount.path)[len(path) + 1 :]
        for source in mount.volume.sources:
            found = manifests.known(source.object)
            if not found and not source.optional:
                missing.setdefault(source.object, source.place)
                incomplete.append(source.object)
            for data in found:
                incomplete += [data.id] * (not data.complete)
                files.update(_mounted(_files(data, source, _frozen(mount)), mount, below))
    return MountedVolume(path, files, tuple(dict.fromkeys(incomplete)), bool(mounts))


def _frozen(mount: Mount) -> str:
    return "" if mount.whole else "a subPath mount never changes while the container runs"


def _files(data: DataObject, source: VolumeSource | None, frozen: str) -> dict[str, File]:
    names = {key: key for key in data.keys}
    if source is not None and source.items is not None:
        names = {item.key: item.path for item in source.items if item.key in data.keys}
    return {name: _file(data, data.keys[key], frozen) for key, name in names.items()}


def _file(data: DataObject, key: DataKey, frozen: str) -> File:
    return File(key.value, data.id, key.name, key.place, frozen)


def _mounted(files: Mapping[str, File], mount: Mount, below: str) -> Iterator[tuple[str, File]]:
    """Return the files of a volume by their names below the path of the settings class."""
    part = mount.sub_path.strip("/")
    for name, file in files.items():
        if not part:
            yield posixpath.join(below, name), file
        elif name == part:
            yield below or name, file
        elif name.startswith(part + "/"):
            yield posixpath.join(below, name[len(part) + 1 :]), file


def _variables(manifests: Manifests, container: Container) -> Mapping[str, VariableValue]:
    """Return the variables as the kubelet sets them: ``env`` after ``envFrom``; a later entry wins."""
    found: dict[str, VariableValue] = {}
    for source in container.env_from:
        for data in manifests.known(source.object):
            texts = (key for key in data.keys.values() if not key.binary)
            found.update((source.prefix + key.name, _from_key(source.place, data, key)) for key in texts)
    for variable in container.env:
        if variable.key_ref is not None:
            found.update(_of_key(manifests, variable, variable.key_ref))
        else:
            value = None if variable.value is None else _expanded(variable.value, found)
            found[variable.name] = VariableValue(value, variable.place, None, variable.place)
    return {name: value for name, value in found.items() if name and not {"=", "\0"} & set(name)}


def _of_key(manifests: Manifests, variable: Variable, key_ref: KeyRef) -> Mapping[str, VariableValue]:
    known = manifests.known(key_ref.object)
    for data in known:
        if key_ref.key in data.keys and not data.keys[key_ref.key].binary:
            return {variable.name: _from_key(variable.place, data, data.keys[key_ref.key])}
    is_absent = key_ref.optional and known and all(data.complete for data in known)
    return {} if is_absent else {variable.name: VariableValue(None, variable.place, key_ref.object)}


def _from_key(set_at: Place | None, data: DataObject, key: DataKey) -> VariableValue:
    text = None if key.value is None else key.value.decode("utf-8", "surrogateescape")
    return VariableValue(text, set_at, data.id, key.place)


def _expanded(value: str, set_before: Mapping[str, VariableValue]) -> str | None:
    """Expand ``$(NAME)`` in a value, as the kubelet does; None if it needs a value that is not in the input.

    ``$$`` means ``$``; an unknown name stays as it is (kubernetes, expansion/expand.go).
    """
    variables = {name: each.text for name, each in set_before.items()}
    names = [match[1] for match in _REFERENCE.finditer(value) if match[1] is not None]
    if any(variables.get(name, "") is None for name in names):
        return None

    def replaced(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1]) or ("" if match[1] in variables else match[0])

    return _REFERENCE.sub(replaced, value)


_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
