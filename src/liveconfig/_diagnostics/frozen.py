"""Fields that cannot change while the process runs, and the sources that are read once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from liveconfig import _clock
from liveconfig._diagnostics.present_state import PresentState, expected_from_environment, is_expected
from liveconfig._diagnostics.reminders import Cause, Fields, OriginOf
from liveconfig._diagnostics.wording import names, now_from, one_of
from liveconfig._loading import leaves
from liveconfig.events import Stale
from liveconfig.origin import Origin


def frozen_fields(state: PresentState) -> tuple[str, ...]:
    """The fields that cannot change although the class has volumes, or a source reads a file on a volume."""
    expected = expected_from_environment(state)
    return tuple(name for name in _may_be_frozen(state) if _is_frozen(state, name, expected))


def _may_be_frozen(state: PresentState) -> tuple[str, ...]:
    """The fields for which that is worth asking: without a frozen mount, all others come from a volume that moves."""
    if state.frozen:
        return tuple(name for name, _ in leaves(state.applied.snapshot))
    return tuple(dict.fromkeys((*state.variables, *state.by_sources)))


def _is_frozen(state: PresentState, name: str, expected: frozenset[str]) -> bool:
    origin = state.origin(name)
    if origin.kind == "volume":
        return not origin.live and not state.loader.plan.needs_restart(name)
    read_once = ("environment", "dotenv", "source") if state.loader.volumes else ("source",)
    return origin.kind in read_once and not is_expected(name, expected)


def detect_frozen_sources(state: PresentState) -> Iterator[Cause]:
    """One cause for each source that the class added and that feeds fields, with all its fields."""
    expected = expected_from_environment(state)
    found: dict[tuple[str, str], list[tuple[str, Origin]]] = {}
    for name in state.by_sources:
        origin = state.origin(name)
        if origin.kind == "source" and not is_expected(name, expected):
            found.setdefault((str(origin.name), origin.path or ""), []).append((name, origin))
    for (source, path), fields in found.items():
        since = fields[0][1].since or _clock.now()
        stale = tuple(Stale(name, origin, "source", since) for name, origin in fields)
        remedy = _live_remedy(state, path)
        yield Cause(("source", source, path), partial(_is_read_once, source, path, remedy), _now_from, stale=stale)


def _is_read_once(source: str, path: str, remedy: str, fields: Fields, age: str) -> str:
    where = f"{source} ({path})" if path else source
    verb = "is" if len(fields) == 1 else "are"
    which = "the field" if len(fields) == 1 else "the fields"
    return (
        f"{names(fields)} {verb} read by {where}, a source of `settings_customise_sources`, and cannot change while "
        f"this process runs (read {age} ago). {remedy}, or list {which} in `from_environment`"
    )


def _now_from(fields: Fields, origin_of: OriginOf) -> str:
    return now_from({stale.field: origin_of(stale.field) for stale in fields})


def _live_remedy(state: PresentState, path: str) -> str:
    """How the values of a source become live."""
    paths = [os.path.abspath(each) for each in path.split(", ") if each]
    for each in paths:
        volume = next((volume for volume in state.paths if each.startswith(volume + os.sep)), None)
        if volume is not None:
            return f"Remove the source and read the file as a document: `documents=[{os.path.relpath(each, volume)!r}]`"
    if paths:
        folder, name = os.path.split(paths[0])
        return f"Remove the source and read the file as a document: `volumes=[{folder!r}], documents=[{name!r}]`"
    where = f" in {one_of(state.paths)}" if state.paths else " on a volume"
    return f"Mount the values{where}"
