"""Defaults that factories of dataclasses made: they stay as long as nothing is given for them.

A dataclass does not record which of its fields were given, as a model does, so the data for pydantic is asked.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, PlainValidator, RootModel, WrapValidator
from pydantic.fields import FieldInfo
from pydantic.functional_validators import AfterValidator, BeforeValidator

from liveconfig._loading.fields import Node, Place
from liveconfig._loading.names import Plan
from liveconfig._loading.pydantic_internals import changes_values, keep_defaults, part_of, put_part, same
from liveconfig._loading.types import ABSENT, classes_within, is_bare

_VALIDATORS = (BeforeValidator, AfterValidator, WrapValidator, PlainValidator)

_CONSTANT = (list, dict, set, tuple, frozenset, deque, str, int, float, bool)
"""Factories that make the same value at each call."""

Given = Mapping[str, Any]
"""The data for pydantic of the fields with such defaults, by the names of the fields."""


class DataclassDefaults:
    """The fields of one settings class that have, at any depth, a dataclass with a factory for a default.

    A field is left out if a validator can set it from others: what it is then does not depend on its data alone.

    Args:
        plan: The names of the fields.
        cls: The settings class.
    """

    def __init__(self, plan: Plan, cls: type[BaseModel]) -> None:
        self._nodes = [plan.roots.node(label) for label in _made_in(cls)]

    def given(self, data: Mapping[str, Any]) -> Given:
        """Return what the data has for these fields."""
        return {node.label: node.given(data) for node in self._nodes}

    def keep(self, snapshot: BaseModel, given: Given, before: BaseModel, given_before: Given) -> None:
        """Let the defaults of a new snapshot be those of the snapshot before.

        Args:
            snapshot: The new snapshot.
            given: What the data has for these fields.
            before: The snapshot before.
            given_before: What its data had.
        """
        for node in self._nodes:
            now, then = part_of(snapshot, node.label), part_of(before, node.label)
            _keep(node, (now, given[node.label]), (then, given_before.get(node.label, ABSENT)))


_known: WeakKeyDictionary[type[BaseModel], list[str]] = WeakKeyDictionary()


def _made_in(cls: type[BaseModel]) -> list[str]:
    """Return the fields of a settings class that hold such defaults."""
    labels = _known.get(cls)
    if labels is None:
        fields = {} if changes_values(cls) else cls.__pydantic_fields__
        others = {label: field for label, field in fields.items() if not is_bare(field)}
        made = (label for label, field in others.items() if any(map(_factories, classes_within(field.annotation))))
        labels = _known[cls] = [label for label in made if not _is_validated(label, others[label], cls)]
    return labels


def _is_validated(label: str, field: FieldInfo, cls: type[Any]) -> bool:
    decorators: Any = getattr(cls, "__pydantic_decorators__", None)
    validators = decorators.field_validators.values() if decorators is not None else ()
    named = any({label, "*"} & set(each.info.fields) for each in validators)
    return named or any(isinstance(each, _VALIDATORS) for each in field.metadata)


def _factories(cls: type[Any]) -> frozenset[str]:
    """The fields of a dataclass whose default a factory makes; none where the class itself sets fields."""
    if not dataclasses.is_dataclass(cls) or changes_values(cls):
        return frozenset()
    known: Mapping[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    found = {each.name: known.get(each.name, each.default) for each in dataclasses.fields(cls)}
    made = {name: field.default_factory for name, field in found.items() if isinstance(field, FieldInfo)}
    own = {each.name: each.default_factory for each in dataclasses.fields(cls) if each.name not in made}
    factories = {**own, **made}.items()
    return frozenset(name for name, factory in factories if callable(factory) and factory not in _CONSTANT)


Part = tuple[Any, Any]
"""A value, and the data that it was made of."""


def _keep(place: Place, now: Part, then: Part) -> None:
    """Keep the defaults in one value."""
    if now[0] is then[0] or type(now[0]) is not type(then[0]):
        return
    if isinstance(now[1], Mapping) and isinstance(then[1], Mapping):
        _keep_in_mapping(place, now, then)
    elif isinstance(now[0], (list, tuple, deque)) and place.item is not None:
        for one, other in zip(_items(now), _items(then), strict=False):
            if same(one[1], other[1]):  # an item has no other name
                _keep(place.item, one, other)


def _keep_in_mapping(place: Place, now: Part, then: Part) -> None:
    value, before = now[0], then[0]
    if isinstance(value, dict) and place.entry is not None and not place.children:
        for key, (name, each) in zip(value, now[1].items(), strict=False):
            _keep(place.entry, (value[key], each), (before.get(key), then[1].get(name, ABSENT)))
    elif not isinstance(value, BaseModel):
        _keep_fields(place, now, then)
    elif not isinstance(value, RootModel) and not changes_values(type(value)):
        keep_defaults(value, before)
        _keep_fields(place, now, then)


def _keep_fields(place: Place, now: Part, then: Part) -> None:
    cls = type(now[0])
    made = _factories(cls)
    for node in place.children.values():
        if not _is_validated(node.label, node.field, cls):
            _keep_field(node, now, then, made=node.label in made)


def _keep_field(node: Node, now: Part, then: Part, *, made: bool) -> None:
    given, before = node.given(now[1]), node.given(then[1])
    value, kept = part_of(now[0], node.label), part_of(then[0], node.label)
    if given is not ABSENT or before is not ABSENT:
        _keep(node, (value, given), (kept, before))
    elif made and kept is not ABSENT:
        put_part(now[0], node.label, kept)


def _items(part: Part) -> Iterator[Part]:
    data = part[1] if isinstance(part[1], (list, tuple)) else ()
    return zip(part[0], data, strict=False)
