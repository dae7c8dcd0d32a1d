"""Removed keys: the values that they fed, and whether the removal is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from liveconfig._loading.cached import cached
from liveconfig._loading.comparison import unfed, vanished_entries
from liveconfig._loading.entries import changed_entries, has_replacement
from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Entry, Node, Path, path_name, value_in
from liveconfig._loading.loader import Feeds, Loaded, Loader
from liveconfig._loading.merging import not_plain
from liveconfig._loading.names import Plan, value_at
from liveconfig._loading.origins import Origins
from liveconfig._loading.pydantic_internals import has_place
from liveconfig._loading.types import ABSENT
from liveconfig._record import record


@record
class Removal:
    """A removed key, and the value that it fed.

    Attributes:
        name: The field, or ``field/entry`` for an entry of a mapping.
        path: The steps to the value.
        key: The key.
        index: The volume.
        fallen_back: The field that fell back: of a whole optional model that is None now, the model.
    """

    name: str
    path: Path
    key: str
    index: int
    fallen_back: str

    @property
    def field(self) -> str:
        """The dotted name of the field."""
        return self.name.partition("/")[0]

    @property
    def is_entry(self) -> bool:
        """Whether it fed an entry of a mapping."""
        return any(isinstance(step, Entry) for step in self.path)


class Removals:
    """The keys that another configuration removes.

    Args:
        loader: Makes instances of the class.
        origins: Finds where values come from.
        before: The configuration in use.
        now: The new configuration.
    """

    def __init__(self, loader: Loader[Any], origins: Origins, before: Loaded[Any], now: Loaded[Any]) -> None:
        self._loader = loader
        self._plan: Plan = loader.plan
        self._origins = origins
        self._before = before
        self._now = now

    def __iter__(self) -> Iterator[Removal]:
        """Yield the removals that matter: a volume supplied the value, and the value still has a place."""
        for name in filter(self._has_vanished, self._candidates()):
            index, feed = _feeding(self._before.feeds, name)
            if feed.feeds_whole(name) and has_place(self._now.on_disk, name) and self._was_decided_by_volumes(name):
                none = _is_none_at(self._plan, name, self._now.on_disk)
                yield Removal(name, self._plan.path(name), feed.keys[name], index, none or name)
        for name in vanished_entries(self._before.feeds, self._now.feeds):
            index, feed = next((at, each) for at, each in enumerate(self._before.feeds) if name in each.entries)
            path = feed.paths[name]
            if value_in(self._given_now, path) is ABSENT and self._was_entry_of_volumes(path):
                yield Removal(name, path, feed.entries[name], index, name)

    def _candidates(self) -> tuple[str, ...]:
        old, new = self._before.feeds, self._now.feeds
        if self._plan.looks_inside:  # null under a name takes the value from all that look inside it by a path
            return tuple(dict.fromkeys(name for each in old for name in each.keys))
        return unfed(old, new)

    def _has_vanished(self, name: str) -> bool:
        """Whether the volumes gave a field a value, and do not now; what no class declares is an entry."""
        path = self._plan.path(name)
        return bool(path) and value_in(self._given_before, path) is not ABSENT and not self.is_fed(name)

    def is_fed(self, name: str) -> bool:
        """Whether the new volumes give a field a value, or the model around it."""
        return value_in(self._given_now, self._plan.path(name)) is not ABSENT

    @cached
    def _given_before(self) -> Mapping[str, Any]:
        return self._loader.of_volumes(self._before.feeds)

    @cached
    def _given_now(self) -> Mapping[str, Any]:
        return self._loader.of_volumes(self._now.feeds)

    def _was_decided_by_volumes(self, field: str) -> bool:
        return self._origins.of(field, self._before, {}).kind == "volume"

    def _was_entry_of_volumes(self, path: Path) -> bool:
        """Whether neither a stronger source nor an override gave a value inside a mapping."""
        overridden = {nodes[-1].dotted for layer in self._before.overrides for nodes, _ in layer}
        around = (step.dotted for step in path if isinstance(step, Node))
        return overridden.isdisjoint(around) and value_in(self._loader.sources.above, path) is ABSENT

    def refused(self) -> Iterator[tuple[str, str]]:
        """Return the fields whose keys must not be removed, and the reasons."""
        reasons = ((each.field, self.in_words(each), self._refusal(each)) for each in self.with_inside_values())
        yield from dict.fromkeys((field, what + reason) for field, what, reason in reasons if reason is not None)

    def with_inside_values(self) -> list[Removal]:
        """Return the removals of keys, and those inside the value of a key or a document that is still there."""
        removals = list(self)
        known = {removal.name for removal in removals}
        removals += (each for each in self._inside_values() if known.isdisjoint((each.name, each.field)))
        return removals

    def _inside_values(self) -> Iterator[Removal]:
        """Yield what a mapping in the value of a key, or in a document, had and has no more, if that matters."""
        before, now = self._given_before, self._given_now
        for path in changed_entries(self._plan.roots, {name: before[name] for name in not_plain(before)}, now):
            if value_in(now, path) is ABSENT and self._was_entry_of_volumes(path):
                yield self._removal_of(path)

    def _removal_of(self, path: Path) -> Removal:
        """Describe the removal of a value that the strongest volume that has it gave."""
        feeds, name = self._before.feeds, path_name(path)
        index = max(at for at, each in enumerate(feeds) if value_in(each.values, path) is not ABSENT)
        return Removal(name, path, self._key_of(name, index), index, name)

    def _key_of(self, name: str, index: int) -> str:
        """The key that gave something inside a mapping: of those that give it, one that has changed."""
        feed, changed = self._before.feeds[index], self._changed_keys[index]
        parts = name.split("/")
        names = ("/".join(parts[:count]) for count in range(len(parts), 1, -1))
        key = next((feed.entries[each] for each in names if each in feed.entries), None) or feed.key_for(parts[0]) or ""
        return key if key in changed or len(changed) != 1 else changed[0]

    @cached
    def _changed_keys(self) -> list[list[str]]:
        """The keys of each volume that were changed or removed."""
        pairs = zip(self._before.feeds, self._now.feeds, strict=True)
        files = ((before.revision.files, now.revision.files) for before, now in pairs)
        return [[key for key, content in old.items() if new.get(key) != content] for old, new in files]

    def in_words(self, removal: Removal) -> str:
        """Describe a removal: a key, or a name in a document that still exists."""
        feed = self._now.feeds[removal.index]
        path = feed.revision.path
        if removal.key in feed.revision.files:
            what = f"an entry of `{removal.field}`" if removal.is_entry else f"`{removal.field}`"
            last = removal.path[-1]
            inside = f"`{last.label}` of " if removal.is_entry and isinstance(last, Node) else ""
            return f"{inside}{what} was removed from {path}/{removal.key}"
        return f"key `{removal.key}` was removed from {path}"

    def is_elsewhere(self, removal: Removal) -> bool:
        """Whether a weaker source has the entry."""
        return removal.is_entry and value_in(self._loader.sources.below, removal.path) is not ABSENT

    def _refusal(self, removal: Removal) -> str | None:
        config: Mapping[str, Any] = self._loader.cls.model_config
        own = _own_rule(self._plan, removal)
        rule = own or config.get("missing_key")
        if rule == "reject":
            which = '`Key(missing="reject")` of this field' if own else '`missing_key="reject"` of the class'
            return f", which {which} forbids: restore the key, or change that rule"
        if rule == "fallback" or not self._is_secret(removal):
            return None
        if self._is_emptied(removal.index):
            return (
                ", and the volume is empty now. A secret is not removed together with its volume: restore the key, or "
                'set `Key(missing="fallback")` for this field, which lets the last entry go too'
            )
        if self.is_elsewhere(removal):
            return (
                ", but another source, such as the environment, still has a value for it. Secrets do not fall back: "
                'remove it there too, restore it here, or set `Key(missing="fallback")` for this field'
            )
        if self._may_go(removal):
            return None
        return (
            '. Secrets do not fall back to defaults: restore the key, or set `Key(missing="fallback")` for this field'
        )

    def _is_secret(self, removal: Removal) -> bool:
        given = (feed for feed in self._before.feeds if feed.secret)
        if removal.is_entry:
            by_volume = any(value_in(feed.values, removal.path) is not ABSENT for feed in given)
        else:
            by_volume = any(feed.key_for(removal.field) is not None for feed in given)
        return by_volume or removal.path[-1].place.secret

    def _is_emptied(self, index: int) -> bool:
        """Whether a volume that had keys has none now: an optional Secret was deleted."""
        return bool(self._before.feeds[index].revision.files) and not self._now.feeds[index].revision.files

    def _may_go(self, removal: Removal) -> bool:
        """Whether nothing replaces the value, so that it may be removed: an entry, or a value that is None."""
        if removal.is_entry:
            return not has_replacement(self._before.snapshot, self._now.on_disk, removal.path)
        return _is_none_at(self._plan, removal.field, self._now.on_disk) is not None


def _feeding(feeds: Feeds, name: str) -> tuple[int, Feed]:
    """Return the volume of the highest precedence that feeds a field."""
    return next((index, feeds[index]) for index in reversed(range(len(feeds))) if name in feeds[index].keys)


def _own_rule(plan: Plan, removal: Removal) -> str | None:
    """Return the ``missing`` of the nearest `Key`: that of the value, or that of a model around it."""
    inside = (step for step in removal.path if isinstance(step, Node))
    nodes = [*plan.path(removal.field)[:-1], *inside]
    rules = (node.declared.missing for node in reversed(nodes) if node.declared is not None)
    return next((rule for rule in rules if rule is not None), None)


def _is_none_at(plan: Plan, dotted: str, snapshot: BaseModel) -> str | None:
    """The optional field at or around a name that has its default, None; else None."""
    for node in plan.path(dotted):
        may_be_none = node.field.default is None or node.field.default_factory is not None
        if may_be_none and value_at(snapshot, node.dotted) is None:
            return node.dotted
    return None
