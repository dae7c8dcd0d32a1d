"""The files and variables of one container, computed from manifests."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, TypeAlias

from liveconfig._manifests import (
    WHY_FROZEN,
    Container,
    DataObject,
    FileOrigin,
    Manifests,
    Mount,
    ObjectId,
    Place,
    VariableSource,
    VariableValue,
    VolumeSource,
    Workload,
    cause_in_objects,
    files_of,
    keys_of_variables,
    missing_items,
    part_of,
    path_below,
    sub_path_of,
    variables_of,
)

MOST_OF_AN_OBJECT = 1024 * 1024
"""The largest number of bytes of a ConfigMap or Secret (kubernetes.io, "ConfigMap")."""

Variables: TypeAlias = Mapping[str, VariableValue]
PathsOf: TypeAlias = Callable[[Variables], Sequence[str]]
"""Gives the volumes that a settings class reads in a container with these variables."""


@dataclass(frozen=True, slots=True)
class File:
    """One key as a file of a volume.

    Attributes:
        content: Its bytes; None if they are not in the input: encrypted, or made in the cluster.
        object: The ConfigMap or Secret that it comes from; None if the input does not show the key, or for another
            source of the volume, as a token.
        key: The key there.
        place: The place of the key.
        frozen: Why it never changes while the container runs; empty if it does.
        object_place: The place of the object.
    """

    content: bytes | None = field(repr=False)
    object: ObjectId | None
    key: str
    place: Place | None
    frozen: str = ""
    object_place: Place | None = None


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """One volume of a settings class in a container.

    Attributes:
        path: The mount point.
        files: The files by name.
        incomplete: It may hold more files than the input shows: those of Secrets without data, of missing objects, and
            of volumes that something else than the kubelet fills.
        mounted: Whether anything is mounted there.
    """

    path: str
    files: Mapping[str, File]
    incomplete: bool = False
    mounted: bool = True


class Refused(NamedTuple):
    """A key, the data of an object as a whole, or a variable, that an API server refuses.

    Attributes:
        problem: Why.
        place: Where it stands.
    """

    problem: str
    place: Place | None


class TooLarge(NamedTuple):
    """An object that is larger than an API server takes.

    Attributes:
        size: The bytes of all its keys.
        place: The place of the largest of them.
    """

    size: int
    place: Place | None


class Missing(NamedTuple):
    """An object that is not in the input.

    Attributes:
        place: Where the workload names it.
        is_mounted: It is a source of a volume.
        variables: The variables that keys of it set; None if each key sets one.
    """

    place: Place | None
    is_mounted: bool = True
    variables: tuple[str, ...] | None = None


class Absent(NamedTuple):
    """A key that a container names and does not get, so that it does not start.

    Attributes:
        place: Where the container names it.
        is_binary: The object has it in ``binaryData``, of which no variable is made.
    """

    place: Place | None
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The files and variables of one container.

    Attributes:
        workload: The workload; None where objects are checked by themselves.
        container: The container's name.
        volumes: The volumes of the settings class, in its order.
        variables: The environment.
        missing: Objects that are mounted or set variables and are not in the input.
        open_ended: Objects that make variables of their keys and do not show all of them: which variables there are
            is not known.
        refused: What an API server refuses of the objects that the container uses, by object and key; the key is empty
            for the data as a whole.
        refused_variables: What an API server refuses of the variables in the workload, by name.
        too_large: The objects that the container uses and that are too large for an API server.
        absent: The keys that the container names and does not get, so that it does not start.
        place: Where the workload stands, or the first of the objects that are checked by themselves.
        used: The ConfigMaps and Secrets whose keys are files and variables of the container.
        repeated: Those of them that stand in the input more than once, and all their places.
    """

    workload: ObjectId | None
    container: str
    volumes: tuple[MountedVolume, ...]
    variables: Variables = field(default_factory=dict)
    missing: Mapping[ObjectId, Missing] = field(default_factory=dict)
    open_ended: tuple[ObjectId, ...] = ()
    refused: Mapping[tuple[ObjectId, str], Refused] = field(default_factory=dict)
    refused_variables: Mapping[str, Refused] = field(default_factory=dict)
    too_large: Mapping[ObjectId, TooLarge] = field(default_factory=dict)
    absent: Mapping[tuple[ObjectId, str], Absent] = field(default_factory=dict)
    place: Place | None = None
    used: tuple[ObjectId, ...] = ()
    repeated: Mapping[ObjectId, tuple[Place, ...]] = field(default_factory=dict)

    @property
    def mounted(self) -> frozenset[int]:
        """The volumes at which something is mounted, by their index."""
        return frozenset(index for index, volume in enumerate(self.volumes) if volume.mounted)


def of_workload(
    manifests: Manifests,
    workload: Workload,
    paths_of: PathsOf,
    container: str = "",
) -> Iterator[Surroundings]:
    """Each container that mounts something at a volume of the settings class, or below one.

    A container is left out if it mounts something at fewer of the volumes than another one of its pod does: it is an
    init container or a sidecar of the application.

    Args:
        manifests: The input, read with values.
        workload: One of its workloads.
        paths_of: Gives the volumes of the settings class.
        container: The name of the only container to look at; no other leaves it out.
    """
    for template in workload.templates:
        named = (each for each in template.containers if container in ("", each.name))
        tried = (_of_container(manifests, workload, each, paths_of) for each in named)
        found = [each for each in tried if each is not None]
        yield from (each for each in found if not any(each.mounted < other.mounted for other in found))


def of_objects(manifests: Manifests, chosen: Mapping[str, Iterable[ObjectId]], paths: Iterable[str]) -> Surroundings:
    """Objects without a workload, each mounted as a whole.

    Args:
        manifests: The input, read with values.
        chosen: The objects by the path at which they are mounted.
        paths: The volumes of the settings class.
    """
    volumes = []
    missing: dict[ObjectId, Missing] = {}
    for path in paths:
        files: dict[str, File] = {}
        found = {each: manifests.known(each) for each in chosen.get(path, ())}
        missing.update((each, Missing(None)) for each, objects in found.items() if not objects)
        incomplete = any(not objects or not all(data.complete for data in objects) for objects in found.values())
        for data in chain.from_iterable(found.values()):
            files.update((name, _file(FileOrigin(data, key), "")) for name, key in data.keys.items())
        volumes.append(MountedVolume(path, files, incomplete, path in chosen))
    every = tuple(dict.fromkeys(chain.from_iterable(chosen.values())))
    used = _used(manifests, every)
    return Surroundings(
        None,
        "",
        tuple(volumes),
        missing=missing,
        refused=_refused(used),
        too_large=_too_large(used),
        place=next((data.place for data in used), None),
        used=every,
    )


def _folder(mount: Mount) -> str:
    return posixpath.normpath(mount.path).rstrip("/") + "/"


def _around(container: Container, path: str) -> Mount | None:
    """The mount that a directory is, or lies in: the deepest one, which hides the others."""
    found = [mount for mount in container.mounts if f"{path}/".startswith(_folder(mount))]
    return max(found, key=lambda mount: len(_folder(mount)), default=None)


def _mounts_at(container: Container, path: str, variables: Variables) -> list[Mount]:
    """The mounts whose files are in a directory: the one that it is or lies in, and those below it."""
    around = _around(container, path)
    below = [mount for mount in container.mounts if _folder(mount).startswith(f"{path}/") and mount is not around]
    return [around, *below] if around is not None and _makes(around, path, variables) else below


def _makes(mount: Mount, path: str, variables: Variables) -> bool:
    """Whether a directory is the mount, or one that the kubelet makes in it for the paths of its files."""
    if _folder(mount) == f"{path}/":
        return True
    part = sub_path_of(mount, variables)
    if part is None or not mount.volume.holds_files:
        return False
    items = (posixpath.normpath(item.path) for source in mount.volume.sources for item in source.items or ())
    return any(_path_at(mount, path, part, name) for name in chain(items, mount.volume.beside or ()))


def _path_at(mount: Mount, path: str, part: str, name: str) -> str | None:
    """The path of a file of a mount below a directory; empty if the mount is that file, None if it is not there.

    Args:
        mount: The mount.
        path: The directory.
        part: The part of the volume that is mounted.
        name: The path of the file in the volume.
    """
    inner = path_below(part, name)
    if inner is None:
        return None
    place = (_folder(mount) + inner).rstrip("/")
    if place == path and not inner:
        return ""
    return place[len(path) + 1 :] if place.startswith(f"{path}/") else None


def _of_container(
    manifests: Manifests,
    workload: Workload,
    container: Container,
    paths_of: PathsOf,
) -> Surroundings | None:
    """The files and variables of a container; None if it mounts nothing at a volume of the class."""
    variables = variables_of(container, manifests.known)
    paths = paths_of(variables)
    if not any(_mounts_at(container, path, variables) for path in paths):
        return None
    missing = {**_missing_variables(manifests, container), **dict(_missing(manifests, container, paths, variables))}
    volumes = tuple(_volume(manifests, container, path, variables) for path in paths)
    open_ended, used = tuple(_open_ended(manifests, container)), _used(manifests, container.objects)
    return Surroundings(
        workload.id,
        container.name,
        volumes,
        {name: value for name, value in variables.items() if value.is_set is not False},
        missing,
        tuple(source.object for source in open_ended),
        _refused(used),
        {each.name: Refused(each.problem, each.place) for each in container.env if each.problem},
        _too_large(used),
        dict(_absent(manifests, container)),
        workload.place,
        tuple(dict.fromkeys(container.objects)),
    )


def _missing(
    manifests: Manifests, container: Container, paths: Sequence[str], variables: Variables
) -> Iterator[tuple[ObjectId, Missing]]:
    file_mounts = list(container.file_mounts)
    mounts = (mount for path in paths for mount in _mounts_at(container, path, variables) if mount in file_mounts)
    for source in (source for mount in mounts for source in mount.volume.sources):
        if not source.optional and not manifests.known(source.object):
            yield source.object, Missing(source.place)


def _missing_variables(manifests: Manifests, container: Container) -> dict[ObjectId, Missing]:
    """The objects that set variables and are not in the input; one of ``envFrom`` can set any."""
    found: dict[ObjectId, Missing] = {}
    for variable in container.env:
        ref = variable.key_ref
        if ref is not None and not ref.optional and not manifests.known(ref.object):
            before = found.get(ref.object, Missing(ref.place, False, ()))
            found[ref.object] = before._replace(variables=(*(before.variables or ()), variable.name))
    for source in container.env_from:
        if not source.optional and not manifests.known(source.object):
            found[source.object] = Missing(source.place, False)
    return found


def _absent(manifests: Manifests, container: Container) -> Iterator[tuple[tuple[ObjectId, str], Absent]]:
    sources = (source for mount in container.file_mounts for source in mount.volume.sources)
    for source in sources:
        known = manifests.known(source.object)
        if known and all(data.complete for data in known):
            missing = (set(missing_items(source, data)) for data in known)
            absent = set.intersection(*missing)
            yield from (
                ((source.object, item.key), Absent(item.place)) for item in source.items or () if item in absent
            )
    for ref in (variable.key_ref for variable in container.env):
        if ref is not None and not ref.optional:
            known = manifests.known(ref.object)
            if known and all(data.complete and ref.key not in keys_of_variables(data) for data in known):
                yield (ref.object, ref.key), Absent(ref.key_place, any(ref.key in data.keys for data in known))


def _used(manifests: Manifests, objects: Iterable[ObjectId]) -> list[DataObject]:
    return [data for each in dict.fromkeys(objects) for data in manifests.known(each)]


def _refused(used: Iterable[DataObject]) -> dict[tuple[ObjectId, str], Refused]:
    found: dict[tuple[ObjectId, str], Refused] = {}
    for data in used:
        if data.problem:
            found[data.id, ""] = Refused(data.problem, data.place)
        wrong = (key for key in data.keys.values() if key.problem)
        found.update(((data.id, key.name), Refused(key.problem, key.place)) for key in wrong)
    return found


def _too_large(used: Iterable[DataObject]) -> dict[ObjectId, TooLarge]:
    found: dict[ObjectId, TooLarge] = {}
    for data in used:
        sizes = {key: len(data.keys[key].value or b"") for key in data.keys}
        if (size := sum(sizes.values())) > MOST_OF_AN_OBJECT:
            largest = max(sizes, key=sizes.__getitem__)
            found[data.id] = TooLarge(size, data.keys[largest].place)
    return found


def _open_ended(manifests: Manifests, container: Container) -> Iterator[VariableSource]:
    return (source for source in container.env_from if _is_open_ended(manifests, source))


def _volume(manifests: Manifests, container: Container, path: str, variables: Variables) -> MountedVolume:
    files: dict[str, File] = {}
    mounts = _mounts_at(container, path, variables)
    for mount in mounts:
        part = sub_path_of(mount, variables)
        for name, file in _files(manifests, mount, part) if part is not None else ():
            inner = _path_at(mount, path, part or "", name)
            if inner is not None:
                files[inner or name] = file
    around = _around(container, path)
    can_hold = around is not None and _can_hold(around, path)
    incomplete = can_hold or any(_is_incomplete(manifests, mount, path, variables) for mount in mounts)
    return MountedVolume(path, files, incomplete, can_hold or bool(mounts))


def _can_hold(mount: Mount, path: str) -> bool:
    """Whether something that writes to a volume, as git-sync does, can make this directory in it."""
    return mount.volume.beside is None and path.startswith(_folder(mount))


def _is_incomplete(manifests: Manifests, mount: Mount, path: str, variables: Variables) -> bool:
    if mount.volume.beside is None:  # an emptyDir or a storage driver
        return _folder(mount) == f"{path}/" or not mount.whole
    part = sub_path_of(mount, variables)
    if part is None:
        return True
    sources = (source for source in mount.volume.sources if _possible_files(source, part) is None)
    return any(_is_open_ended(manifests, source) for source in sources)


def _is_open_ended(manifests: Manifests, source: VolumeSource | VariableSource) -> bool:
    """Whether an object may have keys that the input does not show."""
    found = manifests.known(source.object)
    return not all(data.complete for data in found) or not (found or source.optional)


def _possible_files(source: VolumeSource, part: str) -> list[tuple[str, str]] | None:
    """The paths of the files that a source can make, each with its key; None if they can have any name.

    Args:
        source: The source.
        part: The part of the volume that is mounted. Without ``items``, it is a key.
    """
    if source.items is not None:
        return [(posixpath.normpath(item.path), item.key) for item in source.items]
    key = part_of(part)
    return [(key, key)] if key else None


def _files(manifests: Manifests, mount: Mount, part: str) -> Iterator[tuple[str, File]]:
    volume = mount.volume
    frozen = "" if mount.whole else "a subPath mount never changes while the container runs"
    yield from ((name, File(None, None, name, volume.place, frozen)) for name in sorted(volume.beside or ()))
    for source in volume.sources if volume.holds_files else ():
        known = manifests.known(source.object)
        for data in known:
            yield from ((name, _file(origin, frozen)) for name, origin in files_of(source, data).items())
        possible = _possible_files(source, part) if _is_open_ended(manifests, source) else None
        hidden = ((name, key) for name, key in possible or () if not any(key in data.keys for data in known))
        yield from ((name, File(None, None, key, source.place, frozen)) for name, key in hidden)


def _file(origin: FileOrigin, frozen: str) -> File:
    why = frozen or WHY_FROZEN.get(cause_in_objects([origin.data]), "")
    return File(origin.key.value, origin.data.id, origin.key.name, origin.key.place, why, origin.data.place)
