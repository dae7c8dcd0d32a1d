"""Two versions -> one `Change` per leaf that differs."""

from __future__ import annotations

import itertools
import json
import sys
from functools import cached_property
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretBytes, SecretStr, computed_field
from pydantic.dataclasses import dataclass

from liveconfig import Reloaded, Settings, SettingsConfigDict
from liveconfig.testing import recorded


class Inner(BaseModel):
    name: str = ""
    key: SecretStr = SecretStr("")


class Outer(BaseModel):
    inner: Inner = Inner()
    size: int = 0


class Left(BaseModel):
    side: str = "left"
    x: int = 0


class Right(BaseModel):
    side: str = "right"
    x: int = 0


class Words(RootModel[list[str]]):
    pass


@dataclass
class Point:
    x: int = 0
    y: int = 0


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    value: Any = None


class Word(BaseModel):
    word: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Word) and self.word.lower() == other.word.lower()

    __hash__ = None


class App(Settings):
    model_config = SettingsConfigDict(documents=["app.json"])
    open_ones: list[Open] = []
    plain_words: list[Word] = []
    text: str = ""
    number: float = 0.0
    either: int | bool | str = 0
    anything: Any = None
    secret: SecretStr = SecretStr("")
    blob: SecretBytes = SecretBytes(b"")
    items: list[Any] = []
    mapping: dict[str, Any] = {}
    group: set[str] = set()
    outer: Outer = Outer()
    perhaps: Inner | None = None
    one_of: Left | Right = Left()
    words: Words = Words([])
    point: Point = Point()
    called: str = Field("", alias="other_name")

    @computed_field
    @property
    def shout(self) -> str:
        return self.text.upper()


@pytest.fixture
def change(kubelet_volume):
    """A function that goes from one document to another and returns the `Reloaded`, or None where there was none."""
    kubelet_volume.write({"app.json": "{}"})
    settings = App(_volumes=kubelet_volume.path, _watch=False)

    def change(before, after):
        kubelet_volume.write({"app.json": json.dumps(before)})
        assert settings.live.reload(), settings.live.status().problems
        with recorded(settings) as events:
            kubelet_volume.write({"app.json": json.dumps(after)})
            assert settings.live.reload(), settings.live.status().problems
        reloads = [event for event in events if isinstance(event, Reloaded)]
        assert len(reloads) <= 1
        return reloads[0] if reloads else None

    yield change
    settings.live.close()


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ({"text": "a"}, {"text": "b"}, ["text"]),
        ({"text": "a", "number": 1}, {"text": "b", "number": 2}, ["text", "number"]),
        ({"items": [1, 2]}, {"items": [1, 3]}, ["items"]),
        ({"items": [1, [2]]}, {"items": [1, [2]], "text": "b"}, ["text"]),
        ({"items": [1]}, {"items": [1, 2]}, ["items"]),
        ({"open_ones": [{"value": 1}]}, {"open_ones": [{"value": True}]}, ["open_ones"]),
        ({"open_ones": [{"more": 1}]}, {"open_ones": [{"more": 2}]}, ["open_ones"]),
        ({"open_ones": [{"value": 1, "more": 2}]}, {"open_ones": [{"value": 1, "more": 2}], "text": "b"}, ["text"]),
        ({"plain_words": [{"word": "a"}]}, {"plain_words": [{"word": "A"}], "text": "b"}, ["text"]),
        ({"plain_words": [{"word": "a"}]}, {"plain_words": [{"word": "b"}]}, ["plain_words"]),
        ({"mapping": {"a": 1}}, {"mapping": {"a": 1, "b": 2}}, ["mapping"]),
        ({"group": ["a"]}, {"group": ["a", "b"]}, ["group"]),
        ({"outer": {"size": 1}}, {"outer": {"size": 2}}, ["outer.size"]),
        ({"outer": {"inner": {"name": "a"}}}, {"outer": {"inner": {"name": "b"}}}, ["outer.inner.name"]),
        (
            {"outer": {"size": 1, "inner": {"name": "a", "key": "k"}}},
            {"outer": {"size": 2, "inner": {"name": "b", "key": "l"}}},
            ["outer.inner.name", "outer.inner.key", "outer.size"],
        ),
        ({}, {"perhaps": {"name": "a"}}, ["perhaps"]),
        ({"perhaps": {"name": "a"}}, {}, ["perhaps"]),
        ({"perhaps": {"name": "a"}}, {"perhaps": {"name": "b"}}, ["perhaps.name"]),
        ({"one_of": {"side": "left", "x": 1}}, {"one_of": {"side": "left", "x": 2}}, ["one_of.x"]),
        ({"words": ["a"]}, {"words": ["b"]}, ["words"]),
        ({"point": {"x": 1}}, {"point": {"x": 2}}, ["point"]),
        ({"secret": "a"}, {"secret": "b"}, ["secret"]),
        ({"blob": "a"}, {"blob": "b"}, ["blob"]),
        ({"other_name": "a"}, {"other_name": "b"}, ["called"]),
        ({"anything": None}, {"anything": 0}, ["anything"]),
    ],
)
def test_leaves(change, before, after, fields):
    """One Change per leaf that differs: dotted names in nested models; lists, dicts and dataclasses are one leaf."""
    event = change(before, after)
    assert [each.field for each in event.changes] == fields
    for each in event.changes:
        assert each.version == event.version


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"text": "a"}, {"text": "a", "unknown": 1}),
        ({"mapping": {"a": 1, "b": 2}}, {"mapping": {"b": 2, "a": 1}}),
        ({"group": ["a", "b"]}, {"group": ["b", "a"]}),
        ({}, {"text": ""}),
        ({"outer": {}}, {"outer": {"size": 0}}),
        ({"number": 1}, {"number": 1.0}),
        ({"secret": "a"}, {"text": "", "secret": "a"}),
    ],
)
def test_equal(change, before, after):
    """Values that are equal are no change: no version, no event."""
    assert change(before, after) is None


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ({"either": 1}, {"either": True}, "either"),
        ({"anything": 1}, {"anything": True}, "anything"),
        ({"anything": 1}, {"anything": 1.0}, "anything"),
        ({"mapping": {"a": 1}}, {"mapping": {"a": True}}, "mapping"),
        ({"mapping": {"a": {"b": [0]}}}, {"mapping": {"a": {"b": [False]}}}, "mapping"),
        ({"items": [1]}, {"items": [True]}, "items"),
        ({"items": [{"a": 1}]}, {"items": [{"a": 1.0}]}, "items"),
    ],
)
def test_equal_of_another_type(change, before, after, field):
    """E108: 1, 1.0 and true are three values, at any depth: what is on disk is reached."""
    event = change(before, after)
    assert event is not None
    assert [each.field for each in event.changes] == [field]
    assert repr(getattr(event.new, field)) == repr(after[field])


def test_nan(change):
    """E109: a number that is not equal to itself does not change at each reload."""
    assert change({"number": "nan"}, {"number": "nan", "unknown": 1}) is None
    event = change({"number": "nan"}, {"number": "nan", "text": "b"})
    assert [each.field for each in event.changes] == ["text"]
    event = change({"number": "nan"}, {"number": 1})
    assert [each.field for each in event.changes] == ["number"]


def test_another_model(change):
    """A model that takes the place of another one is one change, of the whole."""
    event = change({"anything": {"x": 1}}, {"anything": [1]})
    assert [(each.field, each.old, each.new) for each in event.changes] == [("anything", {"x": 1}, [1])]


def test_old_and_new(change):
    """Each Change has the old and the new value; secrets come as what they are."""
    event = change({"secret": "a", "outer": {"size": 1}}, {"secret": "b", "outer": {"size": 2}})
    secret, size = event.changes
    assert (secret.old.get_secret_value(), secret.new.get_secret_value()) == ("a", "b")
    assert (size.old, size.new) == (1, 2)
    assert (event.old.outer.size, event.new.outer.size) == (1, 2)


def test_odd_values(kubelet_volume):
    """E110: values that cannot be compared count as different; those that are equal to all count by their type."""

    class Odd(BaseModel):
        text: str

        def __eq__(self, other):
            raise ValueError

        __hash__ = None  # type: ignore[assignment]

    class Holder(Settings):
        odd: list[Odd] = []
        text: str = ""

    kubelet_volume.write({"odd": '[{"text": "a"}]'})
    settings = Holder(_volumes=kubelet_volume.path, _watch=False)
    with recorded(settings) as events:
        kubelet_volume.write({"odd": '[{"text": "b"}]'})
        assert settings.live.reload()
        kubelet_volume.write({"odd": '[{"text": "b"}]', "text": "x"})
        assert settings.live.reload()
    assert settings.odd[0].text == "b"
    assert [change.field for change in events[0].changes] == ["odd"]
    assert "text" in [change.field for change in events[1].changes]


def test_comparison_that_ends_the_interpreter(kubelet_volume):
    """E111: a comparison that raises SystemExit does not end the watching."""

    class Odd(BaseModel):
        text: str

        def __eq__(self, other):
            raise SystemExit

        __hash__ = None  # type: ignore[assignment]

    class Holder(Settings):
        model_config = SettingsConfigDict(resync=0.2)
        odd: list[Odd] = []

    kubelet_volume.write({"odd": '[{"text": "a"}]'})
    with Holder(_volumes=kubelet_volume.path).live as live:
        for text in "bc":
            kubelet_volume.write({"odd": json.dumps([{"text": text}])})
            assert live.wait(lambda s, text=text: s.odd[0].text == text, 20)


class Computing(BaseModel):
    text: str = ""
    number: int = 0

    @cached_property
    def shout(self) -> str:
        return self.text.upper()


class WithComputed(Settings):
    model_config = SettingsConfigDict(documents=["app.json"])
    plain: Computing = Computing()
    mixed: Computing = Computing()
    items: list[str] = []

    @cached_property
    def shout(self) -> str:
        return self.plain.shout + self.mixed.shout


def receive(stream):
    """The event that a stream has already."""
    waiting = anext(stream)
    try:
        waiting.send(None)
    except StopIteration as end:
        return end.value
    waiting.close()
    raise AssertionError("the stream has no event")


def with_step(number, act, call):
    """What a call returns, and whether it had so many steps in liveconfig: `act` is called before this one."""
    steps = itertools.count(1)
    before = sys.gettrace()

    def trace(frame, event, _):
        if not frame.f_globals["__name__"].startswith("liveconfig."):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and next(steps) == number:
            act()
        return trace

    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    return result, next(steps) > number


async def test_a_value_is_computed_meanwhile(kubelet_volume, load):
    """A `cached_property` that is computed in the middle of a comparison, at whatever step, loses no change."""
    kubelet_volume.write({"app.json": "{}"})
    settings = load(WithComputed, _volumes=kubelet_volume.path, _watch=False)
    streams = [settings.live.reloads() for _ in range(5000)]
    before = settings.live.latest()
    kubelet_volume.write({"app.json": json.dumps({"plain": {"text": "a"}, "mixed": {"number": 1}, "items": ["b"]})})
    assert settings.live.reload()
    models = [
        each for snapshot in (before, settings.live.latest()) for each in (snapshot, snapshot.plain, snapshot.mixed)
    ]

    for number, stream in enumerate(streams, 1):
        for model in models:
            vars(model).pop("shout", None)
        event, reached = with_step(number, lambda: [model.shout for model in models], lambda: receive(stream))  # noqa: B023
        assert [each.field for each in event.changes] == ["plain.text", "mixed.number", "items"]
        if not reached:
            break
    else:
        raise AssertionError("too few streams for all steps")
