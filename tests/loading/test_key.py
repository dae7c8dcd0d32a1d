"""`Key`, the metadata of one field."""

from __future__ import annotations

import pickle
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, SecretStr, create_model
from typing_extensions import TypeAliasType

import liveconfig
from liveconfig import Key, LiveConfigError, Settings


class Pool(BaseModel):
    size: Annotated[int, Key(restart=True)] = 1
    idle: int = 0


Port = TypeAliasType("Port", Annotated[int, Key(restart=True)])


class Server(Settings):
    host: Annotated[str, Key("web.host-name"), Field(min_length=1)] = "none"
    port: Port = 8000
    pool: Pool = Pool()
    backup: Pool | None = None
    whole: Annotated[Pool, Key(restart=True)] = Pool()
    password: Annotated[SecretStr, Key(missing="fallback")] | None = None


def test_parameters():
    """A Key has the four parameters of the contract, compares by value, can be pickled and is a public name."""
    key = Key("a", "yaml", "reject", True)
    assert (key.name, key.format, key.missing, key.restart) == ("a", "yaml", "reject", True)
    assert key == Key(name="a", format="yaml", missing="reject", restart=True) != Key()
    assert (Key().name, Key().format, Key().missing, Key().restart) == (None, None, None, False)
    assert Key(["new", "old"]).name == ("new", "old")
    assert pickle.loads(pickle.dumps(key)) == key
    assert "Key" in liveconfig.__all__


def test_where_it_may_stand(load):
    """A Key is found in the annotation of a field, in a named type, in an optional type and in nested models."""
    plan = load(Server, _watch=False).live._core.loader.plan
    assert plan.restart_fields == {"port", "pool.size", "backup.size", "whole", "whole.size"}
    assert plan.keys["host"].names == ("web.host-name",)
    assert plan.keys["password"].missing == "fallback"
    assert [plan.needs_restart(name) for name in ("port", "pool.size", "whole.idle")] == [True] * 3
    assert not any(plan.needs_restart(name) for name in ("host", "pool", "pool.idle", "password"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"format": "yml"}, "'yaml'"),
        ({"format": "ini"}, "must be one of yaml, json, toml, dotenv, properties"),
        ({"missing": "falback"}, "'fallback'"),
        ({"restart": "yes"}, "True or False"),
        ({"name": ""}, "name of a key"),
        ({"name": 5}, "name of a key"),
        ({"name": ["a", None]}, "name of a key"),
    ],
)
def test_arguments_that_mean_nothing(arguments, said):
    """An argument that a Key cannot have is an error that says what is expected, with the nearest word."""
    with pytest.raises(LiveConfigError) as caught:
        Key(**arguments)
    assert said in str(caught.value)


class Entry(BaseModel):
    port: Annotated[int, Key(restart=True)] = 0


class Named(BaseModel):
    token: Annotated[str, Key("token")] = ""


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (list[Entry], "Key(restart=...) of Entry.port"),
        (dict[str, Named], "Key(name=...) of Named.token"),
        (list[Annotated[int, Key("x")]], "around it"),
        (dict[str, Annotated[int, Key("x")]] | None, "around it"),
    ],
)
def test_where_it_has_no_effect(annotation, said):
    """A Key where no key feeds one field is an error when the class is made."""
    with pytest.raises(LiveConfigError) as caught:
        type("Misplaced", (Settings,), {"__annotations__": {"field": annotation}, "__module__": __name__})
    assert said in str(caught.value)


def test_inside_a_model_that_holds_itself(load):
    """A model that holds itself is entered once."""

    class Tree(BaseModel):
        value: Annotated[int, Key(restart=True)] = 0
        inside: Tree | None = None

    class Rooted(Settings):
        tree: Tree = Tree()

    assert load(Rooted, _watch=False).live._core.loader.plan.restart_fields == {"tree.value"}


@pytest.mark.parametrize(("key", "argument"), [(Key("size"), "name"), (Key(restart=True), "restart")])
def test_without_effect(key, argument):
    """A Key in a model of a list has no effect, where no whole key feeds one field, and is an error that names it."""

    class Item(BaseModel):
        kept: Annotated[int, Key(missing="reject")] = 1
        size: Annotated[int, key] = 1

    with pytest.raises(LiveConfigError, match=rf"Key\({argument}=...\) of Item.size has no effect in 'items'"):
        create_model("Listed", __base__=Settings, items=(list[Item], [])).load(_volumes=())
