"""Whether a loaded configuration may replace the applied one, before verifiers run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liveconfig._loading import (
    Fault,
    Feeds,
    Invalid,
    Loaded,
    Loader,
    Origins,
    changed_fields,
    concerned_generations,
    fallen_back,
    vanished_entries,
)


def find_fault(
    loader: Loader[Any], origins: Origins, applied: Loaded[Any], feeds: Feeds, loaded: Loaded[Any] | Invalid
) -> Fault | None:
    """Why it may not; None if it may.

    Args:
        loader: What loaded it.
        origins: Tells what a field was served by.
        applied: What is in use.
        feeds: What the volumes give now.
        loaded: What came of them.
    """
    if isinstance(loaded, Invalid):
        return _invalid(str(loaded), loaded.fields, applied.feeds, feeds)
    refused = tuple(
        name for name in _missed(origins, applied, loaded) if _may_not_vanish(loader, origins, applied, name)
    )
    if refused:
        reason = f"the key vanished of {', '.join(refused)}, which missing_key rejects"
        return _invalid(reason, refused, applied.feeds, feeds)
    return None


def _missed(origins: Origins, applied: Loaded[Any], loaded: Loaded[Any]) -> Iterator[str]:
    yield from fallen_back(origins, applied, loaded)
    for name in vanished_entries(applied.feeds, loaded.feeds):
        if origins.of(name.partition("/")[0], applied, {}).kind == "volume":
            yield name.partition("/")[0]


def _invalid(reason: str, fields: tuple[str, ...], old: Feeds, new: Feeds) -> Fault:
    held = tuple(name for name in changed_fields(old, new) if name not in fields)
    return Fault("validate", reason, fields, concerned_generations(old, new, fields), held)


def _may_not_vanish(loader: Loader[Any], origins: Origins, applied: Loaded[Any], name: str) -> bool:
    config: Mapping[str, Any] = loader.cls.model_config
    rule = config.get("missing_key")
    return rule == "reject" or (rule is None and origins.is_secret(name, applied.feeds))
