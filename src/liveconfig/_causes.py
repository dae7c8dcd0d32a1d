"""Finding what to say: each generator here looks for one kind of cause in the present state."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from liveconfig._origin import Origin
from liveconfig._process import VOLUMES_VARIABLE, green_threads, in_pod
from liveconfig._reading.load import Feeds, Loader
from liveconfig._reading.mounts import Frozen
from liveconfig._staleness import Cause

Frozens = Mapping[int, Mapping[str, Frozen]]


@dataclass(frozen=True, slots=True)
class Scene:
    """The present state, as far as the causes are concerned.

    Attributes:
        loader: With the class, its names and its volumes.
        feeds: The applied ones.
        origin: The origin of a leaf.
        variables: The leaves that a variable of the environment or of ``.env`` holds too.
        frozen: By index of a volume, its parts that can never change.
        vanished: Since when, by field whose key vanished and that fell back.
        watcher: How the settings are woken.
        started_at: When the process started.
        replaced: The volumes that ``LIVECONFIG_VOLUMES`` replaced.
    """

    loader: Loader[Any]
    feeds: Feeds
    origin: Callable[[str], Origin]
    variables: tuple[str, ...]
    frozen: Frozens
    vanished: Mapping[str, datetime]
    watcher: str
    started_at: datetime
    replaced: bool


def causes(scene: Scene) -> Iterator[Cause]:
    """Everything that should be said of the present state."""
    if scene.loader.volumes and scene.loader.sources.has_volumes:
        yield from _environment(scene)
        yield from _shadowed(scene)
        yield from _vanished(scene)
        yield from _frozen(scene)
        yield from _supplied_twice(scene)
    yield from _missing(scene)
    yield from _polling(scene)
    yield from _replaced(scene)
    yield from _threads()


def expected_from_environment(scene: Scene) -> frozenset[str]:
    """The fields that the class says are meant to come from the environment."""
    return frozenset(scene.loader.cls.model_config.get("from_environment", ()))


def _environment(scene: Scene) -> Iterator[Cause]:
    meant = expected_from_environment(scene)
    unmeant = [name for name in scene.variables if not {name, name.split(".")[0]} & meant]
    found = [
        (name, origin)
        for name in unmeant
        if (origin := scene.origin(name)).kind in ("environment", "dotenv") and name not in scene.vanished
    ]
    if found:
        yield Cause(
            ("served by the environment",),
            "served by the environment, with the value that it had when this process started, {age} ago: {names}. "
            f"It never changes while the process runs. Mount the key {_key(found[0][0])} on a volume "
            f"({', '.join(volume.path for volume in scene.loader.volumes)}), or name the field in from_environment if "
            "it is meant to be so",
            stale=tuple((name, origin, "environment") for name, origin in found),
            since=scene.started_at,
        )


def _key(name: str) -> str:
    return name.replace(".", "/").replace("_", "-")


def _shadowed(scene: Scene) -> Iterator[Cause]:
    meant = expected_from_environment(scene)
    unmeant = [name for name in scene.variables if not {name, name.split(".")[0]} & meant]
    found = [
        (name, origin)
        for name in unmeant
        if (origin := scene.origin(name)).kind == "volume"
        if any(other.kind == "environment" for other in origin.shadows) and differs(scene, name)
    ]
    if found:
        yield Cause(
            ("variable differs from the volume",),
            "the environment holds another value than the volume for: {names}. The volume wins, by design, because "
            "only it can be fresh; the variable is stale, which matters to child processes and other readers",
            stale=tuple((name, origin, "shadowed-environment") for name, origin in found),
            reminded=False,
        )


def differs(scene: Scene, name: str) -> bool:
    """Whether the volumes and the environment would give a field different values: ``8000`` is ``"8000"`` for an int."""
    fed: Any = None
    for each in scene.feeds:
        value = scene.loader.value_in(each.values, name)
        fed = value if value is not None else fed
    layers = (layer for layer in scene.loader.sources.layers if layer.kind == "environment")
    held = [value for layer in layers if (value := scene.loader.value_in(layer.values, name)) is not None]
    return any(not scene.loader.alike(name, fed, value) for value in held)


def _vanished(scene: Scene) -> Iterator[Cause]:
    fields = [(name, scene.origin(name)) for name in scene.vanished]
    if fields:
        yield Cause(
            ("key vanished",),
            "the key vanished from its volume, {age} ago, and the field fell back to "
            f"{' and '.join(sorted({_kind(origin) for _, origin in fields}))}: {{names}}",
            stale=tuple((name, origin, "vanished") for name, origin in fields),
            since=min(scene.vanished.values()),
            began=scene.vanished,
        )


def _kind(origin: Origin) -> str:
    return "its default" if origin.kind == "default" else f"the {origin.kind}"


def _frozen(scene: Scene) -> Iterator[Cause]:
    for index, parts in scene.frozen.items():
        path = scene.loader.volumes[index].path
        for part, frozen in parts.items():
            where = f"{path}/{part}" if part else path
            fed = ((name, scene.origin(name)) for name in scene.feeds[index].keys)
            fields = tuple((name, origin, frozen.reason) for name, origin in fed if _is_from(origin, where))
            yield _mount_cause(where, frozen, fields)


def _is_from(origin: Origin, where: str) -> bool:
    path = str(origin.path)
    return origin.kind == "volume" and not origin.live and (path == where or path.startswith(where + "/"))


def _mount_cause(where: str, frozen: Frozen, fields: tuple[Any, ...]) -> Cause:
    if frozen.reason == "stale-mount":
        text = f"{where} is a stale mount: its directory was deleted on the node, nothing that is written arrives here"
    elif frozen.stale:
        text = f"{where} is a subPath mount and is stale: the volume has moved on, this file never will"
    else:
        text = f"{where} is a subPath mount: the kubelet never updates those (kubernetes#50345)"
    return Cause(
        (frozen.reason, where),
        text + ". Until the container restarts it stays as it is. Mount the whole volume instead" + _fields(fields),
        logging.ERROR if frozen.stale else logging.WARNING,
        fields,
        problem=frozen.stale,
    )


def _fields(fields: tuple[Any, ...]) -> str:
    return ". Fields: {names}" if fields else ""


def _supplied_twice(scene: Scene) -> Iterator[Cause]:
    if len(scene.feeds) < 2:
        return
    counted = Counter(name for each in scene.feeds for name in each.keys)
    for name in (name for name, count in counted.items() if count > 1):
        origin = scene.origin(name)
        losers = [other for other in origin.shadows if other.kind == "volume"]
        if origin.kind == "volume" and losers and scene.loader.is_secret(name, scene.feeds):
            yield Cause(
                ("secret supplied twice", name),
                f"the secret {name} is supplied by {origin.path} and by {losers[0].path}: the first of them wins",
                reminded=False,
            )


def _missing(scene: Scene) -> Iterator[Cause]:
    for volume, each in zip(scene.loader.volumes, scene.feeds, strict=True):
        if each.revision.mode == "missing" and volume.required is not False:
            fault = in_pod()
            yield Cause(
                ("volume is missing", volume.path),
                f"the volume {volume.path} is missing: there is no such directory (since {{age}}). Its fields come "
                "from elsewhere; it is picked up when it appears",
                logging.WARNING if fault else logging.INFO,
                reminded=fault,
                problem=fault,
            )


def _polling(scene: Scene) -> Iterator[Cause]:
    if scene.watcher == "polling":
        yield Cause(
            ("polling instead of inotify",),
            "inotify cannot be had for every volume (out of instances or watches, or the directory may not be read): "
            "the volumes are looked at every 2 s instead",
        )


def _replaced(scene: Scene) -> Iterator[Cause]:
    if scene.replaced:
        paths = os.pathsep.join(volume.path for volume in scene.loader.volumes)
        yield Cause(
            (f"{VOLUMES_VARIABLE} is set",),
            f"{VOLUMES_VARIABLE} is set: the volumes of {scene.loader.cls.__name__} are replaced by {paths}",
            reminded=False,
        )


def _threads() -> Iterator[Cause]:
    library = green_threads()
    if library is not None:
        yield Cause(
            ("threads are replaced", library),
            f"{library} has replaced this process's threads: liveconfig cannot wake by itself here, and settings stay "
            "as they are until somebody calls reload(). Use a worker class with real threads",
            problem=True,
        )


def frozen_fields(scene: Scene, origins: Mapping[str, Origin]) -> tuple[str, ...]:
    """The fields that cannot change although the class has volumes."""
    meant = expected_from_environment(scene)
    if not scene.loader.volumes:
        return ()
    return tuple(
        name
        for name, origin in origins.items()
        if (origin.kind == "volume" and not origin.live)
        or (origin.kind in ("environment", "dotenv") and not {name, name.split(".")[0]} & meant)
    )


def describe_frozen(parts: Mapping[str, Frozen]) -> dict[str, str]:
    """Why, by key, in a few words."""
    return {part: frozen.reason + (" (stale)" if frozen.stale else "") for part, frozen in parts.items()}
