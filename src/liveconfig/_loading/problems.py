"""The problems of a validation: field, place, and a message without any value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from liveconfig._loading.feed import Feed
from liveconfig._loading.fields import Node, Path, Place, field_of, value_in
from liveconfig._loading.messages import message
from liveconfig._loading.names import Plan, Root
from liveconfig._loading.sources import Layer, Sources
from liveconfig._loading.suggestions import did_you_mean, nearest
from liveconfig._loading.types import ABSENT
from liveconfig._loading.unused import COMPARED, looks_like_a_name

MOST = 20

Parts = tuple[int | str, ...]
"""The parts of a location of pydantic."""


class Problem(NamedTuple):
    """One problem.

    Attributes:
        location: The place: ``port``, ``routes[30].timeout``, ``tenants[*].host``; empty for the settings as a whole.
            The names of entries are left out, because they can be secrets.
        message: What is wrong.
        where: The key or the variable that the value comes from; empty where it is not known.
        hint: The key that is nearest to the missing one.
        looked_for: Where something that is missing was looked for.
    """

    location: str
    message: str
    where: str = ""
    hint: str = ""
    looked_for: str = ""

    @property
    def field(self) -> str:
        """The dotted name of the field that is at fault, or in which something is."""
        return self.location.partition("[")[0]

    @property
    def text(self) -> str:
        """The message, the place of the value or where it was looked for, and the hint."""
        where = f" ({self.where or self.looked_for})" if self.where or self.looked_for else ""
        return f"{self.message}{where}" + (f"; {self.hint}" if self.hint else "")

    def __str__(self) -> str:
        return f"{self.location}: {self.text}" if self.location else self.text


def find_problems(
    error: ValidationError,
    sources: Sources,
    feeds: tuple[Feed, ...],
    overridden: Iterable[Mapping[str, Any]],
    documents: Iterable[str],
    schema: object,
) -> tuple[Problem, ...]:
    """Return the problems of a validation, without any value.

    Args:
        error: The error. It contains values and must not leave liveconfig.
        sources: Everything but the volumes.
        feeds: What each volume gives.
        overridden: The data of each override.
        documents: The documents of the class.
        schema: What the class says of its fields.
    """
    overrides = tuple(Layer("override", "override()", data, {}) for data in overridden)
    declared, finder = repr(schema), _Finder(sources, overrides, feeds, documents)
    return tuple(finder.problem(detail, declared) for detail in error.errors()[:MOST])


class _Finder:
    """Finds the places of errors, and where the values there come from."""

    def __init__(
        self, sources: Sources, overrides: tuple[Layer, ...], feeds: tuple[Feed, ...], documents: Iterable[str]
    ) -> None:
        self._sources = sources
        self._layers = (*overrides, *sources.layers)
        self._feeds = feeds
        self._documents = documents

    def problem(self, detail: Mapping[str, Any], declared: str) -> Problem:
        """One error, located."""
        location, place, entry = self._located(detail["loc"])
        found = Problem(location, message(detail, declared))
        if detail["type"] == "extra_forbidden":
            return self._unknown(found, place, str(detail["loc"][-1]))
        found = found._replace(location=location.removesuffix("[*]"), where=self._where(found.field, entry))
        if detail["type"] == "missing":
            hint = hint_for(location, self._sources.plan, self._feeds) or self._near_document()
            return found._replace(hint=hint, looked_for=self._looked_for(location))
        return found

    def _near_document(self) -> str:
        missing = missing_documents(self._documents, self._feeds).items()
        near = (f"the document `{name}` is not there; did you mean `{close}`?" for name, close in missing if close)
        return next(near, "")

    def _unknown(self, found: Problem, place: Place | Root, name: str) -> Problem:
        """Describe a forbidden name: its place and the nearest name, if they may be shown."""
        given = isinstance(place, Root) and name in self._sources.arguments.values
        where = self._misnamed_in(place, name) or ("from an argument" if given else self._where(found.field))
        found = found._replace(where=where)
        if not looks_like_a_name(name):
            return found
        location = f"{found.location}.{name}" if found.location else name
        hint = did_you_mean(self._sources.plan.rules.canonical(name), place.children)
        return found._replace(location=location, message=found.message + hint)

    def _misnamed_in(self, place: Place | Root, name: str) -> str:
        for feed in reversed(self._feeds):
            for key, (around, each) in feed.misnamed.items():
                if each == name and around.dotted == place.dotted:
                    return f"in {_path_of(feed, key)}"
        return ""

    def _located(self, parts: Parts) -> tuple[str, Place | Root, Parts]:
        """The place as far as it is made of names of fields and of indices, and the parts from an entry on.

        The name of an entry is not shown: a key of a dict can be a secret itself.
        """
        text, entry = "", tuple[int | str, ...]()
        place: Place | Root = self._sources.plan.document
        while parts:
            part, found = parts[0], place.children.located(parts)
            node, parts = found or (None, parts[1:])
            if node is not None:
                text, place = f"{text}.{node.label}" if text else node.label, node
            elif isinstance(place, Root):
                break
            elif isinstance(part, int) and place.item is not None:
                text, place = f"{text}[{part}]", place.item
            elif place.entry is not None:
                entry = (part, *parts) if "[" not in text else entry
                text, place = f"{text}[*]", place.entry
            else:
                break
            if parts and not isinstance(place, Root) and place.is_union:
                parts = parts[1:]  # it names the member of the union
        return text, place, entry

    def _looked_for(self, location: str) -> str:
        if not self._feeds or self._sources.plan.node(location) is None:
            return ""
        paths = ", ".join(feed.revision.path for feed in self._feeds)
        return f"looked for `{self._sources.plan.keys_for(location)[0]}` in {paths}"

    def _where(self, dotted: str, entry: Parts = ()) -> str:
        nodes = self._sources.plan.path(dotted) if dotted else ()
        for layer in self._layers if nodes else ():
            if layer.kind is None:
                for feed in reversed(self._feeds):
                    if (key := _key_of(feed, nodes, entry)) is not None:
                        return f"in {feed.revision.path}/{key}"
            elif _gives(layer.values, nodes, entry):
                return _source(layer, nodes)
        return ""


def _gives(values: Mapping[str, Any], nodes: tuple[Node, ...], entry: Parts) -> bool:
    """Whether some data has a value for a field, or for the entry of it."""
    value = value_in(values, nodes)
    has_entry = not entry or not isinstance(value, Mapping) or entry[0] in value
    return value is not ABSENT and has_entry


def _key_of(feed: Feed, nodes: tuple[Node, ...], entry: Parts) -> str | None:
    """The key that gives a field, or something inside one entry of it; None if it is not in this volume."""
    dotted = nodes[-1].dotted
    if entry and not _gives(feed.values, nodes, entry):
        return None
    names = [f"{dotted}/{'/'.join(map(str, entry[:count]))}" for count in range(len(entry), 0, -1)]
    exact = next((feed.entries[name] for name in names if name in feed.entries), None)
    if exact is not None or not entry or feed.feeds_whole(dotted):
        return exact or feed.key_for(dotted)
    return next((key for name, key in feed.entries.items() if name.startswith(f"{names[-1]}/")), None)


def _source(layer: Layer, nodes: tuple[Node, ...]) -> str:
    names = (layer.variables.get(node.dotted) for node in reversed(nodes))
    variable = next((name for name in names if name is not None), "")
    if layer.kind == "environment":
        return f"in the variable {variable}" if variable else "in the environment"
    if layer.kind == "dotenv":
        return f"in {layer.path}" + (f", {variable}" if variable else "")
    return "from an argument" if layer.kind == "init" else f"from {layer.name}"


def missing_documents(documents: Iterable[str], feeds: tuple[Feed, ...]) -> dict[str, str | None]:
    """The documents that are on no volume, each with the key that comes near."""
    named = frozenset(documents)
    missing = sorted(name for name in named if not any(name in feed.revision.files for feed in feeds))
    keys = {key for feed in feeds for key in feed.revision.files} - named if missing else ()
    return {name: nearest(name, keys) for name in missing}


def hint_for(location: str, plan: Plan, feeds: tuple[Feed, ...]) -> str:
    """Suggest a name on a volume that is near to the name of a missing field; empty if there is none."""
    dotted = re.sub(r"\[\d+\]", "[]", location)
    for feed in feeds:
        for key in feed.unused:
            if plan.rules.prefix and any(_is_inside(path, dotted) for path in plan.without_prefix(key)):
                return (
                    f"the key `{key}` in {feed.revision.path} has no prefix `{plan.rules.prefix}`: rename it, or set "
                    '`key_prefix=""`'
                )
    unused = {_comparable(plan, name): text for feed in feeds for name, text in _unused(plan, feed)}
    close = (nearest(_comparable(plan, name), unused) for name in _wanted(plan, dotted))
    return next((f"did you mean {unused[name]}?" for name in close if name is not None), "")


def _is_inside(path: Path, dotted: str) -> bool:
    return f"{field_of(path).dotted}.".startswith(f"{dotted}.")


def _wanted(plan: Plan, dotted: str) -> Iterator[str]:
    """The keys that a field is looked for in, and those of the fields inside it, which it must have first."""
    node = plan.node(dotted)
    if node is None:
        yield plan.rules.prefix + dotted
        return
    yield from plan.keys_for(dotted)
    inside = {each.dotted: each for each in node.children.values()}
    for name in sorted(inside, key=lambda name: not inside[name].field.is_required()):
        yield plan.keys_for(name)[0]


def _unused(plan: Plan, feed: Feed) -> Iterator[tuple[str, str]]:
    """The names that feed no field and may be shown, with their text."""
    for key in feed.unused[:COMPARED]:
        if key in feed.misnamed:
            place, name = feed.misnamed[key]
            if looks_like_a_name(name):
                around = f"{place.dotted}." if place.dotted else ""
                yield f"{plan.rules.prefix}{around}{name}", f"the name `{name}` in {_path_of(feed, key)}"
        elif key in feed.revision.files:
            yield key, f"the key `{key}` in {feed.revision.path}"


def _path_of(feed: Feed, key: str) -> str:
    """The file in which a name stands."""
    return f"{feed.revision.path}/{key.partition(':')[0]}"


def _comparable(plan: Plan, name: str) -> str:
    """A name without what separates its parts: ``db-password`` comes near to ``db.password``."""
    return re.sub(r"[./_]+", "_", plan.rules.canonical(name))
