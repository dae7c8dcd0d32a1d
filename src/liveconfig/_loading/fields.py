"""The fields of one model: the names that each answers to, and the name that pydantic takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo

from liveconfig._loading.types import (
    Kind,
    by_alias_of,
    by_name_of,
    entry_kind,
    is_secret,
    is_text,
    kind_of,
    members,
    nested_fields,
    takes_any_key,
)

ABSENT = object()
"""No value, where None is one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a class says of names.

    Attributes:
        case_sensitive: Whether case counts.
        prefix: ``env_prefix``: names are known with and without it.
        delimiter: ``env_nested_delimiter``: reaches into nested models, beside ``/`` and ``.``; None for none.
        decode_all: Whether even simple text goes through pydantic-settings (strict numbers, enum names).
    """

    case_sensitive: bool = False
    prefix: str = ""
    delimiter: str | None = None
    decode_all: bool = False

    def canonical(self, name: str) -> str:
        """The form in which names are compared."""
        name = name.replace("-", "_")
        return name if self.case_sensitive else name.lower()


@dataclass(frozen=True, slots=True)
class Input:
    """One name under which pydantic takes a field; with a path, what it takes is inside of what stands there."""

    key: str
    path: tuple[str | int, ...] = ()

    def given(self, data: Mapping[str, Any]) -> Any:
        """What stands there; `ABSENT` if nothing does."""
        value = data.get(self.key, ABSENT)
        for part in self.path:
            value = _inside(value, part)
        return value


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (TypeError, LookupError):
        return ABSENT


def _inputs(label: str, field: FieldInfo, *, by_alias: bool, by_name: bool) -> tuple[Input, ...]:
    """All of them, in the order in which pydantic looks."""
    found = [Input(str(path[0]), tuple(path[1:])) for path in _paths(field)] if by_alias else []
    if not found or by_name:
        found.append(Input(label))
    return tuple(found)


def _paths(field: FieldInfo) -> list[list[str | int]]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias is not None else []
    return [each.path if isinstance(each, AliasPath) else [each] for each in choices]


def aliases_of(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    """Every alias of some fields; of a path, its first part."""
    return frozenset(str(path[0]) for field in fields.values() for path in _paths(field))


def names_of(label: str, field: FieldInfo) -> tuple[str, ...]:
    """The names under which a field is known, its aliases first."""
    return (*(str(path[0]) for path in _paths(field)), label)


class Node:
    """One field, at any depth, and how keys reach it.

    Attributes:
        dotted: Its name from the settings down.
        label: Its name in its own class.
        key: Where a key's value goes in the data for pydantic.
        nested_path: Whether pydantic takes the field out of what stands there (an `AliasPath`).
        inputs: Every name under which pydantic takes it.
        kind: How the bytes of a key are read.
    """

    def __init__(self, rules: Rules, dotted: str, label: str, field: FieldInfo, inputs: tuple[Input, ...]) -> None:
        self._rules = rules
        self.dotted = dotted
        self.label = label
        self.field = field
        self.inputs = inputs
        first = next((each for each in inputs if not each.path), inputs[0])
        self.key, self.nested_path = first.key, bool(first.path)
        self.sharers: tuple[Node, ...] = (self,)
        self.kind = kind_of(field.annotation)
        if self.kind is not Kind.BYTES and (rules.decode_all or self.nested_path):
            self.kind = Kind.DECODED

    def by_path(self, key: str, sharers: tuple[Node, ...]) -> Node:
        """The same field, reached by the key inside of which an `AliasPath` looks; others may look there too."""
        node = Node(self._rules, self.dotted, self.label, self.field, self.inputs)
        node.key, node.nested_path, node.kind, node.sharers = key, True, Kind.DECODED, sharers
        return node

    def served(self, value: Any) -> Iterator[str]:
        """The dotted names of the fields that a value, put at `key`, serves."""
        for each in self.sharers:
            inputs = (given for given in each.inputs if given.key == self.key)
            if not self.nested_path or any(given.given({self.key: value}) is not ABSENT for given in inputs):
                yield each.dotted

    def given(self, data: Mapping[str, Any]) -> Any:
        """What some layer's data holds for the field; `ABSENT` if it holds nothing."""
        return next((value for each in self.inputs if (value := each.given(data)) is not ABSENT), ABSENT)

    def rank(self, name: str) -> int | None:
        """How early pydantic looks for the field under a name; None where it does not, or looks inside."""
        ranks = (at for at, each in enumerate(self.inputs) if each.key == name and not each.path)
        return None if self.nested_path else next(ranks, None)

    @cached_property
    def secret(self) -> bool:
        """Whether values of this field count as secret because of their type."""
        return is_secret(self.field.annotation)

    @cached_property
    def children(self) -> Level:
        """The fields of the nested model, by canonical name; empty where it is none."""
        models = list(members(self.field.annotation))
        by_alias, by_name = all(map(by_alias_of, models)), any(map(by_name_of, models))
        fields = nested_fields(self.field.annotation)
        return Level(self._rules, fields, self.dotted + ".", prefix="", by_alias=by_alias, by_name=by_name)

    @cached_property
    def takes_any_key(self) -> bool:
        """Whether it is a mapping, into which every key fits."""
        return takes_any_key(self.field.annotation)

    @cached_property
    def entry_kind(self) -> Kind:
        """How an entry of the mapping is read, where it is one."""
        return entry_kind(self.field.annotation)


class Level(Mapping[str, Node]):
    """The nodes of some fields by every canonical name they answer to; a node is made when it is asked for.

    Of a large class most are never asked for: see `plain`.
    """

    def __init__(
        self,
        rules: Rules,
        fields: Mapping[str, FieldInfo],
        dotted: str,
        prefix: str,
        *,
        by_alias: bool,
        by_name: bool,
    ) -> None:
        self._rules = rules
        self._fields = fields
        self._dotted = dotted
        self._prefix = prefix
        self._by = {"by_alias": by_alias, "by_name": by_name}
        self.labels = _labels(rules, fields, prefix)
        self._nodes: dict[str, Node] = {}
        self._by_path: dict[str, Node] = {}

    def __getitem__(self, name: str) -> Node:
        node = self.node(self.labels[name])
        if len(node.inputs) == 1 and not node.nested_path:
            return node
        return self._by_path.get(name) or self._reached(node, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def node(self, label: str) -> Node:
        """The node of a field.

        Raises:
            KeyError: There is none of this name.
        """
        if label not in self._nodes:
            field, dotted = self._fields[label], self._dotted + label
            self._nodes[label] = Node(self._rules, dotted, label, field, _inputs(label, field, **self._by))
        return self._nodes[label]

    def _reached(self, node: Node, name: str) -> Node:
        """The node as it is reached by one of several names."""
        canonical = self._rules.canonical
        spelled = [each for each in node.inputs if name in (canonical(each.key), canonical(self._prefix + each.key))]
        if spelled and all(each.path for each in spelled):
            key = spelled[0].key
            sharers = (self.node(label) for label in self._fields if self._fields[label].validation_alias is not None)
            looking = tuple(each for each in sharers if any(given.path and given.key == key for given in each.inputs))
            node = node.by_path(key, looking)
        self._by_path[name] = node
        return node

    def aligned(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The same data under the keys under which a volume gives it, so that one replaces the other when merged."""
        found: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        for name, value in values.items():
            node = self.get(self._rules.canonical(name)) if isinstance(name, str) else None
            rank = None if node is None else node.rank(name)
            if node is None or rank is None:
                found.setdefault(name, value)
            elif rank <= ranks.get(node.key, rank):
                inside = isinstance(value, dict) and node.children
                found[node.key], ranks[node.key] = node.children.aligned(value) if inside else value, rank
        return found

    def plain(self) -> dict[str, str]:
        """The fields that take text as it is and have no alias, by canonical name."""
        fields = self._fields
        return {
            name: label
            for name, label in self.labels.items()
            if is_text(fields[label].annotation) and fields[label].validation_alias is None
        }


def _labels(rules: Rules, fields: Mapping[str, FieldInfo], prefix: str) -> dict[str, str]:
    """The field by every canonical name it answers to; an alias goes before another one's name."""
    aliased = {name: names_of(name, field) for name, field in fields.items() if field.validation_alias is not None}
    canonical = rules.canonical
    found: dict[str, str] = {}
    for lead in (prefix, "") if prefix else ("",):
        for label in fields:
            found.setdefault(canonical(lead + (aliased[label][0] if label in aliased else label)), label)
        for rank in range(1, max(map(len, aliased.values()), default=1)):
            for label, names in aliased.items():
                if rank < len(names):
                    found.setdefault(canonical(lead + names[rank]), label)
    return found
