"""The present state of one settings object, as far as the detectors need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any, NamedTuple

from liveconfig._loading import ABSENT, Feeds, Frozens, Loaded, Loader, Origins, Path, value_in
from liveconfig._record import record
from liveconfig._watching import Mode
from liveconfig.origin import Origin


@record
class GoneEntries:
    """What the newest change that removed something from a mapping has removed.

    Attributes:
        what: The first removed name and its place, in words.
        paths: The steps to each value that is still missing.
        since: When they were removed.
        is_elsewhere: Whether another source, such as the environment, had a value for the first then.
    """

    what: str
    paths: tuple[Path, ...] = field(repr=False)  # with names of entries, which can be secrets
    since: datetime
    is_elsewhere: bool

    def missing_in(self, values: Mapping[str, Any]) -> GoneEntries:
        """Return those that the values of the volumes still lack."""
        return replace(self, paths=tuple(path for path in self.paths if value_in(values, path) is ABSENT))


class PresentState(NamedTuple):
    """The present state, as far as the detectors need it.

    Attributes:
        loader: With the class, its names and its volumes.
        origins: Finds where values come from.
        applied: The configuration in use.
        variables: The leaves for which the environment or a ``.env`` file has a variable.
        by_sources: The leaves for which a source that the class added has a value.
        frozen: By index of a volume, its parts that can never change.
        vanished: When the key of a field was removed, by field that fell back.
        gone_entries: What was removed from mappings, by field.
        watcher: The way in which changes are noticed.
        why_polling: Why inotify is not used; None if it is, or if nothing is watched.
        started_at: When the process started.
        replaced: Whether ``LIVECONFIG_VOLUMES`` replaced the declared volumes.
    """

    loader: Loader[Any]
    origins: Origins
    applied: Loaded[Any]
    variables: tuple[str, ...]
    by_sources: tuple[str, ...]
    frozen: Frozens
    vanished: Mapping[str, datetime]
    gone_entries: Mapping[str, GoneEntries]
    watcher: Mode
    why_polling: str | None
    started_at: datetime
    replaced: bool

    @property
    def feeds(self) -> Feeds:
        """The content of each volume."""
        return self.applied.feeds

    def has_content_of(self, other: PresentState) -> bool:
        """Whether the values and their origins are the same."""
        same = self.applied is other.applied
        return same and self.frozen == other.frozen and self.vanished == other.vanished

    def origin(self, name: str) -> Origin:
        """Return the origin of a leaf."""
        return self.origins.of(name, self.applied, self.frozen, self.vanished)

    def origin_of_source(self, name: str) -> Origin:
        """Return the origin that a leaf has without an override: what is stale stays so beneath one."""
        origin = self.origin(name)
        if origin.kind != "override" or not origin.shadows:
            return origin
        first, *rest = origin.shadows
        return replace(first, shadows=tuple(rest))

    def unexpected(self) -> list[str]:
        """Return the leaves that the environment holds too, except those that the class expects from there."""
        expected = expected_from_environment(self)
        return [name for name in self.variables if not is_expected(name, expected)]

    @property
    def paths(self) -> list[str]:
        """The path of each volume."""
        return [volume.path for volume in self.loader.volumes]


def expected_from_environment(state: PresentState) -> frozenset[str]:
    """The fields that the class expects from the environment."""
    return frozenset(state.loader.cls.model_config.get("from_environment", ()))


def is_expected(name: str, expected: frozenset[str]) -> bool:
    """Whether a leaf, or the field of the first level around it, is expected not to change."""
    return name in expected or name.partition(".")[0] in expected
