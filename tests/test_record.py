"""The frozen records: they behave as frozen dataclasses with slots."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from dataclasses import FrozenInstanceError, dataclass, field

import pydantic.dataclasses
import pytest

from liveconfig._record import record


class Shape:
    """The class that both decorators take."""

    name: str
    size: int = field(compare=False)
    labels: dict[str, str] = field(hash=False)
    password: str = field(default="", repr=False)

    @property
    def double(self) -> int:
        return 2 * self.size


def made(decorator):
    return decorator(type("Shape", (), {**vars(Shape), "__annotations__": dict(Shape.__annotations__)}))


ours, standard = made(record), made(dataclass(frozen=True, slots=True))
values = ("a", 1, {"b": "c"}, "canary")


@record
class Point:
    x: int
    y: int = 0


@pytest.mark.parametrize("cls", [ours, standard])
def test_behaviour_of_a_frozen_dataclass(cls):
    """A record compares, hashes, prints, replaces and refuses assignments as the standard decorator's class does."""
    one = cls(*values)
    assert one == cls("a", 2, {"b": "c"}, password="canary")
    assert one != cls("b", 1, {"b": "c"}, "canary")
    assert one != values
    assert hash(one) == hash(cls("a", 1, {}, "canary")) == hash(("a", "canary"))
    assert repr(one) == "Shape(name='a', size=1, labels={'b': 'c'})"
    assert one.double == 2
    assert dataclasses.asdict(dataclasses.replace(one, size=3)) == {**dataclasses.asdict(one), "size": 3}
    assert copy.copy(one) == copy.deepcopy(one) == one
    assert not hasattr(one, "__dict__")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "b"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
        del one.name


def test_other_attributes():
    """A record has no other attributes."""
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'other'"):
        ours(*values).other = "b"


def test_signature():
    """The constructor has the parameters, defaults, annotations and names of the standard decorator's."""
    assert inspect.signature(ours) == inspect.signature(standard)
    assert typing.get_type_hints(ours.__init__) == typing.get_type_hints(standard.__init__)
    assert ours.__init__.__qualname__ == standard.__init__.__qualname__
    assert ours.__match_args__ == standard.__match_args__
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'size' and 'labels'"):
        ours("a")


def test_pickle():
    """A record can be pickled."""
    assert pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)


def test_what_inherits_is_frozen():
    """A frozen dataclass, also of pydantic, can inherit from a record, as from a frozen dataclass; others cannot."""
    for decorator in (dataclass, pydantic.dataclasses.dataclass):

        @decorator(frozen=True)
        class Named(Point):
            name: str = ""

        named = Named(1, 2, "a")
        assert named == Named(1, name="a", y=2)
        assert copy.copy(named) == copy.deepcopy(named) == named
        assert copy.copy(named).name == "a"

    with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass from a frozen one"):
        dataclass(type("Other", (Point,), {}))


def test_methods_of_the_class_stay():
    """A method that the class defines is not replaced."""

    @record
    class Own:
        name: str

        def __init__(self) -> None:
            object.__setattr__(self, "name", "given")

        def __repr__(self) -> str:
            return "own"

    assert (repr(Own()), Own().name) == ("own", "given")


def test_attributes_of_a_subclass():
    """A subclass has attributes of its own, and the fields stay frozen."""

    class Named(Point):
        pass

    point = Named(1)
    point.name = "a"
    del point.name
    with pytest.raises(FrozenInstanceError):
        point.x = 2
