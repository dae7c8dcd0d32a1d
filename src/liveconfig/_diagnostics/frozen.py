"""Fields that cannot change while the process runs, and sources that are read once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial

from liveconfig import _clock
from liveconfig._diagnostics.present_state import PresentState, expected_from_environment, is_expected
from liveconfig._diagnostics.reminders import Cause, Fields, OriginOf
from liveconfig._diagnostics.wording import names, now_from, one_of
from liveconfig._loading import FORMATS, as_code, as_documents, is_mounted, leaves
from liveconfig.events import Stale
from liveconfig.origin import Origin


def frozen_fields(state: PresentState) -> tuple[str, ...]:
    """Return the fields that cannot change although the class has volumes, or a source with a file on a volume."""
    expected = expected_from_environment(state)
    return tuple(name for name in _may_be_frozen(state) if _is_frozen(state, name, expected))


def _may_be_frozen(state: PresentState) -> tuple[str, ...]:
    """Return the fields that may be frozen: without a frozen mount, all others come from a live volume."""
    if state.frozen:
        return tuple(name for name, _ in leaves(state.applied.snapshot))
    return tuple(dict.fromkeys((*state.variables, *state.by_sources)))


def _is_frozen(state: PresentState, name: str, expected: frozenset[str]) -> bool:
    origin = state.origin(name)
    if origin.kind == "volume":
        return not origin.live and not state.loader.plan.needs_restart(name)
    return is_read_once(state, origin) and not is_expected(name, expected)


def is_read_once(state: PresentState, origin: Origin) -> bool:
    """Whether what a value comes from is read once although there are volumes; of a class without, a file on one."""
    if not state.loader.volumes and origin.kind == "dotenv":
        return any(is_on_a_volume(state, each) for each in state.origins.files(origin))
    return origin.kind in (("environment", "dotenv", "source") if state.loader.volumes else ("source",))


def is_on_a_volume(state: PresentState, path: str) -> bool:
    """Whether a file lies on a volume of the class, or on any that the kubelet writes."""
    return is_mounted(path) or any(os.path.abspath(path).startswith(volume + os.sep) for volume in state.paths)


def detect_frozen_sources(state: PresentState) -> Iterator[Cause]:
    """Yield one cause for each source that the class added and that feeds fields, with all its fields."""
    expected = expected_from_environment(state)
    found: dict[tuple[str, str], list[tuple[str, Origin]]] = {}
    for name in state.by_sources:
        origin = state.origin_of_source(name)
        if origin.kind == "source" and not is_expected(name, expected):
            found.setdefault((str(origin.name), origin.path or ""), []).append((name, origin))
    for (source, path), fields in found.items():
        since = fields[0][1].since or _clock.now()
        stale = tuple(Stale(name, origin, "source", since) for name, origin in fields)
        remedy = _live_remedy(state, source, state.origins.files(fields[0][1]))
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


def _live_remedy(state: PresentState, source: str, paths: Sequence[str]) -> str:
    """Say how the values of a source become live."""
    placed = (_place_on_volume(state.paths, os.path.abspath(each)) for each in paths if os.path.isdir(each))
    folders = [os.path.normpath(os.path.join(*each)) for each in placed]
    if folders:
        return f"Remove the source and name the directory as a volume: `volumes={as_code(folders)}`"
    if paths:
        form = next((form for form in FORMATS if form in source.lower()), "yaml")
        return f"Remove the source and {document_remedy(state, paths, form)}"
    where = f" in {one_of(state.paths)}" if state.paths else " on a volume"
    return f"Mount the values{where}"


def document_remedy(state: PresentState, files: Sequence[str], form: str) -> str:
    """Say how the contents of files become live: as documents on volumes of the class or on new ones."""
    placed = [_place_on_volume(state.paths, os.path.abspath(each)) for each in files]
    what = "read the file as a document" if len(files) == 1 else "read the files as documents"
    documents = as_documents([name for _, name in placed], form)
    new = list(dict.fromkeys(volume for volume, _ in placed if volume not in state.paths))
    if not new:
        return f"{what}: `{documents}`"
    if all(volume in new for volume, _ in placed):
        return f"{what}: `volumes={as_code(new)}, {documents}`"
    return f"{what}: `{documents}`, and add {', '.join(f'`{each}`' for each in new)} to `volumes`"


def _place_on_volume(volumes: Sequence[str], path: str) -> tuple[str, str]:
    """The volume of a file and its key there, whatever link led to it; without a volume, its directory and its name."""
    known = (volume for volume in volumes if path.startswith(volume + os.sep))
    volume = next(known, None) or os.path.dirname(path).partition(f"{os.sep}..")[0]
    parts = os.path.relpath(path, volume).split(os.sep)
    return volume, "/".join(part for part in parts if not part.startswith(".."))
