"""Generic dataclasses, typed dictionaries and named tuples with arguments: their fields are those of the class."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from typing_extensions import TypeAliasType, TypedDict

from liveconfig import InvalidSettingsError, Key, LiveConfigError, Settings, SettingsConfigDict

T = TypeVar("T")
U = TypeVar("U")

DEV = SecretStr("dev")


@dataclasses.dataclass
class Standard(Generic[T, U]):
    password: SecretStr = DEV
    host_name: str = "unset"
    port: T | None = None
    more: list[U] | None = None


@pydantic.dataclasses.dataclass(config=ConfigDict(hide_input_in_errors=True))
class Validated(Generic[T, U]):
    password: SecretStr = DEV
    host_name: str = "unset"
    port: T | None = None
    more: list[U] | None = None


class Typed(TypedDict, Generic[T, U], total=False):
    password: SecretStr
    host_name: str
    port: T | None
    more: list[U] | None


class Named(NamedTuple, Generic[T, U]):
    password: SecretStr = DEV
    host_name: str = "unset"
    port: T | None = None
    more: list[U] | None = None


class Inner(BaseModel):
    user_name: str = "unset"


Alias = TypeAliasType("Alias", Standard[T, Inner], type_params=(T,))
Optional = TypeAliasType("Optional", T | None, type_params=(T,))

TYPES: list[Any] = [Standard[int, Inner], Validated[int, Inner], Typed[int, Inner], Named[int, Inner], Alias[int]]
NAMES = ["dataclass", "dataclass of pydantic", "typed dictionary", "named tuple", "alias"]


@pytest.fixture(params=TYPES, ids=NAMES)
def cls(request):
    class App(Settings):
        model_config = SettingsConfigDict(documents=["app.json"], watch=False)
        db: request.param = {}  # type: ignore[name-defined]

    return App


def value(settings: Any, *names: str) -> Any:
    found = settings
    for name in names:
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"db": '{"password": "CANARY", "port": 1}'}, {"db": '{"port": 1}'}),
        ({"db.password": "CANARY", "db.port": "1"}, {"db.port": "1"}),
        ({"app.json": '{"db": {"password": "CANARY"}}'}, {"app.json": '{"db": {"host-name": "a"}}'}),
    ],
    ids=["in the key", "own key", "document"],
)
def test_a_secret_inside(cls, kubelet_volume, load, given, left):
    """A secret of a generic class does not fall back to its default, however it was given."""
    kubelet_volume.write(given)
    settings = load(cls, _volumes=kubelet_volume.path)
    assert value(settings, "db", "password").get_secret_value() == "CANARY"
    kubelet_volume.write(left)
    assert not settings.live.reload()
    assert value(settings, "db", "password").get_secret_value() == "CANARY"
    assert settings.live.status().rejections[0].fields == ("db.password",)


@pytest.mark.parametrize(
    "payload",
    [
        {"db": '{"host-name": "a", "port": "7", "more": [{"user-name": "b"}]}'},
        {"db.host-name": "a", "db/port": "7", "db.more": '[{"user-name": "b"}]'},
        {"app.json": '{"DB": {"Host-Name": "a", "port": 7, "more": [{"USER-NAME": "b"}]}}'},
    ],
    ids=["in the key", "own keys", "document"],
)
def test_names_inside(cls, kubelet_volume, load, payload):
    """Names inside a generic class are compared as in any other one, also those inside its arguments."""
    kubelet_volume.write(payload)
    settings = load(cls, _volumes=kubelet_volume.path)
    assert [value(settings, "db", name) for name in ("host_name", "port")] == ["a", 7]
    assert value(settings, "db", "more")[0].user_name == "b"
    assert settings.live.status().unused_keys == ()


def test_the_place_of_a_fault(cls, kubelet_volume, load):
    """A fault inside a generic class is reported with the name of the field."""
    kubelet_volume.write({"db": '{"port": "CANARY"}'})
    with pytest.raises(InvalidSettingsError, match=r"db\.port: Input should be a valid integer") as raised:
        load(cls, _volumes=kubelet_volume.path)
    assert "CANARY" not in str(raised.value)


def test_arguments_that_are_secret(kubelet_volume, load):
    """An argument of a generic alias makes a field secret."""

    class App(Settings):
        token: Optional[SecretStr] = SecretStr("dev")

    kubelet_volume.write({"token": "CANARY"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({})
    assert not settings.live.reload()
    assert settings.live.status().rejections[0].fields == ("token",)


def test_a_key_in_an_argument(kubelet_volume, load):
    """The Key in an argument of a generic dataclass works where a field has that type."""

    class App(Settings):
        db: Standard[Annotated[int, Key("db-port")], str] = Standard()
        limited: Standard[Annotated[int, Field(ge=1)], str] = Standard()

    kubelet_volume.write({"db-port": "7", "limited.port": "8"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    assert (settings.db.port, settings.limited.port) == (7, 8)


def test_a_key_without_effect():
    """A Key in an argument has no effect in a list, and is an error that names it."""
    with pytest.raises(LiveConfigError, match=r"Key\(name=...\) of Standard.port has no effect in 'items'"):

        class Listed(Settings):
            items: list[Standard[Annotated[int, Key("size")], str]] = []


def test_a_class_that_holds_itself(kubelet_volume, load):
    """A generic dataclass that holds itself, with other arguments too, is read as any other class."""
    kubelet_volume.write({"tree": '{"first": {"value": "1"}, "value": "2"}'})
    settings = load(Rooted, _volumes=kubelet_volume.path, _watch=False)
    assert settings.tree == Tree(value=2, first=Tree(value=1))


@dataclasses.dataclass
class Tree(Generic[T]):
    value: T
    first: Tree[T] | None = None


class Rooted(Settings):
    tree: Tree[int]
