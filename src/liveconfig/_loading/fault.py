"""Why a volume, or a whole candidate, is not applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from liveconfig._loading.loader import Invalid
from liveconfig.events import Stage


class Fault(NamedTuple):
    """Why a volume, or a whole candidate, is not applied.

    Attributes:
        stage: Where it failed.
        reason: Why, without any value.
        fields: The fields (or keys) at fault.
        generations: What is rejected, by volume path.
        held: Good changes that wait with it.
        ambiguous: Whether two keys claim one field.
    """

    stage: Stage
    reason: str
    fields: tuple[str, ...]
    generations: Mapping[str, str]
    held: tuple[str, ...] = ()
    ambiguous: bool = False


class StartupFailure(Exception):  # noqa: N818 - caught inside, never seen by users
    """There is nothing to begin with."""

    def __init__(self, faults: tuple[Fault, ...], invalid: Invalid | None = None, notes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.faults = faults
        self.invalid = invalid
        self.notes = notes  # about the volumes
