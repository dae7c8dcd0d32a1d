"""The standing rejections; each distinct bad content is published once."""

from __future__ import annotations

from dataclasses import replace

from liveconfig import _clock
from liveconfig._loading import Fault
from liveconfig.events import Rejected

WHOLE = None
"""The place of the candidate as a whole, beside the volumes, which are known by their index."""


class Rejections:
    """The standing faults of one settings object.

    Attributes:
        faults: What is wrong, by index of the volume, or `WHOLE`.
        newest: The newest rejection, standing or not.
    """

    def __init__(self) -> None:
        self.faults: dict[int | None, Fault] = {}
        self.newest: Rejected | None = None
        self._attempts: dict[int | None, int] = {}
        self._standing: dict[int | None, Rejected] = {}
        self._untold: list[Rejected] = []

    def reject(self, place: int | None, fault: Fault) -> None:
        """Keep a fault; it is to be told of if it is another content than the one that is known there."""
        known = self.faults.get(place)
        again = known is not None and _content(known) == _content(fault)
        self._attempts[place] = self._attempts.get(place, 0) + 1 if again else 1
        self.faults[place] = fault
        if not again:
            self.newest = Rejected(
                fault.stage, fault.reason, fault.fields, fault.held, fault.generations, _clock.now(), attempt=1
            )
            self._standing[place] = self.newest
            self._untold.append(self.newest)

    def replace(self, place: int | None, fault: Fault) -> None:
        """The same content was refused again, perhaps for another reason: that is not told again."""
        self.faults[place] = fault

    def clear(self, place: int | None) -> None:
        """Nothing is wrong there any more."""
        self.faults.pop(place, None)
        self._standing.pop(place, None)
        self._attempts.pop(place, None)

    def standing(self) -> tuple[Rejected, ...]:
        """The standing rejections, oldest first, each with the present count of attempts."""
        standing = [replace(each, attempt=self.attempts(place)) for place, each in list(self._standing.items())]
        return tuple(sorted(standing, key=lambda each: each.at))

    def attempts(self, place: int | None) -> int:
        """How often the content that is rejected there was tried."""
        return self._attempts.get(place, 0)

    def take_untold(self) -> list[Rejected]:
        """What is to be told, once."""
        untold, self._untold = self._untold, []
        return untold


def _content(fault: Fault) -> tuple[object, ...]:
    return fault.stage, fault.reason, fault.generations
