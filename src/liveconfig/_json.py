"""The conversion of records to data for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any


def as_plain(value: Any) -> Any:
    """Return mappings, lists, texts and numbers: times as ISO 8601, durations in seconds, records as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):  # the name of a file may not be UTF-8
        return value.encode("utf-8", "backslashreplace").decode()
    return value.total_seconds() if isinstance(value, timedelta) else value
