"""The values of a secret volume in nested objects are hidden when these are printed by themselves (I06)."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass, field
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from liveconfig import Settings, SettingsConfigDict, Volume


class Pool(BaseModel):
    name: str = "pool"


class Database(BaseModel):
    user: str = "app"
    password: str = ""
    pool: Pool = Pool()


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Words(RootModel[list[str]]):
    pass


@dataclass
class Login:
    user: str = ""
    password: str = field(default="")


class App(Settings):
    model_config = SettingsConfigDict(watch=False, documents=["app.json"])
    db: Database = Database()
    replicas: list[Database] = []
    tenants: dict[str, Database] = {}
    pair: tuple[Login, Annotated[Login, Field()]] | None = None
    open: Open = Open()
    words: Words = Words([])
    login: Login = Login()
    note: str = ""


@pytest.fixture
def settings(make_kubelet_volume, load, canary):
    """Settings whose nested objects come from a secret volume, and the note from another one."""
    secret, plain = make_kubelet_volume("secret"), make_kubelet_volume("plain")
    record = {"user": "app", "password": canary}
    document = {
        "db": {**record, "pool": {"name": canary}},
        "replicas": [record],
        "tenants": {"acme": record},
        "pair": [record, record],
        "open": {"token": canary},
        "words": [canary],
        "login": record,
    }
    secret.write({"app.json": json.dumps(document)})
    plain.write({"note": "shown"})
    return load(App, _volumes=[plain.path, Volume(secret.path, secret=True)])


OBJECTS = {
    "model": lambda s: s.db,
    "model in a model": lambda s: s.db.pool,
    "model in a list": lambda s: s.replicas[0],
    "list": lambda s: s.replicas,
    "model in a mapping": lambda s: s.tenants["acme"],
    "tuple of dataclasses": lambda s: s.pair,
    "extra": lambda s: s.open,
    "root model": lambda s: s.words,
    "dataclass": lambda s: s.login,
    "snapshot": lambda s: s.live.latest().db,
    "copy": lambda s: copy.copy(s.db),
    "deep copy": lambda s: copy.deepcopy(s.live.latest()).db,
    "model_copy": lambda s: s.db.model_copy(update={"user": "other"}),
    "pickle": lambda s: pickle.loads(pickle.dumps(s.live.latest())).db,
}


@pytest.mark.parametrize("name", OBJECTS)
def test_hidden(settings, canary, name, caplog):
    """I06: printed, formatted and logged, the object shows names of fields and no value."""
    shown = OBJECTS[name](settings)
    logging.getLogger("app").warning("%s %r", shown, shown)
    texts = f"{shown} {shown!r} {shown!s} {caplog.text}"
    assert canary not in texts
    assert "**********" in texts


def test_the_values_are_there(settings, canary):
    """Only the printed form is hidden: attributes, dumps and equality do not change."""
    assert settings.db.password == settings.login.password == canary
    assert settings.db == Database(user="app", password=canary, pool=Pool(name=canary))
    assert settings.db.model_dump()["password"] == canary
    assert settings.db.model_fields_set == {"user", "password", "pool"}
    assert asdict(settings.login) == {"user": "app", "password": canary}
    assert settings.login == Login("app", canary)
    assert type(settings.db) is Database


def test_other_objects_are_shown(settings):
    """Other objects of the same classes are printed as before, and a default that is shared stays visible."""
    assert repr(Database(user="x")) == "Database(user='x', password='', pool=Pool(name='pool'))"
    assert repr(Login("x")) == "Login(user='x', password='')"
    assert "note='shown'" in repr(settings)


def test_until_another_volume_feeds_it(make_kubelet_volume, load, canary):
    """An object that a volume feeds which is not secret is shown, before and after."""
    volume = make_kubelet_volume("plain")
    volume.write({"app.json": json.dumps({"db": {"user": "one"}})})
    settings = load(App, _volumes=volume.path)
    assert "user='one'" in repr(settings.db)


def test_after_a_reload(settings, make_kubelet_volume, canary):
    """The values of a later version of the volume are hidden, too."""
    secret = make_kubelet_volume("secret")
    content = (secret.path / "app.json").read_text()
    secret.write({"app.json": content.replace(canary, f"{canary}-2")})
    assert settings.live.reload()
    assert settings.db.password == f"{canary}-2"
    assert canary not in repr(settings.db)


@dataclass(slots=True)
class Slotted:
    user: str = ""


class Repeated(Settings):
    model_config = SettingsConfigDict(watch=False, documents=["app.json"])
    replicas: list[Database] = []
    logins: list[Slotted] = []

    @field_validator("replicas", "logins")
    @classmethod
    def twice(cls, found):
        return found * 2


def test_one_object_in_two_places(make_kubelet_volume, load, canary):
    """An object that a validator puts in two places is hidden in both; one without a dictionary is as it was."""
    secret = make_kubelet_volume("secret")
    content = {"replicas": [{"user": "app", "password": canary}], "logins": [{"user": "app"}]}
    secret.write({"app.json": json.dumps(content)})
    settings = load(Repeated, _volumes=Volume(secret.path, secret=True))
    assert settings.replicas[0] is settings.replicas[1]
    assert canary not in repr(settings.replicas)
    assert settings.replicas[1].password == canary
    assert settings.logins == [Slotted("app"), Slotted("app")]
