"""Which key feeds which field: names compared as pydantic-settings compares those of variables, with ``-`` as ``_``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo

from liveconfig._reading.types import (
    Kind,
    by_alias_of,
    entry_kind,
    is_secret,
    is_text,
    kind_of,
    nested_by_alias,
    nested_fields,
    takes_any_key,
)

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings


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


class Node:
    """One field, at any depth, and how keys reach it."""

    def __init__(self, rules: Rules, dotted: str, label: str, field: FieldInfo, *, by_alias: bool) -> None:
        self._rules = rules
        self.dotted = dotted
        self.label = label
        self.field = field
        self.key, self.nested_path = _input_key(label, field) if by_alias else (label, False)
        self.kind = kind_of(field.annotation)
        if self.kind is not Kind.BYTES and (rules.decode_all or self.nested_path):
            self.kind = Kind.DECODED

    @cached_property
    def secret(self) -> bool:
        """Whether values of this field count as secret because of their type."""
        return is_secret(self.field.annotation)

    @cached_property
    def children(self) -> Level:
        """The fields of the nested model, by canonical name; empty where it is none."""
        annotation = self.field.annotation
        by_alias = nested_by_alias(annotation)
        return Level(self._rules, nested_fields(annotation), self.dotted + ".", prefix="", by_alias=by_alias)

    @cached_property
    def takes_any_key(self) -> bool:
        """Whether it is a mapping, into which every key fits."""
        return takes_any_key(self.field.annotation)

    @cached_property
    def entry_kind(self) -> Kind:
        """How an entry of the mapping is read, where it is one."""
        return entry_kind(self.field.annotation)


def _input_key(name: str, field: FieldInfo) -> tuple[str, bool]:
    """Under which key pydantic takes the field, and whether the value is looked up inside what stands there."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    if isinstance(alias, AliasPath):
        return str(alias.path[0]), len(alias.path) > 1
    return alias or name, False


def names_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """The names under which a field is known, its aliases first."""
    alias = field.validation_alias
    if alias is None:
        return (name,)
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return (*(str(choice.path[0]) if isinstance(choice, AliasPath) else choice for choice in choices), name)


class Level(Mapping[str, Node]):
    """The nodes of some fields by every canonical name they answer to; a node is made when it is asked for.

    Of a large class most are never asked for: see `Plan.plain`.
    """

    def __init__(
        self, rules: Rules, fields: Mapping[str, FieldInfo], dotted: str, prefix: str, *, by_alias: bool
    ) -> None:
        self.labels = _labels(rules, fields, prefix)
        self._rules = rules
        self._by_alias = by_alias
        self._fields = fields
        self._dotted = dotted
        self._nodes: dict[str, Node] = {}

    def __getitem__(self, name: str) -> Node:
        label = self.labels[name]
        if label not in self._nodes:
            field, dotted = self._fields[label], self._dotted + label
            self._nodes[label] = Node(self._rules, dotted, label, field, by_alias=self._by_alias)
        return self._nodes[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


def _labels(rules: Rules, fields: Mapping[str, FieldInfo], prefix: str) -> dict[str, str]:
    """The field by every canonical name it answers to; an alias goes before another one's name."""
    aliased = {name: names_of(name, field) for name, field in fields.items() if field.validation_alias is not None}
    found: dict[str, str] = {}
    for lead in (prefix, "") if prefix else ("",):
        for label in fields:
            found.setdefault(rules.canonical(lead + (aliased[label][0] if label in aliased else label)), label)
        for rank in range(1, max(map(len, aliased.values()), default=1)):
            for label, names in aliased.items():
                if rank < len(names):
                    found.setdefault(rules.canonical(lead + names[rank]), label)
    return found


def _plain(labels: Mapping[str, str], fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    texts = {name for name, field in fields.items() if field.validation_alias is None and is_text(field.annotation)}
    return {name: label for name, label in labels.items() if label in texts}


Found = tuple[tuple[Node, ...], str | None]
"""The path to a field, and the entry inside it where that field is a mapping."""

LONGEST = 1000
"""Characters at most in a name that feeds a field: looking for the dots in it takes the square of that."""


class Plan:
    """The names of one settings class, made once."""

    def __init__(self, cls: type[BaseSettings], rules: Rules) -> None:
        self.rules = rules
        by_alias = by_alias_of(cls)
        self.roots = Level(rules, cls.model_fields, "", rules.prefix, by_alias=by_alias)
        self.plain = {} if rules.decode_all else _plain(self.roots.labels, cls.model_fields)
        """The fields that take text as it is and have no alias, by canonical name."""
        self._resolved: dict[str, Found | None] = {}

    @cached_property
    def fields(self) -> Mapping[str, Node]:
        """The nodes of the first level by the names of their fields."""
        return {node.label: node for node in self.roots.values()}

    def text_field(self, key: str) -> str | None:
        """The field of the first level that a key feeds as plain text; None if that is not what it does."""
        if key in self.plain:
            return self.plain[key]
        found = self.resolve(key)
        if found is None or found[1] is not None or len(found[0]) > 1:
            return None
        node = found[0][0]  # pyright: ignore[reportGeneralTypeIssues]
        return node.label if node.kind is Kind.TEXT and node.key == node.label else None

    def resolve(self, key: str) -> Found | None:
        """The field that a key feeds; None where it feeds none."""
        try:
            return self._resolved[key]
        except KeyError:
            found = None if self._leads_nowhere(key) else self._find_folders(self.roots, key.split("/"))
        if len(self._resolved) > 50_000:  # keys come from outside: never grow without end
            self._resolved.clear()
        self._resolved[key] = found
        return found

    def _leads_nowhere(self, key: str) -> bool:
        """Whether it is plain that no field answers to a key, as it is for nearly all variables of an environment."""
        if len(key) > LONGEST:
            return True
        inside = "." in key or "/" in key or (self.rules.delimiter is not None and self.rules.delimiter in key)
        return not inside and self.rules.canonical(key) not in self.roots.labels

    def find(self, level: Mapping[str, Node], name: str) -> Found | None:
        """The field, among those of one level or inside them, that a name in a document feeds."""
        return None if len(name) > LONGEST else self._find(level, name)

    def _find_folders(self, level: Mapping[str, Node], parts: list[str]) -> Found | None:
        found = self._find(level, parts[0])
        if found is None or len(parts) == 1:
            return found
        path, entry = found
        if entry is None and path[-1].children:
            deeper = self._find_folders(path[-1].children, parts[1:])
            return deeper and ((*path, *deeper[0]), deeper[1])
        if entry is None and path[-1].takes_any_key and len(parts) == 2:
            return path, parts[1]
        return None

    def _find(self, level: Mapping[str, Node], name: str) -> Found | None:
        """A dot that leads into a nested model, then the name as it is, then the delimiter."""
        whole = level.get(self.rules.canonical(name.replace(".", "_")))
        return (
            self._split(level, name, ".")
            or (whole and ((whole,), None))
            or (self._split(level, name, self.rules.delimiter) if self.rules.delimiter else None)
        )

    def _split(self, level: Mapping[str, Node], name: str, separator: str) -> Found | None:
        at = name.find(separator, 1)
        while at > 0:
            node = level.get(self.rules.canonical(name[:at]))
            rest = name[at + len(separator) :]
            if node is not None and rest:
                deeper = self._find(node.children, rest) if node.children else None
                if deeper:
                    return (node, *deeper[0]), deeper[1]
                if node.takes_any_key:
                    return (node,), rest
            at = name.find(separator, at + 1)
        return None

    def node(self, dotted: str) -> Node | None:
        """The node of a dotted field name."""
        first, *rest = dotted.split(".")
        node = self.fields.get(first)
        for label in rest:
            by_label = {child.label: child for child in node.children.values()} if node else {}
            node = by_label.get(label)
        return node


_PLANS = "__liveconfig_plans__"


def plan_of(cls: type[BaseSettings], rules: Rules) -> Plan:
    """The plan of a class, made once and kept with it."""
    plans: dict[Rules, Plan] | None = cls.__dict__.get(_PLANS)
    if plans is None:
        plans = {}
        type.__setattr__(cls, _PLANS, plans)
    if rules not in plans:
        plans[rules] = Plan(cls, rules)
    return plans[rules]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one; None where none comes close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def getter(dotted: str) -> Callable[[Any], Any]:
    """What reads a dotted field of an instance, as `value_at` does."""
    return attrgetter(dotted) if "." not in dotted else partial(_value_at, dotted)


def _value_at(dotted: str, data: Any) -> Any:
    return value_at(data, dotted)


def value_at(data: Any, dotted: str) -> Any:
    """The value of a dotted field in an instance; None where an optional model on the way is None."""
    for label in dotted.split("."):
        if data is None:
            return None
        data = getattr(data, label)
    return data
