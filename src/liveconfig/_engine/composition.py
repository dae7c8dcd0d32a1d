"""The content of one configuration: one revision of each volume, and the overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from liveconfig._loading import Feeds, Loaded, Overrides, named
from liveconfig._record import record


@record
class Composition:
    """One revision of each volume, and the overrides.

    A *part* has an index: the index of its volume, or one after the last volume for the overrides.
    """

    feeds: Feeds
    overrides: tuple[Overrides, ...] = field(repr=False)

    @classmethod
    def of(cls, loaded: Loaded[Any]) -> Composition:
        """Return the composition of a loaded configuration."""
        return cls(loaded.feeds, loaded.overrides)

    def changed_from(self, base: Composition) -> frozenset[int]:
        """Return the parts that differ from ``base``."""
        pairs = enumerate(zip(self.feeds, base.feeds, strict=True))
        changed = {index for index, (feed, before) in pairs if feed is not before and feed != before}
        return frozenset(changed if self.overrides is base.overrides else changed | {len(self.feeds)})

    def taking(self, parts: Iterable[int], other: Composition) -> Composition:
        """Return this composition with some parts replaced by those of ``other``."""
        taken = frozenset(parts)
        feeds = tuple((other if index in taken else self).feeds[index] for index in range(len(self.feeds)))
        return Composition(feeds, other.overrides if len(feeds) in taken else self.overrides)

    def has_values_of(self, loaded: Loaded[Any]) -> bool:
        """Whether this composition holds the same values (the objects themselves) as a loaded configuration."""
        same = all(feed.values is known.values for feed, known in zip(self.feeds, loaded.feeds, strict=True))
        return same and self.overrides is loaded.overrides

    def contents(self, parts: Iterable[int]) -> dict[int, object]:
        """Return what identifies the content of each part, whatever the name of its generation."""
        return {index: self._content(index) for index in sorted(parts)}

    def has_content_of(self, other: Composition) -> bool:
        """Whether each part has the same content, whatever its generation is called."""
        everything = range(len(self.feeds) + 1)
        return self.contents(everything) == other.contents(everything)

    def _content(self, index: int) -> object:
        if index == len(self.feeds):
            return Identity(self.overrides)
        revision = self.feeds[index].revision
        return revision.mode, revision.files

    def generations(self, parts: Iterable[int]) -> Mapping[str, str]:
        """Return the names of the generations of some parts, by the path of the volume."""
        return named(self.feeds[index].revision for index in sorted(parts) if index < len(self.feeds))


class Identity:  # noqa: PLW1641 - it is compared, and is no key
    """A wrapper that is equal only to a wrapper of the same object."""

    __slots__ = ("_held",)

    def __init__(self, held: object) -> None:
        self._held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self._held is other._held
