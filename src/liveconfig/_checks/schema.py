"""JSON Schema for the ``data`` of a ConfigMap that feeds a settings class: all values are strings."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic_settings import BaseSettings

from liveconfig._checks.trial_load import field_nodes, plan_for
from liveconfig._loading import (
    InputTypes,
    Kind,
    Node,
    Plan,
    Rules,
    Type,
    documents_of,
    is_secret,
    kind_of,
    members,
    nested_fields,
)

_WORDS = ("true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "y", "n")  # pydantic, "Booleans"
_SYNTAX = re.compile(r"[\^$\\.*+?()\[\]{}|/]")


def _literal(text: str) -> str:
    """A text as a pattern of JSON Schema, which allows no other escapes than these (ECMA-262, "IdentityEscape")."""
    return _SYNTAX.sub(r"\\\g<0>", text)


def _any_case(text: str) -> str:
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else _literal(each) for each in text)


_SPACE = "[\\s\\u0085]*"  # pydantic takes the line end of Latin-1 for space, and ECMA-262 does not
_SIGN = "[-+0_]*"  # pydantic looks for the sign after it has left out zeros
_NUMBER = f"([0-9_]+\\.?[0-9_]*|\\.[0-9_]+|{'|'.join(map(_any_case, ('inf', 'infinity', 'nan')))})([eE][-+_]*[0-9_]+)?"
_PATTERNS = {
    "bool": f"^({'|'.join(map(_any_case, _WORDS))})[\\r\\n]*$",
    "int": f"^{_SPACE}{_SIGN}[0-9_]+(\\.0+)?{_SPACE}$",
    "float": f"^{_SPACE}{_SIGN}{_NUMBER}{_SPACE}$",
}
_SCALAR = {"pattern": '^\\s*("|-?[0-9]|true|false|null)'}  # in JSON

_TEXT = {"type": "string"}
_JSON = {"type": "string", "contentMediaType": "application/json"}
_OF_JSON = ("list", "dict", "tuple", "set", "frozenset", "model-fields", "typed-dict", "dataclass-args")


def schema_of(cls: type[BaseSettings]) -> dict[str, Any]:
    """Return the schema, without secret fields, which belong into a Secret.

    Args:
        cls: The settings class.

    Raises:
        CannotCheck: A source of the class fails.
    """
    plan, values, types = plan_for(cls), _Values(cls.model_config), InputTypes(cls)
    spelling = _Spelling(plan.rules)
    properties: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    required: list[str] = []
    for name, node, is_leaf in _nodes(plan):
        keys = tuple(dict.fromkeys(key.replace("/", ".") for key in plan.own_keys(name)))
        if keys:
            value = values.of(plan.path(name), types.of(name), keys) | {"description": _description(name, node)}
            properties.update(dict.fromkeys(keys, value) if is_leaf else {})
            patterns[spelling.of(keys)] = value
        if keys and node.entry is not None:
            inside = {"type": "string", "description": f"Feeds an entry of {name}."}
            patterns[spelling.of(keys, inside=True)] = inside
        if _is_required(cls, name, node):
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


def _is_required(cls: type[BaseSettings], name: str, node: Node) -> bool:
    """Whether some key must feed a field: the class needs it, and does not say that the environment gives it."""
    config: Mapping[str, Any] = cls.model_config
    is_needed = node.field.is_required() and name not in config.get("from_environment", ())
    return is_needed and "." not in name and not node.children


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


def _nodes(plan: Plan) -> Iterator[tuple[str, Node, bool]]:
    """The fields at any depth that hold no secret, by dotted name, each once; whether they are leaves."""
    found = {node.dotted: (node, is_leaf) for node, is_leaf in field_nodes(plan.fields)}
    for name, (node, is_leaf) in found.items():
        around = found.get(name.rpartition(".")[0])
        if not any(map(is_secret, _annotations(node, around[0] if around else None))):
            yield name, node, is_leaf


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
        self._spell = _literal if rules.case_sensitive else _any_case
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
        self._strict = bool(config.get("strict"))

    def of(self, path: Iterable[Node], types: Sequence[Type], keys: Iterable[str]) -> dict[str, Any]:
        """The schema of a field: of its types, of texts that stand for None or for the default, and of JSON.

        Args:
            path: The field, and the models around it.
            types: What its input may be.
            keys: The keys that feed it.
        """
        *around, node = path
        if any(map(node.form, keys)):  # a document, with comments and the like
            return dict(_TEXT)
        others = [_one_of(self._special)] * bool(self._special)
        is_decoded = kind_of(node.field.annotation) is Kind.DECODED and any(map(_is_in_path, (*around, node)))
        if self._strict or any(each.get("strict") for each in types) or is_decoded:
            others.append(_SCALAR)
        value = self._of_types(types)
        return {"type": "string", "anyOf": [value, *others]} if others else value

    def _of_types(self, types: Sequence[Type]) -> dict[str, Any]:
        choices = [list(self._choices(each)) for each in types]
        if choices and all(choices):
            return _one_of(dict.fromkeys(chain.from_iterable(choices)))
        values = [_of_type(each) for each in types]
        return dict(values[0]) if values and all(each == values[0] for each in values) else dict(_TEXT)

    def _choices(self, given: Type) -> Iterator[str]:
        """The texts of which a type takes one; none where it takes others too, as a number is written in many ways."""
        if given["type"] == "literal" and all(type(each) is str for each in given["expected"]):
            yield from given["expected"]
        elif given["type"] == "enum" and _takes_its_words(given["cls"]):
            yield from (each.value for each in given["members"])
            yield from (each.name for each in given["members"] if self._enum_names)


def _is_in_path(node: Node) -> bool:
    return any(each.path for each in node.inputs)


def _takes_its_words(cls: type[enum.Enum]) -> bool:
    """Whether an enum is made of texts, and finds no member for others."""
    finds_others = any("_missing_" in vars(each) for each in cls.__mro__ if each is not enum.Enum)
    return not finds_others and all(isinstance(each.value, str) for each in cls)


def _of_type(given: Type) -> Mapping[str, Any]:
    pattern = _PATTERNS.get(given["type"])
    if pattern is not None:
        return {"type": "string", "pattern": pattern}
    return _JSON if given["type"] in _OF_JSON else _TEXT


def _one_of(choices: Iterable[str]) -> dict[str, Any]:
    """One of some texts. Line ends may follow, as a block in YAML has them."""
    words = list(choices)
    ended = f"^({'|'.join(map(_literal, words))})[\\r\\n]+$"
    return {"type": "string", "anyOf": [{"enum": words}, {"pattern": ended}]}
