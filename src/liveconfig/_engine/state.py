"""The applied configuration, its version, and the live object that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, TypeVar

from pydantic_settings import BaseSettings

from liveconfig import _clock
from liveconfig._delivery import Version
from liveconfig._loading import Loaded, named, swap
from liveconfig._volumes import Fingerprint

S = TypeVar("S", bound=BaseSettings)


class AppliedState(Generic[S]):
    """The configuration in use. It is changed in a transaction only, and read by any thread.

    Attributes:
        state: The configuration and its version, stored together, so that a reader gets a consistent pair.
        instance: Returns the live object; None after it was collected.
        loaded_at: When the first version was applied.
    """

    def __init__(self, loaded: Loaded[S], began: float) -> None:
        self.state = (loaded, _version(loaded, 1, began))
        self.instance: Callable[[], S | None] = lambda: None
        self._shown: S | None = None
        self.loaded_at = self.version.applied_at

    @property
    def loaded(self) -> Loaded[S]:
        """The configuration in use."""
        return self.state[0]

    @property
    def version(self) -> Version:
        """The version that is published for it."""
        return self.state[1]

    def matches(self, places: Sequence[Fingerprint | None]) -> bool:
        """Whether the fingerprints of all volumes are those of the configuration in use."""
        return [place and place.token for place in places] == [each.revision.token for each in self.loaded.feeds]

    def replace(self, loaded: Loaded[S], began: float) -> None:
        """Apply another configuration: store the version and the snapshot first, then update the live object."""
        self.state = (loaded, _version(loaded, self.version.number + 1, began))
        if self.show():
            _clock.give_way()

    def adopt(self, loaded: Loaded[S]) -> None:
        """Apply a configuration in which no field differs, under the same version.

        ``==`` does not see everything: the order of a mapping, or ``1.00`` instead of ``1.0``. Existing snapshots do
        not change.
        """
        if loaded.snapshot is self.loaded.snapshot:
            self.state = (loaded, self.version)
        else:
            self.state = (loaded, replace(self.version, snapshot=loaded.snapshot))
            self.show()

    def show(self) -> bool:
        """Update the live object. Return whether there is one."""
        instance, snapshot = self.instance(), self.loaded.snapshot
        if instance is not None:
            swap(instance, snapshot)
        self._shown = snapshot
        return instance is not None

    def complete(self) -> None:
        """Update the live object, if a signal handler raised in the middle of an earlier update."""
        if self._shown is not self.loaded.snapshot:
            self.show()


def _version(loaded: Loaded[Any], number: int, began: float) -> Version:
    revisions = [each.revision for each in loaded.feeds]
    written = [revision.written_at for revision in revisions if revision.written_at is not None]
    duration = timedelta(seconds=_clock.monotonic() - began)
    return Version(loaded.snapshot, number, named(revisions), max(written, default=None), _clock.now(), duration)
