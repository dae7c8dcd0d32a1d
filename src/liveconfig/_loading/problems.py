"""What a validation found: the field, its place, and a message without any value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Node, Path, Place, field_of
from liveconfig._loading.messages import message
from liveconfig._loading.names import Plan, Root
from liveconfig._loading.sources import Layer, Sources
from liveconfig._loading.suggestions import did_you_mean, nearest
from liveconfig._loading.types import ABSENT

MOST = 20

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
"""A name in a document that may be repeated: another one may be no name but a secret."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        location: The place: ``port``, ``routes[30].timeout``, ``tenants[*].host``; empty for the settings as a whole.
            The names of entries are left out, because they can be secrets.
        message: What is wrong.
        where: The key or the variable that the value comes from; empty where it is not known.
        hint: What comes near to what is missing.
    """

    location: str
    message: str
    where: str = ""
    hint: str = ""

    @property
    def field(self) -> str:
        """The dotted name of the field that is at fault, or in which something is."""
        return self.location.partition("[")[0]

    @property
    def text(self) -> str:
        """What is wrong, where the value comes from, and the hint."""
        where = f" ({self.where})" if self.where else ""
        return f"{self.message}{where}" + (f"; {self.hint}" if self.hint else "")

    def __str__(self) -> str:
        return f"{self.location}: {self.text}" if self.location else self.text


def find_problems(
    error: ValidationError, sources: Sources, feeds: tuple[Feed, ...], schema: object
) -> tuple[Problem, ...]:
    """What a validation found, without any value.

    Args:
        error: It contains values, and must not leave liveconfig.
        sources: Everything but the volumes.
        feeds: What each volume gives.
        schema: What the class says of its fields.
    """
    declared, finder = repr(schema), _Finder(sources, feeds)
    return tuple(finder.problem(detail, declared) for detail in error.errors()[:MOST])


class _Finder:
    """Finds the places of errors, and where the values there come from."""

    def __init__(self, sources: Sources, feeds: tuple[Feed, ...]) -> None:
        self._sources = sources
        self._feeds = feeds

    def problem(self, detail: Mapping[str, Any], declared: str) -> Problem:
        """One error, located."""
        kind, location = detail["type"], self._location(detail["loc"])
        found = Problem(location, message(detail, declared))
        if kind == "extra_forbidden":
            found = self._unknown(found, str(detail["loc"][-1]))
        found = replace(found, where=self._where(found.field))
        if kind == "missing" and found.location == found.field:
            return replace(found, hint=hint_for(found.field, self._sources.plan, self._feeds))
        return found

    def _unknown(self, found: Problem, name: str) -> Problem:
        if not _NAME.fullmatch(name) or name in self._sources.arguments.values:
            return found
        around: Place | Root | None = self._sources.plan.document
        if found.location:
            around = self._sources.plan.node(found.field)
        known = around.children if around is not None else ()
        location = f"{found.location}.{name}" if found.location else name
        return replace(found, location=location, message=found.message + did_you_mean(name, known))

    def _location(self, parts: tuple[int | str, ...]) -> str:
        """The place as far as it is made of names of fields and of indices: a key of a dict can be a secret itself."""
        text = ""
        place: Place | None = None
        for part in parts:
            inside = self._sources.plan.document if place is None else place
            node = inside.children.accepting(part) if isinstance(part, str) else None
            if node is not None:
                text, place = f"{text}.{node.label}" if text else node.label, node
            elif isinstance(part, int) and place is not None and place.item is not None:
                text, place = f"{text}[{part}]", place.item
            elif place is not None and place.entry is not None and not place.is_union:
                text, place = f"{text}[*]", place.entry
            elif place is None or not place.is_union:  # else it tells the member of a union
                break
        return text.removesuffix("[*]")

    def _where(self, dotted: str) -> str:
        nodes = self._sources.plan.path(dotted) if dotted else ()
        for layer in self._sources.layers if nodes else ():
            if layer.kind is None:
                for feed in reversed(self._feeds):
                    if (key := feed.key_for(dotted)) is not None:
                        return f"in {feed.revision.path}/{key}"
            elif layer.value(nodes) is not ABSENT:
                return _source(layer, nodes)
        return ""


def _source(layer: Layer, nodes: tuple[Node, ...]) -> str:
    names = (layer.variables.get(node.dotted) for node in reversed(nodes))
    variable = next((name for name in names if name is not None), "")
    if layer.kind == "environment":
        return f"in the variable {variable}" if variable else "in the environment"
    if layer.kind == "dotenv":
        return f"in {layer.path}" + (f", {variable}" if variable else "")
    return "from an argument" if layer.kind == "init" else f"from {layer.name}"


def hint_for(dotted: str, plan: Plan, feeds: tuple[Feed, ...]) -> str:
    """The key on a volume that comes near to what a missing field looks for; empty if there is none."""
    for feed in feeds:
        for key in feed.unused:
            if plan.rules.prefix and any(_is_inside(path, dotted) for path in plan.without_prefix(key)):
                return (
                    f"the key `{key}` in {feed.revision.path} has no prefix `{plan.rules.prefix}`: rename it, or set "
                    '`key_prefix=""`'
                )
    found = _nearest_key(dotted, plan, feeds)
    return f"the key `{found[1]}` in {found[0].revision.path} comes near" if found else ""


def _is_inside(path: Path, dotted: str) -> bool:
    return f"{field_of(path).dotted}.".startswith(f"{dotted}.")


def _nearest_key(dotted: str, plan: Plan, feeds: tuple[Feed, ...]) -> tuple[Feed, str] | None:
    keys = {_comparable(key, plan): (feed, key) for feed, key in _unused_single_keys(feeds)}
    close = nearest(_comparable(plan.rules.prefix + dotted, plan), keys)
    return None if close is None else keys[close]


def _unused_single_keys(feeds: tuple[Feed, ...]) -> Iterator[tuple[Feed, str]]:
    for feed in feeds:
        yield from ((feed, key) for key in feed.unused[:_COMPARED] if key in feed.revision.files)


_COMPARED = 200


def _comparable(name: str, plan: Plan) -> str:
    """A name without what separates its parts: ``db-password`` comes near to ``db.password``."""
    return re.sub(r"[./_]+", "_", plan.rules.canonical(name))
