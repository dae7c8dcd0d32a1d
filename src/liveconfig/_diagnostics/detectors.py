"""Detectors: each generator finds one kind of cause for stale or frozen values."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from liveconfig import _clock
from liveconfig._diagnostics.process import VOLUMES_VARIABLE, green_threads, in_pod
from liveconfig._diagnostics.reminders import Cause
from liveconfig._loading import Feeds, Frozens, Loaded, Loader, Origins, nearest
from liveconfig._volumes import Frozen
from liveconfig._watching import Mode
from liveconfig.events import Stale
from liveconfig.origin import Origin


@dataclass(frozen=True, slots=True)
class PresentState:
    """The present state, as far as the causes are concerned.

    Attributes:
        loader: With the class, its names and its volumes.
        origins: Tells where values came from.
        applied: What is in use.
        variables: The leaves that a variable of the environment or of ``.env`` holds too.
        frozen: By index of a volume, its parts that can never change.
        vanished: Since when, by field whose key vanished and that fell back.
        watcher: How the settings are woken.
        started_at: When the process started.
        replaced: The volumes that ``LIVECONFIG_VOLUMES`` replaced.
    """

    loader: Loader[Any]
    origins: Origins
    applied: Loaded[Any]
    variables: tuple[str, ...]
    frozen: Frozens
    vanished: Mapping[str, datetime]
    watcher: Mode
    started_at: datetime
    replaced: bool

    @property
    def feeds(self) -> Feeds:
        """What each volume gives."""
        return self.applied.feeds

    def origin(self, name: str) -> Origin:
        """The origin of a leaf."""
        return self.origins.of(name, self.applied, self.frozen, self.vanished)

    def unmeant(self) -> list[str]:
        """The leaves that the environment holds too, save those that are meant to come from there."""
        meant = expected_from_environment(self)
        return [name for name in self.variables if not {name, name.split(".")[0]} & meant]


def detect_causes(state: PresentState) -> Iterator[Cause]:
    """Everything that should be said of the present state."""
    if state.loader.volumes:
        yield from _environment(state)
        yield from _shadowed(state)
        yield from _vanished(state)
        yield from _frozen(state)
        yield from _supplied_twice(state)
        yield from _left_out(state)
    yield from _unknown_names(state)
    yield from _missing(state)
    yield from _polling(state)
    yield from _replaced(state)
    yield from _threads()


def expected_from_environment(state: PresentState) -> frozenset[str]:
    """The fields that the class says are meant to come from the environment."""
    return frozenset(state.loader.cls.model_config.get("from_environment", ()))


Served = list[tuple[str, Origin]]


def _environment(state: PresentState) -> Iterator[Cause]:
    origins = [(name, state.origin(name)) for name in state.unmeant() if name not in state.vanished]
    served = [(name, origin) for name, origin in origins if origin.kind in ("environment", "dotenv")]
    above = [(name, origin) for name, origin in served if any(lost.kind == "volume" for lost in origin.shadows)]
    variables = [each for each in served if each[1].kind == "environment" and each not in above]
    partly = [
        (name, origin) for name, origin in origins if origin.kind == "volume" and state.origins.adds(name, state.feeds)
    ]
    volumes = ", ".join(volume.path for volume in state.loader.volumes)
    yield from _served(
        variables,
        "served by the environment",
        "served by the environment, with the value that it had when this process started, {age} ago: {names}. "
        f"It never changes while the process runs. Mount the key {_key(variables)} on a volume ({volumes}), or name "
        "the field in from_environment if it is meant to be so",
        state.started_at,
    )
    yield from _served(
        [each for each in served if each[1].kind == "dotenv" and each not in above],
        "served by a .env file",
        "served by a .env file, as it was when these settings were loaded, {age} ago: {names}. It is not read again. "
        f"Mount the key on a volume ({volumes}), or name the field in from_environment if it is meant to be so",
    )
    yield from _served(
        above,
        "served by the environment above a volume",
        "served by the environment, which this class puts above its volumes, with a value that is {age} old: {names}. "
        "It never changes while the process runs, whatever the volume holds",
    )
    yield from _served(
        partly,
        "entries from the environment",
        "the environment adds entries to what the volume holds: {names}. They are as they were when this process "
        "started, {age} ago, and never change while it runs",
        state.started_at,
    )


def _served(found: Served, key: str, text: str, since: datetime | None = None) -> Iterator[Cause]:
    if found:
        times = {name: since or origin.since or _clock.now() for name, origin in found}
        stale = tuple(Stale(name, origin, "environment", times[name]) for name, origin in found)
        yield Cause((key,), text, stale=stale)


def _key(found: Served) -> str:
    return found[0][0].replace(".", "/").replace("_", "-") if found else ""


def _shadowed(state: PresentState) -> Iterator[Cause]:
    found = [
        (name, origin)
        for name in state.unmeant()
        if (origin := state.origin(name)).kind == "volume"
        if any(other.kind == "environment" for other in origin.shadows) and state.origins.differs(name, state.feeds)
    ]
    if found:
        yield Cause(
            ("variable differs from the volume",),
            "the environment holds another value than the volume for: {names}. The volume wins, by design, because "
            "only it can be fresh; the variable is stale, which matters to child processes and other readers",
            stale=tuple(Stale(name, origin, "shadowed-environment", _clock.now()) for name, origin in found),
            reminded=False,
        )


def _vanished(state: PresentState) -> Iterator[Cause]:
    fields = [(name, state.origin(name)) for name in state.vanished]
    if fields:
        yield Cause(
            ("key vanished",),
            "the key vanished from its volume, {age} ago, and the field fell back to "
            f"{' and '.join(sorted({_kind(origin) for _, origin in fields}))}: {{names}}",
            stale=tuple(Stale(name, origin, "vanished", state.vanished[name]) for name, origin in fields),
        )


def _left_out(state: PresentState) -> Iterator[Cause]:
    if not state.loader.sources.has_volumes:
        yield Cause(
            ("volumes are left out",),
            f"the settings_customise_sources of {state.loader.cls.__name__} leaves file_secret_settings out, which "
            f"stands for its volumes: nothing is taken from {', '.join(each.path for each in state.loader.volumes)}",
        )


def _unknown_names(state: PresentState) -> Iterator[Cause]:
    plan = state.loader.plan
    for name in sorted(expected_from_environment(state)):
        if plan.node(name) is None:
            close = nearest(name, plan.fields)
            hint = f"; did you mean {close!r}?" if close else ""
            yield Cause(
                ("from_environment names no field", name),
                f"from_environment of {state.loader.cls.__name__} names {name!r}, which is no field{hint}",
                reminded=False,
            )


def _kind(origin: Origin) -> str:
    return "its default" if origin.kind == "default" else f"the {origin.kind}"


def _frozen(state: PresentState) -> Iterator[Cause]:
    for index, parts in state.frozen.items():
        path = state.loader.volumes[index].path
        for part, frozen in parts.items():
            where = f"{path}/{part}" if part else path
            fed = ((name, state.origin(name)) for name in state.feeds[index].keys)
            stale = (
                Stale(name, origin, frozen.reason, _clock.now()) for name, origin in fed if _is_from(origin, where)
            )
            yield _mount_cause(where, frozen, tuple(stale))


def _is_from(origin: Origin, where: str) -> bool:
    path = str(origin.path)
    return origin.kind == "volume" and not origin.live and (path == where or path.startswith(where + "/"))


def _mount_cause(where: str, frozen: Frozen, fields: tuple[Stale, ...]) -> Cause:
    remedy = ". Mount the whole volume instead" if frozen.reason == "subpath" else ""
    if frozen.reason == "stale-mount":
        text = f"{where} is a stale mount: its directory was deleted on the node, nothing that is written arrives here"
    elif frozen.stale:
        text = f"{where} is a subPath mount and is stale: the volume has moved on, this file never will"
    else:
        text = f"{where} is a subPath mount: the kubelet never updates those (kubernetes#50345)"
    return Cause(
        (frozen.reason, where),
        f"{text}. Until the container restarts it stays as it is{remedy}" + (". Fields: {names}" if fields else ""),
        logging.ERROR if frozen.stale else logging.WARNING,
        fields,
        problem=frozen.stale,
    )


def _supplied_twice(state: PresentState) -> Iterator[Cause]:
    if len(state.feeds) < 2:
        return
    counted = Counter(name for each in state.feeds for name in each.keys)
    for name in (name for name, count in counted.items() if count > 1):
        origin = state.origin(name)
        losers = [other for other in origin.shadows if other.kind == "volume"]
        if origin.kind == "volume" and losers and state.origins.is_secret(name, state.feeds):
            yield Cause(
                ("secret supplied twice", name),
                f"the secret {name} is supplied by {origin.path} and by {losers[0].path}: the first of them wins",
                reminded=False,
            )


def _missing(state: PresentState) -> Iterator[Cause]:
    for volume, each in zip(state.loader.volumes, state.feeds, strict=True):
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


def _polling(state: PresentState) -> Iterator[Cause]:
    if state.watcher == "polling":
        yield Cause(
            ("polling instead of inotify",),
            "inotify cannot be had for every volume (out of instances or watches, or the directory may not be read): "
            "the volumes are looked at every 2 s instead",
        )


def _replaced(state: PresentState) -> Iterator[Cause]:
    if state.replaced:
        paths = os.pathsep.join(volume.path for volume in state.loader.volumes)
        yield Cause(
            (f"{VOLUMES_VARIABLE} is set",),
            f"{VOLUMES_VARIABLE} is set: the volumes of {state.loader.cls.__name__} are replaced by {paths}",
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


def frozen_fields(state: PresentState, origins: Mapping[str, Origin]) -> tuple[str, ...]:
    """The fields that cannot change although the class has volumes."""
    meant = expected_from_environment(state)
    if not state.loader.volumes:
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
