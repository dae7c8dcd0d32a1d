"""Attribution of findings to volumes: by the fields that they name, or by leaving out one volume at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from liveconfig._engine.composition import Composition
from liveconfig._loading import ABSENT, Feed, Node, Overrides, Plan, value_in

MOST_TRIALS = 8
"""The largest number of changed volumes that are left out one at a time; of more, all wait."""


class Finding(NamedTuple):
    """One reason why a composition is not valid.

    Attributes:
        fields: The fields at fault; none if the settings as a whole are at fault.
        reason: The reason, without any value.
    """

    fields: tuple[str, ...]
    reason: str


class Attribution(NamedTuple):
    """Some findings, and the parts of the composition that cause them."""

    parts: frozenset[int]
    findings: tuple[Finding, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the findings, each once."""
        return tuple(dict.fromkeys(name for finding in self.findings for name in finding.fields))

    @property
    def reason(self) -> str:
        """The reason, without any value."""
        return "; ".join(finding.reason for finding in self.findings)


def all_parts(found: Iterable[Attribution]) -> frozenset[int]:
    """Return the parts of all attributions."""
    return frozenset[int]().union(*(each.parts for each in found))


def joined(found: Iterable[Attribution]) -> list[Attribution]:
    """Join the attributions that share a part."""
    apart: list[Attribution] = []
    for each in found:
        near = [other for other in apart if other.parts & each.parts]
        parts = each.parts.union(*(other.parts for other in near))
        findings = tuple(finding for other in (*near, each) for finding in other.findings)
        apart = [other for other in apart if other not in near] + [Attribution(parts, findings)]
    return apart


class Attributor:
    """Finds the parts of a composition that cause a finding.

    Args:
        plan: The names of the fields.
        base: The composition in use.
    """

    def __init__(self, plan: Plan, base: Composition) -> None:
        self._plan = plan
        self._base = base

    def by_field(self, tried: Composition, findings: Iterable[Finding]) -> list[Attribution]:
        """Attribute each finding to the parts whose changed keys feed its fields; join findings that share a part."""
        found = (Attribution(self.feeding(tried, finding.fields), (finding,)) for finding in findings)
        return joined(each for each in found if each.parts)

    def by_trial(self, tried: Composition, persists: Callable[[Composition], object]) -> frozenset[int]:
        """Return the parts without which the finding disappears; all changed parts if there are none, or too many.

        Args:
            tried: The composition with the finding.
            persists: Returns whether another composition has the finding too.
        """
        changed = tried.changed_from(self._base)
        if not 1 < len(changed) <= MOST_TRIALS:
            return changed
        return frozenset(index for index in changed if not persists(tried.taking([index], self._base))) or changed

    def feeding(self, tried: Composition, fields: Iterable[str]) -> frozenset[int]:
        """Return the parts in which an added, changed or removed key feeds (or fed) one of the fields."""
        wanted = [name for name in fields if name]
        changed = tried.changed_from(self._base)
        return frozenset(index for index in changed if wanted and self._feeds(tried, index, wanted))

    def _feeds(self, tried: Composition, index: int, fields: Sequence[str]) -> bool:
        for name in self._fed(tried, index):
            if any(is_related(name, field) for field in fields) and not self._is_covered(tried, index, name):
                return True
        return False

    def _fed(self, tried: Composition, index: int) -> Iterator[str]:
        if index == len(tried.feeds):
            return _overridden(self._base.overrides, tried.overrides)
        return _fed_by_changed_keys(self._base.feeds[index], tried.feeds[index])

    def _is_covered(self, tried: Composition, index: int, name: str) -> bool:
        """Whether a volume of higher precedence supplies the whole value of the field."""
        nodes = self._plan.path(name)
        stronger = (feed for feed in tried.feeds[index + 1 :] if name in feed.keys)
        return any(not isinstance(_value(feed, nodes), Mapping) for feed in stronger)

    def held(self, tried: Composition, parts: Iterable[int], fields: Sequence[str]) -> tuple[str, ...]:
        """Return the changed fields of some parts, without those at fault and the fields around or below them."""
        changed = (name for index in sorted(parts) for name in self._changed(tried, index))
        others = (name for name in changed if not any(is_related(name, field) for field in fields))
        return tuple(dict.fromkeys(others))

    def _changed(self, tried: Composition, index: int) -> Iterator[str]:
        for name in self._fed(tried, index):
            if index == len(tried.feeds) or self._differs(self._base.feeds[index], tried.feeds[index], name):
                yield name

    def _differs(self, before: Feed, after: Feed, name: str) -> bool:
        """Whether this value differs, and not only another one of the same document."""
        nodes = self._plan.path(name)
        old, new = _value(before, nodes), _value(after, nodes)
        return (old is ABSENT and new is ABSENT) or old != new


def is_related(one: str, other: str) -> bool:
    """Whether two fields are the same or one contains the other; an item belongs to its list or mapping."""
    one, other = one.partition("[")[0], other.partition("[")[0]
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _fed_by_changed_keys(before: Feed, after: Feed) -> Iterator[str]:
    old, new = before.revision.files, after.revision.files
    for feed in (before, after):
        for names in (feed.keys, feed.entries):
            for name, key in names.items():
                if old.get(key) != new.get(key):
                    yield name.partition("/")[0]


def _overridden(*layers: tuple[Overrides, ...]) -> Iterator[str]:
    return (nodes[-1].dotted for each in layers for layer in each for nodes, _ in layer)


def _value(feed: Feed, nodes: Sequence[Node]) -> Any:
    """Return the value that a volume supplies for a field; `ABSENT` if the names of the models do not lead to one."""
    return value_in(feed.values, nodes) if nodes else ABSENT
