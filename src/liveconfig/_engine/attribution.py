"""Which volumes a finding comes from: by the fields that it names, or by leaving out each volume in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liveconfig._engine.composition import Composition
from liveconfig._loading import Feed, Overrides, Plan

MOST_TRIALS = 8
"""Changed volumes of which each is left out in turn to find the one at fault; of more than these, all wait."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a composition is not valid.

    Attributes:
        fields: The fields that it is about; none if it is about the settings as a whole.
        reason: What is wrong, without any value.
    """

    fields: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Attribution:
    """Some findings, and the parts of the composition that they come from."""

    parts: frozenset[int]
    findings: tuple[Finding, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the findings are about, each once."""
        return tuple(dict.fromkeys(name for finding in self.findings for name in finding.fields))

    @property
    def reason(self) -> str:
        """What is wrong, without any value."""
        return "; ".join(finding.reason for finding in self.findings)


def all_parts(found: Iterable[Attribution]) -> frozenset[int]:
    """The parts of all of them."""
    return frozenset[int]().union(*(each.parts for each in found))


def joined(found: Iterable[Attribution]) -> list[Attribution]:
    """The same, with those together that share a part."""
    apart: list[Attribution] = []
    for each in found:
        near = [other for other in apart if other.parts & each.parts]
        parts = each.parts.union(*(other.parts for other in near))
        findings = tuple(finding for other in (*near, each) for finding in other.findings)
        apart = [other for other in apart if other not in near] + [Attribution(parts, findings)]
    return apart


class Attributor:
    """Finds which parts of a composition something comes from.

    Args:
        plan: The names of the fields.
        base: What is applied.
    """

    def __init__(self, plan: Plan, base: Composition) -> None:
        self._plan = plan
        self._base = base

    def by_field(self, tried: Composition, findings: Iterable[Finding]) -> list[Attribution]:
        """The parts whose changed keys feed the fields of each finding; findings that share a part stay together."""
        found = (Attribution(self.feeding(tried, finding.fields), (finding,)) for finding in findings)
        return joined(each for each in found if each.parts)

    def by_trial(self, tried: Composition, persists: Callable[[Composition], object]) -> frozenset[int]:
        """The parts whose absence alone ends it; all that changed, if there is no such part, or too many to try.

        Args:
            tried: What it was found in.
            persists: Whether it is found in another composition too.
        """
        changed = tried.changed_from(self._base)
        if not 1 < len(changed) <= MOST_TRIALS:
            return changed
        return frozenset(index for index in changed if not persists(tried.taking([index], self._base))) or changed

    def feeding(self, tried: Composition, fields: Iterable[str]) -> frozenset[int]:
        """The parts of which a key that was added, changed or removed feeds, or fed, one of some fields."""
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
        """Whether a stronger volume gives the field its whole value, so that this one feeds nothing of it."""
        nodes = self._plan.path(name)
        stronger = (feed for feed in tried.feeds[index + 1 :] if name in feed.keys)
        return any(not isinstance(_value(feed, nodes), Mapping) for feed in stronger)

    def held(self, tried: Composition, parts: Iterable[int], fields: Sequence[str]) -> tuple[str, ...]:
        """The changed fields of some parts, but those at fault, and what is around or below these."""
        changed = (name for index in sorted(parts) for name in self._changed(tried, index))
        others = (name for name in changed if not any(is_related(name, field) for field in fields))
        return tuple(dict.fromkeys(others))

    def _changed(self, tried: Composition, index: int) -> Iterator[str]:
        for name in self._fed(tried, index):
            if index == len(tried.feeds) or self._differs(self._base.feeds[index], tried.feeds[index], name):
                yield name

    def _differs(self, before: Feed, after: Feed, name: str) -> bool:
        """Whether the value differs, and not just another one in the same document."""
        nodes = self._plan.path(name)
        old, new = _value(before, nodes), _value(after, nodes)
        return (old is _UNKNOWN and new is _UNKNOWN) or old != new


def is_related(one: str, other: str) -> bool:
    """Whether a field is another one, or around or below it; what is inside a list or mapping belongs to that."""
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


_UNKNOWN = object()


def _value(feed: Feed, nodes: Sequence[Any]) -> Any:
    """What a volume gives a field; unknown where it is not found by the names of the models."""
    value: Any = feed.values
    for node in nodes:
        if not isinstance(value, Mapping) or node.key not in value:
            return _UNKNOWN
        value = value[node.key]
    return value if nodes else _UNKNOWN
