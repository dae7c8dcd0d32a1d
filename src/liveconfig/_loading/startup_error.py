"""The error of a failed first load: which fields, and where each was looked for."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_settings import BaseSettings

from liveconfig._loading.fault import StartupFailure
from liveconfig._loading.fields import Node, names_of
from liveconfig._loading.loader import Invalid
from liveconfig._loading.sources import Sources
from liveconfig._volumes import Volume
from liveconfig.exceptions import AmbiguousKeyError, InvalidSettingsError, LiveConfigError, VolumeError


def explain(
    cls: type[BaseSettings], volumes: Sequence[Volume], sources: Sources, reason: StartupFailure
) -> LiveConfigError:
    """The error to raise; it is made here and raised elsewhere, so that it has neither cause nor context."""
    if reason.invalid is not None:
        return InvalidSettingsError(_invalid(cls, volumes, sources, reason.invalid))
    text = f"{cls.__name__}: " + "; ".join(fault.reason for fault in reason.faults)
    if any(fault.stage == "read" for fault in reason.faults):
        return VolumeError(text)
    if any(fault.ambiguous for fault in reason.faults):
        return AmbiguousKeyError(text)
    return InvalidSettingsError(text)


def _invalid(cls: type[BaseSettings], volumes: Sequence[Volume], sources: Sources, invalid: Invalid) -> str:
    lines = [f"{cls.__name__}: no valid configuration"]
    for name, message in invalid.faults:
        lines.append(f"  {name or 'as a whole'}: {message}")
        node = sources.plan.node(name) if name else None
        if node is not None:
            lines.append(f"    looked for {_looked_for(node, name, volumes, sources)}")
    return "\n".join(lines)


def _looked_for(node: Node, name: str, volumes: Sequence[Volume], sources: Sources) -> str:
    folder = name.rpartition(".")[0].replace(".", "/")
    names = dict.fromkeys(names_of(node.label, node.field))
    keys = " or ".join(f"{folder}/{each}" if folder else each for each in names)
    where = ", ".join(volume.path for volume in volumes) or "no volume"
    variable = sources.variable_for(name)
    return f"the key {keys} (with - or _) in {where}" + (f"; the variable {variable}" if variable else "")
