"""JSON Schema for the ``data`` of a ConfigMap that feeds a settings class: all values are strings."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic_settings import BaseSettings

from liveconfig._checks.trial_load import field_nodes, plan_for
from liveconfig._loading import Node, Plan, Rules, documents_of, is_secret, members, nested_fields

_WORDS = ("true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "y", "n")  # pydantic, "Booleans"


def _any_case(text: str) -> str:
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else re.escape(each) for each in text)


_PATTERNS = {
    bool: f"^({'|'.join(map(_any_case, _WORDS))})$",
    int: "^\\s*[-+]?[0-9_]+(\\.0+)?\\s*$",
    float: f"^\\s*[-+]?([0-9][0-9_]*\\.?[0-9_]*|\\.[0-9_]+|{'|'.join(map(_any_case, ('inf', 'infinity', 'nan')))})"
    "([eE][-+]?[0-9_]+)?\\s*$",
}

_JSON = {"type": "string", "contentMediaType": "application/json"}


def schema_of(cls: type[BaseSettings]) -> dict[str, Any]:
    """Return the schema, without secret fields, which belong into a Secret.

    Args:
        cls: The settings class.
    """
    plan, values = plan_for(cls), _Values(cls.model_config)
    spelling = _Spelling(plan.rules)
    properties: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    required: list[str] = []
    for name, node, is_leaf, allowed in _nodes(plan):
        keys = tuple(dict.fromkeys(key.replace("/", ".") for key in plan.own_keys(name)))
        if keys:
            value = values.of(node, allowed) | {"description": _description(name, node)}
            properties.update(dict.fromkeys(keys, value) if is_leaf else {})
            patterns[spelling.of(keys)] = value
        if keys and node.entry is not None:
            inside = {"type": "string", "description": f"Feeds an entry of {name}."}
            patterns[spelling.of(keys, inside=True)] = inside
        if node.field.is_required() and "." not in name and not node.children:
            inner = [spelling.of(keys, inside=True)] * (bool(keys) and node.entry is not None)
            required.append("|".join([spelling.of([*keys, *plan.outer_keys(name)]), *inner]))
    patterns = _outer(plan, spelling) | patterns
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
        schema["allOf"] = [_some_name(pattern) for pattern in required]
    return schema


def _outer(plan: Plan, spelling: _Spelling) -> dict[str, Any]:
    """The keys in whose values an `AliasPath` looks, by pattern."""
    held: dict[str, list[str]] = {}
    for name, *_ in _nodes(plan):
        for key in plan.outer_keys(name):
            names = held.setdefault(spelling.of([key]), [])
            names += [name] * (name.rpartition(".")[0] not in names)
    return {
        pattern: {**_JSON, "description": f"Holds the value of {', '.join(names)}."} for pattern, names in held.items()
    }


def _nodes(plan: Plan) -> Iterator[tuple[str, Node, bool, list[Any]]]:
    """The fields at any depth that hold no secret, by dotted name, each once; whether they are leaves; their types."""
    found = {node.dotted: (node, is_leaf) for node, is_leaf in field_nodes(plan.fields)}
    for name, (node, is_leaf) in found.items():
        around = found.get(name.rpartition(".")[0])
        annotations = _annotations(node, around[0] if around else None)
        if not any(map(is_secret, annotations)):
            yield name, node, is_leaf, annotations


def _annotations(node: Node, around: Node | None) -> list[Any]:
    """The types of a field: several classes of a union can have a field of that name."""
    classes = members(around.field.annotation) if around else ()
    fields = [each[node.label] for each in map(nested_fields, classes) if node.label in each]
    return [each.annotation for each in fields or [node.field]]


def _some_name(pattern: str) -> dict[str, Any]:
    """Require one property whose name has this pattern: not every name differs from it."""
    return {"not": {"propertyNames": {"not": {"pattern": pattern}}}}


class _Spelling:
    """The patterns of names: case, hyphens and the ways to reach inside, as the class compares them.

    Args:
        rules: What the class says of names.
    """

    def __init__(self, rules: Rules) -> None:
        self._spell = re.escape if rules.case_sensitive else _any_case
        self._inside = f"(\\.|{self._text(rules.delimiter)})" if rules.delimiter else "\\."

    def of(self, keys: Iterable[str], *, inside: bool = False) -> str:
        """The pattern of some keys, or of names that reach inside the value of one."""
        names = "|".join(dict.fromkeys(self._inside.join(map(self._text, key.split("."))) for key in keys))
        return f"^({names}){f'{self._inside}.+' * inside}$"

    def _text(self, text: str) -> str:
        return "[-_]".join(map(self._spell, re.split("[-_]", text)))


def _description(name: str, node: Node) -> str:
    text = f"Feeds the field {name}."
    return f"{text} {node.field.description}" if node.field.description else text


class _Values:
    """The texts that fields take.

    Args:
        config: The configuration of the class.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        none = config.get("env_parse_none_str")
        self._special = ([] if none is None else [none]) + [""] * bool(config.get("env_ignore_empty"))
        self._enum_names = bool(config.get("env_parse_enums"))

    def of(self, node: Node, annotations: Iterable[Any]) -> dict[str, Any]:
        """The schema of a field of any of these types, or of a text that stands for None or for the default."""
        value = self._of_types(node, [member for each in annotations for member in members(each)])
        return {"type": "string", "anyOf": [value, {"enum": self._special}]} if self._special else value

    def _of_types(self, node: Node, types: Iterable[Any]) -> dict[str, Any]:
        values = [self._of_type(node, each) for each in types] or [{"type": "string"}]
        if all("enum" in each for each in values):
            choices = dict.fromkeys(choice for each in values for choice in each["enum"])
            return {"type": "string", "enum": list(choices)}
        return values[0] if all(each == values[0] for each in values) else {"type": "string"}

    def _of_type(self, node: Node, annotation: Any) -> dict[str, Any]:
        choices = list(self._choices(annotation))
        if choices:
            return {"type": "string", "enum": choices}
        pattern = _PATTERNS.get(annotation) if isinstance(annotation, type) else None
        if pattern is not None:
            return {"type": "string", "pattern": pattern}
        if node.children or get_origin(annotation) in (list, dict, tuple, set):
            return dict(_JSON)
        return {"type": "string"}

    def _choices(self, annotation: Any) -> Iterator[str]:
        if get_origin(annotation) is Literal:
            yield from map(str, get_args(annotation))
        elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            yield from (str(each.value) for each in annotation)
            yield from (each.name for each in annotation if self._enum_names)
