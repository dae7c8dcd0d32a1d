"""`HistoryEntry`: one outcome of a change. A module of its own, so that ``liveconfig ps`` starts fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from liveconfig._record import record


@record
class HistoryEntry:
    """One outcome: what happened to the settings, without values.

    Attributes:
        at: When (aware, UTC).
        kind: What happened.
        version: The version in use after it.
        generations: The generation by volume path: applied, rejected, or in use.
        fields: The names of the fields that it is about.
        reason: Why it was rejected or is stale; for ``"recovered"``, the reason of the rejection that ended.
        attempt: For a rejection, how often this content was tried.
    """

    at: datetime
    kind: Literal["applied", "rejected", "recovered", "stale"]
    version: int
    generations: Mapping[str, str] = field(hash=False)
    fields: tuple[str, ...]
    reason: str | None = None
    attempt: int = 1
