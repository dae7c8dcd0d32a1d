"""The differences between two readings of the same volumes: generations, fields and keys."""

from __future__ import annotations

from collections.abc import Iterable

from liveconfig._loading.feed import Feed
from liveconfig._loading.loader import Feeds
from liveconfig._volumes import Revision


def named(revisions: Iterable[Revision]) -> dict[str, str]:
    """The names of generations by volume path."""
    return {revision.path: revision.generation for revision in revisions if revision.generation is not None}


def differing(old: Feeds, new: Feeds) -> list[tuple[Feed, Feed]]:
    """The feeds that are not the same in both."""
    return [(before, after) for before, after in zip(old, new, strict=True) if before != after]


def new_generations(old: Feeds, new: Feeds) -> dict[str, str]:
    """The names of the generations in ``new`` that are not those in ``old``, by volume path."""
    return named(after.revision for _, after in differing(old, new))


def concerned_generations(old: Feeds, new: Feeds, fields: tuple[str, ...]) -> dict[str, str]:
    """Those of them that feed some of the fields, or did; all where that can be said of none."""
    pairs = differing(old, new)
    concerned = [
        after for before, after in pairs if any(_feeds(before, name) or _feeds(after, name) for name in fields)
    ]
    return named(each.revision for each in concerned or [after for _, after in pairs])


def _feeds(feed: Feed, name: str) -> bool:
    return name in feed.keys or beside(name, set(feed.keys))


def vanished(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """The fields that some volume fed before and none feeds now, though all volumes are there."""
    if all(before.keys.keys() <= after.keys.keys() for before, after in zip(old, new, strict=True)):
        return ()  # as at nearly every swap
    fed = {name for each in new for name in each.keys}
    before = dict.fromkeys(name for each in old for name in each.keys)
    return tuple(name for name in before if name not in fed and not beside(name, fed))


def vanished_entries(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """The same for entries of mappings, as ``dotted/entry``; not where a key for the whole mapping has come."""
    if all(before.entries.keys() <= after.entries.keys() for before, after in zip(old, new, strict=True)):
        return ()
    entries = {name for each in new for name in each.entries}
    whole = {name for each in new for name, key in each.keys.items() if key not in each.entries.values()}
    before = dict.fromkeys(name for each in old for name in each.entries)
    return tuple(name for name in before if name not in entries and name.partition("/")[0] not in whole)


def beside(name: str, names: set[str]) -> bool:
    """Whether a model around the name, or a field inside it, is among the names."""
    around = name.split(".")
    if any(".".join(around[:count]) in names for count in range(1, len(around))):
        return True
    return any(other.startswith(name + ".") for other in names)


def changed_fields(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """The fields whose key holds other bytes, or is another key."""
    found: list[str] = []
    for before, after in differing(old, new):
        found += [name for name in {**before.keys, **after.keys} if _raw(before, name) != _raw(after, name)]
    return tuple(dict.fromkeys(found))


def _raw(feed: Feed, name: str) -> tuple[str, bytes | None] | None:
    key = feed.keys.get(name)
    return None if key is None else (key, feed.revision.files.get(key))
