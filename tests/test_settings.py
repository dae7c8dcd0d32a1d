"""`Settings` and its configuration: what it takes, where values come from, and what an instance is."""

from __future__ import annotations

import copy
import gc
import logging
import os
import pickle
import threading
import warnings
import weakref
from functools import cached_property
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, Field, PrivateAttr, SecretStr, ValidationError, computed_field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from liveconfig import (
    InvalidSettingsError,
    Live,
    LiveConfigError,
    Settings,
    SettingsConfigDict,
    Volume,
    VolumeError,
)

PATIENCE = 60.0


class Database(BaseModel):
    user: str = "nobody"
    port: int = 0


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0, env_nested_delimiter="__")
    message: str = "default"
    number: int = 0
    secret: SecretStr = SecretStr("none")
    db: Database = Database()


@pytest.fixture
def texts(caplog):
    """A function: the messages of a level and above, so far."""
    caplog.set_level(logging.INFO, logger="liveconfig")

    def texts(level=logging.WARNING):
        return [record.getMessage() for record in caplog.records if record.levelno >= level]

    return texts


# What a class may be


def test_like_pydantic_settings(kubelet_volume, load):
    """Nested models, aliases, computed fields, private attributes, methods and validation work as ever."""

    class Full(App):
        named: str = Field("none", validation_alias=AliasChoices("called", "named"))
        limited: int = Field(1, ge=1, le=10)
        _private: str = PrivateAttr("private")

        @computed_field
        @property
        def greeting(self) -> str:
            return f"{self.message}!"

        def method(self):
            return self.number + 1

    kubelet_volume.write({"message": "hello", "number": "2", "called": "x", "limited": "3", "db/user": "shop"})
    settings = load(Full, _volumes=kubelet_volume.path, _watch=False)
    assert (settings.greeting, settings.method(), settings.named, settings.limited) == ("hello!", 3, "x", 3)
    assert settings._private == "private"
    assert settings.model_dump()["greeting"] == "hello!"
    assert settings.model_fields_set == {"message", "number", "named", "limited", "db"}
    assert isinstance(settings, BaseSettings)
    kubelet_volume.update({"message": "bye"})
    assert settings.live.reload()
    assert settings.greeting == "bye!"
    assert settings._private == "private"


def make(**config: Any) -> type[Settings]:
    class Made(Settings):
        model_config = SettingsConfigDict(**config)
        message: str = "default"

    return Made


@pytest.mark.parametrize(
    "config", [{"extra": "allow"}, {"frozen": False}, {"validate_assignment": True}, {"secrets_dir": "/run/secrets"}]
)
def test_refused_configuration(config):
    """Options that would not survive the next swap, and secrets_dir, are errors when the class is created."""
    with pytest.raises(LiveConfigError, match=next(iter(config))):
        make(**config)


@pytest.mark.parametrize("name", ["live", "load"])
@pytest.mark.parametrize("annotation", [str, int | None, SecretStr])
def test_refused_field(name, annotation):
    """A field of a name that is taken is an error when the class is made, whether or not it has a default."""
    for body in ({}, {name: None}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic warns that it shadows something
            with pytest.raises(LiveConfigError, match=name):
                type("Refused", (Settings,), {"__annotations__": {name: annotation}, "__module__": __name__, **body})


class Inner(BaseSettings):
    x: int = 0


@pytest.mark.parametrize("annotation", [Inner, Inner | None, App])
def test_refused_settings_inside(annotation):
    """A field that is itself a BaseSettings would read the world again, and is an error when the class is made."""
    with pytest.raises(LiveConfigError, match="BaseModel"):
        type("Refused", (Settings,), {"__annotations__": {"inner": annotation}, "__module__": __name__})


@pytest.mark.parametrize("annotation", [list[Inner], dict[str, Inner], tuple[Inner, ...]])
def test_refused_settings_deep_inside(annotation):
    """Nor may a list or a dict of them be a field."""
    with pytest.raises(LiveConfigError, match="BaseModel"):
        type("Refused", (Settings,), {"__annotations__": {"inner": annotation}, "__module__": __name__})


def test_subclass_of_a_subclass(kubelet_volume, load):
    """The configuration is inherited and extended as pydantic's is."""

    class Base(Settings):
        model_config = SettingsConfigDict(volumes=[kubelet_volume.path], watch=False)
        message: str = "default"

    class Derived(Base):
        model_config = SettingsConfigDict(documents=["app.yaml"])
        number: int = 0

    kubelet_volume.write({"message": "one", "app.yaml": "number: 7"})
    settings = load(Derived)
    assert (settings.message, settings.number) == ("one", 7)
    assert settings.live.status().watcher == "off"


def test_frozen(kubelet_volume, load):
    """Nothing can be assigned or deleted, on the live object or on a snapshot."""
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    for each in (settings, settings.live.latest()):
        with pytest.raises(ValidationError):
            each.message = "x"
        with pytest.raises(ValidationError):
            del each.message
        with pytest.raises((AttributeError, ValidationError)):
            each.live = None
    assert settings.message == "default"


# How it is loaded


def test_load_is_the_constructor(kubelet_volume, load):
    """load() is the same as calling the class, and both take the arguments of pydantic-settings."""
    kubelet_volume.write({"X_number": "1"})
    for make_one in (App, App.load):
        settings = make_one(message="given", _volumes=kubelet_volume.path, _watch=False, _env_prefix="X_")
        assert (settings.message, settings.number) == ("given", 1)
        settings.live.close()


def test_live_is_one_object(kubelet_volume, load):
    """settings.live is always the same object."""
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    assert settings.live is settings.live
    assert isinstance(settings.live, Live)


def test_live_is_printed(kubelet_volume, load):
    """The face is printed with the name of the class and the version."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    assert repr(settings.live) == "<Live App version=1>"


def test_volume_paths(make_kubelet_volume, load, monkeypatch, tmp_path):
    """A volume may be a text, a path or a Volume, one or several, relative (to the directory at the start) or of ~."""
    volume = make_kubelet_volume("volume")
    volume.write({"message": "found"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = volume.path
    for given in (path, str(path), Volume(path), [path], (str(path),), [Volume(str(path))], "volume", "~/volume"):
        settings = load(App, _volumes=given, _watch=False)
        assert settings.message == "found"
        assert settings.live.status().volumes[0].path == str(path)
    settings = load(App, _volumes="volume", _watch=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    volume.write({"message": "moved"})
    assert settings.live.reload()
    assert settings.message == "moved"


def test_no_volumes(load):
    """Settings without volumes are plain settings, healthy, and say nothing."""
    settings = load(App)
    status = settings.live.status()
    assert (settings.message, status.healthy, status.volumes, status.problems) == ("default", True, (), ())
    assert settings.live.reload()


@pytest.mark.usefixtures("inotify")
def test_no_watch(kubelet_volume, load):
    """With watch=False it is read once and reloads by hand; the argument goes over the class."""
    kubelet_volume.write({"message": "one"})
    before = threading.active_count()
    by_class = load(make(watch=False), _volumes=kubelet_volume.path)
    by_argument = load(App, _volumes=kubelet_volume.path, _watch=False)
    assert threading.active_count() == before
    kubelet_volume.write({"message": "two"})
    for settings in (by_class, by_argument):
        assert settings.message == "one"
        assert settings.live.reload()
        assert settings.message == "two"
        assert settings.live.status().watcher == "off"
    watching = load(make(watch=False), _volumes=kubelet_volume.path, _watch=True)
    assert watching.live.status().watcher == "inotify"


@pytest.mark.parametrize(
    ("required", "in_pod", "level", "healthy"),
    [
        (None, False, logging.INFO, True),
        (None, True, logging.WARNING, False),
        (False, False, None, True),
        (False, True, None, True),
    ],
)
def test_missing_volume(tmp_path, load, monkeypatch, texts, required, in_pod, level, healthy):
    """A missing volume is a problem in a pod, an INFO line elsewhere, and nothing if it is not required."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if in_pod:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    settings = load(App, _volumes=Volume(tmp_path / "nowhere", required=required), _watch=False)
    assert settings.live.status().healthy is healthy
    assert settings.live.status().volumes[0].mode == "missing"
    assert any("nowhere" in text for text in texts(logging.INFO)) is (level is not None)
    assert any("nowhere" in text for text in texts(logging.WARNING)) is (level == logging.WARNING)


@pytest.mark.parametrize("in_pod", [True, False])
def test_required_volume(tmp_path, load, monkeypatch, in_pod):
    """A required volume that is not there is a VolumeError at the start, in a pod and elsewhere."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if in_pod:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(VolumeError, match="nowhere") as caught:
        load(App, _volumes=[tmp_path / "other", Volume(tmp_path / "nowhere", required=True)])
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_secret_volume(kubelet_volume, load, canary):
    """A field of a secret volume is a secret whatever its type: the removal of its key is rejected."""
    kubelet_volume.write({"message": canary, "number": "1"})
    settings = load(App, _volumes=Volume(kubelet_volume.path, secret=True), _watch=False)
    assert settings.message == canary
    assert canary not in repr(settings)
    kubelet_volume.write({"number": "2"})
    assert not settings.live.reload()
    assert settings.number == 1
    assert settings.live.status().last_rejected.fields == ("message",)


def test_variable_replaces_volumes(make_kubelet_volume, load, monkeypatch, texts, canary, tmp_path):
    """LIVECONFIG_VOLUMES replaces the volumes of every class, is warned of, and none of them is required."""
    declared, one, other = (make_kubelet_volume(name) for name in ("declared", "one", "other"))
    declared.write({"message": "declared", "number": "1"})
    one.write({"message": "one", "secret": canary})
    other.write({"message": "other"})
    paths = [str(one.path), str(other.path), str(tmp_path / "nowhere")]
    monkeypatch.setenv("LIVECONFIG_VOLUMES", os.pathsep.join(paths))

    class Declared(App):
        model_config = SettingsConfigDict(volumes=Volume(declared.path, required=True), watch=False)

    settings = load(Declared)
    assert (settings.message, settings.number) == ("other", 0)
    assert [volume.path for volume in settings.live.status().volumes] == paths
    assert settings.live.status().healthy
    assert any("LIVECONFIG_VOLUMES" in text for text in texts())
    none_declared = load(App, _watch=False)
    assert none_declared.message == "other"


def test_variable_keeps_secrecy(make_kubelet_volume, load, monkeypatch, canary):
    """If any declared volume was secret, all that LIVECONFIG_VOLUMES names are."""
    declared, one = make_kubelet_volume("declared"), make_kubelet_volume("one")
    one.write({"message": canary})
    monkeypatch.setenv("LIVECONFIG_VOLUMES", str(one.path))

    class Declared(App):
        model_config = SettingsConfigDict(volumes=["/nowhere", Volume(declared.path, secret=True)], watch=False)

    settings = load(Declared)
    assert settings.message == canary
    assert canary not in repr(settings)
    one.write({})
    assert not settings.live.reload()


@pytest.mark.parametrize("value", ["", os.pathsep])
def test_variable_that_is_empty(kubelet_volume, load, monkeypatch, texts, value):
    """LIVECONFIG_VOLUMES that names nothing changes nothing."""
    kubelet_volume.write({"message": "declared"})
    monkeypatch.setenv("LIVECONFIG_VOLUMES", value)

    class Declared(App):
        model_config = SettingsConfigDict(volumes=[kubelet_volume.path], watch=False)

    assert load(Declared).message == "declared"
    assert texts() == []


# Precedence


def test_precedence(kubelet_volume, load, monkeypatch, tmp_path):
    """Arguments go over volumes, volumes over the environment, that over the .env file, that over defaults."""
    (tmp_path / "env").write_text("MESSAGE=dotenv\nNUMBER=4\n")
    sources = {"default": {}, "dotenv": {}, "environment": {}, "volume": {}, "init": {}}
    expected = []
    for name in sources:
        if name == "environment":
            monkeypatch.setenv("MESSAGE", "environment")
        if name == "volume":
            kubelet_volume.write({"message": "volume"})
        env_file = None if name == "default" else tmp_path / "env"
        given = {"message": "init"} if name == "init" else {}
        settings = load(App, _volumes=kubelet_volume.path, _watch=False, _env_file=env_file, **given)
        expected.append((settings.message, settings.live.origin("message").kind))
    assert expected == [(name, name) for name in sources]
    shadows = [origin.kind for origin in settings.live.origin("message").shadows]
    assert shadows == ["volume", "environment", "dotenv"]


@pytest.mark.parametrize("by_key", ["first", "second", "chosen"])
@pytest.mark.parametrize("by_other", ["first", "second", "chosen"])
def test_precedence_between_aliases(kubelet_volume, load, monkeypatch, tmp_path, by_key, by_other):
    """Precedence is that of sources, whichever of a field's names each of them uses."""

    class Aliased(Settings):
        model_config = SettingsConfigDict(populate_by_name=True)
        chosen: str = Field("default", validation_alias=AliasChoices("first", "second"))

    kubelet_volume.write({by_key: "volume"})
    monkeypatch.setenv(by_other.upper(), "environment")
    (tmp_path / "env").write_text(f"{by_other}=dotenv\n")
    settings = load(Aliased, _volumes=kubelet_volume.path, _watch=False, _env_file=tmp_path / "env")
    assert settings.chosen == "volume"
    assert settings.live.origin("chosen").name == by_key
    kubelet_volume.write({by_key: "rotated"})
    assert settings.live.reload()
    assert settings.chosen == "rotated"
    given = load(Aliased, _volumes=kubelet_volume.path, _watch=False, **{by_other: "init"})
    assert given.chosen == "init"


def test_init_survives_swaps(kubelet_volume, load):
    """An argument of the constructor overrides every later generation, too."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings = load(App, message="init", _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"message": "two", "number": "2"})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("init", 2)


def test_nested_precedence(make_kubelet_volume, load, monkeypatch):
    """Parts of a nested model may come from different sources, each by its precedence."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    monkeypatch.setenv("DB__USER", "environment")
    monkeypatch.setenv("DB__PORT", "1")
    one.write({"db.port": "2"})
    settings = load(App, _volumes=one.path, _watch=False)
    assert settings.db == Database(user="environment", port=2)
    other.write({"db": '{"user": "volume"}'})
    settings = load(App, _volumes=[one.path, other.path], _watch=False)
    assert settings.db == Database(user="volume", port=2)


def test_variables_inside_a_value(kubelet_volume, load, monkeypatch, canary):
    """A variable for a part of a model (DB__USER) never goes over the key that holds the whole, now or later."""

    class Whole(App):
        labels: dict[str, str] = Field({})

    monkeypatch.setenv("DB__USER", "environment")
    monkeypatch.setenv("DB__PORT", "1")
    monkeypatch.setenv("LABELS__TIER", "environment")
    kubelet_volume.write({"db": '{"user": "volume"}', "labels": '{"tier": "volume"}'})
    settings = load(Whole, _volumes=kubelet_volume.path, _watch=False)
    assert settings.db == Database(user="volume", port=1)
    assert settings.labels == {"tier": "volume"}
    kubelet_volume.write({"db": '{"user": "rotated"}', "labels": "{}"})
    assert settings.live.reload()
    assert settings.db == Database(user="rotated", port=1)
    assert settings.live.origin("db.user").kind == "volume"
    assert settings.live.origin("db.user").name == "db"


def test_since_when(kubelet_volume, load):
    """An origin says since when a key has held what it holds: not since the last write, if that left it as it was."""
    kubelet_volume.write({"message": "one", "number": "1"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    first = settings.live.origin("message").since
    assert settings.live.origin("number").since == first
    kubelet_volume.write({"message": "one", "number": "2"})
    assert settings.live.reload()
    assert settings.live.origin("message").since == first
    assert settings.live.origin("number").since > first


def test_last_volume_wins(make_kubelet_volume, load, texts, canary):
    """The last of several volumes wins, at the start and at each swap; a secret that is supplied twice gives a warning."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"message": "one", "number": "1", "secret": canary})
    other.write({"message": "other", "secret": canary})
    settings = load(App, _volumes=[one.path, other.path], _watch=False)
    assert (settings.message, settings.number) == ("other", 1)
    assert settings.live.origin("message").path == f"{other.path}/message"
    warned = [text for text in texts() if "secret" in text]
    assert len(warned) == 1
    assert str(one.path) in warned[0]
    assert str(other.path) in warned[0]
    one.write({"message": "one again", "number": "2", "secret": canary})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("other", 2)
    other.write({"secret": canary})
    assert settings.live.reload()
    assert settings.message == "one again"


def test_environment_is_read_once(kubelet_volume, load, monkeypatch, tmp_path):
    """The environment and the .env file are read in the constructor; only volumes change."""
    (tmp_path / "env").write_text("NUMBER=1\n")
    monkeypatch.setenv("MESSAGE", "start")
    kubelet_volume.write({})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False, _env_file=tmp_path / "env")
    monkeypatch.setenv("MESSAGE", "later")
    (tmp_path / "env").write_text("NUMBER=2\n")
    kubelet_volume.write({"db.user": "x"})
    assert settings.live.reload()
    assert (settings.message, settings.number, settings.db.user) == ("start", 1, "x")


def test_falls_back_to_the_environment(kubelet_volume, load, monkeypatch):
    """A key that vanishes falls back to the variable that it shadowed."""
    monkeypatch.setenv("MESSAGE", "environment")
    kubelet_volume.write({"message": "volume"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({})
    assert settings.live.reload()
    assert settings.message == "environment"


@pytest.mark.parametrize(("rule", "falls"), [("fallback", True), ("reject", False), (None, False)])
def test_vanished_secret(kubelet_volume, load, canary, rule, falls):
    """A secret whose key vanishes is rejected unless missing_key says to fall back."""
    kubelet_volume.write({"secret": canary, "message": "one"})
    cls = type("Vanishing", (App,), {"model_config": SettingsConfigDict(missing_key=rule), "__module__": __name__})
    settings = load(cls, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload() is falls
    assert settings.secret.get_secret_value() == ("none" if falls else canary)


def test_vanished_secret_that_another_volume_has(make_kubelet_volume, load, canary):
    """A secret that vanishes from one volume is served by another one that has it."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"secret": canary})
    other.write({"secret": f"{canary}!"})
    settings = load(App, _volumes=[one.path, other.path], _watch=False)
    other.write({})
    assert settings.live.reload()
    assert settings.secret.get_secret_value() == canary


class Constant(PydanticBaseSettingsSource):
    """A source of one's own."""

    def get_field_value(self, field, field_name):
        return None, field_name, False

    def __call__(self):
        return {"message": "constant", "number": 9}


def test_sources_in_another_order(kubelet_volume, load, monkeypatch):
    """In settings_customise_sources the volumes are file_secret_settings: they can be ordered among others."""

    class Reordered(App):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return init_settings, env_settings, file_secret_settings, Constant(settings_cls)

    monkeypatch.setenv("MESSAGE", "environment")
    kubelet_volume.write({"message": "volume", "db.user": "volume"})
    settings = load(Reordered, _volumes=kubelet_volume.path, _watch=False)
    assert (settings.message, settings.number, settings.db.user) == ("environment", 9, "volume")
    kubelet_volume.write({"message": "newer", "number": "3", "db.user": "newer"})
    assert settings.live.reload()
    assert (settings.message, settings.number, settings.db.user) == ("environment", 3, "newer")


def test_sources_without_volumes(kubelet_volume, load):
    """A class that drops file_secret_settings drops the volumes."""

    class Dropped(App):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return (init_settings,)

    kubelet_volume.write({"message": "volume"})
    assert load(Dropped, _volumes=kubelet_volume.path, _watch=False).message == "default"


# What an instance is


def test_snapshots(kubelet_volume, load):
    """copy, deepcopy and pickle of a live object give a snapshot, which has no live side and does not change."""
    kubelet_volume.write({"message": "one", "db.user": "x"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    snapshots = [
        settings.live.latest(),
        settings.live.snapshot(),
        copy.copy(settings),
        copy.deepcopy(settings),
        settings.model_copy(),
        copy.deepcopy(settings.live.latest()),
        copy.copy(settings.live.latest()),
        *(pickle.loads(pickle.dumps(settings, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)),
    ]
    kubelet_volume.write({"message": "two", "db.user": "y"})
    assert settings.live.reload()
    for snapshot in snapshots:
        assert type(snapshot) is App
        assert (snapshot.message, snapshot.db.user) == ("one", "x")
        assert snapshot == snapshots[0]
        assert snapshot != settings
        with pytest.raises(LiveConfigError, match="snapshot"):
            _ = snapshot.live
    assert settings.message == "two"


def test_model_copy_with_update(kubelet_volume, load):
    """model_copy(update=...) of a live object is a snapshot with other values."""
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    changed = settings.model_copy(update={"message": "changed"})
    assert (changed.message, settings.message) == ("changed", "default")
    with pytest.raises(LiveConfigError):
        _ = changed.live
    snapshot = settings.live.latest()
    assert snapshot.model_copy(update={"message": "changed"}).model_fields_set == {"message"}
    assert settings.model_fields_set == snapshot.model_fields_set == set()


def test_equality(kubelet_volume, load):
    """A live object equals only itself and hashes by identity, through reloads; snapshots compare as pydantic does."""

    class Plain(Settings):
        message: str = "default"
        number: int = 0

    kubelet_volume.write({"message": "one"})
    one, other = (load(Plain, _volumes=kubelet_volume.path, _watch=False) for _ in range(2))
    assert one == one
    assert one != other
    assert one != one.live.latest()
    assert one.live.latest() == other.live.latest()
    assert hash(one.live.latest()) == hash(other.live.latest())
    before, table = hash(one), {one: "one", other: "other"}
    kubelet_volume.write({"message": "two"})
    assert one.live.reload()
    assert hash(one) == before
    assert table[one] == "one"
    assert one.live.latest() != other.live.latest()


def test_cached_property(kubelet_volume, load):
    """A cached_property is computed anew after a change, once a version; a snapshot keeps its own, as a copy does."""

    class Cached(App):
        @cached_property
        def shouted(self) -> list[str]:
            return [self.message.upper()]

    kubelet_volume.write({"message": "one"})
    settings = load(Cached, _volumes=kubelet_volume.path, _watch=False)
    assert settings.shouted is settings.shouted
    snapshot = settings.live.latest()
    assert snapshot.shouted == ["ONE"]
    assert copy.copy(snapshot).shouted is not snapshot.shouted
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings.shouted == ["TWO"]
    assert snapshot.shouted == ["ONE"]
    assert settings.live.latest().shouted == ["TWO"]


def test_let_go(kubelet_volume):
    """An unreferenced live object is collected and no longer watched; one with subscribers is not."""
    kubelet_volume.write({"message": "one"})
    gc.collect()
    before = set(threading.enumerate())
    settings = App(_volumes=kubelet_volume.path)
    gone = weakref.ref(settings)
    watching = set(threading.enumerate()) - before
    assert watching
    del settings
    gc.collect()
    for thread in watching:
        thread.join(PATIENCE)
    assert gone() is None
    assert not set(threading.enumerate()) & watching


def test_not_let_go(kubelet_volume):
    """A live object with a subscriber lives, with no other reference to it, until it is closed."""
    kubelet_volume.write({"message": "one"})
    heard = threading.Event()
    settings = App(_volumes=kubelet_volume.path)
    live = weakref.ref(settings)
    settings.live.on_reload(lambda _: heard.set())
    del settings
    gc.collect()
    kubelet_volume.write({"message": "two"})
    assert heard.wait(PATIENCE)
    settings = live()
    assert settings is not None
    settings.live.close()
    del settings
    gc.collect()
    heard.wait(0)
    assert live() is None


def test_leaks_nothing_when_it_fails(kubelet_volume):
    """E17: 200 failing starts, and 200 good ones with their ends, leave as many threads and descriptors as before."""
    kubelet_volume.write({"message": "one"})
    App(_volumes=kubelet_volume.path).live.close()
    kubelet_volume.write({"number": "many"})
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        with pytest.raises(InvalidSettingsError):
            App(_volumes=kubelet_volume.path)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, descriptors)
    kubelet_volume.write({"message": "one"})
    for _ in range(200):
        App(_volumes=kubelet_volume.path).live.close()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, descriptors)


def test_error_says_where(kubelet_volume, make_kubelet_volume, load):
    """The constructor's error names the field, the key, each volume and the variable that were looked for."""

    class Needy(Settings):
        model_config = SettingsConfigDict(env_prefix="APP_", env_nested_delimiter="__")
        db: Database
        token: SecretStr

    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    other.write({"app_db.port": "many"})
    with pytest.raises(InvalidSettingsError) as caught:
        load(Needy, _volumes=[one.path, other.path])
    text = str(caught.value)
    for expected in ("token", "APP_TOKEN", str(one.path), str(other.path), "db.port", "APP_DB__PORT"):
        assert expected in text
    assert isinstance(caught.value, ValueError)
    assert "many" not in text


def test_bad_variable(kubelet_volume, load, monkeypatch, canary):
    """A variable that does not parse ends the start with its name and without its value."""
    monkeypatch.setenv("DB", f"{{{canary}")
    with pytest.raises(InvalidSettingsError, match="db") as caught:
        load(App, _volumes=kubelet_volume.path)
    assert canary not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_from_environment(kubelet_volume, load, monkeypatch, texts):
    """A field that is meant to come from the environment is not warned of; its origin is still shown."""
    monkeypatch.setenv("NUMBER", "8080")
    monkeypatch.setenv("MESSAGE", "x")
    kubelet_volume.write({})
    settings = load(make_with_port(), _volumes=kubelet_volume.path, _watch=False)
    assert settings.live.origin("number").kind == "environment"
    assert len(texts()) == 1
    assert "message" in texts()[0]
    assert "number" not in texts()[0]
    assert "number" not in settings.live.status().frozen


def make_with_port() -> type[Settings]:
    class WithPort(App):
        model_config = SettingsConfigDict(from_environment=["number"])

    return WithPort
