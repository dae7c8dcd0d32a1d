"""The differences between two readings of the same volumes: generations, fields and keys."""

from __future__ import annotations

from collections.abc import Iterable

from liveconfig._loading.loader import Feeds
from liveconfig._volumes import Revision


def named(revisions: Iterable[Revision]) -> dict[str, str]:
    """Return the names of generations by volume path."""
    return {revision.path: revision.generation for revision in revisions if revision.generation is not None}


def unfed(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """Return the fields that keys fed before and no key feeds now, although all volumes exist."""
    if all(before.keys.keys() <= after.keys.keys() for before, after in zip(old, new, strict=True)):
        return ()  # the usual case
    fed = {name for each in new for name in each.keys}
    return tuple(dict.fromkeys(name for each in old for name in each.keys if name not in fed))


def vanished_entries(old: Feeds, new: Feeds) -> tuple[str, ...]:
    """Return the removed entries of mappings, as ``dotted/entry``; none if a key feeds the whole mapping now."""
    if all(before.entries.keys() <= after.entries.keys() for before, after in zip(old, new, strict=True)):
        return ()
    entries = {name for each in new for name in each.entries}
    whole = {name for each in new for name, key in each.keys.items() if key not in each.entries.values()}
    before = dict.fromkeys(name for each in old for name in each.entries)
    return tuple(name for name in before if name not in entries and name.partition("/")[0] not in whole)
