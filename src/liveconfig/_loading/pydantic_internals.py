"""Build, swap and copy instances: the only module that uses internals of pydantic.

A live object is an instance of the user's class whose instance dictionary is replaced, as a whole, by that of each new
snapshot: one pointer store, so readers take no lock and pay for a plain attribute.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import compress, takewhile
from operator import ne
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel, RootModel

from liveconfig._loading.merging import PLAIN, not_plain
from liveconfig._loading.types import ABSENT

M = TypeVar("M", bound=BaseModel)

_STORES = ("__pydantic_fields_set__", "__pydantic_extra__")
_PRIVATE = "__pydantic_private__"

ASSIGNED = "__liveconfig_assigned__"
"""The slot with the private attributes that were assigned while the instance was built: a set as long as it is."""

MASKED = "__liveconfig_masked__"
"""The slot with the names of the fields that a volume made secret, whatever their type."""


class AnotherInstance(Exception):  # noqa: N818 - it is reported as one line
    """A validator of the class returned another object than the instance. The message contains no value."""


def build(cls: type[M], data: Mapping[str, Any]) -> M:
    """A validated instance that never saw the environment: the class's own ``__init__`` is not called.

    Raises:
        pydantic.ValidationError: The data does not fit; it holds values, and must not leave liveconfig.
        AnotherInstance: A validator returned another object.
    """
    instance = empty(cls)
    assigned: set[str] = set()
    object.__setattr__(instance, ASSIGNED, assigned)
    try:
        if instance.__pydantic_validator__.validate_python(data, self_instance=instance) is not instance:
            raise AnotherInstance(
                "a model validator returned another object than self (mode='after' validators must return self)"
            )
    finally:
        object.__setattr__(instance, ASSIGNED, frozenset(assigned))
    return instance


def accepts_any_argument(cls: type[BaseModel]) -> bool:
    """Whether a validator sees the input as a whole, and may use what names no field."""
    validators = cls.__pydantic_decorators__.model_validators.values()
    return any(each.info.mode in ("before", "wrap") for each in validators)


def changes_values(cls: type[Any]) -> bool:
    """Whether a model or a dataclass has a method that may set any of its fields while an instance is made."""
    decorators: Any = getattr(cls, "__pydantic_decorators__", None)
    post_init: Any = getattr(cls, "model_post_init", None) or getattr(cls, "__post_init__", None)
    is_plain = post_init is None or getattr(post_init, "__name__", "") == "init_private_attributes"
    if not is_plain and post_init is not BaseModel.model_post_init:
        return True
    return decorators is not None and bool(decorators.model_validators)


def empty(cls: type[M]) -> M:
    """An instance without values. A ``__new__`` of the class is not called: it may give an object that is in use."""
    return object.__new__(cls)


def slot(instance: object, name: str) -> Any:
    """The content of a slot; None if it has none. The `getattr` of pydantic takes longer."""
    try:
        return object.__getattribute__(instance, name)
    except AttributeError:
        return None


def is_being_built(instance: BaseModel) -> bool:
    """Whether validators and ``model_post_init`` are at work on an instance: they may assign."""
    return isinstance(slot(instance, ASSIGNED), set)


def assign(instance: BaseModel, name: str, value: Any) -> None:
    """Assign an attribute of an instance that is being built, as pydantic does for a model that is not frozen.

    Raises:
        ValueError: The class has no such field.
    """
    cls = type(instance)
    if name in cls.__private_attributes__:
        _private_of(instance)[name] = value
        getattr(instance, ASSIGNED).add(name)
    elif name in cls.__pydantic_fields__:
        _values_of(instance)[name] = value
        instance.__pydantic_fields_set__.add(name)
    elif isinstance(getattr(cls, name, None), (property, cached_property)):
        _set_computed(instance, name, value)
    else:
        raise ValueError(f"{cls.__name__!r} object has no field {name!r}")


def _set_computed(instance: BaseModel, name: str, value: Any) -> None:
    attribute = getattr(type(instance), name)
    if isinstance(attribute, property):
        attribute.__set__(instance, value)
    else:
        _values_of(instance)[name] = value


def _values_of(instance: BaseModel) -> dict[str, Any]:
    return instance.__dict__  # type: ignore[return-value,unused-ignore]  # pyright: ignore[reportReturnType]


def _private_of(instance: BaseModel) -> dict[str, Any]:
    private: dict[str, Any] = slot(instance, _PRIVATE) or {}
    return private


def build_without_values(cls: type[M]) -> M:
    """An instance that is not validated: it has the defaults of its fields, and no other attribute."""
    instance = cls.model_construct()
    for name, field in cls.__pydantic_fields__.items():
        if field.is_required():
            vars(instance).pop(name, None)
    return instance


def swap(instance: BaseModel, snapshot: BaseModel) -> None:
    """Make ``instance`` show what ``snapshot`` holds. The dictionary goes first: it is what readers look at."""
    object.__setattr__(instance, "__dict__", _fields_only(snapshot))
    for store in _STORES:
        object.__setattr__(instance, store, getattr(snapshot, store))
    _swap_private(instance, snapshot)
    mask(instance, masked(snapshot))


def _swap_private(instance: BaseModel, snapshot: BaseModel) -> None:
    """Private attributes stay, save those that were assigned while the snapshot was built."""
    given = getattr(snapshot, _PRIVATE)
    if slot(instance, _PRIVATE) is None:
        object.__setattr__(instance, _PRIVATE, copy.copy(given))
    assigned: frozenset[str] = slot(snapshot, ASSIGNED) or frozenset()
    _private_of(instance).update({name: given[name] for name in assigned if name in given})


def mask(instance: BaseModel, names: frozenset[str]) -> None:
    """Have the values of these fields hidden wherever the instance is printed."""
    if names or masked(instance):
        object.__setattr__(instance, MASKED, names)


def masked(instance: BaseModel) -> frozenset[str]:
    """The fields of the first level that are hidden where the instance is printed."""
    names: frozenset[str] | None = slot(instance, MASKED)
    return names or frozenset()


def keep_defaults(instance: BaseModel, before: BaseModel) -> None:
    """Let a default that a factory made (an id, a time) be what it was, at any depth: nothing has changed there."""
    now, then = vars(instance), vars(before)
    made = _made_by_factory(type(instance))
    for name, uses_others in made:
        if not uses_others and _is_default(name, instance, before):
            now[name] = then[name]
    for name in not_plain(_fields_only(instance)):  # a copy: other snapshots may share it, if it is a default
        _keep_inside(now[name], then.get(name))
    if instance.__pydantic_extra__:
        _keep_inside(instance.__pydantic_extra__, before.__pydantic_extra__)
    for name, uses_others in made:
        if uses_others and _is_default(name, instance, before) and _same_until(name, now, then):
            now[name] = then[name]


def _is_default(name: str, *instances: BaseModel) -> bool:
    return all(name not in each.__pydantic_fields_set__ for each in instances)


def _same_until(name: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether the fields before one, whose values its factory takes, have the same values."""
    return all(same(now[each], then.get(each)) for each in takewhile(name.__ne__, now))


_factories: WeakKeyDictionary[type[BaseModel], list[tuple[str, bool]]] = WeakKeyDictionary()


def _made_by_factory(cls: type[BaseModel]) -> list[tuple[str, bool]]:
    """Return the fields whose default a factory makes, each with whether it takes the values of the fields before."""
    names = _factories.get(cls)
    if names is None:
        fields = cls.__pydantic_fields__.items()
        names = _factories[cls] = [
            (name, bool(field.default_factory_takes_validated_data)) for name, field in fields if field.default_factory
        ]
    return names


def _keep_inside(now: Any, then: Any) -> None:
    if now is then or type(now) is not type(then):
        return
    if isinstance(now, BaseModel):
        keep_defaults(now, then)
    elif isinstance(now, dict):
        for key in now.keys() & then.keys():
            _keep_inside(now[key], then[key])
    elif dataclasses.is_dataclass(now):
        for name in _names_in(now):
            _keep_inside(part_of(now, name), part_of(then, name))
    elif isinstance(now, (list, tuple, deque)) and len(now) == len(then):
        for one, other in zip(now, then, strict=True):
            has_names = isinstance(one, BaseModel) or dataclasses.is_dataclass(one)
            if not has_names or _is_given_alike(one, other):
                _keep_inside(one, other)


def _names_in(value: Any) -> Iterable[str]:
    """The fields of a dataclass."""
    names: Iterable[str] = type(value).__dataclass_fields__
    return names


def _is_given_alike(one: Any, other: Any) -> bool:
    """Whether the values that were given are the same, whatever the defaults: an item of a list has no other name."""
    if type(one) is not type(other):
        return False
    if isinstance(one, BaseModel):
        given = one.__pydantic_fields_set__
        alike = (_is_given_alike(vars(one).get(name), vars(other).get(name)) for name in given)
        return given == other.__pydantic_fields_set__ and all(alike)
    if dataclasses.is_dataclass(one):
        return all(_is_given_alike(part_of(one, name), part_of(other, name)) for name in _names_in(one))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_is_given_alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(_is_given_alike, one, other))
    return same(one, other)


def copy_of(snapshot: M) -> M:
    """Another instance with the same values."""
    other = empty(type(snapshot))
    swap(other, snapshot)
    for store in _STORES:  # `model_copy` changes those of its copy
        object.__setattr__(other, store, copy.copy(getattr(other, store)))
    return other


def deep_copy_of(snapshot: M, memo: dict[int, Any] | None) -> M:
    """Another instance with copies of the values."""
    other = copy_of(snapshot)
    for store in ("__dict__", "__pydantic_extra__", _PRIVATE):
        object.__setattr__(other, store, copy.deepcopy(getattr(other, store), memo))
    return other


def _fields_only(snapshot: BaseModel) -> dict[str, Any]:
    """The fields, without what a ``cached_property`` computed from them."""
    fields = type(snapshot).__pydantic_fields__
    held = snapshot.__dict__
    return held.copy() if len(held) == len(fields) else {name: held[name] for name in fields if name in held}


_PLAIN = frozenset((str, int, bool, bytes))


def same(old: Any, new: Any) -> bool:
    """Whether two values are of one type and equal, at any depth; what cannot be compared counts as different.

    Python's own ``==`` takes 1 for True. What is not equal to itself, as ``nan``, is the same as another such value: or
    it would change at every reload.
    """
    if old is new:
        return True
    if type(old) is type(new) and type(old) in _PLAIN:
        return bool(old == new)
    try:
        return _same(old, new)
    except (Exception, SystemExit):  # noqa: BLE001 - a user's __eq__
        return False


def _same(old: Any, new: Any) -> bool:
    if type(old) is not type(new):
        return False
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, dict):
        return len(old) == len(new) and all(name in new and same(value, new[name]) for name, value in old.items())
    if isinstance(old, BaseModel) and type(old).__eq__ is BaseModel.__eq__:
        return equal(old, new) and same(old.__pydantic_extra__, new.__pydantic_extra__)
    return bool(old == new or (old != old and new != new))


def equal(old: BaseModel, new: BaseModel) -> bool:
    """Whether no field differs."""
    before, after = old.__dict__, new.__dict__
    return all(same(before[name], after[name]) for name in type(old).__pydantic_fields__)


def unlike(old: BaseModel, new: BaseModel) -> Iterable[str]:
    """Return the fields whose values may differ, in their order: all but those that have equal values of plain types.

    Where all values are plain, no step of Python is taken for each: of many fields, few change.
    """
    # Copies: a `cached_property` that another thread computes meanwhile adds its value to the instance.
    names, before, after = type(new).__pydantic_fields__, vars(old).copy(), vars(new).copy()
    kinds = list(map(type, after.values()))
    if not list(before) == list(after) == list(names) or kinds != list(map(type, before.values())):
        return names
    if PLAIN.issuperset(kinds):
        return compress(names, map(ne, before.values(), after.values()))
    pairs = zip(names, kinds, before.values(), after.values(), strict=True)
    return [name for name, kind, one, other in pairs if kind not in PLAIN or one != other]


def is_branch(value: Any) -> bool:
    """Whether a value is a nested model whose fields count one by one; a `RootModel` is the value that it holds."""
    return isinstance(value, BaseModel) and not isinstance(value, RootModel) and bool(type(value).model_fields)


def leaves(instance: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each field and its value; nested models are opened, with dotted names. A placeholder has not all of them."""
    values = instance.__dict__
    for name in type(instance).model_fields:
        if name not in values:
            continue
        value = values[name]
        if is_branch(value):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
    for name, value in extra_of(instance).items():
        yield prefix + name, value


def extra_of(instance: BaseModel) -> Mapping[str, Any]:
    """The fields that a model with ``extra="allow"`` took beside its own."""
    return instance.__pydantic_extra__ or {}


def field_value(instance: Any, name: str) -> Any:
    """The value of a field of a model or a dataclass; reading the attribute of a deprecated field would warn."""
    held: Mapping[str, Any] = getattr(instance, "__dict__", {})
    return held[name] if name in held else getattr(instance, name)


_LISTS_OF_FIELDS = ("__pydantic_fields__", "__dataclass_fields__", "_fields")
"""The attributes with the fields of a model or dataclass of pydantic, a dataclass, and a named tuple."""


def part_of(value: Any, label: str) -> Any:
    """The value of a field of a model, a dataclass, a typed dictionary or a named tuple; `ABSENT` if it has none."""
    if isinstance(value, dict):
        return value.get(label, ABSENT)
    fields = next((fields for each in _LISTS_OF_FIELDS if (fields := getattr(type(value), each, None)) is not None), ())
    try:
        return field_value(value, label) if label in fields else ABSENT
    except AttributeError:  # of a dataclass with slots, or a model that a placeholder holds
        return ABSENT


def put_part(value: Any, label: str, part: Any) -> None:
    """Set a field of such a value, also of a frozen one; a named tuple stays as it is."""
    if isinstance(value, dict):
        value[label] = part
    elif not isinstance(value, tuple):
        object.__setattr__(value, label, part)


def has_place(instance: BaseModel, dotted: str) -> bool:
    """Whether a field can be there; it cannot where the model around it is another member of a union by now."""
    value: Any = instance
    for name in dotted.split("."):
        if isinstance(value, BaseModel) and name not in type(value).__pydantic_fields__:
            return False
        value = getattr(value, "__dict__", {}).get(name)
    return True


def with_leaf_of(other: BaseModel, name: str, snapshot: M) -> M:
    """A copy of ``snapshot`` in which one leaf is as it is in ``other``; nothing is validated."""
    label, _, inside = name.partition(".")
    value = other.__dict__[label]
    copied = copy_of(snapshot)
    changed = with_leaf_of(value, inside, snapshot.__dict__[label]) if inside else value
    object.__setattr__(copied, "__dict__", {**copied.__dict__, label: changed})
    return copied


def field_hash(instance: BaseModel) -> int:
    """The hash of a frozen model: its type and its values."""
    return hash((type(instance), *(instance.__dict__[name] for name in type(instance).__pydantic_fields__)))
