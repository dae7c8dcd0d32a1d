"""Defaults that factories made, in dataclasses and other containers: they stay while nothing is given for them."""

from __future__ import annotations

import dataclasses
import uuid
from collections import deque
from typing import Annotated, Any, Generic, TypeVar

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from liveconfig import Key, Settings, SettingsConfigDict
from liveconfig.testing import override, recorded

T = TypeVar("T")


def new() -> str:
    return uuid.uuid4().hex


@dataclasses.dataclass
class Standard:
    name: str = "n"
    id: str = dataclasses.field(default_factory=new)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    name: str = "n"
    id: Annotated[str, Field(alias="i-d")] = dataclasses.field(default_factory=new)


@dataclasses.dataclass
class Pair(Generic[T]):
    name: str = "n"
    id: str = dataclasses.field(default_factory=new)
    other: T | None = None


@pydantic.dataclasses.dataclass
class Validated:
    name: str = "n"
    id: str = Field(default_factory=new)


class Model(BaseModel):
    name: str = "n"
    id: str = Field(default_factory=new)


class Named(BaseModel):
    name: str = "n"
    id: str = Field(default_factory=lambda data: data["name"] + new())


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Model] = Field(init=False)


@dataclasses.dataclass
class Around:
    model: Model
    inner: Standard = dataclasses.field(default_factory=Standard)


class Group(BaseModel):
    one: Standard | None = None
    more: list[Standard] = []


ITEM = '{"name": "a"}'
CASES: list[tuple[Any, str]] = [
    (Standard, ITEM),
    (Slotted, ITEM),
    (Pair[int], ITEM),
    (Validated, ITEM),
    (Standard | None, ITEM),
    (list[Standard], f"[{ITEM}, {ITEM}]"),
    (tuple[Standard, Model], f"[{ITEM}, {ITEM}]"),
    (deque[Model], f"[{ITEM}]"),
    (deque[Standard], f"[{ITEM}]"),
    (dict[str, Standard], f'{{"x": {ITEM}}}'),
    (dict[int, list[Standard]], f'{{"1": [{ITEM}]}}'),
    (Named, ITEM),
    (Extra, f'{{"x": {ITEM}}}'),
    (Around, f'{{"model": {ITEM}}}'),
    (Around, f'{{"model": {ITEM}, "inner": {ITEM}}}'),
    (list[Around], f'[{{"model": {ITEM}}}]'),
    (Group, f'{{"one": {ITEM}, "more": [{ITEM}]}}'),
]


def of(kind: Any, **config: Any) -> type[Settings]:
    class App(Settings):
        model_config = SettingsConfigDict(watch=False, **config)
        value: kind
        number: int = 0

    return App


@pytest.fixture
def loaded(kubelet_volume, load):
    """A function that loads a settings class of which the key `value` has some content."""

    def loaded(cls: type[Settings], content: str) -> Any:
        kubelet_volume.write({"value": content})
        return load(cls, _volumes=kubelet_volume.path)

    return loaded


@pytest.mark.parametrize(("kind", "content"), CASES)
def test_another_key(loaded, kubelet_volume, kind, content):
    """H02: a default that a factory made in a dataclass, a deque or an extra field stays when another key changes."""
    settings = loaded(of(kind), content)
    with recorded(settings) as events:
        kubelet_volume.write({"value": content, "unused": "1"})
        assert settings.live.reload()
        assert settings.live.version == 1
        kubelet_volume.write({"value": content, "number": "2"})
        assert settings.live.reload()
    assert [[change.field for change in event.changes] for event in events] == [["number"]]


@pytest.mark.parametrize("kind", [Standard, Slotted, Validated])
def test_another_field(loaded, kubelet_volume, kind):
    """H02: it stays when another field of the dataclass changes, and the new value of that is in use."""
    settings = loaded(of(kind), ITEM)
    made = settings.value.id
    kubelet_volume.write({"value.name": "b"})
    assert settings.live.reload()
    assert (settings.value.name, settings.value.id) == ("b", made)


@pytest.mark.parametrize(("kind", "name"), [(Standard, "id"), (Slotted, "i-d"), (Validated, "id")])
def test_a_value_that_was_given(loaded, kubelet_volume, kind, name):
    """H02: a value that was given to a dataclass, and is no longer, falls back to a new default."""
    settings = loaded(of(kind), f'{{"{name}": "mine"}}')
    kubelet_volume.write({"value": f'{{"{name}": "yours"}}'})
    assert settings.live.reload()
    assert settings.value.id == "yours"
    kubelet_volume.write({"value": "{}"})
    assert settings.live.reload()
    made = settings.value.id
    assert made not in {"mine", "yours"}
    with override(settings, value__id="override"):
        assert settings.value.id == "override"
    assert settings.value.id not in {"override", "yours"}


def test_an_item_that_is_new(loaded, kubelet_volume):
    """H02: the default of one dataclass of a list is never given to another one."""
    settings = loaded(of(list[Around]), '[{"model": {"name": "a"}}, {"model": {"name": "b"}}]')
    made = [(each.model.id, each.inner.id) for each in settings.value]
    kubelet_volume.write({"value": '[{"model": {"name": "new"}}, {"model": {"name": "b"}}]'})
    assert settings.live.reload()
    first, second = settings.value
    assert first.model.id not in {each for each, _ in made}
    assert first.inner.id not in {each for _, each in made}
    assert second.inner.id == made[1][1]


def test_a_factory_that_takes_other_values(loaded, kubelet_volume):
    """A default that a factory makes of other fields follows these."""

    class App(Settings):
        model_config = SettingsConfigDict(watch=False)
        value: str = "a"
        url: str = Field(default_factory=lambda data: f"http://{data['value']}")

    settings = loaded(App, "b")
    kubelet_volume.write({"value": "c"})
    assert settings.live.reload()
    assert settings.url == "http://c"


class ByModel(Settings):
    model_config = SettingsConfigDict(watch=False)
    number: int = 0
    value: Standard

    @model_validator(mode="after")
    def complete(self):
        self.value.id = f"number {self.number}"
        return self


class ByField(Settings):
    model_config = SettingsConfigDict(watch=False)
    number: int = 0
    value: Standard

    @field_validator("value")
    @classmethod
    def complete(cls, value, info):
        return Standard(value.name, f"number {info.data['number']}")


class ByAnnotation(Settings):
    model_config = SettingsConfigDict(watch=False)
    number: int = 0
    value: Annotated[Standard, BeforeValidator(lambda value, info: {**value, "id": f"number {info.data['number']}"})]


@pytest.mark.parametrize("cls", [ByModel, ByField, ByAnnotation])
def test_a_value_that_a_validator_sets(loaded, kubelet_volume, cls):
    """What a validator sets in a dataclass is never taken for a default that a factory made."""
    settings = loaded(cls, ITEM)
    kubelet_volume.write({"value": ITEM, "number": "7"})
    assert settings.live.reload()
    assert settings.value.id == "number 7"


def test_after_the_dataclass_is_made(loaded, kubelet_volume):
    """A dataclass that sets its own fields after it is made is consistent in itself."""

    @dataclasses.dataclass
    class Completed(Standard):
        def __post_init__(self):
            self.path = f"/{self.id}"

    settings = loaded(of(Completed), ITEM)
    kubelet_volume.write({"value": ITEM, "number": "7"})
    assert settings.live.reload()
    assert settings.value.path == f"/{settings.value.id}"


class Completed(BaseModel):
    inner: Standard
    path: str = ""

    def model_post_init(self, context):
        self.path = f"/{self.inner.id}"


@dataclasses.dataclass
class AroundCompleted:
    model: Completed
    name: str = "n"


class Checked(BaseModel):
    inner: Standard
    id: str = Field(default_factory=new)

    @field_validator("inner")
    @classmethod
    def complete(cls, value):
        return Standard(value.name, new())


@dataclasses.dataclass
class AroundChecked:
    checked: Checked


def test_a_model_in_a_dataclass_that_sets_its_own_fields(loaded, kubelet_volume):
    """A model inside a dataclass that sets fields after it is made is consistent with the dataclass inside it."""
    content = f'{{"model": {{"inner": {ITEM}}}}}'
    settings = loaded(of(AroundCompleted), content)
    kubelet_volume.write({"value": content, "number": "7"})
    assert settings.live.reload()
    assert settings.value.model.path == f"/{settings.value.model.inner.id}"


def test_a_dataclass_that_a_validator_made_in_a_dataclass(loaded, kubelet_volume):
    """What a validator of a model inside a dataclass sets is not kept; the default of a factory beside it is."""
    content = f'{{"checked": {{"inner": {ITEM}}}}}'
    settings = loaded(of(AroundChecked), content)
    before = settings.value.checked
    kubelet_volume.write({"value": content, "number": "7"})
    assert settings.live.reload()
    assert settings.value.checked.id == before.id
    assert settings.value.checked.inner.id != before.inner.id


def test_fields_that_need_a_restart(loaded, kubelet_volume):
    """A default that a factory made in a restart field is not pending; what was given is."""
    settings = loaded(of(Annotated[Standard, Key(restart=True)]), ITEM)
    made = settings.value
    kubelet_volume.write({"value": ITEM, "number": "2"})
    assert settings.live.reload()
    assert settings.live.status().restart_pending == ()
    kubelet_volume.write({"value": '{"name": "b"}', "number": "3"})
    assert settings.live.reload()
    kubelet_volume.write({"value": '{"name": "b"}', "number": "4"})
    assert settings.live.reload()
    assert settings.live.status().restart_pending == ("value",)
    assert (settings.value, settings.number) == (made, 4)
    kubelet_volume.write({"value": ITEM, "number": "5"})
    assert settings.live.reload()
    assert settings.live.status().restart_pending == ()
