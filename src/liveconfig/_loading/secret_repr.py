"""Hides the values of secret volumes in nested objects that are printed by themselves.

``repr(settings.db)`` is made by the user's own class. So the first time that an object of a class is to be hidden, the
method with which the class describes itself is replaced by one that asks whether this very object is hidden. All other
objects of the class are printed as before, and equality, copies and pickles are not touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

_HIDES = "__liveconfig_hides__"
_HIDDEN = "__liveconfig_hidden__"


class HiddenFields(set[str]):
    """A set of given fields that marks its model as hidden.

    It is copied and pickled with the model, and no comparison looks at it.
    """


def hide(value: Any) -> None:
    """Hide a value of a secret volume and everything in it: models and dataclasses, also inside containers."""
    if isinstance(value, BaseModel):
        _hide_model(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _hide_dataclass(value)
    elif isinstance(value, dict):
        for inner in value.values():
            hide(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            hide(inner)


def _hide_model(model: BaseModel) -> None:
    given = model.__pydantic_fields_set__
    if isinstance(given, HiddenFields):
        return
    object.__setattr__(model, "__pydantic_fields_set__", HiddenFields(given))
    _teach_model(type(model))
    for name in given:  # not the defaults, which other objects share
        hide(model.__dict__.get(name))
    hide(model.__pydantic_extra__)


def _teach_model(cls: type[BaseModel]) -> None:
    describe = cls.__repr_args__
    if hasattr(describe, _HIDES):
        return

    def __repr_args__(self: BaseModel) -> Iterator[tuple[str | None, Any]]:  # noqa: N807 - pydantic's name
        hidden = isinstance(self.__pydantic_fields_set__, HiddenFields)
        for name, value in describe(self):
            yield name, SecretStr("hidden") if hidden else value

    setattr(__repr_args__, _HIDES, True)
    type.__setattr__(cls, "__repr_args__", __repr_args__)


def _hide_dataclass(record: Any) -> None:
    if _HIDDEN in getattr(record, "__dict__", {_HIDDEN: True}):  # without a dictionary it cannot be marked
        return
    object.__setattr__(record, _HIDDEN, True)
    _teach_dataclass(type(record))
    for field in dataclasses.fields(record):
        hide(getattr(record, field.name, None))


def _teach_dataclass(cls: type[Any]) -> None:
    describe: Any = cls.__repr__
    if hasattr(describe, _HIDES):
        return

    def __repr__(self: Any) -> str:  # noqa: N807 - Python's name
        if not getattr(self, _HIDDEN, False):
            return str(describe(self))
        shown = ", ".join(f"{field.name}={SecretStr('hidden')!r}" for field in dataclasses.fields(self) if field.repr)
        return f"{type(self).__qualname__}({shown})"

    setattr(__repr__, _HIDES, True)
    type.__setattr__(cls, "__repr__", __repr__)
