"""Whether what was loaded may take the place of what is applied; the verifiers come later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liveconfig._reading.intake import Fault, changed_fields, new_generations, vanished
from liveconfig._reading.load import Feeds, Invalid, Loaded, Loader


def judge(loader: Loader[Any], applied: Loaded[Any], feeds: Feeds, loaded: Loaded[Any] | Invalid) -> Fault | None:
    """Why it may not; None if it may.

    Args:
        loader: What loaded it.
        applied: What is in use.
        feeds: What the volumes give now.
        loaded: What came of them.
    """
    if isinstance(loaded, Invalid):
        return _invalid(str(loaded), loaded.fields, applied.feeds, feeds)
    refused = tuple(name for name in vanished(applied.feeds, feeds) if _may_not_vanish(loader, applied, name))
    if refused:
        reason = f"the key vanished of {', '.join(refused)}, which missing_key rejects"
        return _invalid(reason, refused, applied.feeds, feeds)
    return None


def _invalid(reason: str, fields: tuple[str, ...], old: Feeds, new: Feeds) -> Fault:
    held = tuple(name for name in changed_fields(old, new) if name not in fields)
    return Fault("validate", reason, fields, new_generations(old, new), held)


def _may_not_vanish(loader: Loader[Any], applied: Loaded[Any], name: str) -> bool:
    config: Mapping[str, Any] = loader.cls.model_config
    rule = config.get("missing_key")
    return rule == "reject" or (rule is None and loader.is_secret(name, applied.feeds))
