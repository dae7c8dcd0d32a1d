"""Feeds and all other sources together -> an instance: what pydantic-settings' users know holds here too."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, NewType

import pydantic.dataclasses
import pytest
from pydantic import AliasPath, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import CliSettingsSource, NoDecode

from liveconfig import InvalidSettingsError, LiveConfigError, Settings, SettingsConfigDict, Volume


class Database(BaseModel):
    user: str = "nobody"
    port: int = 0


@pytest.fixture
def read(kubelet_volume, load):
    """A function that puts keys on a volume and reads it as a settings class."""

    def read(cls, payload):
        kubelet_volume.write(payload)
        return load(cls, _volumes=kubelet_volume.path, _watch=False)

    return read


def test_before_validators_may_change_their_data(make_kubelet_volume, load):
    """A validator that changes its input does not change the data of the next load."""

    class Greedy(Settings):
        db: Database = Database()
        words: list[str] = Field([])
        message: str = "none"
        other: str = "none"

        @model_validator(mode="before")
        @classmethod
        def take(cls, data: dict[str, Any]) -> dict[str, Any]:
            data["message"] = data.pop("message") + "!"
            data["db"]["port"] = int(data["db"].pop("port")) + 1
            data["words"].append("added")
            return data

    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"message": "hello", "db": '{"port": 1}', "words": '["first"]'})
    other.write({"other": "1"})
    settings = load(Greedy, _volumes=[one.path, other.path], _watch=False)
    for number in range(2, 5):
        other.write({"other": str(number)})
        assert settings.live.reload()
        assert (settings.message, settings.db.port, settings.words) == ("hello!", 2, ["first", "added"])
        assert settings.other == str(number)


def test_before_validators_and_the_environment(kubelet_volume, load, monkeypatch):
    """Nor does it reach what was read of the environment."""

    class Greedy(Settings):
        db: Database = Database()
        other: str = "none"

        @field_validator("db", mode="before")
        @classmethod
        def take(cls, value: Any) -> Any:
            return {"port": value.pop("port", 99)} if isinstance(value, dict) else value

    monkeypatch.setenv("DB", '{"port": 1}')
    kubelet_volume.write({"other": "1"})
    settings = load(Greedy, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"other": "2"})
    assert settings.live.reload()
    assert settings.db.port == 1


def test_values_that_a_program_changes(make_kubelet_volume, load):
    """A mutable value that was changed in place has the written value again after the next load."""

    class Loose(Settings):
        model_config = SettingsConfigDict(documents=["app.json"])
        anything: Any = None
        other: str = "none"

    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"app.json": '{"anything": {"inner": [1]}}'})
    other.write({"other": "1"})
    settings = load(Loose, _volumes=[one.path, other.path], _watch=False)
    settings.anything["inner"].append(2)
    other.write({"other": "2"})
    assert settings.live.reload()
    assert settings.anything == {"inner": [1]}


def test_no_decode(read):
    """A field with NoDecode gets the text, and a validator may take it apart."""

    class Split(Settings):
        words: Annotated[list[str], NoDecode] = Field([])

        @field_validator("words", mode="before")
        @classmethod
        def split(cls, value: Any) -> Any:
            return value.split(",") if isinstance(value, str) else value

    assert read(Split, {"words": "a,b\n"}).words == ["a", "b"]


def test_decoding_disabled(read):
    """With enable_decoding=False no field takes JSON, as with variables."""

    class Undecoded(Settings):
        model_config = SettingsConfigDict(enable_decoding=False)
        words: Any = None
        numbers: list[int] = Field([])

        @field_validator("numbers", mode="before")
        @classmethod
        def split(cls, value: Any) -> Any:
            return value.split(",") if isinstance(value, str) else value

    assert read(Undecoded, {"numbers": "1,2"}).numbers == [1, 2]


@pytest.mark.parametrize(("partial", "user"), [(True, "special"), (False, "nobody")])
def test_partial_default(read, partial, user):
    """nested_model_default_partial_update keeps the rest of a default model when a key feeds a part of it."""

    class Partial(Settings):
        model_config = SettingsConfigDict(nested_model_default_partial_update=partial)
        db: Database = Database(user="special")

    assert read(Partial, {"db.port": "5"}).db == Database(user=user, port=5)


@pytest.mark.parametrize(
    ("config", "by_alias", "by_name"),
    [
        ({}, True, False),
        ({"populate_by_name": True}, True, True),
        ({"validate_by_name": True}, True, True),
        ({"validate_by_alias": False}, False, True),
        ({"validate_by_name": True, "validate_by_alias": False}, False, True),
    ],
)
@pytest.mark.parametrize(("alias", "name"), [("rootPassword", "root_password"), ("db/poolSize", "db/pool_size")])
def test_alias_generator(read, config, by_alias, by_name, alias, name):
    """K30: a field with an alias is fed by its alias and by its name as pydantic takes them, at each depth."""

    class Pool(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, **config)
        pool_size: str = "none"

    class Camel(Settings):
        model_config = SettingsConfigDict(alias_generator=to_camel, **config)
        root_password: str = "none"
        db: Pool = Pool()

    for key, feeds in ((alias, by_alias), (name, by_name)):
        settings = read(Camel, {key: "found"})
        assert ("found" in (settings.root_password, settings.db.pool_size)) is feeds
        assert [unused.key for unused in settings.live.status().unused_keys] == ([] if feeds else [key])


def test_strict(read):
    """In a strict class simple fields take the text of a key, as they take that of a variable."""

    class Strict(Settings):
        model_config = SettingsConfigDict(strict=True)
        number: int = 0
        flag: bool = False
        text: str = ""

    settings = read(Strict, {"number": "5", "flag": "true", "text": "5"})
    assert (settings.number, settings.flag, settings.text) == (5, True, "5")


@pytest.mark.parametrize("key", ["words/a", "words.a", "words__a"])
@pytest.mark.parametrize("content", ["5", "true", "null", '{"x": 1}', "[1]", '"quoted"', "word"])
def test_entries_of_texts(read, key, content):
    """An entry of a mapping of texts is the text, whatever it would be as JSON."""

    class Words(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="__")
        words: dict[str, str] = Field({})
        secrets: dict[str, SecretStr] = Field({})

    assert read(Words, {key: f"{content}\n"}).words == {"a": content}
    assert read(Words, {"secrets/a": content}).secrets["a"].get_secret_value() == content


def test_entries_of_other_types(read):
    """An entry of a mapping of bytes is the bytes; of numbers and models what they take."""

    class Mixed(Settings):
        raw: dict[str, bytes] = Field({})
        numbers: dict[str, int] = Field({})
        models: dict[str, Database] = Field({})
        anything: dict[str, Any] = Field({})

    settings = read(
        Mixed,
        {"raw/a": b"\xff\n", "numbers/a": "5\n", "models/a": '{"port": 5}', "anything/a": "[1]", "anything/b": "x"},
    )
    assert settings.raw == {"a": b"\xff\n"}
    assert settings.numbers == {"a": 5}
    assert settings.models == {"a": Database(port=5)}
    assert settings.anything == {"a": [1], "b": "x"}


def test_empty_entries_ignored(read):
    """With env_ignore_empty an empty entry of a mapping counts as absent, as an empty key does."""

    class Ignoring(Settings):
        model_config = SettingsConfigDict(env_ignore_empty=True)
        words: dict[str, str] = Field({})

    assert read(Ignoring, {"words/a": "", "words/b": "x"}).words == {"b": "x"}


def test_deep_json(read):
    """A key whose JSON is nested beyond reason is refused, whatever Python's limits are."""

    class Loose(Settings):
        anything: dict[str, Any] | list[Any] = Field([])

    for depth in (150, 900, 5_000):
        with pytest.raises(InvalidSettingsError, match="anything"):
            read(Loose, {"anything": "[" * depth + "]" * depth, "number": "1"})


Password = NewType("Password", SecretStr)
Raw = NewType("Raw", bytes)


def test_new_types(read, kubelet_volume, canary):
    """A NewType counts as what it is made of: bytes are bytes, and a secret that vanishes is rejected."""

    class New(Settings):
        password: Password = Password(SecretStr("none"))
        raw: Raw = Raw(b"")

    settings = read(New, {"password": canary, "raw": b"\xff\n"})
    assert settings.raw == b"\xff\n"
    kubelet_volume.write({})
    assert not settings.live.reload()
    assert settings.live.status().last_rejected.fields == ("password",)


@pydantic.dataclasses.dataclass
class Point:
    x: int = 0
    y: int = 0


@dataclasses.dataclass
class Standard:
    x: int = 0


def test_dataclasses(read):
    """Keys reach into pydantic's dataclasses; the standard library's take JSON."""

    class Shapes(Settings):
        point: Point = Point()
        standard: Standard = Standard()

    settings = read(Shapes, {"point.x": "1", "point/y": "2", "standard": '{"x": 3}'})
    assert settings.point == Point(1, 2)
    assert settings.standard == Standard(3)


@pytest.mark.parametrize(
    "config",
    [{"documents": "app.yaml"}, {"from_environment": "port"}, {"missing_key": "rejct"}],
)
def test_senseless_configuration(config):
    """A text in place of a list of texts, or an unknown option, is an error when the class is created."""
    with pytest.raises(LiveConfigError, match=next(iter(config))):
        type("Senseless", (Settings,), {"model_config": SettingsConfigDict(**config), "__module__": __name__})


def test_volume_is_a_value():
    """A Volume compares, hashes, prints and pickles as the value that it is, and cannot be changed."""
    volume = Volume("/etc/config", required=True, secret=True)
    assert volume == Volume("/etc/config", required=True, secret=True) != Volume("/etc/config")
    assert len({volume, Volume("/etc/config", required=True, secret=True)}) == 1
    assert pickle.loads(pickle.dumps(volume)) == volume
    assert repr(volume) == "Volume(path='/etc/config', required=True, secret=True)"
    with pytest.raises(AttributeError):
        volume.path = "/other"
    with pytest.raises(TypeError):
        Volume("/etc/config", True)


def test_many_threads(kubelet_volume, load):
    """One class can be loaded and reloaded in many threads at once."""

    class Wide(Settings):
        db: Database = Database()
        words: dict[str, str] = Field({})

    kubelet_volume.write({"db.port": "1", **{f"words/{number}": "x" for number in range(50)}})
    start = threading.Barrier(8)

    def run(number):
        start.wait()
        for _ in range(10):
            settings = Wide(_volumes=kubelet_volume.path)
            assert settings.live.reload()
            assert len(settings.words) == 50
            settings.live.close()
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == list(range(8))


def test_a_validator_that_gives_another_object(read):
    """A model validator that puts another object in the place of the settings is refused by name of the fault."""

    class Other(Settings):
        message: str = "none"

        @model_validator(mode="wrap")
        @classmethod
        def other(cls, data: Any, handler: Any) -> Any:
            return handler(data).model_copy()

    with pytest.raises(InvalidSettingsError, match="a model validator returned another object than self"):
        read(Other, {"message": "hello"})


def test_a_person_interrupts_a_validator(kubelet_volume, read):
    """Ctrl-C inside a validator raises KeyboardInterrupt, and the values in use stay."""

    class Interrupted(Settings):
        message: str = "none"

        @field_validator("message")
        @classmethod
        def check(cls, message: str) -> str:
            if message == "slow":
                raise KeyboardInterrupt
            return message

    settings = read(Interrupted, {"message": "one"})
    kubelet_volume.write({"message": "slow"})
    with pytest.raises(KeyboardInterrupt):
        settings.live.reload()
    assert settings.message == "one"
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"


def test_secrets_inside_the_items_of_a_list(kubelet_volume, read):
    """A field whose items hold secrets counts as a secret: its key may not vanish."""

    class Account(BaseModel):
        name: str
        token: SecretStr
        others: list[Account] = Field([])

    class Bank(Settings):
        accounts: list[Account] = Field([])

    settings = read(Bank, {"accounts": '[{"name": "a", "token": "CANARY-00000000-1"}]'})
    kubelet_volume.write({})
    assert not settings.live.reload()
    assert len(settings.accounts) == 1


def test_a_model_becomes_null_as_a_whole(kubelet_volume, read):
    """A key for the whole of a model takes the place of the key for a secret inside it: nothing has vanished."""

    class Login(BaseModel):
        user: str = "nobody"
        password: SecretStr = SecretStr("none")

    class Optional(Settings):
        db: Login | None = None

    settings = read(Optional, {"db.password": "CANARY-00000000-1"})
    kubelet_volume.write({"db": "null"})
    assert settings.live.reload()
    assert settings.db is None


def test_an_entry_that_the_volume_did_not_decide(kubelet_volume, load, monkeypatch):
    """If the environment is above the volumes, the removal of an entry below it has no effect."""

    class Above(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="__", missing_key="reject")
        labels: dict[str, str] = Field({})
        message: str = "none"

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return init_settings, env_settings, dotenv_settings, file_secret_settings

    monkeypatch.setenv("LABELS", '{"tier": "environment"}')
    kubelet_volume.write({"labels.tier": "volume", "message": "one"})
    settings = load(Above, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert (settings.labels, settings.message) == ({"tier": "environment"}, "two")


class TestCommandLine:
    class App(Settings):
        message: str = "none"

    def test_a_source_that_the_caller_made(self, kubelet_volume, load):
        """A given source for the command line is above all others, as in pydantic-settings."""
        kubelet_volume.write({"message": "volume"})
        source = CliSettingsSource(self.App, cli_parse_args=["--message", "line"])
        assert load(self.App, _volumes=kubelet_volume.path, _watch=False, _cli_settings_source=source).message == "line"

    def test_a_source_that_the_class_places(self, kubelet_volume, load):
        """A class that places the command line itself has it where it put it, and only there."""

        class Placed(self.App):
            @classmethod
            def settings_customise_sources(
                cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
            ):
                line = CliSettingsSource(settings_cls, cli_parse_args=["--message", "line"])
                assert file_secret_settings() == {}
                assert file_secret_settings.get_field_value(None, "message") == (None, "message", False)
                return file_secret_settings, line, init_settings, env_settings

        kubelet_volume.write({"message": "volume"})
        settings = load(Placed, _volumes=kubelet_volume.path, _watch=False)
        assert settings.message == "volume"
        kubelet_volume.write({})
        assert settings.live.reload()
        assert settings.message == "line"


@dataclasses.dataclass
class Limits:
    size: int = 1
    most: ClassVar[int] = 3


class Looking(BaseModel):
    user: str = Field("none", validation_alias=AliasPath("login", "user"))


class Inside(Settings):
    model_config = SettingsConfigDict(watch=False, documents=["app.yaml"])
    message: str = "none"
    limits: Limits = Limits()
    looking: Looking = Looking()


def test_a_class_variable_of_a_dataclass(kubelet_volume, load):
    """A class variable of a dataclass is no field, and a key of its name feeds nothing."""
    kubelet_volume.write({"limits.size": "2", "limits.most": "9"})
    settings = load(Inside, _volumes=kubelet_volume.path)
    assert (settings.limits.size, settings.limits.most) == (2, 3)


def test_an_alias_path_inside_a_model(kubelet_volume, load):
    """A field of a nested model that looks inside another value finds it there, beside names that are numbers."""
    kubelet_volume.write({"app.yaml": "1: one\nmessage: two\nlooking: {1: one, login: {user: app}}"})
    settings = load(Inside, _volumes=kubelet_volume.path)
    assert (settings.message, settings.looking.user) == ("two", "app")
