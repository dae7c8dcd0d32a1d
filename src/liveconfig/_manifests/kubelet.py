"""The kubelet's rules: the files and variables that a container gets from ConfigMaps and Secrets.

One copy of the rules, for manifests (``liveconfig check``) and for a cluster (``liveconfig status`` and ``sync``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from liveconfig._manifests.objects import DataKey, DataObject, ObjectId, Place
from liveconfig._manifests.workloads import Container, Item, KeyRef, Mount, Variable, VolumeSource

Known: TypeAlias = Callable[[ObjectId], Sequence[DataObject]]
"""Gives the ConfigMaps and Secrets that have a name; several where the input repeats itself."""


class FileOrigin(NamedTuple):
    """The key that becomes a file of a volume, and its object."""

    data: DataObject
    key: DataKey


@dataclass(frozen=True, slots=True)
class VariableValue:
    """One variable of the environment.

    Attributes:
        text: Its value; None if it is not known.
        set_at: The place in the workload.
        object: The ConfigMap or Secret that it comes from.
        place: The place of the value.
        key: The key that it comes from; None: the object has no such key, or is not known, or it is no key's.
        is_set: Whether the kubelet sets it; None if that depends on the version of the kubelet.
    """

    text: str | None = field(repr=False)
    set_at: Place | None
    object: ObjectId | None = None
    place: Place | None = None
    key: DataKey | None = None
    is_set: bool | None = True


def files_of(source: VolumeSource, data: DataObject) -> dict[str, FileOrigin]:
    """The files that the kubelet writes for one source of a volume, by path (kubernetes, configmap.MakePayload).

    Args:
        source: The source.
        data: Its ConfigMap or Secret.
    """
    if source.items is None:
        return {name: FileOrigin(data, key) for name, key in data.keys.items()}
    named = (item for item in source.items if item.key in data.keys)
    return {posixpath.normpath(item.path): FileOrigin(data, data.keys[item.key]) for item in named}


def missing_items(source: VolumeSource, data: DataObject) -> list[Item]:
    """The entries of ``items`` without a key: unless the source is optional, the kubelet does not write the volume."""
    return [] if source.optional else [item for item in source.items or () if item.key not in data.keys]


def part_of(sub_path: str) -> str:
    """The part of a volume that a subPath names, without needless dots and slashes; empty for the whole."""
    part = posixpath.normpath(sub_path.strip("/") or ".")
    return "" if part == "." else part


def path_below(sub_path: str, name: str) -> str | None:
    """The path of a file below its mount; empty if the mount is this file, None if the file is not in the mount.

    Args:
        sub_path: The part of the volume that is mounted; empty for the whole.
        name: The path of the file in the volume.
    """
    part = part_of(sub_path)
    if not part:
        return name
    if name == part:
        return ""
    return name[len(part) + 1 :] if name.startswith(f"{part}/") else None


def sub_path_of(mount: Mount, variables: Mapping[str, VariableValue]) -> str | None:
    """The part of the volume that is mounted; empty for the whole, None if it holds a variable that is not known.

    Args:
        mount: The mount.
        variables: Those of the container, which ``subPathExpr`` may name.
    """
    if not mount.sub_path_expr:
        return mount.sub_path
    names = (match[1] for match in _REFERENCE.finditer(mount.sub_path_expr) if match[1] is not None)
    return _expanded(mount.sub_path_expr, variables) if all(name in variables for name in names) else None


def variables_of(container: Container, known: Known) -> dict[str, VariableValue]:
    """The variables that the manifest of a container sets, as the kubelet makes them.

    ``env`` wins over ``envFrom``, and a later entry over an earlier one; an optional key that does not exist leaves
    what ``envFrom`` set (kubernetes, Kubelet.makeEnvironmentVariables).

    Args:
        container: The container.
        known: The ConfigMaps and Secrets.
    """
    found = dict(_from_objects(container, known))
    for variable in container.env:
        if variable.key_ref is not None:
            value = _from_key_ref(variable, variable.key_ref, known)
            if value.is_set or variable.name not in found:
                found[variable.name] = value
        else:
            set_here = {name: each for name, each in found.items() if each.is_set is not False}
            text = None if variable.value is None else _expanded(variable.value, set_here)
            found[variable.name] = VariableValue(text, variable.place, None, variable.place)
    return {name: value for name, value in found.items() if name and not {"=", "\0"} & set(name)}


def _from_objects(container: Container, known: Known) -> Iterator[tuple[str, VariableValue]]:
    for source in container.env_from:
        for data in known(source.object):
            for key in keys_of_variables(data).values():
                name = source.prefix + key.name
                yield name, _from_key(source.place, data, key, is_set=True if _is_portable(name) else None)


def keys_of_variables(data: DataObject) -> dict[str, DataKey]:
    """The keys that can become variables: the kubelet does not look in ``binaryData`` (makeEnvironmentVariables)."""
    return {name: key for name, key in data.keys.items() if not key.binary}


def _from_key_ref(variable: Variable, ref: KeyRef, known: Known) -> VariableValue:
    objects = known(ref.object)
    for data in objects:
        if key := keys_of_variables(data).get(ref.key):
            return _from_key(variable.place, data, key)
    left_out = ref.optional and bool(objects) and all(data.complete for data in objects)
    return VariableValue(None, variable.place, ref.object, is_set=not left_out)


def _from_key(set_at: Place | None, data: DataObject, key: DataKey, *, is_set: bool | None = True) -> VariableValue:
    text = None if key.value is None or is_set is None else key.value.decode("utf-8", "surrogateescape")
    return VariableValue(text, set_at, data.id, key.place, key, is_set)


def _is_portable(name: str) -> bool:
    """Whether every kubelet makes a variable of the name. Those before 1.34 leave others out (IsEnvVarName)."""
    return _PORTABLE.fullmatch(name) is not None and name != "." and not name.startswith("..")


_PORTABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def _expanded(value: str, variables: Mapping[str, VariableValue]) -> str | None:
    """Expand ``$(NAME)`` in a value, as the kubelet does; None if it needs a value that is not known.

    ``$$`` means ``$``; an unknown name stays as it is (kubernetes, expansion/expand.go). The kubelet also knows the
    variables of Services, which no manifest of a workload shows.
    """
    names = [match[1] for match in _REFERENCE.finditer(value) if match[1] is not None]
    if any(variables[name].text is None if name in variables else _OF_A_SERVICE.fullmatch(name) for name in names):
        return None

    def replaced(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return variables[match[1]].text or "" if match[1] in variables else match[0]

    return _REFERENCE.sub(replaced, value)


_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_OF_A_SERVICE = re.compile(r"[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_[A-Z]+(_[A-Z]+)?)?)")
