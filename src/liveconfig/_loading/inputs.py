"""The names under which pydantic looks for the value of a field, and the rules of a class for names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo

from liveconfig._loading.types import ABSENT, class_of, is_text, members, nested_fields


class Rules(NamedTuple):
    """The rules of a class for names.

    Attributes:
        case_sensitive: Whether case counts.
        prefix: The prefix that names at the first level carry.
        prefix_target: The names with the prefix, as in pydantic-settings: ``"variable"``, ``"alias"`` or ``"all"``.
        delimiter: ``env_nested_delimiter``: reaches into nested models, beside ``/`` and ``.``; None for none.
        max_split: ``env_nested_max_split``: how often a name is split at the delimiter at most; None for any number.
        decode_all: Whether even simple text goes through pydantic-settings (strict numbers, enum names).
    """

    case_sensitive: bool = False
    prefix: str = ""
    prefix_target: str = "variable"
    delimiter: str | None = None
    max_split: int | None = None
    decode_all: bool = False

    def canonical(self, name: str) -> str:
        """Return the form in which names are compared."""
        name = with_underscores(name)
        return name if self.case_sensitive else name.lower()

    @property
    def without_prefix(self) -> Rules:
        """Return the same rules for names without a prefix."""
        return self._replace(prefix="") if self.prefix else self

    def lead(self, each: Input) -> str:
        """Return the prefix of one of the names of a field."""
        return self.prefix if self.prefix_target in ("all", "alias" if each.is_alias else "variable") else ""


def with_underscores(name: str) -> str:
    """Return a name in which each ``-`` is ``_``, because the two are equal in names."""
    return name.replace("-", "_")


_SEPARATORS = frozenset("./")


class Input(NamedTuple):
    """One name under which pydantic looks for a field; with a path, the value is inside the value of that name."""

    key: str
    path: tuple[str | int, ...] = ()
    is_alias: bool = False

    @property
    def dotted(self) -> str | None:
        """The name of a key that holds this value alone; None where the path has a part that no key reaches.

        That is a number, and a name with a dot or a slash.
        """
        parts = [each for each in self.path if isinstance(each, str) and _SEPARATORS.isdisjoint(each)]
        return ".".join((self.key, *parts)) if len(parts) == len(self.path) else None

    @property
    def outer(self) -> list[str]:
        """The names of keys in whose values the path looks."""
        names = (Input(self.key, self.path[:count]).dotted for count in range(len(self.path)))
        return [name for name in names if name is not None]

    def given(self, data: Mapping[str, Any]) -> Any:
        """The value there; `ABSENT` if there is none."""
        value = data.get(self.key, ABSENT)
        for part in self.path:
            value = _inside(value, part)
        return value

    def removed_from(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The data without the value there."""
        left = {name: value for name, value in data.items() if name != self.key}
        inside = data.get(self.key)
        if self.path and isinstance(inside, dict):  # of a list the whole goes: its other items would move
            part = Input(str(self.path[0]), self.path[1:])
            left[self.key] = part.removed_from(inside)
        return left


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (TypeError, LookupError):
        return ABSENT


def inputs_of(label: str, field: FieldInfo, *, by_alias: bool, by_name: bool) -> tuple[Input, ...]:
    """Return all names, in the order in which pydantic looks."""
    paths = _paths(field) if by_alias else []
    found = [Input(str(path[0]), tuple(path[1:]), is_alias=True) for path in paths]
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


def any_looks_inside(fields: Mapping[str, FieldInfo], seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a field, at any depth, has an `AliasPath`."""
    aliased = (field for field in fields.values() if field.validation_alias is not None)
    if any(len(path) > 1 for field in aliased for path in _paths(field)):
        return True
    for annotation in (field.annotation for field in fields.values() if not is_text(field.annotation)):
        inside = nested_fields(annotation)
        models = frozenset(map(class_of, members(annotation))) - seen if inside else frozenset()
        if models and any_looks_inside(inside, seen | models):
            return True
    return False
