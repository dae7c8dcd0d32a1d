"""The changes between two snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from liveconfig._loading import extra_of, is_branch, same, unlike
from liveconfig.events import Change


def diff(old: BaseModel, new: BaseModel, version: int) -> tuple[Change[Any], ...]:
    """Return one `Change` for each leaf that differs. Lists and dicts are one leaf; nested models are not."""
    return tuple(_changes(old, new, version, ""))


def _changes(old: BaseModel, new: BaseModel, version: int, prefix: str) -> Iterator[Change[Any]]:
    for name in unlike(old, new):
        before, after = old.__dict__[name], new.__dict__[name]
        if is_branch(before) and type(before) is type(after):
            yield from _changes(before, after, version, f"{prefix}{name}.")
        elif not same(before, after):
            yield Change(prefix + name, before, after, version)
    gone, come = extra_of(old), extra_of(new)
    for name in {**gone, **come} if gone or come else ():
        if name not in gone or name not in come or not same(gone[name], come[name]):
            yield Change(prefix + name, gone.get(name), come.get(name), version)
