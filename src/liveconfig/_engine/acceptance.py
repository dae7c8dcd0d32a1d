"""Whether a loaded configuration may replace the applied one, before verifiers run."""

from __future__ import annotations

from typing import Any

from liveconfig._loading import (
    Fault,
    Feeds,
    Invalid,
    Loaded,
    Loader,
    Origins,
    Removals,
    changed_fields,
    concerned_generations,
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
    refused = tuple(Removals(loader, origins, applied, loaded).refused())
    if refused:
        reason = "; ".join(reason for _, reason in refused)
        return _invalid(reason, tuple(dict.fromkeys(name for name, _ in refused)), applied.feeds, feeds)
    return None


def _invalid(reason: str, fields: tuple[str, ...], old: Feeds, new: Feeds) -> Fault:
    held = tuple(name for name in changed_fields(old, new) if name not in fields)
    return Fault("validate", reason, fields, concerned_generations(old, new, fields), held)
