"""The applied configuration, its version, and the live object that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
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
        state: The configuration, its version, and the apply delay, stored together, so that a reader gets what belongs
            together. The delay is the time from the kubelet's write to the applying of the newest change of the
            volumes; None before the first one that was written while this process ran, and for plain volumes.
        instance: Returns the live object; None after it was collected.
        loaded_at: When the first version was applied.
    """

    def __init__(self, loaded: Loaded[S], began: float) -> None:
        self.state: tuple[Loaded[S], Version, timedelta | None] = (loaded, _version(loaded, 1, began), None)
        self._forked_at: datetime | None = None
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

    def renew(self) -> None:
        """In a forked child: forget the apply delay, which is the parent's."""
        self._forked_at = _clock.now()
        self.state = (*self.state[:2], None)

    def matches(self, places: Sequence[Fingerprint | None]) -> bool:
        """Whether the fingerprints of all volumes are those of the configuration in use."""
        return [place and place.token for place in places] == [each.revision.token for each in self.loaded.feeds]

    def replace(self, loaded: Loaded[S], began: float) -> None:
        """Apply another configuration: store the version and the snapshot first, then update the live object."""
        version = _version(loaded, self.version.number + 1, began)
        self.state = (loaded, version, self._delay(loaded, version.applied_at))
        if self.show():
            _clock.give_way()

    def _delay(self, loaded: Loaded[S], applied_at: datetime) -> timedelta | None:
        """Return the apply delay of the volumes that change, by the one that was written first."""
        pairs = zip(loaded.feeds, self.loaded.feeds, strict=True)
        changed = [now.revision for now, before in pairs if now.revision.token != before.revision.token]
        if not changed:  # an override
            return self.state[2]
        written = [each.written_at for each in changed if each.written_at is not None]
        since = self._forked_at
        if since is not None:
            written = [each for each in written if each >= since]
        return applied_at - min(written) if written else None

    def adopt(self, loaded: Loaded[S]) -> None:
        """Apply a configuration in which no field differs, under the same version.

        ``==`` does not see everything: the order of a mapping, or ``1.00`` instead of ``1.0``. Existing snapshots do
        not change.
        """
        if loaded.snapshot is self.loaded.snapshot:
            self.state = (loaded, *self.state[1:])
        else:
            self.state = (loaded, replace(self.version, snapshot=loaded.snapshot), self.state[2])
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
