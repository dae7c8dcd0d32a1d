"""The configuration of a class: keys, volumes, class arguments, bases, and `LIVECONFIG_VOLUMES`."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic_settings import BaseSettings

from liveconfig import InvalidSettingsError, LiveConfigError, Settings, SettingsConfigDict, Volume, VolumeError

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]


def make(**config: Any) -> type[Settings]:
    class Made(Settings):
        model_config = SettingsConfigDict(**config)
        message: str = "none"

    return Made


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "liveconfig" and each.levelno == level]


# Keys of the configuration


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("volume", "volumes"),
        ("from_enviroment", "from_environment"),
        ("document", "documents"),
        ("env_prefx", "env_prefix"),
        ("str_strip_whitespaces", "str_strip_whitespace"),
        ("yaml_fil", "yaml_file"),
    ],
)
def test_unknown_key(key, nearest):
    """K22: an unknown key of the configuration is an error when the class is made, and names the nearest."""
    with pytest.raises(LiveConfigError, match=f"unknown key `{key}` in model_config; did you mean '{nearest}'"):
        make(**{key: ["/etc/config"]})


def test_unknown_key_of_a_base():
    """K22: an unknown key that a mixin brings is an error of the class that takes it."""

    class Mixin(BaseModel):
        model_config = ConfigDict(resinc=5)  # type: ignore[typeddict-unknown-key]

    with pytest.raises(LiveConfigError, match="'resync'"):
        type("Mixed", (Mixin, Settings), {"__module__": __name__})


def test_known_keys():
    """K22: the keys of pydantic, of pydantic-settings and of its sources are known."""
    make(title="x", json_schema_extra={}, env_file=".env", cli_kebab_case=True, toml_table_header=("a",), volumes=())


@pytest.mark.parametrize(
    "config",
    [
        {"resync": 0},
        {"resync": "5"},
        {"resync": float("nan")},
        {"resync": True},
        {"stale_reminder": -1},
        {"watch": "no"},
        {"key_prefix": 5},
        {"missing_key": "falback"},
        {"documents": "app.yaml"},
        {"documents": [None]},
        {"documents": None},
        {"from_environment": "port"},
        {"from_environment": [""]},
    ],
)
def test_values_that_mean_nothing(config):
    """K22: a value that a key cannot have is an error when the class is made, and names the key."""
    with pytest.raises(LiveConfigError, match=f"Made: .*`?{next(iter(config))}"):
        make(**config)


@pytest.mark.parametrize("documents", ["app.yaml", 3, [3], [""]])
def test_documents_that_are_no_names(documents):
    """K22: `documents` that is no list of names is an error of the class, and nothing else is said of it."""
    with pytest.raises(LiveConfigError, match=r"`documents` (must be a list of names|contains .* not a name)"):
        make(documents=documents)


@pytest.mark.parametrize("name", ["live", "load"])
def test_reserved_names_of_a_mixin(name):
    """K28: a field with a name of liveconfig's is an error of the class, also where a mixin brings the field."""
    mixin = create_model("Mixin", **{name: (str, "x")})
    with pytest.raises(LiveConfigError, match=f"Mixed: a field cannot be called '{name}'"):
        type("Mixed", (mixin, Settings), {"__module__": __name__})


def test_class_arguments(kubelet_volume, load):
    """K22: configuration as class keyword arguments works, pydantic's own beside liveconfig's."""
    kubelet_volume.write({"message": "class argument"})

    class Given(Settings, volumes=[kubelet_volume.path], watch=False, env_prefix="", title="x"):
        message: str = "none"

    class Derived(Given, resync=5.0):
        pass

    settings = load(Derived)
    assert settings.message == "class argument"
    assert (Derived.model_config["resync"], Derived.model_config["watch"]) == (5.0, False)


@pytest.mark.parametrize(
    ("argument", "nearest"), [("volume", "volumes"), ("watched", "watch"), ("env_prefx", "env_prefix")]
)
def test_unknown_class_argument(argument, nearest):
    """K22: an unknown class keyword argument is an error and names the nearest."""
    with pytest.raises(LiveConfigError, match=f"unknown class argument `{argument}`; did you mean '{nearest}'"):
        type(Settings)("Made", (Settings,), {"__module__": __name__, "__qualname__": "Made"}, **{argument: 1})


def test_class_arguments_of_a_mixin():
    """K22: a class keyword argument that another base takes reaches it."""

    class Tagged:
        tag = ""

        def __init_subclass__(cls, tag: str = "", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            cls.tag = tag

    class Made(Settings, Tagged, tag="found", watch=False):
        pass

    assert (Made.tag, Made.model_config["watch"]) == ("found", False)


# Arguments of the constructor


@pytest.mark.parametrize(
    ("argument", "nearest"),
    [("_volume", "_volumes"), ("_whatch", "_watch"), ("_env_fil", "_env_file"), ("_wiat", "_wait")],
)
@pytest.mark.parametrize("how", ["constructor", "load"])
def test_unknown_argument(argument, nearest, how):
    """K22: an unknown argument with an underscore is an error and names the nearest."""
    cls = make(volumes=["/nowhere"])
    with pytest.raises(LiveConfigError, match=f"unknown argument `{argument}`; did you mean '{nearest}'"):
        (cls if how == "constructor" else cls.load)(**{argument: ["/etc/config"]})


@pytest.mark.parametrize("argument", ["_documents", "_resync", "_key_prefix", "_missing_key"])
def test_argument_of_the_configuration(argument):
    """K22: an argument that is a key of the configuration is an error that says where it belongs."""
    with pytest.raises(LiveConfigError, match=f"unknown argument `{argument}`: set `{argument[1:]}` in model_config"):
        make()(**{argument: "x"})


class Given(Settings):
    model_config = SettingsConfigDict(watch=False)
    message: str = "none"
    aliased: str = Field("none", alias="theAlias")


@pytest.mark.parametrize(("argument", "near"), [("mesage", "message"), ("theAlais", None), ("zzz", None)])
def test_argument_that_names_no_field(load, caplog, argument, near):
    """K22: an argument that names no field is warned of, with the nearest field; its value is not shown."""
    load(Given, **{argument: "CANARY"})
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"the argument `{argument}` names no field and is ignored" in line
    assert ("did you mean" in line) is (near is not None)
    assert near is None or f"`{near}`" in line
    assert "CANARY" not in line


def test_arguments_that_a_validator_takes(load, caplog):
    """K22: an argument that a validator of the whole input may use is not warned of; nor is one by an alias."""

    class Taking(Given):
        @model_validator(mode="before")
        @classmethod
        def take(cls, data: dict[str, Any]) -> dict[str, Any]:
            return {"message": data.pop("text", "none"), **data}

    assert load(Taking, text="x").message == "x"
    assert load(Given, theAlias="x").aliased == "x"
    assert caplog.records == []


def test_an_alias_with_an_underscore(load):
    """K22: an argument with an underscore that is the alias of a field is no unknown one."""

    class Aliased(Settings):
        identity: str = Field("none", alias="_id")

    assert load(Aliased, _watch=False, _id="given").identity == "given"


@pytest.mark.parametrize("argument", [{"_wait": -1}, {"_wait": "5"}, {"_watch": "no"}])
def test_arguments_that_mean_nothing(argument):
    """K22: a value that an argument cannot have is an error."""
    with pytest.raises(LiveConfigError, match=next(iter(argument))):
        make()(**argument)


# Volumes


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        ("", "empty path"),
        ([""], "empty path"),
        ([Volume("")], "empty path"),
        (None, "contains None"),
        (["/etc/config", None], "contains None"),
        ([5], "type int"),
        ("  ", "empty path"),
        (b"/etc/config", "type bytes"),
        (["/etc/\0config"], "null character"),
    ],
)
def test_volumes_that_are_none(volumes, said):
    """K08: an empty path or None in `volumes` is an error with advice, in the class and in the constructor."""
    with pytest.raises(LiveConfigError, match=f"{said}.*name the directory"):
        make(volumes=volumes)
    if volumes is not None:
        with pytest.raises(LiveConfigError, match=f"{said}.*name the directory"):
            make()(_volumes=volumes)


@pytest.mark.parametrize("required", [None, False, True])
def test_volume_that_is_a_file(tmp_path, required):
    """K08: a volume whose path is a file is an error that names the directory and the document."""
    file = tmp_path / "app.yaml"
    file.write_text("message: x")
    cls = make(volumes=[Volume(file, required=required)])
    with pytest.raises(VolumeError) as caught:
        cls()
    assert f"name the directory {tmp_path}" in str(caught.value)
    assert 'documents=["app.yaml"]' in str(caught.value)


def test_volume_that_is_a_file_without_an_ending(tmp_path):
    """K08: the advice gives a format for a file with an unknown ending."""
    (tmp_path / "config").write_text("message: x")
    with pytest.raises(VolumeError, match=r'documents=\{"config": "yaml"\}'):
        make()(_volumes=tmp_path / "config")


def test_no_volumes(load):
    """K08: no volumes at all are no error."""
    for volumes in ((), []):
        assert load(make(volumes=volumes)).message == "none"


# Bases


def paths(cls: type[Settings]) -> list[str]:
    return [each.path if isinstance(each, Volume) else str(each) for each in cls.model_config["volumes"]]


class Logging(Settings):
    model_config = SettingsConfigDict(volumes=["/logging"], documents=["a.yaml"], from_environment=["level"])
    level: str = "info"


class Database(Settings):
    model_config = SettingsConfigDict(volumes=[Volume("/db", secret=True)], documents={"b": "json"})
    host: str = "none"


class Plain(Settings):
    pass


def test_bases_are_merged(make_kubelet_volume, load):
    """K27: the volumes of two bases are both read, and the most derived base is the strongest."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"level": "debug", "host": "weak"})
    other.write({"host": "db-1", "level": "weak"})

    class One(Settings):
        model_config = SettingsConfigDict(volumes=[one.path], watch=False)
        level: str = "info"

    class Other(Settings):
        model_config = SettingsConfigDict(volumes=[other.path], watch=False)
        host: str = "none"

    class App(One, Other):
        pass

    class Reversed(Other, One):
        pass

    settings, other_way = load(App), load(Reversed)
    assert (settings.level, settings.host) == ("debug", "weak")
    assert (other_way.level, other_way.host) == ("weak", "db-1")
    assert [each.path for each in settings.live.status().volumes] == [str(other.path), str(one.path)]


def test_a_volume_of_two_bases_stays_secret_and_required():
    """K27: a volume that one base declares secret or required is that in a class of both, in either order."""
    path = "/etc/shared"

    class Strict(Settings):
        model_config = SettingsConfigDict(volumes=[Volume(path, secret=True, required=True)])

    class Loose(Settings):
        model_config = SettingsConfigDict(volumes=[f"{path}/"])

    class Absent(Settings):
        model_config = SettingsConfigDict(volumes=[Volume(path, required=False)])

    for bases in ((Strict, Loose), (Loose, Strict)):
        [volume] = type("App", bases, {"__module__": __name__}).model_config["volumes"]
        assert (volume.secret, volume.required) == (True, True)
    [volume] = type("App", (Absent, Strict), {"__module__": __name__}).model_config["volumes"]
    assert (volume.secret, volume.required) == (True, False)


def test_documents_and_names_of_bases_are_merged():
    """K27: documents and from_environment of bases are merged as volumes are; a base without any changes nothing."""

    class App(Logging, Plain, Database):
        pass

    assert paths(App) == ["/db", "/logging"]
    assert App.model_config["documents"] == {"b": "json", "a.yaml": None}
    assert tuple(App.model_config["from_environment"]) == ("level",)

    class Last(Logging, Plain):
        pass

    assert paths(Last) == ["/logging"]


def test_a_diamond():
    """K27: a volume of a common base comes once and is the weakest, whatever the bases between add."""

    class Common(Settings):
        model_config = SettingsConfigDict(volumes=["/common"])

    class Left(Common):
        model_config = SettingsConfigDict(volumes=["/common", "/left"])

    class Right(Common):
        pass

    class App(Left, Right, Database):
        pass

    assert paths(App) == ["/db", "/common", "/left"]


def test_a_volume_that_a_base_replaced():
    """K27: a volume that one of the bases has replaced by its own does not come back when bases are merged."""

    class Replaced(Settings):
        model_config = SettingsConfigDict(volumes=["/replaced"])

    class Own(Replaced):
        model_config = SettingsConfigDict(volumes=["/own"])

    class App(Own, Database):
        pass

    assert paths(App) == ["/db", "/own"]


def test_own_volumes_replace_those_of_a_base(load, caplog):
    """K27: a class that names its own volumes has these alone, and is warned of those that it drops, once."""

    class App(Logging, Database):
        model_config = SettingsConfigDict(volumes=["/own", "/db"], watch=False)

    settings = load(App)
    assert [each.path for each in settings.live.status().volumes] == ["/own", "/db"]
    (line,) = [each for each in lines(caplog, logging.WARNING) if "/logging" in each]
    assert "App" in line
    settings.live.reload()
    assert len([each for each in lines(caplog, logging.WARNING) if "/logging" in each]) == 1


# Types that are not there


def test_a_type_that_is_missing():
    """K28: a class with a type that is only imported for type checkers says which type is missing."""

    class App(Settings):
        thing: Missing | None = None

    with pytest.raises(LiveConfigError, match=r"App: .*the type 'Missing' is not known.*TYPE_CHECKING"):
        App()


def test_a_type_that_is_missing_deep_inside():
    """K28: the same for a type that a nested model names."""

    class Inner(BaseModel):
        thing: Missing

    class App(Settings):
        inner: list[Inner] = []

    with pytest.raises(LiveConfigError, match="'Missing'"):
        App()


class EarlyApp(Settings):
    thing: LaterThing | None = None


class LaterThing(BaseModel):
    x: int = 1


def test_a_type_that_comes_later(load):
    """K28: a type that is defined after the class is no error."""
    assert load(EarlyApp, _watch=False).thing is None


# LIVECONFIG_VOLUMES


@pytest.fixture
def declared(make_kubelet_volume):
    """A class with two volumes that are not there, of which the second is secret and required."""
    config, secrets = make_kubelet_volume("config"), make_kubelet_volume("secrets")
    config.write({"message": "hello"})
    secrets.write({"password": "right"})

    class App(Settings):
        model_config = SettingsConfigDict(
            volumes=["/nowhere/config", Volume("/nowhere/secrets/", required=True, secret=True)], watch=False
        )
        message: str = "none"
        password: str = "none"

    return App, config, secrets


def test_pairs_replace_single_volumes(declared, load, monkeypatch):
    """A pair replaces one declared volume, which keeps `secret` and `required`; paths are compared after normpath."""
    cls, config, secrets = declared
    monkeypatch.setenv("LIVECONFIG_VOLUMES", f"/nowhere//config/={config.path}:/nowhere/secrets={secrets.path}")
    settings = load(cls)
    assert (settings.message, settings.password) == ("hello", "right")
    assert "right" not in repr(settings)
    monkeypatch.setenv("LIVECONFIG_VOLUMES", f"/nowhere/config={config.path}")
    with pytest.raises(VolumeError, match="/nowhere/secrets is required"):
        cls()


def test_a_relative_path_in_a_pair(declared, load, monkeypatch):
    """The path after `=` may be relative to the working directory."""
    cls, config, _ = declared
    monkeypatch.chdir(config.path.parent)
    monkeypatch.setenv("LIVECONFIG_VOLUMES", "/nowhere/config=./config:/nowhere/secrets=secrets")
    assert load(cls).message == "hello"


def test_an_argument_beats_the_variable(declared, load, monkeypatch, make_kubelet_volume):
    """`_volumes=` is stronger than the variable."""
    cls, config, _ = declared
    given = make_kubelet_volume("given")
    given.write({"message": "given"})
    for value in (f"/nowhere/config={config.path}", str(config.path)):
        monkeypatch.setenv("LIVECONFIG_VOLUMES", value)
        assert load(cls, _volumes=given.path).message == "given"


def test_a_pair_for_another_class(declared, load, monkeypatch, caplog, tmp_path):
    """A pair for a volume that a class does not declare is ignored: INFO, and one WARNING if no class declares it."""
    caplog.set_level(logging.INFO, "liveconfig")
    cls, _, secrets = declared
    other = make(volumes=[tmp_path / "declared-elsewhere"])
    mine = f"/nowhere/secrets={secrets.path}"
    monkeypatch.setenv("LIVECONFIG_VOLUMES", f"{mine}:{tmp_path}/declared-elsewhere=x:{tmp_path}/typing-error=y")
    load(cls)
    load(cls)
    ignored = [each for each in lines(caplog, logging.INFO) if "ignored the pair" in each]
    assert all("App: " in each for each in ignored)
    assert {each.split()[5] for each in ignored} == {f"{tmp_path}/declared-elsewhere", f"{tmp_path}/typing-error"}
    (warning,) = [each for each in lines(caplog, logging.WARNING) if "no settings class" in each]
    assert f"{tmp_path}/typing-error" in warning
    assert other is not None


def test_a_pair_beside_a_class_of_another_library(declared, load, monkeypatch, caplog, tmp_path):
    """A pair that no class declares is warned of, though a class that liveconfig did not check has odd volumes."""
    foreign = type("Foreign", (BaseSettings,), {"__module__": __name__, "model_config": {"volumes": [3]}})
    cls, config, secrets = declared
    pairs = f"/nowhere/secrets={secrets.path}:{tmp_path}/of-no-class={config.path}"
    monkeypatch.setenv("LIVECONFIG_VOLUMES", pairs)
    assert load(cls).password == "right"
    assert any(f"{tmp_path}/of-no-class" in each for each in lines(caplog, logging.WARNING))
    assert foreign is not None


def test_a_path_that_is_missing(monkeypatch, tmp_path):
    """K26: where the variable names a directory that is missing, the error says to create it or correct the variable."""

    class App(Settings):
        model_config = SettingsConfigDict(watch=False)
        message: str

    monkeypatch.setenv("LIVECONFIG_VOLUMES", str(tmp_path / "missing"))
    with pytest.raises(InvalidSettingsError, match="Create it, or correct LIVECONFIG_VOLUMES"):
        App()


def test_a_pair_that_is_missing(make_kubelet_volume, monkeypatch):
    """K26: where the variable has no pair for the missing volume, the error says which pair to add."""
    volume = make_kubelet_volume("config")
    volume.write({"message": "hello"})

    class App(Settings):
        model_config = SettingsConfigDict(volumes=["/nowhere/shop/config"], watch=False)
        message: str

    monkeypatch.setenv("LIVECONFIG_VOLUMES", f"/nowhere/config={volume.path}")
    with pytest.raises(InvalidSettingsError) as failure:
        App()
    assert "give LIVECONFIG_VOLUMES a pair for it, such as /nowhere/shop/config=./config" in str(failure.value)


def test_a_replacement_that_is_missing(declared, load, monkeypatch, caplog, tmp_path):
    """The warning that the variable is set names the directories that are missing: a typing error on a laptop."""
    cls, config, secrets = declared
    for place, said in ((config.path, "secrets"), (tmp_path / "cofig", f"; no such directory: {tmp_path / 'cofig'}")):
        monkeypatch.setenv("LIVECONFIG_VOLUMES", f"/nowhere/config={place}:/nowhere/secrets={secrets.path}")
        caplog.clear()
        load(cls)
        (warning,) = [each for each in lines(caplog, logging.WARNING) if "LIVECONFIG_VOLUMES is set" in each]
        assert warning.endswith(said)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("/a=./a:./b", "both pairs"),
        ("/b:/a=./a", "both pairs"),
        ("/a=", "without a path"),
        ("/a=./x:/a/=./y", "twice"),
    ],
)
def test_a_variable_that_means_nothing(declared, monkeypatch, value, said):
    """Pairs and plain paths in one variable are an error, and so is a pair without a path or a path named twice."""
    monkeypatch.setenv("LIVECONFIG_VOLUMES", value.replace(":", os.pathsep))
    with pytest.raises(LiveConfigError, match=f"LIVECONFIG_VOLUMES .*{said}"):
        declared[0]()


def test_a_path_with_an_equals_sign(make_kubelet_volume, load, monkeypatch):
    """A relative path with `=` in its name is a path, not a pair."""
    volume = make_kubelet_volume("a=b")
    volume.write({"message": "found"})
    monkeypatch.chdir(volume.path.parent)
    monkeypatch.setenv("LIVECONFIG_VOLUMES", "a=b")
    assert load(make(volumes=["/nowhere"], watch=False)).message == "found"


# Waiting for a valid configuration


class Needy(Settings):
    model_config = SettingsConfigDict(watch=False)
    message: str


@pytest.mark.parametrize("how", ["volume appears", "key appears", "key becomes valid"])
def test_wait(tmp_path, make_kubelet_volume, load, how):
    """`_wait` waits for a required volume, for a required key, and for a value that is valid."""

    class Number(Needy):
        number: int = 0

    volume = make_kubelet_volume("late")
    path = volume.path
    if how == "volume appears":
        path = tmp_path / "link"
    elif how == "key becomes valid":
        volume.write({"message": "x", "number": "no number"})

    def write() -> None:
        volume.write({"message": "here", "number": "5"})
        if how == "volume appears":
            Path(path).symlink_to(volume.path)

    timer = threading.Timer(0.2, write)
    timer.start()
    settings = load(Number, _volumes=Volume(path, required=True), _wait=30)
    timer.join()
    assert (settings.message, settings.number) == ("here", 5)


@pytest.mark.parametrize(("required", "error"), [(True, VolumeError), (None, InvalidSettingsError)])
def test_wait_is_over(tmp_path, required, error):
    """When the time of `_wait` is over, what would have been raised at once is raised."""
    with pytest.raises(error):
        Needy(_volumes=Volume(tmp_path / "nowhere", required=required), _wait=0.2)


def test_wait_for_nothing(kubelet_volume, load):
    """A valid configuration is not waited for."""
    kubelet_volume.write({"message": "here"})
    assert load(Needy, _volumes=kubelet_volume.path, _wait=1e6).message == "here"
