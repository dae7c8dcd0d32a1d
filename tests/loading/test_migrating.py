"""The differences from pydantic-settings: each row of docs/migrating.md that can be tested."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, JsonConfigSettingsSource

from liveconfig import InvalidSettingsError, LiveConfigError, Refusal, Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume, override


class App(Settings):
    model_config = SettingsConfigDict(watch=False)
    message: str = "default"


class Inner(BaseModel):
    host: str = "none"
    size: int = 0


# The object


def test_equality_of_objects(load):
    """A live object equals only itself; snapshots with the same values are equal."""
    one, other = load(App), load(App)
    assert one == one
    assert one != other
    assert one.live.snapshot() == other.live.snapshot()


def test_setattr_in_a_test(load, monkeypatch):
    """monkeypatch.setattr of a field is refused as any assignment, and `override` does the same work."""
    settings = load(App)
    with pytest.raises(ValidationError, match="override"):
        monkeypatch.setattr(settings, "message", "patched")
    with override(settings, message="patched"):
        assert settings.message == "patched"
    assert settings.message == "default"


def test_setenv_and_cache_clear(load, monkeypatch):
    """After setenv and cache_clear() a new object has the variable, and the old object keeps its values."""
    get_settings = functools.lru_cache(lambda: load(App))
    old = get_settings()
    monkeypatch.setenv("MESSAGE", "variable")
    assert get_settings() is old
    get_settings.cache_clear()
    assert (get_settings().message, old.message) == ("variable", "default")
    with override(old, message="overridden"):
        assert old.message == "overridden"


def test_a_cache_by_settings(load, kubelet_volume):
    """lru_cache knows a live object by its identity, and a snapshot by its values."""
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    length = functools.lru_cache(lambda given: given.message)
    assert (length(settings), length(settings.live.snapshot())) == ("one", "one")
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert (length(settings), length(settings.live.snapshot())) == ("one", "two")


def test_a_validator_that_returns_another_object(load):
    """A validator of the class that returns another object is ignored there, with a warning, and rejected here."""

    def other(self: Any) -> Any:
        return self.model_copy(update={"message": "other"})

    peer = type("Peer", (BaseSettings,), {"__annotations__": {"message": str}, "message": "default", "f": after(other)})
    ours = type("Ours", (App,), {"f": after(other)})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert peer().message == "default"
    assert len(warned) == 1
    with pytest.raises(InvalidSettingsError):
        load(ours)


def after(function: Callable[[Any], Any]) -> Any:
    return model_validator(mode="after")(function)


# Errors


class Needy(Settings):
    model_config = SettingsConfigDict(watch=False)
    number: int
    items: list[int] = []


@pytest.mark.parametrize("variables", [{"NUMBER": "CANARY"}, {}, {"NUMBER": "1", "ITEMS": "CANARY"}])
def test_the_error_of_invalid_settings(load, monkeypatch, variables):
    """Settings that are not valid raise InvalidSettingsError, a ValueError that is no ValidationError."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingsError) as caught:
        load(Needy)
    assert isinstance(caught.value, ValueError)
    assert not isinstance(caught.value, ValidationError)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(("error", "told"), [(ValueError, False), (AssertionError, False), (Refusal, True)])
def test_the_text_of_a_validator(load, error, told):
    """The text of a validator's error is left out; that of a Refusal is shown."""

    class Refusing(App):
        @field_validator("message")
        @classmethod
        def refuse(cls, value: str) -> str:
            raise error("choose another message")

    with pytest.raises(InvalidSettingsError) as caught:
        load(Refusing, message="x")
    assert ("choose another message" in str(caught.value)) is told


def test_unknown_names(load, monkeypatch, kubelet_volume):
    """Unknown names are ignored unless extra="forbid", which holds for documents and not for single keys."""
    strict = type("Strict", (App,), {"model_config": SettingsConfigDict(extra="forbid", documents=["app.yaml"])})
    kubelet_volume.write({"other": "x", "app.yaml": "message: one"})
    assert load(strict, _volumes=kubelet_volume.path).message == "one"
    kubelet_volume.write({"app.yaml": "other: x"})
    assert load(App, _volumes=kubelet_volume.path).message == "default"
    with pytest.raises(InvalidSettingsError, match="other: unknown name"):
        load(strict, _volumes=kubelet_volume.path)


# Sources


def test_secrets_dir():
    """`secrets_dir` is an error that says what to write, in the class and in the constructor."""
    with pytest.raises(LiveConfigError, match="`volumes`"):
        type("Secret", (App,), {"model_config": SettingsConfigDict(secrets_dir="/etc/secrets")})
    with pytest.raises(LiveConfigError, match="`_volumes`"):
        App(_secrets_dir="/etc/secrets")


@pytest.mark.parametrize(
    "option",
    [
        {"secrets_prefix": "x"},
        {"secrets_nested_delimiter": "__"},
        {"secrets_nested_subdir": True},
        {"secrets_case_sensitive": True},
        {"secrets_dir_missing": "ok"},
        {"secrets_dir_max_size": 1},
        {"yaml_file": "app.yaml"},
    ],
)
def test_options_without_effect(load, option):
    """An option of a source that the class does not use is warned of, as in pydantic-settings."""
    cls = type("Optional", (App,), {"model_config": SettingsConfigDict(**option)})
    with pytest.warns(UserWarning, match=next(iter(option))):
        load(cls)


def test_the_debug_variable(load, monkeypatch, caplog, canary):
    """PYDANTIC_SETTINGS_DEBUG has no effect: it would log values."""
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    monkeypatch.setenv("MESSAGE", canary)
    caplog.set_level("DEBUG")
    assert load(App).message == canary
    assert canary not in caplog.text


def test_the_name_of_the_volumes_among_sources(load, kubelet_volume):
    """A source finds what the volumes give under VolumesSource."""
    seen: dict[str, Any] = {}

    class Looking(JsonConfigSettingsSource):
        def __call__(self) -> dict[str, Any]:
            seen.update(self.settings_sources_data)
            return {}

    class Sourced(App):
        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, file_secret_settings, **others):  # type: ignore[override]
            return init_settings, file_secret_settings, Looking(settings_cls)

    kubelet_volume.write({"message": "x"})
    load(Sourced, _volumes=kubelet_volume.path)
    assert seen["VolumesSource"] == {"message": "x"}


# Keys and values

Ways = Callable[..., dict[str, Any]]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch, kubelet_volume: KubeletVolume, load: Any) -> Ways:
    """A function that gives a field in each way: a variable to both, a key and a document to liveconfig."""

    def read(annotation: Any, default: Any, name: str, text: str, document: Any = ..., **config: Any) -> dict[str, Any]:
        fields = {"__annotations__": {"f": annotation}, "__module__": __name__, "f": default}
        config = {"env_nested_delimiter": "__", **config}
        own = SettingsConfigDict(watch=False, documents=["app.json"], **config)  # type: ignore[typeddict-item]
        peer = type("Peer", (BaseSettings,), {**fields, "model_config": config})
        ours = type("Ours", (Settings,), {**fields, "model_config": own})
        found = {}
        with monkeypatch.context() as variables:
            variables.setenv(name.upper(), text)
            found["peer"], found["variable"] = value_of(peer), value_of(lambda: load(ours))
        payloads: list[tuple[str, Mapping[str, str]]] = [("key", {name: text})]
        if document is not ...:
            payloads.append(("document", {"app.json": json.dumps({"f": document})}))
        for way, payload in payloads:
            kubelet_volume.write(payload)
            found[way] = value_of(lambda: load(ours, _volumes=kubelet_volume.path))
        return found

    return read


def value_of(make: Callable[[], Any]) -> Any:
    try:
        return make().f
    except (ValidationError, InvalidSettingsError):
        return "refused"


def test_the_case_of_entries(ways):
    """A variable loses the case of the name of an entry; a key keeps it."""
    found = ways(dict[str, str], {}, "f__Team", "x")
    assert found == {"peer": {"team": "x"}, "variable": {"team": "x"}, "key": {"Team": "x"}}


def test_entries_of_any_type(ways):
    """An entry of dict[str, Any] is a text as a variable, and parsed as JSON as a key; dict[str, str] has texts."""
    assert ways(dict[str, Any], {}, "f__size", "5") == {
        "peer": {"size": "5"},
        "variable": {"size": "5"},
        "key": {"size": 5},
    }
    assert set(map(str, ways(dict[str, str], {}, "f__size", "5").values())) == {"{'size': '5'}"}


def test_unknown_names_in_entries(ways):
    """An unknown name in an entry makes an entry as a variable; as a key it feeds nothing."""
    made = {"acme": Inner()}
    assert ways(dict[str, Inner], {}, "f__acme__nope", "5") == {"peer": made, "variable": made, "key": {}}


@pytest.mark.parametrize(("name", "text"), [("f__a", "x"), ("f", '{"a": "x"}')])
def test_bytes_in_strict_classes(ways, name, text):
    """A strict class takes bytes in a mapping from a key and from a document, and not from a variable."""
    taken = {"a": b"x"}
    found = ways(dict[str, bytes], {}, name, text, {"a": "x"}, strict=True)
    assert found == {"peer": "refused", "variable": "refused", "key": taken, "document": taken}


def test_empty_texts(ways):
    """env_ignore_empty holds for variables and keys; an empty text in a structured document is a value."""
    found = ways(str, "default", "f", "", "", env_ignore_empty=True)
    assert found == {"peer": "default", "variable": "default", "key": "default", "document": ""}


def test_root_models_of_unions(ways):
    """A root model of a union takes a text from a variable and from a key, and the type that a document has."""
    found = {way: value.root for way, value in ways(RootModel[int | str], None, "f", "5", 5).items()}
    assert found == {"peer": "5", "variable": "5", "key": "5", "document": 5}


def test_partial_defaults_of_aliases(ways):
    """With populate_by_name, the default of a field with an alias is updated in part, as that of any other."""
    default = Field(Inner(host="x", size=6), validation_alias="ff")
    found = ways(Inner, default, "ff__size", "3", populate_by_name=True, nested_model_default_partial_update=True)
    updated = Inner(host="x", size=3)
    assert found == {"peer": Inner(size=3), "variable": updated, "key": updated}


@pytest.mark.parametrize("extra", ["ignore", "allow", "forbid"])
def test_aliases_inside_partial_defaults(ways, extra):
    """A default that is updated in part keeps the fields with an alias; none of them becomes an extra field."""

    class Renamed(BaseModel):
        model_config = ConfigDict(extra=extra)
        host: str = Field("none", alias="hostName")
        size: int = 0

    class Outer(BaseModel):
        model_config = ConfigDict(extra=extra)
        one: Renamed = Field(Renamed(hostName="a"), alias="first")
        several: list[Renamed] = Field([Renamed(hostName="b")], alias="others")
        by_name: dict[str, Renamed] = Field({"x": Renamed(hostName="c")}, alias="named")

    found = ways(
        Outer, Outer(), "f__first__size", "3", {"first": {"size": 3}}, nested_model_default_partial_update=True
    )
    updated = Outer(first=Renamed(hostName="a", size=3))
    assert found["peer"] != updated
    assert {way: value for way, value in found.items() if way != "peer"} == {
        "variable": updated,
        "key": updated,
        "document": updated,
    }


def test_parts_beside_a_path(ways):
    """A part of a mapping, under a name beside which the field has an AliasPath, is lost there and taken here."""
    default = Field({}, validation_alias=AliasChoices("ff", AliasPath("box", "in")))
    found = ways(dict[str, str], default, "ff__x", "1", extra="ignore")
    assert (found["peer"], found["key"]) == ({}, {"x": "1"})


class Boxed(BaseModel):
    value: str = Field("none", alias=AliasPath("box", "in"))


def test_json_of_a_path_where_aliases_have_the_prefix(ways):
    """If only aliases have the prefix, JSON for a nested AliasPath is decoded from a key, not from a variable."""
    found = ways(Boxed, Boxed(), "f__box", '{"in": "x"}', extra="ignore", env_prefix="app_", env_prefix_target="alias")
    assert (found["peer"].value, found["variable"].value, found["key"].value) == ("none", "none", "x")


def test_a_delimiter_that_fits_two_fields(load, monkeypatch, kubelet_volume):
    """With the delimiter `_` a variable feeds each field that it fits; a key feeds the one of its whole name."""

    class Fitting(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="_", watch=False)
        db_host: str = "none"
        db: Inner = Inner()

    kubelet_volume.write({"db_host": "x"})
    settings = load(Fitting, _volumes=kubelet_volume.path)
    assert (settings.db_host, settings.db.host) == ("x", "none")
    monkeypatch.setenv("DB_HOST", "x")
    settings = load(Fitting)
    assert (settings.db_host, settings.db.host) == ("x", "x")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of these classes are short: a variable of the machine is not to feed them."""
    for name in ("F", "FF", "MESSAGE", "NUMBER", "ITEMS"):
        monkeypatch.delenv(name, raising=False)
