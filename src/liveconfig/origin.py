"""`Origin`: where a value came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

OriginKind = Literal["init", "volume", "environment", "dotenv", "default", "override"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of one field came from. It never holds the value.

    Attributes:
        kind: The sort of source that won.
        name: The key, the variable or the argument; None for a default.
        path: The file it was read from; None where there is none.
        live: Whether it can change while the process runs: from a volume, and not by a frozen mount.
        since: When this origin began to serve the field (aware, UTC).
        shadows: The origins that also hold the field and lost, the strongest first.
    """

    kind: OriginKind
    name: str | None = None
    path: str | None = None
    live: bool = False
    since: datetime | None = None
    shadows: tuple[Origin, ...] = ()
