"""Which key feeds which field, and the nearest name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from liveconfig._loading.fields import Level, Node, Rules
from liveconfig._loading.key import Key, keys_within
from liveconfig._loading.types import Kind, by_alias_of, by_name_of

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings


Found = tuple[tuple[Node, ...], str | None]
"""The path to a field, and the entry inside it where that field is a mapping."""

LONGEST = 1000
"""Characters at most in a name that feeds a field: looking for the dots in it takes the square of that."""


class Plan:
    """The names of one settings class, made once."""

    def __init__(self, cls: type[BaseSettings], rules: Rules) -> None:
        self.rules = rules
        by_alias, by_name = by_alias_of(cls), by_name_of(cls)
        self.roots = Level(rules, cls.model_fields, "", rules.prefix, by_alias=by_alias, by_name=by_name)
        self.plain = {} if rules.decode_all else self.roots.plain()
        """The fields that take text as it is and have no alias, by canonical name."""
        self._resolved: dict[str, Found | None] = {}
        self._fields = cls.model_fields

    @cached_property
    def keys(self) -> Mapping[str, Key]:
        """The `Key` of each field that has one, by dotted name, at any depth."""
        return keys_within(self._fields)

    @cached_property
    def restart_fields(self) -> frozenset[str]:
        """The dotted names of the fields (models too) whose values take effect only when the process starts."""
        return frozenset(name for name, key in self.keys.items() if key.restart)

    def needs_restart(self, dotted: str) -> bool:
        """Whether a change of a leaf takes effect only at a restart: it or a model around it is a restart field."""
        parts = dotted.split(".") if self.restart_fields else []
        return any(".".join(parts[:count]) in self.restart_fields for count in range(1, len(parts) + 1))

    @cached_property
    def fields(self) -> Mapping[str, Node]:
        """The nodes of the first level by the names of their fields."""
        return {label: self.roots.node(label) for label in self.roots.labels.values()}

    def text_field(self, key: str) -> str | None:
        """The field of the first level that a key not in `plain` feeds as plain text; None if it does no such thing."""
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
        delimiter = self.rules.delimiter
        inside = "." in key or "/" in key or (delimiter is not None and delimiter in key.replace("-", "_"))
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
        whole = level.get(self.rules.canonical(name)) or level.get(self.rules.canonical(name.replace(".", "_")))
        return (
            self._split(level, name, ".")
            or (whole and ((whole,), None))
            or (self._split(level, name.replace("-", "_"), self.rules.delimiter) if self.rules.delimiter else None)
        )

    def _split(self, level: Mapping[str, Node], name: str, separator: str) -> Found | None:
        at = name.find(separator, 1)
        while at > 0:
            node = level.get(self.rules.canonical(name[:at].replace(".", "_")))
            rest = name[at + len(separator) :]
            if node is not None and rest:
                deeper = self._find(node.children, rest) if node.children else None
                if deeper:
                    return (node, *deeper[0]), deeper[1]
                if node.takes_any_key:
                    return (node,), rest
            at = name.find(separator, at + 1)
        return None

    def path(self, dotted: str) -> tuple[Node, ...]:
        """The nodes from the first level to a dotted field; empty where there is no such field."""
        nodes: list[Node] = []
        level = self.roots
        for label in dotted.split("."):
            try:
                nodes.append(level.node(label))
            except KeyError:
                return ()
            level = nodes[-1].children
        return tuple(nodes)

    def node(self, dotted: str) -> Node | None:
        """The node of a dotted field name."""
        return next(reversed(self.path(dotted)), None)


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


def getter(dotted: str) -> Callable[[Any], Any]:
    """What reads a dotted field of an instance, as `value_at` does."""
    return attrgetter(dotted) if "." not in dotted else partial(_value_at, dotted)


def _value_at(dotted: str, data: Any) -> Any:
    return value_at(data, dotted)


def value_at(data: Any, dotted: str) -> Any:
    """The value of a dotted field in an instance; None where a model on the way is None, or another of a union."""
    for label in dotted.split("."):
        if label not in getattr(type(data), "__pydantic_fields__", ()):
            return None  # None, or another member of a union
        data = getattr(data, label)
    return data
