"""The uses of ConfigMaps and Secrets by a workload, each live or frozen."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from liveconfig._manifests.kubelet import Known, part_of, path_below
from liveconfig._manifests.objects import DataObject, ObjectId, Place
from liveconfig._manifests.workloads import Container, FileRef, Mount, PodTemplate, Volume, VolumeSource, Workload

NamedKey: TypeAlias = tuple[str, Place | None]
MOUNTS = ("volume", "projected", "subPath", "subPathExpr")
"""The values of `Use.how` for files of a ConfigMap or Secret."""

NO_NAME = "(no name)"
"""What stands for the name of a container without one, as a Knative Service may have it."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a ConfigMap or Secret.

    Attributes:
        object: The ConfigMap or Secret; None for a variable from a file of unknown origin.
        workload: The object that uses it; this includes an Ingress or a ServiceAccount.
        container: The name of the container, empty if it has none; None where no single container uses it.
        run_once: The container is an init container, which has ended before the application starts.
        how: ``env``, ``envFrom``, ``fileKeyRef``, ``volume``, ``projected``, ``subPath``, ``subPathExpr``, ``csi``,
            ``imagePullSecrets``, ``serviceAccount``, ``ingress``, ``gateway``, ``ref-path``, or the field of another
            storage driver.
        keys: The keys that it names, with the place of each; None: all keys.
        target: The path of the mount, or the name of the variable.
        optional: Nothing is wrong where object or key is missing.
        other_paths: If no entry of ``items`` has the path that it names: the paths that it can mean; otherwise empty.
        cause: Why it is frozen, as the rule ``frozen-CAUSE`` has it; empty if it is live.
        why: The same, or why it is live, as a sentence.
        field: The path in the manifest.
        place: Where it stands.
        named_at: Where the object is named.
    """

    object: ObjectId | None
    workload: ObjectId
    container: str | None = None
    run_once: bool = False
    how: str = "volume"
    keys: tuple[NamedKey, ...] | None = None
    target: str = ""
    optional: bool = False
    other_paths: tuple[str, ...] = ()
    cause: str = ""
    why: str = "files change in place"
    field: str = ""
    place: Place | None = None
    named_at: Place | None = None

    @property
    def live(self) -> bool:
        """True if what it reads changes while the container runs."""
        return not self.cause

    @property
    def is_mount(self) -> bool:
        """True if a container mounts it, or a part of it."""
        return self.container is not None and self.how in MOUNTS


class _Part(NamedTuple):
    """What a source has at a path in a volume: its keys there, or a missing key and the paths that it has instead."""

    source: VolumeSource
    keys: tuple[NamedKey, ...] | None
    other_paths: tuple[str, ...] = ()


_DRIVER = "driver"
_CAUSE_OF = {
    "env": "env",
    "envFrom": "env-from",
    "fileKeyRef": "env-file",
    "volume": "",
    "projected": "",
    "subPath": "subpath",
    "subPathExpr": "subpath",
}
WHY_FROZEN = {
    "env": "a variable is set once, when the container starts",
    "env-from": "variables are set once, when the container starts",
    "env-file": "a variable is set once, from a file, when the container starts",
    "subpath": "a subPath mount is never updated",
    "init-only": "an init container runs once, before the application starts",
    "immutable": "the object is immutable: a change means a new object",
    "hashed-name": "its name holds the hash of its content: a change means a new object",
    _DRIVER: "the storage driver reads it when the volume is mounted",
}


def uses_of(workload: Workload, known: Known) -> Iterator[Use]:
    """Yield each use of a ConfigMap or Secret in a workload's pod templates.

    Args:
        workload: The workload.
        known: The ConfigMaps and Secrets of the input.
    """
    for template in workload.templates:
        for use in (*_of_the_pod(workload, template, known), *_of_containers(workload, template, known)):
            if use.object is None or use.object.name:
                yield _with_object_state(use, known)


def _with_object_state(use: Use, known: Known) -> Use:
    """Return the use; frozen if the object itself cannot change, however it is used."""
    cause = cause_in_objects(known(use.object) if use.object else ())
    return replace(use, cause=cause, why=WHY_FROZEN[cause]) if cause else use


def cause_in_objects(objects: Sequence[DataObject]) -> str:
    """Return why no mount of these objects ever changes, as a key of `WHY_FROZEN`; empty if it can."""
    if objects and all(each.immutable for each in objects):
        return "immutable"
    return "hashed-name" if objects and all(each.hashed for each in objects) else ""


def _of_the_pod(workload: Workload, template: PodTemplate, known: Known) -> Iterator[Use]:
    """Yield what belongs to no container: pull secrets, Secrets of storage drivers, sources that nothing mounts."""
    mounted = set(_mounted_sources(template, known))
    for source in template.pull_secrets:
        why = "the kubelet reads it at each image pull"
        yield _source_use(workload, source, how="imagePullSecrets", why=why)
    for volume in template.volumes:
        for source in volume.sources:
            if not volume.holds_files:
                yield _source_use(workload, source, how=source.type, cause=_DRIVER, why=WHY_FROZEN[_DRIVER])
            elif source not in mounted:
                why = "the volume is in the pod, but no container mounts it"
                yield _source_use(workload, source, how=_how(volume), keys=_keys_of(source), why=why)


def _mounted_sources(template: PodTemplate, known: Known) -> Iterator[VolumeSource]:
    for mount in (mount for container in template.containers for mount in container.mounts):
        yield from (part.source for part in _parts(mount.volume, mount.sub_path, known))


def _source_use(workload: Workload, source: VolumeSource, **more: Any) -> Use:
    of = partial(Use, source.object, workload.id, optional=source.optional, field=source.field)
    return of(place=source.place, named_at=source.place, **more)


def _of_containers(workload: Workload, template: PodTemplate, known: Known) -> Iterator[Use]:
    for container in template.containers:
        use = partial(Use, workload=workload.id, container=container.name, run_once=container.type == "init")
        yield from _variables(use, template, container, known)
        for mount in container.mounts:
            yield from _mounted(use, mount, known)


def _variables(use: Any, template: PodTemplate, container: Container, known: Known) -> Iterator[Use]:
    for each in container.env:
        of = partial(use, target=each.name, field=each.field, place=each.place)
        if (ref := each.key_ref) is not None:
            of = partial(of, how="env", keys=((ref.key, ref.key_place),), optional=ref.optional, named_at=ref.place)
            yield of(ref.object, cause="env", why=WHY_FROZEN["env"])
        elif each.file_ref is not None:
            yield from _from_file(partial(of, how="fileKeyRef", cause="env-file"), each.file_ref, template, known)
    for source in container.env_from:
        of = partial(use, field=source.field, place=source.place, optional=source.optional, named_at=source.place)
        yield of(source.object, how="envFrom", cause="env-from", why=WHY_FROZEN["env-from"])


def _from_file(use: Any, ref: FileRef, template: PodTemplate, known: Known) -> Iterator[Use]:
    """Yield what the file is made of: the volume's own sources, or what feeds the containers that can write it."""
    is_written = not ref.volume.holds_files
    fed = [] if is_written else [*_parts(ref.volume, ref.path, known)]
    for container in template.containers if is_written else ():
        mounts = container.mounts
        if any(mount.volume.name == ref.volume.name for mount in mounts):
            fed += [_Part(source, _keys_of(source)) for mount in mounts for source in _files_of(mount.volume)]
    for source, keys, other_paths in fed:
        optional = ref.optional or source.optional
        of = partial(use, keys=keys, other_paths=() if ref.optional else other_paths, optional=optional)
        yield of(source.object, why=WHY_FROZEN["env-file"], named_at=source.place)
    if not fed:
        yield use(None, why=WHY_FROZEN["env-file"])


def _files_of(volume: Volume) -> tuple[VolumeSource, ...]:
    return volume.sources if volume.holds_files else ()


def _mounted(use: Any, mount: Mount, known: Known) -> Iterator[Use]:
    volume = mount.volume
    how = _how(volume) if mount.whole else "subPath" if mount.sub_path else "subPathExpr"
    of = partial(use, how=how, target=mount.path, field=mount.field, place=mount.place)
    for source, keys, other_paths in _parts(volume, mount.sub_path, known) if volume.holds_files else ():
        made = of(source.object, keys=keys, optional=source.optional, other_paths=other_paths, named_at=source.place)
        cause = "init-only" if made.run_once else _CAUSE_OF[how]
        yield replace(made, cause=cause, why=WHY_FROZEN[cause]) if cause else made


def _how(volume: Volume) -> str:
    return "projected" if volume.type == "projected" else "volume"


def _keys_of(source: VolumeSource) -> tuple[NamedKey, ...] | None:
    return None if source.items is None else tuple((item.key, item.place) for item in source.items)


def _parts(volume: Volume, path: str, known: Known) -> Sequence[_Part]:
    """The sources of a volume, with their keys, that can be what is at a path in it; all for the empty path.

    Where none can be, and neither can a token or the like, it is missing from the source whose `items` have that key
    under another path, or else from the first source.
    """
    at = part_of(path)
    if not at:
        return [_Part(source, _keys_of(source)) for source in volume.sources]
    is_beside = volume.beside is not None and any(path_below(at, name) is not None for name in volume.beside)
    parts = [_Part(source, _keys_at(source, at)) for source in volume.sources]
    held = [
        part
        for part in parts
        if part.keys and (part.source.items or _holds(part.source, part.keys, known, if_unknown=not is_beside))
    ]
    if held or is_beside or volume.beside is None:
        return held
    return [_missing(source, at) for source in sorted(volume.sources, key=lambda each: not _paths_of(each, at))[:1]]


def _missing(source: VolumeSource, at: str) -> _Part:
    paths = _paths_of(source, at) or tuple(item.path for item in source.items or ())
    return _Part(source, ((at, source.place),), paths)


def _paths_of(source: VolumeSource, key: str) -> tuple[str, ...]:
    return tuple(item.path for item in source.items or () if item.key == key)


def _keys_at(source: VolumeSource, part: str) -> tuple[NamedKey, ...]:
    """The keys whose files are at a path, or in the folder that it is."""
    if source.items is None:
        return ((part, source.place),) if "/" not in part else ()  # only items make folders
    paths = ((item, posixpath.normpath(item.path)) for item in source.items)
    return tuple((item.key, item.place) for item, path in paths if path_below(part, path) is not None)


def _holds(source: VolumeSource, keys: tuple[NamedKey, ...], known: Known, *, if_unknown: bool) -> bool:
    """Whether the object of a source has one of these keys."""
    objects = known(source.object)
    if any(each.keys.keys() & {name for name, _ in keys} for each in objects):
        return True
    return if_unknown and not (objects and all(each.complete for each in objects))
