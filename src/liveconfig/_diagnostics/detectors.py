"""Detectors: each generator finds one kind of cause for stale or frozen values."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from liveconfig import _clock
from liveconfig._diagnostics.frozen import detect_frozen_sources, document_remedy, is_on_a_volume, is_read_once
from liveconfig._diagnostics.present_state import GoneEntries, PresentState, expected_from_environment
from liveconfig._diagnostics.process import green_threads, in_pod
from liveconfig._diagnostics.reminders import Cause, Fields, OriginOf
from liveconfig._diagnostics.wording import did_you_mean, names, names_with_variables, now_from, one_of
from liveconfig._loading import (
    VOLUMES_VARIABLE,
    Plan,
    accepts_any_argument,
    documents_of,
    dropped_volumes,
    missing_documents,
    nearest,
)
from liveconfig._volumes import Frozen
from liveconfig._watching import POLLING
from liveconfig.events import Stale
from liveconfig.origin import Origin

_KEY = r"[-._a-zA-Z0-9]+"
"""The characters of a key of a ConfigMap or Secret."""


def detect_causes(state: PresentState) -> Iterator[Cause]:
    """Yield every cause to report about the present state."""
    yield from _environment(state)
    if state.loader.volumes:
        yield from _shadowed(state)
        yield from _vanished(state)
        yield from _gone_entries(state)
        yield from _restart_pending(state)
        yield from _frozen(state)
        yield from _supplied_twice(state)
        yield from _left_out(state)
        yield from _missing_documents(state)
        yield from _without_prefix(state)
        yield from _holds_only_volumes(state)
    yield from detect_frozen_sources(state)
    yield from _dropped(state)
    yield from _unknown_names(state)
    yield from _missing(state)
    yield from _polling(state)
    yield from _replaced(state)
    yield from _threads()


Served = list[tuple[str, Origin]]


def _environment(state: PresentState) -> Iterator[Cause]:
    origins = [(name, state.origin_of_source(name)) for name in state.unexpected() if name not in state.vanished]
    if not origins:
        return
    served = [each for each in origins if each[1].kind in ("environment", "dotenv") and is_read_once(state, each[1])]
    above = [(name, origin) for name, origin in served if any(lost.kind == "volume" for lost in origin.shadows)]
    variables = [each for each in served if each[1].kind == "environment" and each not in above]
    files = [each for each in served if each[1].kind == "dotenv" and each not in above]
    partly = [
        (name, origin) for name, origin in origins if origin.kind == "volume" and state.origins.adds(name, state.feeds)
    ]
    mount, move = partial(_mount_or_expect, state), partial(_move_or_expect, state)
    yield from _served("environment", variables, partial(_reads_variables, mount), state.started_at)
    yield from _served("dotenv", files, partial(_reads_files, state))
    yield from _served("environment above the volumes", above, _reads_above)
    yield from _served("entries from the environment", partly, partial(_adds_entries, move), state.started_at)


def _served(
    key: str, found: Served, text: Callable[[Fields, str], str], since: datetime | None = None
) -> Iterator[Cause]:
    if found:
        times = {name: since or origin.since or _clock.now() for name, origin in found}
        stale = tuple(Stale(name, origin, "environment", times[name]) for name, origin in found)
        yield Cause((key,), text, _now_from, stale=stale)


def _now_from(fields: Fields, origin_of: OriginOf) -> str:
    return now_from({stale.field: origin_of(stale.field) for stale in fields})


def _mount_or_expect(state: PresentState, fields: Fields) -> str:
    return f"Mount {_keys_to_mount(state, fields)}, or list the {_field_or_fields(fields)} in `from_environment`"


def _move_or_expect(state: PresentState, fields: Fields) -> str:
    """The same where the volume feeds the fields too: a variable that stays keeps its entries there."""
    return f"Move them to {_keys_to_mount(state, fields)}, or list the {_field_or_fields(fields)} in `from_environment`"


def _field_or_fields(fields: Fields) -> str:
    return "field" if len(fields) == 1 else "fields"


def _keys_to_mount(state: PresentState, fields: Fields) -> str:
    paths = one_of(state.paths)
    if len(fields) > 1:
        return f"their keys in {paths}"
    key = _key_to_mount(state.loader.plan, fields[0].field)
    return f"the key `{key}` in {paths}" if key else f"a key that `Key(...)` gives the field in {paths}"


def _key_to_mount(plan: Plan, dotted: str) -> str | None:
    """A key that feeds a field, or a model around it, and that a ConfigMap may have; None if there is none."""
    parts = dotted.split(".")
    around = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    keys = (key for name in around if plan.node(name) for key in plan.keys_for(name))
    return next((key for key in keys if re.fullmatch(_KEY, key)), None)


def _reads_variables(remedy: Callable[[Fields], str], fields: Fields, age: str) -> str:
    which = "cannot change while this process runs"
    if len(fields) == 1:
        read = f"`{fields[0].field}` is read from the environment variable {fields[0].origin.name} and {which}"
        return f"{read} (started {age} ago). {remedy(fields)}"
    read = f"{len(fields)} fields are read from environment variables and {which}"
    return f"{read} (started {age} ago): {names_with_variables(fields)}. {remedy(fields)}"


def _reads_files(state: PresentState, fields: Fields, age: str) -> str:
    files = tuple(dict.fromkeys(file for stale in fields for file in state.origins.files(stale.origin)))
    mounted = [each for each in files if is_on_a_volume(state, each)]
    which = "the field" if len(fields) == 1 else "the fields"
    remedy = _mount_or_expect(state, fields)
    if mounted:
        document = document_remedy(state, mounted, "dotenv")
        which_file = "it" if len(mounted) == 1 else "them"
        remedy = f"Remove {which_file} from `env_file` and {document}, or list {which} in `from_environment`"
    return (
        f"{names_with_variables(fields)} {_is(fields)} read from {', '.join(files)} and cannot change while this "
        f"process runs (read {age} ago). {remedy}"
    )


def _reads_above(fields: Fields, age: str) -> str:
    return (
        f"{names_with_variables(fields)} {_is(fields)} read from the environment, which `settings_customise_sources` "
        f"of this class puts above the volumes, and cannot change while this process runs (read {age} ago), whatever "
        "the volume contains. Return `file_secret_settings` before `env_settings` there"
    )


def _adds_entries(remedy: Callable[[Fields], str], fields: Fields, age: str) -> str:
    return (
        f"{names_with_variables(fields)} {_has(fields)} entries from the environment beside those of the volume; they "
        f"cannot change while this process runs (started {age} ago). {remedy(fields)}"
    )


def _is(fields: Fields) -> str:
    return "is" if len(fields) == 1 else "are"


def _has(fields: Fields) -> str:
    return "has" if len(fields) == 1 else "have"


def _shadowed(state: PresentState) -> Iterator[Cause]:
    found = [
        (name, origin)
        for name in state.unexpected()
        if (origin := state.origin_of_source(name)).kind == "volume"
        if any(other.kind == "environment" for other in origin.shadows) and state.origins.differs(name, state.feeds)
    ]
    if found:
        yield Cause(
            ("shadowed variable",),
            _differs,
            lambda fields, _: f"{names(fields)} no longer {_differ(fields)} between the volume and the environment",
            stale=tuple(Stale(name, origin, "shadowed-environment", _clock.now()) for name, origin in found),
            reminded=False,
        )


def _differs(fields: Fields, age: str) -> str:  # noqa: ARG001 - it is logged once
    return (
        f"{names_with_variables(fields)} {_differ(fields)} between the volume and the environment. The volume is used, "
        "because only the volume can change. Remove the variable from the pod: child processes and other readers of "
        "the environment see the old value"
    )


def _differ(fields: Fields) -> str:
    return "differs" if len(fields) == 1 else "differ"


def _vanished(state: PresentState) -> Iterator[Cause]:
    if state.vanished:
        stale = tuple(
            Stale(name, state.origin_of_source(name), "vanished", since) for name, since in state.vanished.items()
        )
        yield Cause(("key removed",), _fell_back, _now_from, stale=stale)


def _fell_back(fields: Fields, age: str) -> str:
    now = now_from({stale.field: stale.origin for stale in fields})
    keys = "the key was" if len(fields) == 1 else "the keys were"
    return f"{keys} removed from the volume {age} ago: {now}. Restore {'it' if len(fields) == 1 else 'them'} if needed"


def _gone_entries(state: PresentState) -> Iterator[Cause]:
    for field, gone in state.gone_entries.items():
        yield Cause(
            ("entry removed", field),
            partial(_is_gone, gone),
            partial(_is_there_again, gone),
            stale=(Stale(field, state.origin_of_source(field), "vanished", gone.since),),
            reminded=False,
            since=gone.since,
        )


def _is_gone(gone: GoneEntries, fields: Fields, age: str) -> str:
    others = len(gone.paths) - 1
    if others:
        return (
            f"{gone.what} {age} ago, together with other values of {names(fields)} ({others}). Restore them if they "
            "are needed"
        )
    if gone.is_elsewhere:
        return (
            f"{gone.what} {age} ago, and another source, such as the environment, feeds it. Restore it if it is needed"
        )
    return f"{gone.what} {age} ago, and its value is no longer in {names(fields)}. Restore it if it is needed"


def _is_there_again(gone: GoneEntries, fields: Fields, origin_of: OriginOf) -> str:  # noqa: ARG001
    return f"{names(fields)} has the value again (earlier: {gone.what})"


def _restart_pending(state: PresentState) -> Iterator[Cause]:
    if state.applied.restart_pending:
        found = ((name, state.origin_of_source(name)) for name in state.applied.restart_pending)
        yield Cause(
            ("restart pending",),
            _takes_effect_at_restart,
            lambda fields, _: f"the volume has the value of {names(fields)} that is in use",
            stale=tuple(Stale(name, origin, "restart", _clock.now()) for name, origin in found),
        )


def _takes_effect_at_restart(fields: Fields, age: str) -> str:
    takes = "takes" if len(fields) == 1 else "take"
    return (
        f"{names(fields)} changed on the volume {age} ago and {takes} effect only when the process starts again "
        "(`restart=True`): restart the pod, for instance with `kubectl rollout restart`"
    )


def _left_out(state: PresentState) -> Iterator[Cause]:
    if not state.loader.sources.has_volumes:
        yield _simple(
            ("volumes left out",),
            "`settings_customise_sources` does not return `file_secret_settings`, which stands for the volumes: "
            f"nothing is read from {', '.join(state.paths)}. Return it there, or remove `volumes` from the class",
            "the volumes are read",
        )


def _dropped(state: PresentState) -> Iterator[Cause]:
    for path in dropped_volumes(state.loader.cls):
        yield _simple(
            ("volume of a base dropped", path),
            f"`volumes` of the class leaves out {path}, which a base class names: nothing is read from there. List it "
            "in `volumes` of the class too, or remove it from the base class",
            f"{path} is read",
            reminded=False,
        )


def _simple(key: tuple[str, ...], text: str, resolved: str, **options: Any) -> Cause:
    """Return a cause that concerns no single field."""
    return Cause(key, lambda _, age: text.replace("{age}", age), lambda *_: resolved, **options)


def _missing_documents(state: PresentState) -> Iterator[Cause]:
    for name, close in missing_documents(documents_of(state.loader.cls), state.feeds).items():
        yield _simple(
            ("document missing", name),
            f"the document `{name}` is on no volume (looked in {', '.join(state.paths)}){did_you_mean(close)}",
            f"the document `{name}` is on a volume now",
            level=logging.WARNING if close else logging.INFO,
            reminded=False,
        )


def _without_prefix(state: PresentState) -> Iterator[Cause]:
    plan = state.loader.plan
    for feed in state.feeds if plan.rules.prefix else ():
        keys = [key for key in feed.unused if key in feed.revision.files and plan.without_prefix(key)]
        if keys:
            yield _simple(
                ("keys without prefix", feed.revision.path),
                f"{', '.join(f'`{key}`' for key in keys)} in {feed.revision.path} {'feed' if keys[1:] else 'feeds'} no "
                f"field, because keys of this class carry the prefix `{plan.rules.prefix}` (version 0.1 used them "
                'without it). Rename them, or set `key_prefix=""`, if they are meant for this class',
                f"no key in {feed.revision.path} lacks the prefix",
                reminded=False,
            )


def _unknown_names(state: PresentState) -> Iterator[Cause]:
    plan = state.loader.plan
    for name in sorted(expected_from_environment(state)):
        if plan.node(name) is None:
            yield _simple(
                ("from_environment", name),
                f"`from_environment` lists `{name}`, which is not a field{did_you_mean(nearest(name, plan.fields))}",
                f"`{name}` is a field",
                reminded=False,
            )
    given = () if accepts_any_argument(state.loader.cls) else state.loader.sources.arguments.values
    for name in given:
        if plan.roots.accepting(name) is None:
            yield _simple(
                ("argument", name),
                f"the argument `{name}` names no field and is ignored{did_you_mean(nearest(name, plan.fields))}",
                f"`{name}` is a field",
                reminded=False,
            )


def _frozen(state: PresentState) -> Iterator[Cause]:
    for index, parts in state.frozen.items():
        path = state.loader.volumes[index].path
        for part, frozen in parts.items():
            where = f"{path}/{part}" if part else path
            fed = ((name, state.origin_of_source(name)) for name in state.feeds[index].keys)
            stale = tuple(
                Stale(name, origin, frozen.reason, _clock.now()) for name, origin in fed if _is_from(origin, where)
            )
            yield Cause(
                (frozen.reason, where),
                partial(_mount_is_frozen, where, part, frozen),
                partial(_is_not_frozen, where, frozen),
                logging.ERROR if frozen.stale else logging.WARNING,
                stale,
                problem=frozen.stale,
            )


def _is_from(origin: Origin, where: str) -> bool:
    path = str(origin.path)
    return origin.kind == "volume" and not origin.live and (path == where or path.startswith(where + "/"))


def _mount_is_frozen(where: str, part: str, frozen: Frozen, fields: Fields, age: str) -> str:
    if frozen.reason == "subpath" and not frozen.stale:
        what = "is a subPath mount, which the kubelet never updates (kubernetes#50345)"
    elif frozen.reason == "subpath":
        what = "is a stale subPath mount: the volume was updated, and this mount never is"
    elif frozen.newer is not None:
        return _was_not_updated(where, frozen.newer, age)
    elif part:
        what = "is a stale mount of a file: the file was replaced on the node, and this mount still shows the old one"
    else:
        what = "is a stale mount: its directory was deleted on the node, and updates no longer arrive here"
    concerned = names(fields) or "it"
    mount = ". Mount the whole volume instead of a subPath" if frozen.reason == "subpath" else ""
    restart = f"{concerned} cannot change until the container restarts"
    return f"{where} {what}; {restart}{mount or '. Restart the container'}"


def _is_not_frozen(where: str, frozen: Frozen, *_: object) -> str:
    return f"{where} is updated again" if frozen.newer else f"{where} is mounted as a whole volume now"


def _was_not_updated(where: str, newer: str, age: str) -> str:
    return (
        f"{where} is not updated: the kubelet began the generation {newer} there and has not finished it for {age}; it "
        "may have replaced this volume by one that the container does not see. `kubectl describe pod` shows its error "
        "(FailedMount); restart the container when that is fixed"
    )


def _supplied_twice(state: PresentState) -> Iterator[Cause]:
    if len(state.feeds) < 2:
        return
    counted = Counter(name for each in state.feeds for name in each.keys)
    for name in (name for name, count in counted.items() if count > 1):
        origin = state.origin_of_source(name)
        losers = [other for other in origin.shadows if other.kind == "volume"]
        if origin.kind == "volume" and losers and state.origins.is_secret(name, state.feeds):
            yield _simple(
                ("secret supplied twice", name),
                f"the secret `{name}` is supplied by {origin.path} and by {losers[0].path}; the value of "
                f"{origin.path} is used. Remove one of the keys: a rotation of the other one has no effect",
                f"the secret `{name}` is supplied once",
                reminded=False,
            )


def _holds_only_volumes(state: PresentState) -> Iterator[Cause]:
    for revision in (each.revision for each in state.feeds):
        if revision.only_volumes is not None:
            resolved = f"{revision.path} holds keys now"
            yield _simple(("only volumes", revision.path), revision.only_volumes, resolved, reminded=False)


def _missing(state: PresentState) -> Iterator[Cause]:
    for volume, each in zip(state.loader.volumes, state.feeds, strict=True):
        if each.revision.mode == "missing" and volume.required is not False:
            problem = in_pod()
            cure = "LIVECONFIG_VOLUMES" if state.replaced else "the `volumeMounts` of the container"
            yield _simple(
                ("volume missing", volume.path),
                f"volume {volume.path} is missing: there is no such directory (for {{age}}). It is used as soon as it "
                f"appears; check {cure}",
                f"volume {volume.path} is there now",
                level=logging.WARNING if problem else logging.INFO,
                reminded=problem,
                problem=problem,
            )


def _polling(state: PresentState) -> Iterator[Cause]:
    if state.watcher == "polling":
        why = f" ({state.why_polling})" if state.why_polling else ""
        yield _simple(
            ("polling",),
            f"inotify is unavailable{why}; checking every {POLLING:g} s instead",
            "inotify is available again",
        )


def _replaced(state: PresentState) -> Iterator[Cause]:
    if state.replaced:
        missing = [each.revision.path for each in state.feeds if each.revision.mode == "missing"]
        yield _simple(
            (VOLUMES_VARIABLE,),
            f"{VOLUMES_VARIABLE} is set: the declared volumes are replaced by {os.pathsep.join(state.paths)}"
            + (f"; no such directory: {', '.join(missing)}" if missing else ""),
            f"{VOLUMES_VARIABLE} is not used",
            reminded=False,
        )


def _threads() -> Iterator[Cause]:
    library = green_threads()
    if library is not None:
        yield _simple(
            ("green threads", library),
            f"{library} has replaced the threads of this process: changes are not noticed until `reload()` is called. "
            "Use a worker class with real threads",
            "the process has real threads",
            problem=True,
        )


def describe_frozen(parts: Mapping[str, Frozen]) -> dict[str, str]:
    """Return the reasons in a few words, by key."""
    return {part: frozen.reason + (" (stale)" if frozen.stale else "") for part, frozen in parts.items()}
