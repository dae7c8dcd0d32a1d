"""The types of pydantic that get the input of a field as it is, before any validator of the user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_settings import BaseSettings

Type = Mapping[str, Any]
"""A core schema of pydantic (docs.pydantic.dev, "pydantic_core.core_schema")."""

_AROUND = ("default", "nullable", "function-after", "dataclass", "definitions")
"""The kinds that hand the input on unchanged."""


class InputTypes:
    """Finds the types that get the input of the fields of a class.

    Args:
        cls: The settings class.
    """

    def __init__(self, cls: type[BaseSettings]) -> None:
        whole: Any = cls.__pydantic_core_schema__
        self._definitions: Mapping[str, Type] = {each["ref"]: each for each in whole.get("definitions", ())}
        self._top = list(self._opened(whole, cls))

    def of(self, dotted: str) -> list[Type]:
        """Return the types of which one gets the input of a field.

        Something that may change the input first, such as a validator of the mode "before", stands for the types
        behind it.

        Args:
            dotted: The name of the field.
        """
        found: Iterable[Type] = self._top
        for label in dotted.split("."):
            found = [inner for each in found for inner in self._inside(each, label)]
        return list(found)

    def _opened(self, around: Type, top: type | None = None) -> Iterator[Type]:
        kind = around["type"]
        if kind in _AROUND or (kind == "model" and (around["cls"] is top or _has_plain_init(around))):
            yield from self._opened(around["schema"], top)
        elif kind == "definition-ref":
            yield from self._opened(self._definitions[around["schema_ref"]], top)
        elif kind == "union":
            for each in around["choices"]:
                yield from self._opened(each[0] if isinstance(each, tuple) else each)
        elif kind == "tagged-union":
            for each in around["choices"].values():
                yield from self._opened(each)
        else:
            yield around

    def _inside(self, around: Type, label: str) -> Iterator[Type]:
        fields = around.get("fields")
        if fields is None:  # a validator, or a type that is not looked into
            yield {"type": "any"}
            return
        found = fields.get(label) if isinstance(fields, dict) else next(_named(fields, label), None)
        if found is not None:
            yield from self._opened(found["schema"])


def _has_plain_init(model: Type) -> bool:
    """Whether no ``__init__`` of the user can change the data of a model."""
    return not model.get("custom_init") or model["cls"].__init__ is BaseSettings.__init__


def _named(fields: Iterable[Type], label: str) -> Iterator[Type]:
    return (each for each in fields if each["name"] == label)
