"""Sources beside the volumes: those of the hook, the command line, `.env` files."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_settings import (
    CliApp,
    CliSettingsSource,
    CliSubCommand,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
    get_subcommand,
)

from liveconfig import InvalidSettingsError, Settings, SettingsConfigDict


def with_sources(*make: Any, above: bool = False, **config: Any) -> type[Settings]:
    """A class whose hook adds sources, above or below the volumes."""

    class WithSources(Settings):
        model_config = SettingsConfigDict(watch=False, **config)
        message: str = "default"
        number: int = 0
        other: str = "default"

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            added = tuple(each(settings_cls) for each in make)
            own = (init_settings, *added) if above else (init_settings,)
            return (*own, file_secret_settings, env_settings, dotenv_settings, *(() if above else added))

    return WithSources


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


FILES = [
    ("app.yaml", "message: file\nnumber: 5\n", lambda path: lambda cls: YamlConfigSettingsSource(cls, yaml_file=path)),
    (
        "app.json",
        '{"message": "file", "number": 5}',
        lambda path: lambda cls: JsonConfigSettingsSource(cls, json_file=path),
    ),
    (
        "app.toml",
        'message = "file"\nnumber = 5\n',
        lambda path: lambda cls: TomlConfigSettingsSource(cls, toml_file=path),
    ),
]


@pytest.mark.parametrize(("name", "text", "source"), FILES)
@pytest.mark.parametrize("above", [True, False])
def test_a_source_of_a_file_on_a_volume(kubelet_volume, load, caplog, name, text, source, above):
    """K04: a source of a file on a volume is frozen: origin `source`, one warning with all fields and the cure."""
    kubelet_volume.write({name: text, "other": "volume"})
    cls = with_sources(source(f"{kubelet_volume.path}/{name}"), above=above)
    settings = load(cls, _volumes=kubelet_volume.path)
    status = settings.live.status()
    assert (settings.message, settings.number, settings.other) == ("file", 5, "volume")
    origin = settings.live.origin("message")
    assert (origin.kind, origin.path, origin.live) == ("source", f"{kubelet_volume.path}/{name}", False)
    assert origin.name == source("x")(cls).__class__.__name__
    assert set(status.frozen) == {"message", "number"}
    assert {(stale.field, stale.reason) for stale in status.stale} == {("message", "source"), ("number", "source")}
    assert status.healthy
    (line,) = [each for each in lines(caplog) if "WithSources" in each]
    assert "`message`, `number`" in line
    assert f'documents=["{name}"]' in line
    kubelet_volume.write({name: text.replace("file", "moved on"), "other": "volume 2"})
    assert settings.live.reload()
    assert (settings.message, settings.other) == ("file", "volume 2")
    assert set(settings.live.status().frozen) == {"message", "number"}


@pytest.mark.parametrize("expected", [["message", "number"], ["message"]])
def test_sources_that_are_meant(kubelet_volume, load, caplog, expected):
    """K04: fields in from_environment are not warned of and not frozen, whatever frozen source serves them."""
    kubelet_volume.write({"app.yaml": "message: file\nnumber: 5"})
    path = f"{kubelet_volume.path}/app.yaml"
    cls = with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=path), from_environment=expected)
    settings = load(cls, _volumes=kubelet_volume.path)
    rest = {"message", "number"} - set(expected)
    assert set(settings.live.status().frozen) == rest
    assert [("`number`" in each, "`message`" in each) for each in lines(caplog)] == [(True, False)] * len(rest)


def test_a_file_that_no_volume_holds(kubelet_volume, load, caplog, tmp_path):
    """K04: for a file beside the volumes the warning says to mount it, and from where it would be read."""
    (tmp_path / "app.yaml").write_text("message: file")
    kubelet_volume.write({"other": "x"})
    cls = with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=tmp_path / "app.yaml"))
    settings = load(cls, _volumes=kubelet_volume.path)
    assert settings.live.status().frozen == ("message",)
    assert any(f'volumes=["{tmp_path}"], documents=["app.yaml"]' in line for line in lines(caplog))


def test_a_class_without_volumes(kubelet_volume, load, caplog, tmp_path):
    """K04: a class without volumes whose source reads a file on a volume gives a warning; another file does not."""
    kubelet_volume.write({"conf/app.yaml": "message: file"})
    (tmp_path / "app.yaml").write_text("message: file")
    elsewhere = with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=tmp_path / "app.yaml"))
    assert load(elsewhere).live.status().frozen == ()
    mounted = with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=f"{kubelet_volume.path}/conf/app.yaml"))
    assert load(mounted).live.status().frozen == ("message",)
    assert len(lines(caplog)) == 1


def test_a_function(kubelet_volume, load, caplog):
    """K04: a function in the hook is a source by its name."""

    def from_the_vault() -> dict[str, Any]:
        return {"message": "vault"}

    kubelet_volume.write({"other": "x"})
    settings = load(with_sources(lambda _: from_the_vault), _volumes=kubelet_volume.path)
    origin = settings.live.origin("message")
    assert (settings.message, origin.kind, origin.name) == ("vault", "source", "from_the_vault")
    assert settings.live.status().frozen == ("message",)
    assert any("from_the_vault" in line for line in lines(caplog))


def test_what_a_volume_decides_is_not_frozen(kubelet_volume, load):
    """K04: a field that a volume decides is live, though a source below has it too, and says so in its shadows."""
    kubelet_volume.write({"message": "volume", "app.yaml": "message: file"})
    path = f"{kubelet_volume.path}/app.yaml"
    cls = with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=path))
    settings = load(cls, _volumes=kubelet_volume.path)
    origin = settings.live.origin("message")
    assert (origin.kind, [shadow.kind for shadow in origin.shadows]) == ("volume", ["source"])
    assert settings.live.status().frozen == ()


def test_sources_of_code_are_not_frozen(kubelet_volume, load, caplog):
    """K04: a source that the hook fills from the code counts as arguments do."""
    kubelet_volume.write({"other": "x"})
    cls = with_sources(lambda cls: InitSettingsSource(cls, init_kwargs={"message": "code"}))
    settings = load(cls, _volumes=kubelet_volume.path)
    assert settings.live.origin("message").kind == "init"
    assert settings.live.status().frozen == ()
    assert lines(caplog) == []


APP = """
import pathlib
from pydantic_settings import *
from liveconfig import Settings, SettingsConfigDict

VOLUME = pathlib.Path({volume!r})

class Reading(PydanticBaseSettingsSource):
    def get_field_value(self, field, name):
        return None, name, False

    def __call__(self):
        return {{"message": (VOLUME / "plain").read_text()}}

class App(Settings):
    model_config = SettingsConfigDict({config})
    message: str = "default"
    other: str = "default"

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, file_secret_settings, dotenv_settings, **others):
        return init_settings, file_secret_settings, {source}
"""
ON_VOLUME = {
    "app.yaml": "message: file",
    "app.json": '{"message": "file"}',
    "app.toml": 'message = "file"',
    "app.env": "MESSAGE=file",
    "config": "message: file",
    "plain": "file",
    "secrets/message": "file",
    "other": "x",
}


FOLLOWED, ALONE = "volumes=[VOLUME]", "volumes=()"


@pytest.mark.parametrize(
    ("config", "source", "cure"),
    [
        (
            f"{FOLLOWED}, yaml_file=VOLUME / 'app.yaml'",
            "YamlConfigSettingsSource(settings_cls)",
            'documents=["app.yaml"]',
        ),
        (ALONE, "YamlConfigSettingsSource(settings_cls, VOLUME / 'config')", 'documents={"config": "yaml"}'),
        (
            f"{FOLLOWED}, json_file=VOLUME / 'app.json'",
            "JsonConfigSettingsSource(settings_cls)",
            'documents=["app.json"]',
        ),
        (ALONE, "TomlConfigSettingsSource(settings_cls, VOLUME / '..data/app.toml')", 'documents=["app.toml"]'),
        (f"{FOLLOWED}, env_file=VOLUME / 'app.env'", "dotenv_settings", 'documents=["app.env"]'),
        (f"{ALONE}, env_file=VOLUME / 'app.env'", "dotenv_settings", 'documents=["app.env"]'),
        (
            ALONE,
            "NestedSecretsSettingsSource(settings_cls, secrets_dir=VOLUME / 'secrets')",
            'kubelet-volume/secrets"]',
        ),
        (FOLLOWED, "Reading(settings_cls)", "Mount the values in"),
        (FOLLOWED, "lambda: {'message': (VOLUME / 'plain').read_text()}", "Mount the values in"),
    ],
)
def test_explain_says_frozen(kubelet_volume, tmp_path, config, source, cure):
    """K04: `liveconfig explain` of a class that reads a file on a volume says FROZEN, names the cure, exits with 1."""
    kubelet_volume.write(ON_VOLUME)
    done = explain(kubelet_volume, tmp_path, config, source)
    assert done.returncode == 1, done.stderr
    assert "FROZEN: message." in " ".join(done.stdout.split())
    assert "".join(cure.split()) in "".join(done.stdout.split())


def test_explain_says_frozen_as_json(kubelet_volume, tmp_path):
    """K04: the same as JSON."""
    kubelet_volume.write(ON_VOLUME)
    done = explain(
        kubelet_volume, tmp_path, FOLLOWED, "YamlConfigSettingsSource(settings_cls, VOLUME / 'app.yaml')", "--json"
    )
    assert (done.returncode, json.loads(done.stdout)["frozen"]) == (1, ["message"])


def explain(volume, directory, config, source, *options):
    """Run the command on a class that has a configuration and a source."""
    (directory / "app.py").write_text(APP.format(volume=str(volume.path), config=config, source=source))
    command = [sys.executable, "-m", "liveconfig", "explain", "app:App", *options]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("files", "cure"),
    [
        (["app.yaml", "config"], 'documents={"app.yaml": "yaml", "config": "yaml"}'),
        (["app.yaml", "app.yml"], 'documents=["app.yaml", "app.yml"]'),
    ],
)
def test_a_source_of_several_files(kubelet_volume, load, caplog, files, cure):
    """K04: the cure names each of the files that a source reads."""
    kubelet_volume.write({**ON_VOLUME, "app.yml": "number: 5"})
    paths = [kubelet_volume.path / name for name in files]
    load(with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=paths)), _volumes=kubelet_volume.path)
    assert cure in lines(caplog)[0]


def test_a_source_of_files_beside_the_volume(kubelet_volume, load, caplog, tmp_path):
    """K04: the cure names the files that are on no volume of the class too, and the directory to add."""
    kubelet_volume.write(ON_VOLUME)
    (tmp_path / "defaults").mkdir()
    defaults = tmp_path / "defaults" / "base.yaml"
    defaults.write_text("number: 5")
    files = [defaults, kubelet_volume.path / "app.yaml"]
    load(with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=files)), _volumes=kubelet_volume.path)
    cure = f'`documents=["base.yaml", "app.yaml"]`, and add `{defaults.parent}` to `volumes`'
    assert cure in lines(caplog)[0]


@pytest.mark.parametrize("kind", ["source", "dotenv"])
def test_a_comma_in_a_path(make_kubelet_volume, load, caplog, kind):
    """K04: the cure names a file whose directory has a comma and a space in its name."""
    volume = make_kubelet_volume("one, two")
    volume.write({"app.yaml": "message: file", "app.env": "MESSAGE=file"})
    if kind == "source":
        cls = with_sources(lambda cls: YamlConfigSettingsSource(cls, yaml_file=volume.path / "app.yaml"))
    else:
        cls = with_sources(env_file=volume.path / "app.env")
    settings = load(cls)
    assert settings.live.status().frozen == ("message",)
    name = "app.yaml" if kind == "source" else "app.env"
    assert f'volumes=["{volume.path}"], documents=["{name}"]' in lines(caplog)[0]


def test_an_env_file_beside_the_volumes(load, caplog, tmp_path):
    """K04: of a class without volumes an `.env` file on no volume is not frozen, as nothing there is live."""
    (tmp_path / ".env").write_text("MESSAGE=file")
    settings = load(with_sources(), _env_file=tmp_path / ".env")
    assert (settings.message, settings.live.status().frozen, lines(caplog)) == ("file", (), [])


def test_the_environment_source_of_the_hook_has_all_variables(load, monkeypatch):
    """K19: the environment source that the hook gets has every variable, also where none feeds a field."""
    monkeypatch.setenv("REGION_OF_THE_CLUSTER", "north")

    class Looks(Settings):
        message: str

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return init_settings, env_settings, lambda: {"message": env_settings.env_vars["region_of_the_cluster"]}

    assert load(Looks).message == "north"


@pytest.mark.parametrize("place", ["the environment", "the .env file"])
def test_a_variable_that_is_no_json(kubelet_volume, load, monkeypatch, tmp_path, canary, place):
    """K04: a variable that does not parse is named, with its field and what to do, without its text."""
    kubelet_volume.write({"db.user": "one"})
    if place == "the environment":
        monkeypatch.setenv("DB", canary)
    else:
        (tmp_path / ".env").write_text(f"DB={canary}")

    class Nested(Settings):
        db: dict[str, str]

    with pytest.raises(InvalidSettingsError) as caught:
        load(Nested, _volumes=kubelet_volume.path, _env_file=tmp_path / ".env")
    assert str(caught.value) == (
        f"Nested: the variable DB of {place} holds no JSON, which the field 'db' needs: correct or remove it"
    )
    assert caught.value.__cause__ is caught.value.__context__ is None


# Sources that fill themselves, that look around, that are configured


class LateSource(EnvSettingsSource):
    """Fills its variables when it is called, as Google's Secret Manager source does."""

    def __call__(self) -> dict[str, Any]:
        self.env_vars = {"message": "late", "number": "5"}
        return super().__call__()


class Vault(EnvSettingsSource):
    """Fills its variables from elsewhere, as AWS' and Azure's sources do."""

    def _load_env_vars(self) -> dict[str, str | None]:
        return {"message": "vault"}


class Nested(EnvSettingsSource):
    """Fills its variables with those of nested models, as a parameter store has them."""

    def __call__(self) -> dict[str, Any]:
        self.env_nested_delimiter = "/"
        self.env_vars = {"db/user": "store", "message": "store"}
        return super().__call__()


class Commas(EnvSettingsSource):
    """Reads the environment in a way of its own."""

    def prepare_field_value(self, field_name: str, field: Any, value: Any, value_is_complex: bool) -> Any:
        return f"prepared {value}" if field_name == "message" and value else None


@pytest.mark.parametrize(("variable", "stale"), [("5", False), ("05", False), ("6", True)])
def test_a_variable_that_agrees(kubelet_volume, load, monkeypatch, variable, stale):
    """K04: a variable beside a key is reported as stale only if its value for the field is another one."""

    class Agreeing(Settings):
        model_config = SettingsConfigDict(watch=False)
        number: int = 0

    kubelet_volume.write({"number": "5"})
    monkeypatch.setenv("NUMBER", variable)
    settings = load(Agreeing, _volumes=kubelet_volume.path)
    assert settings.number == 5
    assert [each.reason for each in settings.live.status().stale] == ["shadowed-environment"] * stale


class Failing(PydanticBaseSettingsSource):
    """Cannot be read."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        raise ConnectionError("CANARY-0")


@pytest.mark.parametrize("above", [False, True])
def test_a_source_that_raises(above):
    """K19: a source that raises, above the volumes or below them, is named by its exception, and no value is shown."""
    with pytest.raises(InvalidSettingsError, match="a source of the settings raised ConnectionError") as caught:
        with_sources(Failing, above=above)(_volumes=())
    assert "CANARY" not in str(caught.value)


class Nothing(Failing):
    """Returns nothing."""

    def __call__(self) -> dict[str, Any]:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize("above", [False, True])
def test_a_source_that_returns_nothing(above):
    """A source that returns no dictionary, above the volumes or below them, is named."""
    with pytest.raises(InvalidSettingsError, match="the source Nothing returned NoneType: it must return a dict"):
        with_sources(Nothing, above=above)(_volumes=())


def test_no_sources_are_returned():
    """A class whose `settings_customise_sources` has no `return` is told so."""

    class App(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls, **sources):
            pass

    with pytest.raises(InvalidSettingsError, match="`settings_customise_sources` returns nothing: it must return"):
        App(_volumes=())


@pytest.mark.parametrize("encoding", ["utf8x", "base64"])
def test_an_unknown_encoding(tmp_path, encoding):
    """An encoding that Python does not have, or that is not for texts, is named with the setting and the file."""
    (tmp_path / "env").write_text("MESSAGE=x")
    cls = with_sources(env_file=tmp_path / "env", env_file_encoding=encoding)
    with pytest.raises(InvalidSettingsError) as caught:
        cls(_volumes=())
    assert f"{tmp_path / 'env'}: `env_file_encoding` names no text encoding of Python: '{encoding}'" in str(
        caught.value
    )


class NoJson(EnvSettingsSource):
    """A source that finds text where it needs JSON."""

    def _load_env_vars(self) -> dict[str, str | None]:
        return {"number": "CANARY-0"}

    def prepare_field_value(self, field_name: str, field: Any, value: Any, value_is_complex: bool) -> Any:
        return super().prepare_field_value(field_name, field, value, value_is_complex or value is not None)


@pytest.mark.parametrize("above", [False, True])
def test_an_own_source_of_variables_that_are_no_json(above):
    """K19: text that a source of variables of the user cannot parse is named by its field and the source, and not shown."""
    with pytest.raises(InvalidSettingsError, match='field "number" from source "NoJson"') as caught:
        with_sources(NoJson, above=above)(_volumes=())
    assert "CANARY" not in str(caught.value)


def test_a_variable_that_is_spelled_otherwise(kubelet_volume, load, monkeypatch):
    """K13: a variable with `-` in place of `_` gives no field its value, and is not the origin of one."""

    class Spelled(Settings):
        model_config = SettingsConfigDict(watch=False)
        some_field: str = "default"
        message: str = "default"

    kubelet_volume.write({"unused": "x"})
    monkeypatch.setenv("SOME-FIELD", "variable")
    monkeypatch.setenv("MESSAGE", "variable")
    settings = load(Spelled, _volumes=kubelet_volume.path)
    assert (settings.some_field, settings.message) == ("default", "variable")
    assert settings.live.origin("some_field").kind == "default"
    assert [each.field for each in settings.live.status().stale] == ["message"]
    monkeypatch.setenv("SOME_FIELD", "right")
    origin = load(Spelled, _volumes=kubelet_volume.path).live.origin("some_field")
    assert (origin.kind, origin.name) == ("environment", "SOME_FIELD")


class Delimited(Settings):
    model_config = SettingsConfigDict(watch=False, env_nested_delimiter="__")
    some_db: dict[str, str] = {}


@pytest.mark.parametrize("other", ["SOME-DB__USER", "SOME_DB.USER", "SOME_DB/USER"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_variable_in_two_spellings(kubelet_volume, load, monkeypatch, other, is_first):
    """K13: of a variable in two spellings, the origin names the one that gives the value, whichever stands first."""
    names = (other, "SOME_DB__USER") if is_first else ("SOME_DB__USER", other)
    for name in names:
        monkeypatch.setenv(name, name)
    kubelet_volume.write({"unused": "x"})
    settings = load(Delimited, _volumes=kubelet_volume.path)
    assert settings.some_db == {"user": "SOME_DB__USER"}
    assert settings.live.origin("some_db").name == "SOME_DB__USER"


@pytest.mark.parametrize(("source", "message"), [(LateSource, "late"), (Vault, "vault"), (Nested, "store")])
def test_sources_that_fill_themselves(kubelet_volume, load, source, message):
    """K19: a source that fills its variables when it is called is asked, and is a source of its own."""
    kubelet_volume.write({"other": "x"})
    settings = load(with_sources(source), _volumes=kubelet_volume.path)
    assert settings.message == message
    origin = settings.live.origin("message")
    assert (origin.kind, origin.name) == ("source", source.__name__)


def test_nested_values_of_a_source(kubelet_volume, load):
    """K19: values of nested models that such a source gives have it as their origin, beside keys of the volume."""

    class User(BaseModel):
        user: str = "default"
        password: str = "default"

    class Storing(with_sources(Nested)):  # type: ignore[misc]
        db: User = User()

    kubelet_volume.write({"db.password": "mounted"})
    settings = load(Storing, _volumes=kubelet_volume.path)
    assert (settings.db.user, settings.db.password) == ("store", "mounted")
    assert settings.live.origin("db.user").name == "Nested"
    assert set(settings.live.status().frozen) == {"db.user", "message"}


def test_a_source_of_the_environment(kubelet_volume, load, monkeypatch):
    """K19: a source of the class that reads the environment in its own way is the environment."""
    monkeypatch.setenv("MESSAGE", "x")
    kubelet_volume.write({"other": "x"})
    settings = load(with_sources(Commas, above=True), _volumes=kubelet_volume.path)
    assert settings.message == "prepared x"
    origin = settings.live.origin("message")
    assert (origin.kind, origin.name) == ("environment", "MESSAGE")


class Looking(PydanticBaseSettingsSource):
    """Needs what the sources before it gave."""

    seen: list[tuple[dict[str, Any], dict[str, Any]]]

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        type(self).seen.append((dict(self.current_state), dict(self.settings_sources_data)))
        return {"message": f"for {self.current_state.get('other')}"}


def test_a_source_sees_the_volumes(kubelet_volume, load):
    """K21: a source after the volumes sees a mounted value in `current_state` and in `settings_sources_data`."""
    Looking.seen = []
    kubelet_volume.write({"other": "token"})
    settings = load(with_sources(Looking), _volumes=kubelet_volume.path, number=5)
    assert settings.message == "for token"
    ((state, by_source),) = Looking.seen
    assert state == {"other": "token", "number": 5}
    assert by_source["InitSettingsSource"] == {"number": 5}
    assert by_source["VolumesSource"] == {"other": "token"}
    kubelet_volume.write({"other": "moved on"})
    assert settings.live.reload()
    assert (settings.message, settings.other, len(Looking.seen)) == ("for token", "moved on", 1)


def test_a_source_keeps_no_configuration(kubelet_volume, load):
    """A source that was asked does not hold the first configuration for as long as the process runs."""
    asked = []

    class Asked(Looking):
        def __init__(self, settings_cls: type[Settings]) -> None:
            super().__init__(settings_cls)
            asked.append(self)

    Asked.seen = []
    kubelet_volume.write({"other": "token"})
    assert load(with_sources(Asked), _volumes=kubelet_volume.path).message == "for token"
    assert [(each.current_state, each.settings_sources_data) for each in asked] == [({}, {})]


def texts_equal_to(text: str) -> Iterator[int]:
    """The id of each string in the process that is equal to a text."""
    waiting, seen = gc.get_objects(), set[int]()
    while waiting:
        for each in gc.get_referents(waiting.pop()):
            if type(each) is str:
                if each == text:
                    yield id(each)
            elif id(each) not in seen and not gc.is_tracked(each):  # a tracked one is in the list already
                seen.add(id(each))
                waiting.append(each)


@pytest.mark.parametrize("how", ["load", "below the volumes", "above the volumes", "wait", "CliApp"])
def test_other_variables_of_the_environment(kubelet_volume, load, monkeypatch, canary, how):
    """A secret in a variable that no field reads is not kept in memory by settings, only by `os.environ`."""
    monkeypatch.setenv("NOBODY_READS_THIS", canary)
    monkeypatch.setenv("NUMBER", "5")
    kubelet_volume.write({"number": "none"} if how == "wait" else {"other": "volume"})
    if how == "wait":
        corrects = with_sources(lambda _: lambda: kubelet_volume.write({"other": "volume"}) or {})
        settings = load(corrects, _volumes=kubelet_volume.path, _wait=30.0)
    elif how == "CliApp":
        settings = CliApp.run(with_sources(volumes=[kubelet_volume.path]), cli_args=[])
    else:
        added = [EnvSettingsSource] if how != "load" else []
        settings = load(with_sources(*added, above=how.startswith("above")), _volumes=kubelet_volume.path)
    assert (settings.number, settings.other) == (5, "volume")
    assert set(texts_equal_to(canary)) == {id(canary)}
    kubelet_volume.write({"message": "volume"})
    assert settings.live.reload()
    assert (settings.number, settings.message, settings.other) == (5, "volume", "default")


def test_a_source_before_the_volumes(kubelet_volume, load):
    """K21: a source before the volumes sees what stands before it, and not the volumes."""
    Looking.seen = []
    kubelet_volume.write({"other": "token"})
    assert load(with_sources(Looking, above=True), _volumes=kubelet_volume.path).message == "for None"


def test_sources_see_each_other(kubelet_volume, load):
    """K21: of two sources the second sees what the first gave, and the order of the hook holds."""
    Looking.seen = []

    def first() -> dict[str, Any]:
        return {"other": "first", "message": "first"}

    kubelet_volume.write({"number": "5"})
    settings = load(with_sources(lambda _: first, Looking), _volumes=kubelet_volume.path)
    assert Looking.seen[0][0] == {"number": "5", "other": "first", "message": "first"}
    assert Looking.seen[0][1]["first"] == {"other": "first", "message": "first"}
    assert settings.message == "first"


def test_an_encoding(kubelet_volume, load, tmp_path):
    """K20: a .env file is read in the encoding of the class, and messages keep the spelling of its names."""
    (tmp_path / "env").write_bytes("Message=grüße".encode("latin-1"))
    cls = with_sources(env_file=tmp_path / "env", env_file_encoding="latin-1")
    settings = load(cls, _volumes=kubelet_volume.path)
    assert settings.message == "grüße"
    origin = settings.live.origin("message")
    assert (origin.kind, origin.name, origin.path) == ("dotenv", "Message", str(tmp_path / "env"))
    (tmp_path / "wide").write_text("MESSAGE=wide", encoding="utf-16")
    assert load(cls, _env_file=tmp_path / "wide", _env_file_encoding="utf-16").message == "wide"


@pytest.mark.timeout(60)
def test_a_fifo(kubelet_volume, load, tmp_path):
    """K20: a .env file that is a FIFO is read once."""
    fifo = tmp_path / "env"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: Path(fifo).write_text("MESSAGE=fifo"))
    writer.start()
    settings = load(with_sources(), _env_file=fifo, _volumes=kubelet_volume.path)
    writer.join()
    assert settings.message in ("fifo", "default")  # a release of pydantic-settings passes over what is no file
    assert settings.live.origin("message").kind in ("dotenv", "default")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_other_encodings(load, tmp_path, encoding):
    """K20: the same for other encodings, of the class and of the constructor."""
    (tmp_path / ".env").write_text("MESSAGE=é\n", encoding=encoding)
    named = with_sources(env_file=tmp_path / ".env", env_file_encoding=encoding)
    assert load(named).message == "é"
    assert load(with_sources(), _env_file=tmp_path / ".env", _env_file_encoding=encoding).message == "é"


def test_wrong_encoding(load, tmp_path):
    """K20: a .env file in another encoding is an error that names the file and `env_file_encoding`."""
    (tmp_path / ".env").write_text("MESSAGE=CANARY-é\n", encoding="latin-1")
    with pytest.raises(InvalidSettingsError) as caught:
        load(with_sources(), _env_file=tmp_path / ".env")
    assert f"{tmp_path}/.env: not utf-8 text (byte 15); set `env_file_encoding`" in str(caught.value)
    assert "CANARY" not in repr(caught.value.__context__) + repr(caught.value.__cause__) + str(caught.value)


def test_an_own_source_of_a_file(kubelet_volume, load, tmp_path):
    """K20: a source of a .env file that the hook makes is a .env file as well."""
    (tmp_path / "env").write_text("MESSAGE=x")
    cls = with_sources(lambda cls: DotEnvSettingsSource(cls, env_file=tmp_path / "env"))
    settings = load(cls, _volumes=kubelet_volume.path)
    assert (settings.message, settings.live.origin("message").kind) == ("x", "dotenv")


@pytest.mark.parametrize("config", [{"yaml_file": "app.yaml"}, {"secrets_nested_delimiter": "__"}, {"toml_file": "a"}])
def test_configuration_without_effect(config):
    """K22: a key of a source that the class does not use is warned of, as pydantic-settings does."""
    cls = with_sources(**config)
    with pytest.warns(UserWarning, match=next(iter(config))):
        cls().live.close()


# The command line


class Database(BaseModel):
    user: str = "nobody"
    password: SecretStr = SecretStr("none")


class Init(BaseModel):
    directory: str = "."

    def cli_cmd(self) -> None:
        ran.append(self.directory)


ran: list[str] = []


class Line(Settings):
    model_config = SettingsConfigDict(watch=False)
    port: int = 80
    message: str = "default"
    db: Database = Database()


class Required(Line):
    token: str


class Commands(Line):
    init: CliSubCommand[Init]

    def cli_cmd(self) -> None:
        CliApp.run_subcommand(self)


def test_cli_app(kubelet_volume, caplog):
    """K10: CliApp.run takes the command line, above the volumes; it is neither frozen nor warned of."""
    kubelet_volume.write({"port": "8000", "message": "volume", "db.user": "volume"})

    class App(Line):
        model_config = SettingsConfigDict(volumes=[kubelet_volume.path])

    settings = CliApp.run(App, cli_args=["--port", "9", "--db.user", "line"])
    assert (settings.port, settings.message, settings.db.user) == (9, "volume", "line")
    assert settings.live.origin("port").kind == settings.live.origin("db.user").kind == "init"
    assert [shadow.kind for shadow in settings.live.origin("port").shadows] == ["volume"]
    assert settings.live.status().frozen == ()
    assert lines(caplog) == []
    kubelet_volume.write({"port": "8001", "message": "moved on"})
    assert settings.live.reload()
    assert (settings.port, settings.message, settings.db.user) == (9, "moved on", "line")


def test_cli_app_and_a_required_field(kubelet_volume):
    """K10: a required field may come from the command line or from an argument; without it there is an error."""
    assert CliApp.run(Required, cli_args=["--token", "x"]).token == "x"
    assert CliApp.run(Required, cli_args=[], token="given").token == "given"
    with pytest.raises(InvalidSettingsError, match="token"):
        CliApp.run(Required, cli_args=[])


def test_cli_app_and_subcommands():
    """K10: subcommands are found and run."""
    ran.clear()
    settings = CliApp.run(Commands, cli_args=["--port", "9", "init", "--directory", "/x"])
    assert (settings.port, get_subcommand(settings).directory, ran) == (9, "/x", ["/x"])


def test_arguments_to_parse(kubelet_volume, load, monkeypatch):
    """K10: _cli_parse_args, cli_parse_args and sys.argv are parsed; names are compared as the class compares them."""
    kubelet_volume.write({"port": "8000"})
    assert load(Line, _volumes=kubelet_volume.path, _cli_parse_args=["--port=9"]).port == 9
    assert load(Line, _volumes=kubelet_volume.path, _cli_parse_args=["--PORT=9"]).port == 9
    assert load(Line, _volumes=kubelet_volume.path, _cli_parse_args=False).port == 8000

    class Always(Line):
        model_config = SettingsConfigDict(cli_parse_args=True)

    monkeypatch.setattr(sys, "argv", ["app", "--message", "line"])
    assert load(Always).message == "line"


@pytest.mark.parametrize("how", ["parsed", "by the constructor", "by CliApp"])
def test_a_source_in_the_hook(how, load):
    """K10: a CliSettingsSource in the hook stands where it was put, and is parsed where it was not yet."""

    class Placed(Line):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            arguments = ["--port", "9"] if how == "parsed" else None
            return init_settings, CliSettingsSource(settings_cls, cli_parse_args=arguments), env_settings

    if how == "by CliApp":
        settings = CliApp.run(Placed, cli_args=["--port", "9"])
    else:
        settings = load(Placed, **({} if how == "parsed" else {"_cli_parse_args": ["--port", "9"]}))
    assert (settings.port, settings.live.origin("port").kind) == (9, "init")
    assert settings.live.status().frozen == ()


def test_help(capsys):
    """K10: --help prints the fields and ends the program, as in pydantic-settings."""
    with pytest.raises(SystemExit) as caught:
        CliApp.run(Line, cli_args=["--help"])
    assert caught.value.code == 0
    assert "--port" in capsys.readouterr().out
