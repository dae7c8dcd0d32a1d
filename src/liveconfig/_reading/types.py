"""What a field's annotation asks of a key: text, bytes, decoding, or keys of its own; and whether it is a secret."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import inspect
import pathlib
import types
import uuid
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr
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


class Kind(enum.Enum):
    """How the bytes of a key become what pydantic is given."""

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
        yield from members(annotation.__value__)
    elif hasattr(annotation, "__supertype__"):
        yield from members(annotation.__supertype__)
    elif annotation is not type(None):
        yield annotation


def classes_in(annotation: Any) -> Iterator[type]:
    """The classes that an annotation names, those inside lists, dictionaries and other generics too."""
    for member in members(annotation):
        if inspect.isclass(member):
            yield member
        if get_origin(member) is not Literal:
            for argument in get_args(member):
                yield from classes_in(argument)


def is_text(annotation: Any) -> bool:
    """Whether it is, without a closer look, one of the types that take text as it is."""
    return isinstance(annotation, type) and annotation in _PLAIN


def kind_of(annotation: Any) -> Kind:
    """How a key for a field of this type is read. What is not known to be simple is decoded by pydantic-settings."""
    allowed = list(members(annotation))
    if allowed and all(_is(member, _BYTES) for member in allowed):
        return Kind.BYTES
    if allowed and all(_is(member, _TEXT) or _is_words(member) for member in allowed):
        return Kind.TEXT
    return Kind.DECODED


def nested_fields(annotation: Any) -> dict[str, FieldInfo]:
    """The fields that keys can reach inside a value of this type: those of its models and pydantic dataclasses."""
    found: dict[str, FieldInfo] = {}
    for member in members(annotation):
        if inspect.isclass(member) and not _is(member, (RootModel,)):
            found = {**getattr(member, "__pydantic_fields__", {}), **found}
    return found


def nested_by_alias(annotation: Any) -> bool:
    """Whether the models in an annotation take their fields by alias."""
    return all(by_alias_of(member) for member in members(annotation))


def by_alias_of(model: Any) -> bool:
    """Whether a model takes its fields by alias, where they have one; else by name alone."""
    config = getattr(model, "model_config", None) or getattr(model, "__pydantic_config__", None) or {}
    return config.get("validate_by_alias") is not False


def entry_kind(annotation: Any) -> Kind:
    """How an entry of a mapping of this type is read."""
    for member in members(annotation):
        arguments = get_args(member)
        if len(arguments) == 2 and _is(get_origin(member), (dict, Mapping)):
            return kind_of(arguments[1])
    return Kind.DECODED


def takes_any_key(annotation: Any) -> bool:
    """Whether a value of this type is a mapping, into which every key fits."""
    return any(_is(get_origin(member) or member, (dict, Mapping)) for member in members(annotation))


def is_secret(annotation: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a value of this type can hold a `SecretStr`, a `SecretBytes` or a `Secret` anywhere."""
    for member in members(annotation):
        if _is(member, (SecretStr, SecretBytes, Secret)) or _is(get_origin(member), (Secret,)):
            return True
        if any(is_secret(argument, seen) for argument in get_args(member) if get_origin(member) is not Literal):
            return True
        if _is(member, (BaseModel,)) and member not in seen:
            fields = member.model_fields.values()
            if any(is_secret(field.annotation, seen | {member}) for field in fields):
                return True
    return False


def _is(member: Any, classes: tuple[type, ...]) -> bool:
    return inspect.isclass(member) and not get_args(member) and issubclass(member, classes)


def _is_words(member: Any) -> bool:
    """Whether it is a choice between words, given as they are."""
    if get_origin(member) is Literal:
        return all(type(choice) is str for choice in get_args(member))
    return _is(member, (enum.Enum,))
