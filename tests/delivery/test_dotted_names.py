"""Names of fields inside a model: in subscriptions, verifiers and recent values, whatever the type of the model."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, SecretStr, create_model
from typing_extensions import TypedDict

from liveconfig import Settings


class Model(BaseModel):
    user: str = "nobody"
    password: SecretStr = SecretStr("none")


@dataclasses.dataclass
class Dataclass:
    user: str
    password: SecretStr


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    user: str
    password: SecretStr


@pydantic.dataclasses.dataclass
class Validated:
    user: str = "nobody"
    password: SecretStr = SecretStr("none")


class Dictionary(TypedDict, total=False):
    user: str
    password: SecretStr


class Row(NamedTuple):
    user: str = "nobody"
    password: SecretStr = SecretStr("none")


@pytest.fixture(params=[Model, Dataclass, Slotted, Validated, Dictionary, Row])
def settings(request, load, kubelet_volume):
    kubelet_volume.write({"db.user": "shop", "db.password": "one"})
    cls: Any = create_model("App", __base__=Settings, db=(request.param, ...))
    return load(cls, _volumes=kubelet_volume.path, _watch=False)


def unveiled(values):
    return [value.get_secret_value() for value in values]


def test_subscriber(settings, kubelet_volume, recorder):
    """A subscriber of a field inside a model gets its old and its new value, and nothing when another field changes."""
    inbox = recorder()
    settings.live.on_change("db.password")(inbox)
    kubelet_volume.update({"db.user": "other"})
    assert settings.live.reload()
    kubelet_volume.update({"db.password": "two"})
    assert settings.live.reload()
    assert [unveiled((event.old, event.new)) for event in inbox.events] == [["one", "two"]]


def test_recent(settings, kubelet_volume):
    """The recent values of a field inside a model are its own."""
    assert unveiled(settings.live.recent("db.password")) == ["one"]
    kubelet_volume.update({"db.password": "two"})
    assert settings.live.reload()
    assert unveiled(settings.live.recent("db.password")) == ["two", "one"]


def test_verifier(settings, kubelet_volume):
    """A verifier of a field inside a model is asked when that field changes, and what it refuses is not applied."""
    asked = []
    settings.live.add_verifier(lambda candidate: asked.append(candidate) is not None, on="db.password")
    kubelet_volume.update({"db.user": "other"})
    assert settings.live.reload()
    assert not asked
    kubelet_volume.update({"db.password": "two"})
    assert not settings.live.reload()
    assert len(asked) == 1
    assert unveiled(settings.live.recent("db.password")) == ["one"]


@dataclasses.dataclass(slots=True, repr=False)
class Partly:
    user: str
    made: str = dataclasses.field(init=False)


class WithPart(Settings):
    db: Partly


def test_a_field_that_nothing_has_set(load, kubelet_volume, recorder):
    """A field of a dataclass that has no value is not seen as changed, and other fields of it are followed."""
    kubelet_volume.write({"db.user": "one"})
    settings = load(WithPart, _volumes=kubelet_volume.path, _watch=False)
    of_made, of_user = recorder(), recorder()
    settings.live.on_change("db.made")(of_made)
    settings.live.on_change("db.user")(of_user)
    kubelet_volume.update({"db.user": "two"})
    assert settings.live.reload()
    assert [event.new for event in of_user.events] == ["two"]
    assert of_made.events == []
