"""Names, places and lists as the log and the status write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liveconfig.events import Stale
from liveconfig.origin import Origin


def names(stale: Sequence[Stale]) -> str:
    """The fields, each in backticks."""
    return ", ".join(f"`{each.field}`" for each in stale)


def names_with_variables(stale: Sequence[Stale]) -> str:
    """The fields, each with the variable or key that serves it, unless that has the same name."""
    return ", ".join(_with_variable(each) for each in stale)


def _with_variable(stale: Stale) -> str:
    name = variable_of(stale)
    return f"`{stale.field}`" if name is None or name == stale.field else f"`{stale.field}` ({name})"


def variable_of(stale: Stale) -> str | None:
    """The variable that makes a field stale, whether it serves the field or is shadowed."""
    if stale.origin.kind != "volume":
        return stale.origin.name
    variables = (shadow.name for shadow in stale.origin.shadows if shadow.kind in ("environment", "dotenv"))
    return next(variables, None)


def place(origin: Origin) -> str:
    """Name the place that a value comes from: a volume, a variable, a file, the default."""
    if origin.kind == "volume":
        return (origin.path or "").removesuffix(f"/{origin.name}")
    texts = {
        "environment": f"the environment variable {origin.name}",
        "dotenv": f"the file {origin.path}",
        "default": "its default",
        "init": "an argument",
        "override": "override()",
        "source": f"the source {origin.name}",
    }
    return texts.get(origin.kind, origin.kind)


def now_from(origins: Mapping[str, Origin]) -> str:
    """Say where each field comes from now, grouped by place."""
    by_place: dict[str, list[str]] = {}
    for field, origin in origins.items():
        by_place.setdefault(place(origin), []).append(f"`{field}`")
    return "; ".join(
        f"{', '.join(fields)} now comes from {where}"
        if len(fields) == 1
        else f"{', '.join(fields)} now come from {where.replace('its default', 'their defaults')}"
        for where, fields in by_place.items()
    )


def one_of(paths: Sequence[str]) -> str:
    """Name the places where a key can be mounted."""
    return paths[0] if len(paths) == 1 else f"one of {', '.join(paths)}"


def generations(by_path: Mapping[str, str]) -> str:
    """List the generation of each volume."""
    return ", ".join(f"{path}: {name}" for path, name in by_path.items()) or "no volume"


def held_back(fields: Sequence[str]) -> str:
    """List the other fields that a rejection holds back, as the end of a sentence; empty for none."""
    return f"; also not applied until this is fixed: {', '.join(fields)}" if fields else ""


def did_you_mean(close: str | None) -> str:
    """Suggest the nearest name, as the end of a sentence; empty for none."""
    return f"; did you mean `{close}`?" if close else ""
