"""The error of a failed first load: which fields, and where each was looked for."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_settings import BaseSettings

from liveconfig._loading.configuration import documents_of
from liveconfig._loading.fault import StartupFailure
from liveconfig._loading.fields import Node
from liveconfig._loading.loader import Invalid
from liveconfig._loading.sources import Sources
from liveconfig._volumes import Volume
from liveconfig.exceptions import AmbiguousKeyError, InvalidSettingsError, LiveConfigError, VolumeError


def explain(
    cls: type[BaseSettings], volumes: Sequence[Volume], sources: Sources, reason: StartupFailure
) -> LiveConfigError:
    """The error to raise; it is made here and raised elsewhere, so that it has neither cause nor context."""
    if reason.invalid is not None:
        lines = [*_invalid(cls, volumes, sources, reason.invalid), *(f"  {note}" for note in reason.notes)]
        return InvalidSettingsError("\n".join(lines))
    text = f"{cls.__name__}: " + "; ".join(fault.reason for fault in reason.faults)
    if any(fault.stage == "read" for fault in reason.faults):
        return VolumeError(text)
    if any(fault.ambiguous for fault in reason.faults):
        return AmbiguousKeyError(text)
    return InvalidSettingsError(text)


def _invalid(cls: type[BaseSettings], volumes: Sequence[Volume], sources: Sources, invalid: Invalid) -> list[str]:
    lines = [f"{cls.__name__}: no valid configuration"]
    for problem in invalid.problems:
        where = f" ({problem.where})" if problem.where else ""
        lines.append(f"  {problem.location or 'as a whole'}: {problem.message}{where}")
        if problem.location == problem.field and sources.plan.node(problem.field) is not None:
            lines.append(f"    looked for {_looked_for(cls, problem.field, volumes, sources)}")
        if problem.hint:
            lines.append(f"    {problem.hint}")
    return lines


def _most_wanted(node: Node) -> str:
    """A field inside a model, one that it must have if there is one; empty where it is no model."""
    inside = list(node.children.values())
    return next((each.dotted for each in (*filter(_is_required, inside), *inside)), "")


def _is_required(node: Node) -> bool:
    return node.field.is_required()


def _looked_for(cls: type[BaseSettings], dotted: str, volumes: Sequence[Volume], sources: Sources) -> str:
    paths = ", ".join(volume.path for volume in volumes) or "no volume"
    plan, node = sources.plan, sources.plan.node(dotted)
    inside = _most_wanted(node) if node is not None else ""
    such = [f"keys such as {key}" for key in plan.keys_for(inside)[:1]] if inside else []
    several = [*plan.keys_for(dotted), *such]
    text = f"the key {' or '.join(several)} (with - or _) in {paths}"
    if documents := documents_of(cls):
        text += f"; the documents {', '.join(documents)}"
    variable = sources.variable_for(dotted)
    return text + (f"; the variable {variable}" if variable else "")
