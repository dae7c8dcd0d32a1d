"""`Origin`: where a value comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from liveconfig._record import record

OriginKind = Literal["init", "volume", "environment", "dotenv", "source", "default", "override"]


@record
class Origin:
    """Where the value of one field comes from. It never holds the value.

    Attributes:
        kind: The kind of the source that is used; ``"source"`` is one that `settings_customise_sources` added.
        name: The key, the variable, the argument, or the class of the source; None for a default.
        path: The file it was read from; None if there is none.
        live: Whether it can change while the process runs: it comes from a volume, not by a frozen
            mount, and its `Key` does not ask for a restart.
        since: Since when this origin is used (aware, UTC).
        shadows: The other origins that have a value for the field, the strongest first.
    """

    kind: OriginKind
    name: str | None = None
    path: str | None = None
    live: bool = False
    since: datetime | None = None
    shadows: tuple[Origin, ...] = ()
