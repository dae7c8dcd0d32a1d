"""The volumes of one settings object: those of the class, of `_volumes=`, and of `LIVECONFIG_VOLUMES`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from liveconfig._loading.class_checks import volume_problems
from liveconfig._loading.documents import as_documents
from liveconfig._volumes import Volume
from liveconfig.exceptions import LiveConfigError

VOLUMES_VARIABLE = "LIVECONFIG_VOLUMES"

VolumePath = str | os.PathLike[str] | Volume


class ChosenVolumes(NamedTuple):
    """The volumes of one settings object, the strongest last.

    Attributes:
        volumes: The volumes, with absolute paths.
        replaced: Whether `LIVECONFIG_VOLUMES` replaced some of the declared ones.
        ignored: The paths of its pairs for volumes that the class does not declare.
    """

    volumes: tuple[Volume, ...]
    replaced: bool = False
    ignored: tuple[str, ...] = ()


class Replacement(NamedTuple):
    """The value of `LIVECONFIG_VOLUMES`: pairs (the new path by the declared one), or paths for all volumes."""

    pairs: Mapping[str, str]
    paths: tuple[str, ...] = ()


def choose_volumes(declared: Any, given: Any, variable: str) -> ChosenVolumes:
    """Choose the volumes of a settings object.

    Args:
        declared: The class's ``volumes``.
        given: ``_volumes=``, which overrides the variable; None if it was not given.
        variable: The value of `LIVECONFIG_VOLUMES`.

    Raises:
        LiveConfigError: An entry is not a path, or the variable cannot be parsed.
    """
    volumes = _volumes(declared if given is None else given)
    if given is not None or not variable:
        return ChosenVolumes(volumes)
    replacement = parse_variable(variable)
    if replacement.paths:
        secret = any(volume.secret for volume in volumes)
        paths = (_absolute(Volume(path, required=False, secret=secret)) for path in replacement.paths)
        return ChosenVolumes(tuple(paths), replaced=True)
    known = {volume.path for volume in volumes}
    ignored = tuple(path for path in replacement.pairs if path not in known)
    replaced = tuple(_replaced(volume, replacement.pairs) for volume in volumes)
    return ChosenVolumes(replaced, replaced != volumes, ignored)


def volume_error(volumes: Iterable[Volume]) -> str | None:
    """Return why the volumes cannot be read: one is a file, or a required one is missing; None if they can."""
    for volume in volumes:
        if os.path.isfile(volume.path):
            folder, name = os.path.split(volume.path)
            return (
                f"the volume {volume.path} is a file, not a directory: name the directory {folder}, and the file in "
                f"`{as_documents([name])}` if it contains several fields"
            )
        if volume.required and not os.path.isdir(volume.path):
            return f"the volume {volume.path} is required, and there is no such directory"
    return None


def parse_variable(value: str) -> Replacement:
    """Parse the value of `LIVECONFIG_VOLUMES`; an empty one counts as not set.

    Raises:
        LiveConfigError: It mixes pairs and paths, or names one volume twice.
    """
    entries = [entry for entry in value.split(os.pathsep) if entry]
    pairs = [tuple(entry.split("=", 1)) for entry in entries if os.path.isabs(entry) and "=" in entry]
    if not pairs:
        return Replacement({}, tuple(entries))
    if len(pairs) < len(entries):
        raise LiveConfigError(
            f"{VOLUMES_VARIABLE} contains both pairs (/etc/config=./config) and plain paths: use either pairs, which "
            "replace single volumes, or paths, which replace all of them"
        )
    found: dict[str, str] = {}
    for before, after in pairs:
        path = os.path.normpath(before)
        if not after or path in found:
            problem = "twice" if after else "without a path after `=`"
            raise LiveConfigError(f"{VOLUMES_VARIABLE} names the volume {path} {problem}")
        found[path] = after
    return Replacement(found)


def paths_in_variable(value: str) -> frozenset[str]:
    """Return the absolute paths of the directories that `LIVECONFIG_VOLUMES` puts in the place of volumes."""
    replacement = parse_variable(value)
    paths = (*replacement.paths, *replacement.pairs.values())
    return frozenset(_absolute(Volume(path)).path for path in paths)


def declared_paths(declared: Any) -> frozenset[str]:
    """Return the absolute paths of the volumes that a class declares; none if an entry is not a path."""
    try:
        return frozenset(volume.path for volume in _volumes(declared))
    except LiveConfigError:
        return frozenset()


def _volumes(given: VolumePath | Sequence[VolumePath] | None) -> tuple[Volume, ...]:
    several = given if isinstance(given, Iterable) and not isinstance(given, (str, bytes, os.PathLike)) else (given,)
    problems = [problem for each in several for problem in volume_problems(each)]
    if problems:
        raise LiveConfigError(problems[0])
    return tuple(_absolute(each if isinstance(each, Volume) else Volume(each)) for each in several if each is not None)


def _absolute(volume: Volume) -> Volume:
    path = os.path.abspath(os.path.expanduser(volume.path))
    return volume if path == volume.path else Volume(path, required=volume.required, secret=volume.secret)


def _replaced(volume: Volume, pairs: Mapping[str, str]) -> Volume:
    path = pairs.get(volume.path)
    return volume if path is None else _absolute(Volume(path, required=volume.required, secret=volume.secret))
