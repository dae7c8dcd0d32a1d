"""The same content through every way in: pydantic-settings is the reference.

Hypothesis makes settings classes (nested models, mappings, lists, unions, aliases, prefixes, delimiters, the scalar
types of pydantic) and contents for them. Each content goes to pydantic-settings as variables, and to liveconfig as
variables, as single keys, keys with dots, folders, and documents of each format, at the first load and at a reload. All
must give the same values, or all must refuse. Some contents also go to both through a source of the hook. What differs by
design is kept out of the contents and stands in docs/migrating.md.

In CI it tries 20,000 contents, elsewhere 2,000; ``make differential ARGS=100000`` sets another number.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import json
import math
import os
import pathlib
import random
import re
import uuid
import zoneinfo
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import hypothesis.strategies as st
import pydantic.dataclasses
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, note, settings
from pydantic import (
    UUID3,
    AliasChoices,
    AliasPath,
    AnyUrl,
    AwareDatetime,
    Base64Bytes,
    Base64Str,
    BaseModel,
    ByteSize,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    HttpUrl,
    ImportString,
    IPvAnyAddress,
    Json,
    PastDate,
    PositiveInt,
    PostgresDsn,
    RedisDsn,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    StrictBool,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    conint,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsError

from liveconfig import Settings, SettingsConfigDict
from liveconfig._loading import DecodeError, Invalid, Loaded, Loader, Sources, split_arguments
from liveconfig._volumes import Revision, Volume
from liveconfig.testing import KubeletVolume

CONTENTS = int(os.environ.get("LIVECONFIG_DIFFERENTIAL") or (20_000 if os.environ.get("CI") else 2_000))
BATCH = 25  # contents for each class: making a class takes longer than all the rest
PATH = "/etc/config"
REFUSED = "refused"


# Values


@dataclass(frozen=True)
class Value:
    """A value, as it is written: a text, a list, a mapping by name, or None.

    Attributes:
        text: The text of a scalar in a variable or a key.
        native: The scalar as JSON has it.
        items: The items of a list.
        entries: The entries of a mapping or the fields of a model.
        only_text: See `is_only_text`.
    """

    text: str | None = None
    native: Any = None
    items: tuple[Value, ...] | None = None
    entries: Mapping[str, Value] | None = None
    only_text: bool = False

    def is_only_text(self) -> bool:
        """Whether it has no equal in a document: what a strict type takes depends on whether it comes as a text."""
        inside = (*(self.items or ()), *(self.entries or {}).values())
        return self.only_text or any(each.is_only_text() for each in inside)

    def data(self) -> Any:
        """The value as JSON has it."""
        if self.items is not None:
            return [item.data() for item in self.items]
        if self.entries is not None:
            return {name: value.data() for name, value in self.entries.items()}
        return self.native

    def written(self) -> str:
        """The value as a variable or a key has it."""
        return json.dumps(self.data()) if self.text is None else self.text


def scalar(text: str, native: Any = ...) -> Value:
    return Value(text, text if native is ... else native)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Shape:
    """A type, and how to make values of it.

    Attributes:
        annotation: The type.
        make: A value, of a source of randomness.
        fields: The fields, where it is a model.
        entry: The shape of the entries, where it is a mapping.
        default: A default.
    """

    annotation: Any
    make: Callable[[random.Random], Value]
    fields: tuple[FieldSpec, ...] = ()
    entry: Shape | None = None
    default: Any = None

    @property
    def allows_none(self) -> bool:
        """Whether None is a value of it."""
        return type(None) in get_args(self.annotation)

    @property
    def in_parts(self) -> bool:
        """Whether keys reach inside it."""
        return bool(self.fields) or self.entry is not None


@dataclass(frozen=True)
class FieldSpec:
    """A field of a class.

    Attributes:
        label: Its name.
        shape: Its type.
        names: The names under which it is given.
        alias: Its validation alias.
        path: Where its value is inside of what its name gives: names of entries, or the index of an item.
        required: Whether it has no default.
    """

    label: str
    shape: Shape
    names: tuple[str, ...]
    alias: Any = None
    path: tuple[str | int, ...] = ()
    required: bool = False

    @property
    def looks_inside(self) -> bool:
        """Whether one of its aliases is a path: pydantic-settings then loses parts that are given under another one."""
        choices = self.alias.choices if isinstance(self.alias, AliasChoices) else [self.alias]
        return any(isinstance(each, AliasPath) for each in choices)

    def info(self) -> Any:
        needs = self.required or (self.shape.default is None and not self.shape.allows_none)
        return Field(... if needs else self.shape.default, validation_alias=self.alias)


def one_of(annotation: Any, *values: Value, bad: tuple[str, ...] = (), default: Any = ...) -> Shape:
    wrong = tuple(scalar(text) for text in bad)
    default = TypeAdapter(annotation).validate_python(values[-1].data()) if default is ... else default

    def make(random: random.Random) -> Value:
        return random.choice(wrong) if wrong and random.random() < 0.03 else random.choice(values)

    return Shape(annotation, make, default=default)


WORDS = ("x", "abc", "5", "true", "null", "é ü", " padded ", "[1]", '{"a": 1}', "a=b", "a#b", "C:\\x", "q\"u'o", "-")
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"

SCALARS = [
    one_of(str, *map(scalar, WORDS), scalar(""), default="default"),
    one_of(int, scalar("5", 5), scalar("-1", -1), scalar("0", 0), bad=("x", "1.5"), default=7),
    one_of(float, scalar("1.5", 1.5), scalar("1e3", 1000.0), scalar("5", 5), bad=("x",), default=0.5),
    one_of(bool, scalar("true", True), scalar("false", False), scalar("1", 1), scalar("off"), bad=("x",), default=True),
    one_of(decimal.Decimal, scalar("1.50"), scalar("-3"), bad=("x",)),
    one_of(dt.date, scalar("2026-01-02"), bad=("x",)),
    one_of(dt.datetime, scalar("2026-01-02T03:04:05Z"), scalar("2026-01-02T03:04:05+01:00"), bad=("x",)),
    one_of(dt.time, scalar("03:04:05"), bad=("x",)),
    one_of(dt.timedelta, scalar("PT5M"), scalar("300"), scalar("00:05:00"), bad=("5m",)),
    one_of(uuid.UUID, scalar(UUID), bad=("x",)),
    one_of(pathlib.Path, scalar("/etc/x"), scalar("a/b")),
    one_of(bytes, scalar("abc"), scalar("é")),
    one_of(SecretStr, scalar("s3cret"), scalar("5"), scalar("[1]")),
    one_of(SecretBytes, scalar("s3cret")),
    one_of(Colour, scalar("red"), scalar("blue"), Value("RED", "red", only_text=True), bad=("green",), default=None),
    one_of(Level, scalar("1"), scalar("2"), bad=("3",)),
    one_of(Literal["a", "b"], scalar("a"), scalar("b"), bad=("c",)),
    one_of(ipaddress.IPv4Address, scalar("10.0.0.1"), bad=("x",)),
    one_of(ipaddress.IPv4Network, scalar("10.0.0.0/8"), bad=("10.0.0.1/8",)),
    one_of(ipaddress.IPv6Address, scalar("::1"), bad=("x",)),
    one_of(AnyUrl, scalar("x://host/path"), bad=("x",)),
    one_of(HttpUrl, scalar("https://host/path?q=1"), bad=("x",)),
    one_of(PostgresDsn, scalar("postgresql://u:p@host:5432/db"), bad=("mysql://host",)),
    one_of(ByteSize, scalar("10MB"), scalar("5", 5), bad=("5x",)),
    one_of(PositiveInt, scalar("5", 5), bad=("-1",)),
    one_of(Annotated[str, Field(min_length=2, pattern="^[a-z]+$")], scalar("abc"), bad=("x", "ABC")),
    one_of(StrictInt, scalar("5"), scalar("x"), default=7),
    one_of(StrictBool | None, Value("true", True, only_text=True), bad=("x",)),
    one_of(Json[int], scalar("5"), bad=("{",), default=None),
    one_of(Json[list[int]], scalar("[1, 2]"), bad=("{",), default=None),
    one_of(re.Pattern[str], scalar("^a+$"), bad=("(",)),
    one_of(zoneinfo.ZoneInfo, scalar("Europe/Berlin"), bad=("Nowhere/Town",)),
    one_of(Base64Bytes, scalar("YWJj")),
    one_of(complex, scalar("1+2j"), bad=("x",)),
    one_of(Fraction, scalar("1/3"), bad=("x",)),
    one_of(ipaddress.IPv6Network, scalar("fd00::/8"), bad=("x",)),
    one_of(IPvAnyAddress, scalar("10.0.0.1"), scalar("::1"), bad=("x",)),
    one_of(UUID3, scalar(UUID), bad=("9a1f9f8e-7e37-4a53-8f0b-0d6d2d9f7a11",)),
    one_of(AwareDatetime, scalar("2026-01-02T03:04:05Z"), bad=("2026-01-02T03:04:05",)),
    one_of(PastDate, scalar("2020-01-02"), bad=("2999-01-01",)),
    one_of(RedisDsn, scalar("redis://host:6379/0"), bad=("http://host",)),
    one_of(FilePath, scalar("/etc/hostname"), bad=("/no/such/file",)),
    one_of(DirectoryPath, scalar("/etc"), bad=("/no/such/directory",)),
    one_of(ImportString[Any], scalar("json.dumps"), bad=("no.such",)),
    one_of(Secret[int], scalar("5", 5), bad=("x",)),
    one_of(Base64Str, scalar("YWJj")),
    one_of(conint(ge=2, multiple_of=2), scalar("4", 4), bad=("3", "x")),
    one_of(Annotated[decimal.Decimal, Field(max_digits=3)], scalar("1.5"), bad=("123.45",)),
    one_of(Annotated[str, StringConstraints(to_upper=True, strip_whitespace=True)], scalar(" a "), scalar("b")),
    one_of(int | None, scalar("5", 5), bad=("x",)),
    one_of(str | None, scalar("x")),
    one_of(int | str, scalar("x"), scalar("abc")),
    one_of(Annotated[list[str], NoDecode] | str, scalar("a,b")),
    one_of(list[int] | str, Value(items=(scalar("5", 5),)), scalar("x")),
    one_of(int | list[int], Value(items=(scalar("5", 5),)), scalar("5", 5)),
    one_of(set[int], Value(items=(scalar("5", 5), scalar("6", 6)))),
    one_of(frozenset[str], Value(items=(scalar("x"),))),
    one_of(deque[int], Value(items=(scalar("5", 5),))),
    one_of(tuple[int, str], Value(items=(scalar("5", 5), scalar("x")))),
]


def listed(annotation: Callable[[Any], Any], item: Shape) -> Shape:
    def make(random: random.Random) -> Value:
        return Value(items=tuple(item.make(random) for _ in range(random.randrange(3))))

    kind = annotation(item.annotation)
    return Shape(kind, make, default=TypeAdapter(kind).validate_python([]))


ENTRIES = ("acme", "b2", "x")  # in lower case: variables lose their case, keys do not


def mapping(entry: Shape, key: type = str) -> Shape:
    known = ENTRIES if key is str else ("1", "22", "333")

    def make(random: random.Random) -> Value:
        names = random.sample(known, random.randrange(3))
        return Value(entries={name: entry.make(random) for name in names})

    return Shape(dict[key, entry.annotation], make, entry=entry, default={})  # type: ignore[valid-type]


def optional(shape: Shape) -> Shape:
    return dataclasses.replace(shape, annotation=shape.annotation | None, default=None)


def model(name: str, fields: tuple[FieldSpec, ...], config: ConfigDict, *, of_dataclass: bool = False) -> Shape:
    namespace: dict[str, Any] = {each.label: each.info() for each in fields}
    namespace["__annotations__"] = {each.label: each.shape.annotation for each in fields}
    namespace["__module__"] = __name__
    if of_dataclass:
        cls: Any = pydantic.dataclasses.dataclass(type(name, (), namespace), config=config, kw_only=True)
    else:
        cls = type(name, (BaseModel,), {**namespace, "model_config": config})

    def make(random: random.Random) -> Value:
        given = [each for each in fields if each.info().is_required() or random.random() < 0.6]
        entries = dict(_given(each, random) for each in given)
        if config.get("extra") == "allow" and random.random() < 0.4:
            entries["surplus"] = scalar("x")
        return Value(entries=entries)

    default = None
    if not any(each.info().is_required() for each in fields):
        default = cls()
    return Shape(cls, make, fields, default=default)


def _given(spec: FieldSpec, random: random.Random) -> tuple[str, Value]:
    """One field with a value, under one of its names."""
    value = spec.shape.make(random)
    for part in reversed(spec.path):
        value = Value(items=(value,)) if isinstance(part, int) else Value(entries={part: value})
    return random.choice(spec.names), value


# Classes


LABELS = ("alpha", "beta", "gamma_ray", "delta", "epsilon")


KINDS = ["scalar", "scalar", "list", "mapping", "model", "optional model", "either", "dataclass", "root"]


@st.composite
def shapes(draw: st.DrawFn, depth: int) -> Shape:
    kind = draw(st.sampled_from(KINDS))
    if kind == "scalar" or (depth == 0 and kind not in ("list", "mapping")):
        return draw(st.sampled_from(SCALARS))
    if kind == "list":
        make = draw(st.sampled_from([lambda t: list[t], lambda t: tuple[t, ...], lambda t: list[t] | None]))
        return listed(make, draw(shapes(0) if depth == 0 else shapes(depth - 1)))
    if kind == "mapping":
        inner = draw(st.sampled_from(ENTRY_SCALARS) if depth == 0 else shapes(depth - 1).filter(_fits_entry))
        return mapping(inner, draw(st.sampled_from([str, str, int])))
    if kind == "root":
        inner = draw(shapes(depth - 1).filter(_fits_root))
        kind = RootModel[inner.annotation]
        return dataclasses.replace(inner, annotation=kind, default=None, fields=(), entry=None)
    return _model_shape(draw, kind, depth)


ENTRY_SCALARS = SCALARS[:25]


def _fits_entry(shape: Shape) -> bool:
    """Of a union, and of what is JSON itself, an entry of a variable is read by rules of its own."""
    return shape not in SCALARS[26:] and shape.annotation is not None


CONFIGS = [ConfigDict(), ConfigDict(populate_by_name=True), ConfigDict(extra="forbid"), ConfigDict(extra="allow")]


def _fits_root(shape: Shape) -> bool:
    """A variable for a root model of another one, or of JSON, is read as JSON, and one of a union as text."""
    is_root = isinstance(shape.annotation, type) and issubclass(shape.annotation, RootModel)
    is_union = get_origin(shape.annotation) in (Union, UnionType)
    return not is_root and not is_union and shape.annotation != Json[list[int]]


def _model_shape(draw: st.DrawFn, kind: str, depth: int) -> Shape:
    config = draw(st.sampled_from(CONFIGS))
    inner = model("Inner", draw(fields(depth - 1, config)), config, of_dataclass=kind == "dataclass")
    if kind == "either":
        other = model("Other", (FieldSpec("only_here", SCALARS[1], ("only_here",), required=True),), ConfigDict())
        return dataclasses.replace(inner, annotation=inner.annotation | other.annotation)
    return optional(inner) if kind == "optional model" else inner


@st.composite
def fields(draw: st.DrawFn, depth: int, config: Mapping[str, Any], prefix: str = "") -> tuple[FieldSpec, ...]:
    by_name = bool(config.get("populate_by_name"))
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=2, max_size=4, unique=True))
    return tuple(_field(draw, label, depth, by_name) for label in labels)


def _field(draw: st.DrawFn, label: str, depth: int, by_name: bool) -> FieldSpec:
    shape = draw(shapes(depth))
    required = draw(st.sampled_from([False] * 7 + [True]))
    kind = draw(st.sampled_from(["none", "none", "none", "alias", "choices", "path", "item", "choice and path"]))
    if kind == "none":
        return FieldSpec(label, shape, (label,), required=required)
    own = (label,) if by_name else ()
    if kind == "alias":
        return FieldSpec(label, shape, (f"{label}_alias", *own), f"{label}_alias", required=required)
    if kind == "choices":
        names = (f"{label}_new", f"{label}_old")
        return FieldSpec(label, shape, names, AliasChoices(*names), required=required)
    box, paths = f"{label}_box", {"path": ("in",), "item": (0,), "choice and path": ("outer", "in")}
    if kind == "choice and path" and draw(st.booleans()):
        return FieldSpec(
            label, shape, (f"{label}_new",), AliasChoices(f"{label}_new", AliasPath(box, "in")), (), required
        )
    alias: Any = AliasPath(box, *paths[kind])
    return FieldSpec(
        label, shape, (box,), AliasChoices("never", alias) if len(paths[kind]) > 1 else alias, paths[kind], required
    )


@dataclass(frozen=True)
class Case:
    """Two classes with the same fields, and the seed of the contents."""

    fields: tuple[FieldSpec, ...]
    config: Mapping[str, Any]
    seed: int
    peer: Any = field(compare=False, default=None)
    ours: Any = field(compare=False, default=None)


FROM_SOURCE: dict[str, Any] = {}
"""What the source that the hook of every class adds gives."""


def with_source(cls: Any, settings_cls: Any, **sources: Any) -> tuple[Any, ...]:
    """The hook of every class: a function below all other sources."""
    return (*sources.values(), lambda: dict(FROM_SOURCE))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    config: dict[str, Any] = {
        "env_prefix": draw(st.sampled_from(["", "", "app_", "APP."])),
        "env_prefix_target": draw(st.sampled_from(["variable", "variable", "alias", "all"])),
        "env_nested_delimiter": draw(st.sampled_from(["__", "__", None])),
        "case_sensitive": draw(st.booleans()),
        "populate_by_name": draw(st.booleans()),
        "env_ignore_empty": draw(st.sampled_from([False, False, True])),
        "env_parse_enums": draw(st.sampled_from([None, None, True])),
        "strict": draw(st.sampled_from([False, False, False, True])),
        "env_parse_none_str": draw(st.sampled_from([None, None, "void"])),
        "nested_model_default_partial_update": draw(st.sampled_from([False, False, True])),
        "extra": "ignore",
    }
    specs = draw(fields(2, config))
    if "alias='" in repr(specs) or "Alias" in repr(specs):  # what is updated in part then depends on the way in
        config["nested_model_default_partial_update"] = False
    if "bytes" in repr(specs).lower():  # a strict class takes bytes from a key, and none from a variable
        config["strict"] = False
    namespace: dict[str, Any] = {each.label: each.info() for each in specs}
    namespace["__annotations__"] = {each.label: each.shape.annotation for each in specs}
    namespace["__module__"] = __name__
    namespace["settings_customise_sources"] = classmethod(with_source)
    peer = type("Peer", (BaseSettings,), {**namespace, "model_config": config})
    documents = {"app.yaml": None, "app.json": None, "app.toml": None, "app.env": None, "app.properties": None}
    own = SettingsConfigDict(**config, documents=documents, watch=False, missing_key="fallback")  # type: ignore[typeddict-item]
    ours = type("Ours", (Settings,), {**namespace, "model_config": own})
    return Case(specs, config, draw(st.integers(0, 2**32)), peer, ours)


# Contents


Step = tuple[str, bool]  # a name, and whether it is that of an entry


@dataclass(frozen=True)
class Given:
    """One assignment: the names that lead to a place, and the value there."""

    names: tuple[str, ...]
    value: Value
    prefixed: bool


def content_of(case: Case, random: random.Random) -> list[Given]:
    """Assignments to some fields: whole values, parts of them, or both."""
    found: list[Given] = []
    for spec in case.fields:
        if spec.info().is_required() or random.random() < 0.7:
            name, value = _given(spec, random)
            target, is_alias = case.config["env_prefix_target"], name != spec.label
            prefixed = target == "all" or (target == "alias") is is_alias
            found += _in_parts(case, (name,), value, prefixed, spec, random)
    return found


def _in_parts(
    case: Case, names: tuple[str, ...], value: Value, prefixed: bool, spec: FieldSpec, random: random.Random
) -> Iterator[Given]:
    splits = case.config["env_nested_delimiter"] is not None and spec.shape.in_parts and not spec.looks_inside
    if not splits or not value.entries or random.random() < 0.25:
        yield Given(names, value, prefixed)
        return
    whole = _not_by_themselves(case, spec)
    parts = {name for name in value.entries if random.random() < 0.7} or set(value.entries)
    if not (parts := parts - whole):
        yield Given(names, value, prefixed)
        return
    if rest := {name: inner for name, inner in value.entries.items() if name not in parts}:
        yield Given(names, Value(entries=rest), prefixed)
    for name in parts:
        yield from _part(case, (*names, name), value.entries[name], prefixed, spec.shape, random)


def _not_by_themselves(case: Case, spec: FieldSpec) -> set[str]:
    """Aliases in a model: pydantic-settings does not know their variables if aliases have the prefix."""
    if case.config["env_prefix_target"] == "variable":
        return set()
    return {name for inner in spec.shape.fields for name in inner.names if name != inner.label}


def _part(
    case: Case, names: tuple[str, ...], value: Value, prefixed: bool, shape: Shape, random: random.Random
) -> Iterator[Given]:
    inner = next((each for each in shape.fields if names[-1] in each.names), None)
    if inner is not None:
        yield from _in_parts(case, names, value, prefixed, inner, random)
    elif shape.entry is not None:
        entry = FieldSpec(names[-1], shape.entry, (names[-1],))
        yield from _in_parts(case, names, value, prefixed, entry, random)
    else:
        yield Given(names, value, prefixed)


def spelled(case: Case, given: Given, separator: str, change: Callable[[str], str] = str) -> str:
    first, *rest = given.names
    lead = case.config["env_prefix"] if given.prefixed else ""
    return separator.join([change(lead + first), *rest])


def documented(content: list[Given]) -> dict[str, Any]:
    """The content as one structure, without a prefix."""
    data: dict[str, Any] = {}
    for each in sorted(content, key=lambda each: len(each.names)):
        place = data
        for name in each.names[:-1]:
            place = place.setdefault(name, {})
        place[each.names[-1]] = each.value.data()
    return data


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {as_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def as_dotenv(pairs: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return "\n".join(f"{name}={quoted(text)}" for name, text in pairs.items())


def as_properties(pairs: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return re.sub(r"([\\=:# ])", r"\\\1", text)

    return "\n".join(f"{escaped(name)}={escaped(text)}" for name, text in pairs.items())


# The ways in


def ways(case: Case, content: list[Given]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The files of a volume for each way to give a content."""
    delimiter = case.config["env_nested_delimiter"] or "__"
    yield "keys", _files(case, content, delimiter)
    folders = _files(case, content, "/")
    if not any(other.startswith(f"{name}/") for name in folders for other in folders):  # no disk can hold both
        yield "folders", folders
    yield "dots", _files(case, content, ".")
    yield "dashes", _files(case, content, delimiter, lambda name: name.replace("_", "-"))
    pairs = {spelled(case, each, delimiter): each.value.written() for each in content}
    yield "dotenv", {"app.env": as_dotenv(pairs).encode()}
    yield "properties", {"app.properties": as_properties(pairs).encode()}
    empty = case.config["env_ignore_empty"] and any(each.value.text == "" for each in content)
    only_text = case.config["strict"] or any(each.value.is_only_text() for each in content)
    if not empty and not only_text:  # an empty text in a document is a value
        data = documented(content)
        yield "json", {"app.json": json.dumps(data).encode()}
        yield "yaml", {"app.yaml": yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True).encode()}
        yield "toml", {"app.toml": "\n".join(f"{json.dumps(n)} = {as_toml(v)}" for n, v in data.items()).encode()}


def _files(case: Case, content: list[Given], separator: str, change: Callable[[str], str] = str) -> dict[str, bytes]:
    return {spelled(case, each, separator, change): each.value.written().encode() for each in content}


def of_peer(case: Case, variables: Mapping[str, str]) -> Any:
    with environment(variables):
        try:
            return values_of(case.peer())
        except (ValidationError, SettingsError):
            return REFUSED


class environment:  # noqa: N801 - it reads as a word in a `with`
    """Variables for the length of a `with`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __enter__(self) -> None:
        os.environ.update(self._variables)

    def __exit__(self, *_: object) -> None:
        for name in self._variables:
            del os.environ[name]


class Ours:
    """liveconfig without a disk: revisions are made as a volume would give them."""

    def __init__(self, case: Case, variables: Mapping[str, str] | None = None) -> None:
        with environment(variables or {}):
            sources = Sources(case.ours, split_arguments(case.ours, {}))
        self._loader: Loader[Any] = Loader(case.ours, (Volume(PATH),), sources)
        self._before: Any = None

    def load(self, files: Mapping[str, bytes], *, again: bool = False) -> Any:
        """The values, at a first load or at a reload."""
        revision = Revision(PATH, "atomic", "1", (files,), files)
        try:
            loaded = self._loader.load((self._loader.feed(0, revision, None),), self._before if again else None)
        except DecodeError:
            return REFUSED
        if isinstance(loaded, Invalid):
            return REFUSED
        assert isinstance(loaded, Loaded)
        self._before = loaded
        return values_of(loaded.snapshot)

    @property
    def has_loaded(self) -> bool:
        return self._before is not None


def values_of(instance: BaseModel) -> dict[str, Any]:
    return {name: vars(instance)[name] for name in type(instance).model_fields}


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types at any depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, BaseModel):
        return same(vars(one), vars(other)) and same(one.model_extra, other.model_extra)
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(other))
    return one == other


def check(case: Case, content: list[Given], ours: Ours) -> None:
    delimiter = case.config["env_nested_delimiter"] or "__"
    variables = {spelled(case, each, delimiter): each.value.written() for each in content}
    expected = of_peer(case, variables)
    try:
        as_variables = Ours(case, variables).load({})
    except SettingsError:
        as_variables = REFUSED
    assert same(as_variables, expected), f"variables {variables}: {as_variables} is not {expected}"
    for way, files in ways(case, content):
        for again in (False, True):
            if again and not ours.has_loaded:
                continue
            found = ours.load(files, again=again)
            assert same(found, expected), f"{way} {files} (again: {again}): {found} is not {expected}"


def check_source(case: Case, content: list[Given]) -> None:
    """The same content from a source of the hook: what a document of the same structure holds."""
    FROM_SOURCE.update(documented(content))
    try:
        expected, found = of_peer(case, {}), Ours(case).load({})
    finally:
        FROM_SOURCE.clear()
    assert same(found, expected), f"source {documented(content)}: {found} is not {expected}"


quick = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


@pytest.mark.timeout(1800)
@settings(quick, max_examples=math.ceil(CONTENTS / BATCH))
@given(case=cases())
def test_every_way_in_gives_the_same(case: Case) -> None:
    """Whatever the class and the content, variables, keys, folders and documents give what pydantic-settings gives."""
    note(f"config: {case.config}\nfields: {case.fields}")
    chance, ours = random.Random(case.seed), Ours(case)
    for number in range(BATCH):
        content = content_of(case, chance)
        check(case, content, ours)
        if number % 5 == 0:
            check_source(case, content)


@pytest.mark.timeout(600)
@settings(quick, max_examples=40)
@given(case=cases())
def test_the_same_through_a_volume(tmp_path_factory: Any, case: Case) -> None:
    """The same through a volume on a disk and the public interface, at the load and at a swap."""
    volume = KubeletVolume(tmp_path_factory.mktemp("volume") / "v")
    chance = random.Random(case.seed)
    live: Any = None
    for _ in range(3):
        content = content_of(case, chance)
        delimiter = case.config["env_nested_delimiter"] or "__"
        expected = of_peer(case, {spelled(case, each, delimiter): each.value.written() for each in content})
        for _way, files in ways(case, content):
            volume.write(files)
            if live is None and expected != REFUSED:
                live = case.ours(_volumes=volume.path)
            elif live is not None:
                assert live.live.reload() is (expected != REFUSED)
            if live is not None and expected != REFUSED:
                assert same(values_of(live.live.latest()), expected)
    if live is not None:
        live.live.close()
