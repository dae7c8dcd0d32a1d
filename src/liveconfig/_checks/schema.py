"""JSON Schema for the ``data`` of a ConfigMap that feeds a settings class: all values are strings."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic_settings import BaseSettings

from liveconfig._checks.trial_load import field_leaves, plan_for
from liveconfig._loading import Node, documents_of, is_secret

_WORDS = ("true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "y", "n")  # pydantic, "Booleans"


def _any_case(word: str) -> str:
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in word)


_PATTERNS = {
    bool: f"^({'|'.join(map(_any_case, _WORDS))})$",
    int: "^\\s*[-+]?[0-9_]+(\\.0+)?\\s*$",
}


def schema_of(cls: type[BaseSettings]) -> dict[str, Any]:
    """The schema. Fields that hold secrets are left out: they belong into a Secret.

    Args:
        cls: The settings class.
    """
    plan = plan_for(cls)
    properties: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    required: list[list[str]] = []
    for name, node in field_leaves(plan):
        if is_secret(node.field.annotation):
            continue
        keys = tuple(dict.fromkeys(key.replace("/", ".") for key in plan.keys_for(name)))
        value = {**_value(node), "description": _description(name, node)}
        properties.update(dict.fromkeys(keys, value))
        patterns.update({f"^{re.escape(key).replace('_', '[-_]')}$": value for key in keys if "_" in key})
        if node.field.is_required() and "." not in name:
            required.append(_spellings(keys))
    for document in documents_of(cls):
        properties[document] = {"type": "string", "description": "A document with several fields."}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{cls.__module__}.{cls.__qualname__}",
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
    }
    if required and not documents_of(cls):
        schema["required"] = [names[0] for names in required if len(names) == 1]
        schema["allOf"] = [_one_of(names) for names in required if len(names) > 1]
    return schema


def _spellings(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(each for key in keys for each in (key, key.replace("_", "-"))))


def _one_of(names: Iterable[str]) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


def _description(name: str, node: Node) -> str:
    text = f"Feeds the field {name}."
    return f"{text} {node.field.description}" if node.field.description else text


def _value(node: Node) -> dict[str, Any]:
    annotation = node.field.annotation
    choices = list(_choices(annotation))
    if choices:
        return {"type": "string", "enum": choices}
    pattern = _PATTERNS.get(annotation) if isinstance(annotation, type) else None
    if pattern is not None:
        return {"type": "string", "pattern": pattern}
    if get_origin(annotation) in (list, dict, tuple, set):
        return {"type": "string", "contentMediaType": "application/json"}
    return {"type": "string"}


def _choices(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        yield from (str(each.value) for each in annotation)
