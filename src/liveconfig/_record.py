"""`record`: frozen dataclasses with slots that are created fast, because importing liveconfig creates many."""
# ruff: noqa: N807 - the functions here become methods

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
Methods = Iterator[Callable[..., Any]]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class what ``dataclass(frozen=True, slots=True)`` makes of it, in a quarter of the time.

    That decorator compiles up to seven functions for each class, this one only ``__init__``. Methods that the class
    defines stay. There is no ``default_factory`` and no ``__post_init__``. The class needs a docstring: without one,
    the standard decorator makes it of the signature, which takes longer than the rest.
    """
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    made.__dataclass_params__.frozen = True  # what inherits from it has to be frozen, too
    every = fields(made)
    setters = {each.name: vars(made)[each.name].__set__ for each in every}
    for method in (*_comparison(every), *_text(every), *_frozen(made, setters), *_state()):
        if method.__name__ not in vars(cls):
            setattr(made, method.__name__, method)
    if "__init__" not in vars(cls):
        made.__init__ = _init(made, every, setters)
    return made  # type: ignore[no-any-return]


Setters = dict[str, Callable[[Any, Any], None]]


def _init(cls: type, every: Sequence[Field[Any]], setters: Setters) -> Callable[..., None]:
    """Return ``__init__``. It calls the setters of the slots, which is faster than ``object.__setattr__``."""
    defaults = {each.name: each.default for each in every if each.default is not MISSING}
    known = {f"set_{name}": value for name, value in setters.items()}
    known.update({f"default_{name}": value for name, value in defaults.items()})
    parameters = (f"{name}=default_{name}" if name in defaults else name for name in setters)
    head = f"def create({', '.join(known)}):\n def __init__(self, {', '.join(parameters)}):\n"
    body = "".join(f"  set_{name}(self, {name})\n" for name in setters)
    made: dict[str, Any] = {}
    module = vars(sys.modules[cls.__module__])
    exec(f"{head}{body} return __init__", module, made)  # noqa: S102 - it consists of the names of the fields
    init: Callable[..., None] = made["create"](**known)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {**{each.name: each.type for each in every}, "return": None}
    return init


def _comparison(every: Sequence[Field[Any]]) -> Methods:
    compared = attrgetter(*(each.name for each in every if each.compare))
    hashed = attrgetter(*(each.name for each in every if (each.compare if each.hash is None else each.hash)))

    def __eq__(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(compared(self) == compared(other))

    def __hash__(self: object) -> int:
        return hash(hashed(self))

    yield __eq__
    yield __hash__


def _text(every: Sequence[Field[Any]]) -> Methods:
    shown = [each.name for each in every if each.repr]

    def __repr__(self: object) -> str:
        texts = [f"{name}={getattr(self, name)!r}" for name in shown]
        return f"{self.__class__.__qualname__}({', '.join(texts)})"

    yield __repr__


def _frozen(cls: Any, setters: Setters) -> Methods:
    def __setattr__(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in setters:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: object, name: str) -> None:
        if type(self) is cls or name in setters:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    yield __setattr__
    yield __delattr__


def _state() -> Methods:
    """Yield the methods of copies and pickles, which would assign to the fields by default."""

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, each.name) for each in fields(self)]

    def __setstate__(self: Any, state: Sequence[Any]) -> None:
        for each, value in zip(fields(self), state, strict=True):  # those of a subclass, too
            object.__setattr__(self, each.name, value)

    yield __getstate__
    yield __setstate__
