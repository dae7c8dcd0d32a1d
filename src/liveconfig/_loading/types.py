"""The types of fields, and how a key feeds them: text, bytes, JSON, or keys of nested fields."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import pathlib
import types
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import RootModel, Secret, SecretBytes, SecretStr, Strict
from pydantic.fields import FieldInfo

_BYTES = (bytes, SecretBytes)
_TEXT = (
    str,
    int,
    float,
    bool,
    SecretStr,
    decimal.Decimal,
    dt.date,
    dt.time,
    dt.timedelta,
    pathlib.PurePath,
    uuid.UUID,
)


_PLAIN = frozenset(_TEXT)

ABSENT: Any = object()
"""No value, where None is one."""


class Kind(enum.Enum):
    """The way in which the bytes of a key become the input for pydantic."""

    TEXT = "text"
    BYTES = "bytes"
    DECODED = "decoded"  # by pydantic-settings' own rules: JSON, unions, enum names, strict numbers


def members(annotation: Any) -> Iterator[Any]:
    """The plain types that an annotation allows, without ``None``: unions, aliases and the like are opened."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from members(argument)
    elif origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif hasattr(annotation, "__value__"):
        yield from members(_filled(annotation.__value__, _arguments(annotation)))
    elif hasattr(annotation, "__supertype__"):
        yield from members(annotation.__supertype__)
    elif annotation is not type(None):
        yield annotation


def classes_in(annotation: Any) -> Iterator[Any]:
    """The classes that an annotation names, those inside lists, dictionaries and other generics too.

    A generic dataclass with its arguments counts as a class: it is `Pair[int]`, not `Pair` and `int`.
    """
    for member in members(annotation):
        if inspect.isclass(member) or _fields_of(member):
            yield member
        elif get_origin(member) is not Literal:
            for argument in get_args(member):
                yield from classes_in(argument)


def class_of(member: Any) -> Any:
    """The class itself of a generic class with its arguments; any other type is what it is."""
    return get_origin(member) or member


def classes_within(annotation: Any, seen: frozenset[Any] = frozenset()) -> Iterator[type]:
    """The same without arguments, and those that the fields of these classes name, at any depth."""
    for member in classes_in(annotation):
        yield (cls := class_of(member))
        if cls not in seen:
            for inner in _fields_of(member).values():
                yield from classes_within(inner.annotation, seen | {cls})


def is_text(annotation: Any) -> bool:
    """Whether it is, without a closer look, one of the types that take text as it is."""
    return isinstance(annotation, type) and annotation in _PLAIN


def is_bare(field: FieldInfo) -> bool:
    """Whether a field has one of these types and nothing else, as most fields have: no `Key`, no model inside."""
    return not field.metadata and is_text(field.annotation)


def kind_of(annotation: Any) -> Kind:
    """Return how a key for a field of this type is read. pydantic-settings decodes all types that are not simple."""
    if is_text(annotation):
        return Kind.TEXT
    allowed = list(_with_roots(annotation))
    if allowed and all(_is(member, _BYTES) for member in allowed):
        return Kind.BYTES
    if allowed and all(_is(member, _TEXT) or _is_words(member) for member in allowed):
        return Kind.DECODED if has_strict_member(annotation) else Kind.TEXT
    return Kind.DECODED


def takes_content(annotation: Any) -> bool:
    """Whether a value of this type is the content of a key as it is: text, bytes, or a secret."""
    allowed = list(members(annotation))
    return bool(allowed) and all(_is(member, (str, bytes, SecretStr, SecretBytes, Secret)) for member in allowed)


def nested_fields(annotation: Any) -> dict[str, FieldInfo]:
    """The fields that keys can reach inside a value of this type: those of its models, dataclasses and the like.

    A field that several members of a union have under one name has the types of all, and the names of the first.
    """
    found: dict[str, FieldInfo] = {}
    for member in members(annotation):
        fields = _fields_of(member)
        shared = {name: _joined(field, fields[name]) for name, field in found.items() if name in fields}
        found = {**fields, **found, **shared}
    return found


def _joined(first: FieldInfo, other: FieldInfo) -> FieldInfo:
    """A field of several members of a union: of any of their types, with the metadata of all."""
    if first.annotation == other.annotation and first.metadata == other.metadata:
        return first
    joined = copy.copy(first)
    joined.annotation = _one_of([first.annotation, other.annotation])
    joined.metadata = [*other.metadata, *first.metadata, _JOINED]  # of several of one kind, the last counts
    return joined


def is_joined(field: FieldInfo) -> bool:
    """Whether it stands for the fields of several members of a union, of which the value has one."""
    return _JOINED in field.metadata


_JOINED = object()

_MARKS = ("__dataclass_fields__", "__required_keys__", "_field_defaults")
"""The attributes of a dataclass, a `TypedDict` (that of typing_extensions too) and a `NamedTuple`."""


def _fields_of(member: Any) -> Mapping[str, FieldInfo]:
    """The fields of a class that has such: a model, a dataclass of either kind, a `TypedDict`, a `NamedTuple`.

    Those of a generic class with its arguments (`Pair[int]`) have the arguments in their types.
    """
    cls, arguments = class_of(member), _arguments(member)
    known: Mapping[str, FieldInfo] | None = getattr(cls, "__pydantic_fields__", None)
    if _is(cls, (RootModel,)) or not inspect.isclass(cls):
        return {}
    if known is not None:
        return {name: _with_arguments(field, arguments) for name, field in known.items()} if arguments else known
    if any(hasattr(cls, name) for name in _MARKS):
        with suppress(NameError):  # of a class that is not there yet
            return {name: _described(cls, name, _filled(hint, arguments)) for name, hint in _hints(cls)}
    return {}


def _arguments(generic: Any) -> Mapping[Any, Any]:
    """The arguments of a generic type by its type variables; empty where it has none."""
    origin = get_origin(generic)
    return {} if origin is None else dict(zip(getattr(origin, "__parameters__", ()), get_args(generic), strict=False))


def _filled(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    """The hint with the arguments in place of their type variables."""
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    parameters = _parameters(hint)
    if arguments.keys().isdisjoint(parameters):
        return hint
    return hint[tuple(arguments.get(each, each) for each in parameters)]


def _parameters(hint: Any) -> tuple[Any, ...]:
    model = getattr(hint, "__pydantic_generic_metadata__", None)
    other = () if inspect.isclass(hint) else getattr(hint, "__parameters__", ())
    return tuple(model["parameters"] if model else other)


def _with_arguments(field: FieldInfo, arguments: Mapping[Any, Any]) -> FieldInfo:
    filled = copy.copy(field)
    filled.annotation = _filled(field.annotation, arguments)
    return filled


def _hints(member: Any) -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(member, include_extras=True).items():
        origin = get_origin(hint)
        if origin not in (ClassVar, dataclasses.InitVar):
            yield name, get_args(hint)[0] if origin in (Required, NotRequired) else hint


def _described(member: Any, name: str, hint: Any) -> FieldInfo:
    defaults: Mapping[str, Any] = vars(member) if dataclasses.is_dataclass(member) else {}
    defaults = getattr(member, "_field_defaults", defaults)
    return (
        FieldInfo.from_annotated_attribute(hint, defaults[name])
        if name in defaults
        else FieldInfo.from_annotation(hint)
    )


def by_alias_of(model: Any) -> bool:
    """Whether a model accepts its fields by alias, if they have one."""
    return _config_of(model).get("validate_by_alias") is not False


def by_name_of(model: Any) -> bool:
    """Whether a model accepts a field with an alias also by name, by the rules of pydantic."""
    config = _config_of(model)
    for key in ("validate_by_name", "populate_by_name"):
        if config.get(key) is not None:
            return bool(config[key])
    return config.get("validate_by_alias") is False


def _config_of(member: Any) -> Mapping[str, Any]:
    model = class_of(member)
    return getattr(model, "model_config", None) or getattr(model, "__pydantic_config__", None) or {}


def entry_of(annotation: Any) -> Any:
    """The type of the entries of a mapping of this type; `ABSENT` where it is none."""
    mappings = (member for member in _with_roots(annotation) if _is(get_origin(member) or member, (Mapping,)))
    return _one_of([each[-1] if len(each := _contents(member)) == 2 else Any for member in mappings])


def takes_extra_fields(annotation: Any) -> bool:
    """Whether it allows a model that takes fields beside its own."""
    return any(_config_of(member).get("extra") == "allow" for member in members(annotation))


def item_of(annotation: Any) -> Any:
    """The type of the items of a list, tuple or set of this type; `ABSENT` where it has none."""
    found: list[Any] = []
    for member in _with_roots(annotation):
        origin = get_origin(member)
        if _is(origin, (Sequence, AbstractSet, deque)) or origin in (Iterable, Generator):
            found += [argument for argument in _contents(member) if argument is not ...]
    return _one_of(found)


def _contents(member: Any) -> tuple[Any, ...]:
    """The arguments of a container; those of a generic class with fields are in the types of the fields."""
    return () if _fields_of(member) else get_args(member)


def _one_of(annotations: list[Any]) -> Any:
    return Union[tuple(annotations)] if annotations else ABSENT  # noqa: UP007 - of a list


def takes_anything(annotation: Any) -> bool:
    """Whether a value of any shape is of this type."""
    return any(member is Any or member is object for member in members(annotation))


def is_union(annotation: Any) -> bool:
    """Whether several types are allowed, without counting ``None``."""
    return len(list(members(annotation))) > 1


def has_strict_member(annotation: Any) -> bool:
    """Whether a member of a union is strict: pydantic-settings then parses the text of a variable."""
    if get_origin(annotation) in (Union, types.UnionType):
        return any(isinstance(each, Strict) for member in get_args(annotation) for each in _metadata(member))
    return False


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _with_roots(annotation: Any) -> Iterator[Any]:
    """The same as `members`; a `RootModel` is what it holds."""
    for member in members(annotation):
        root = getattr(member, "__pydantic_fields__", {}).get("root") if _is(member, (RootModel,)) else None
        yield from (member,) if root is None else members(root.annotation)


def is_secret(annotation: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a value of this type can hold a `SecretStr`, a `SecretBytes` or a `Secret` anywhere."""
    for member in _with_roots(annotation):
        if _is(member, (SecretStr, SecretBytes, Secret)) or _is(get_origin(member), (Secret,)):
            return True
        if any(is_secret(argument, seen) for argument in get_args(member) if get_origin(member) is not Literal):
            return True
        if (cls := class_of(member)) not in seen:
            inside = seen | {cls}
            if any(is_secret(field.annotation, inside) for field in _fields_of(member).values()):
                return True
    return False


def _is(member: Any, classes: tuple[type, ...]) -> bool:
    return inspect.isclass(member) and not get_args(member) and issubclass(member, classes)


def _is_words(member: Any) -> bool:
    """Whether it is a choice between words, given as they are."""
    if get_origin(member) is Literal:
        return all(type(choice) is str for choice in get_args(member))
    return _is(member, (enum.Enum,))
