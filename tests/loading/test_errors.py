"""The content of errors: the place, the key, the expected value, the nearest name; never a value."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import re
import uuid
import zoneinfo
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args

import pytest
import yaml
from annotated_types import Not, Predicate
from pydantic import (
    UUID4,
    AliasChoices,
    AliasPath,
    AwareDatetime,
    Base64Str,
    BaseModel,
    ByteSize,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    HttpUrl,
    ImportString,
    IPvAnyNetwork,
    Json,
    NewPath,
    PastDate,
    PostgresDsn,
    RedisDsn,
    Secret,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ErrorType
from pydantic_settings import NoDecode

from liveconfig import InvalidSettingsError, Settings, SettingsConfigDict
from liveconfig._loading.messages import _SAFE, _TEXTS
from liveconfig.testing import recorded


class Limits(BaseModel):
    low: int = 0
    high: int = 99

    @model_validator(mode="after")
    def check(self) -> Limits:
        if self.low > self.high:
            raise ValueError(f"{self.low} is above {self.high}")
        return self


class Route(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str = "/"
    timeout: float = 1.0
    limits: Limits = Limits()
    labels: dict[str, int] = {}
    backends: list[Route] = []


class App(Settings):
    model_config = SettingsConfigDict(documents=["app.yaml"], watch=False)
    routes: list[Route] = []
    by_name: dict[str, Route] = {}
    either: list[Route | int] = []
    pool: Limits = Limits()
    numbers: list[int] = []
    other: str = "none"


@pytest.fixture
def refusal(kubelet_volume):
    """A function: the error for a payload, as a text."""

    def refusal(cls: type[Settings], payload: dict[str, str], **arguments: Any) -> str:
        kubelet_volume.write(payload)
        with pytest.raises(InvalidSettingsError) as caught:
            cls(_volumes=kubelet_volume.path, **arguments)
        return str(caught.value)

    return refusal


PLACES = [
    ({"routes": [{}] * 30 + [{"timeout": "CANARY-0"}] + [{}] * 169}, "routes[30].timeout"),
    ({"routes": [{"backends": [{}, {"limits": {"low": "CANARY-0"}}]}]}, "routes[0].backends[1].limits.low"),
    ({"routes": [{"limits": {"low": 100}}]}, "routes[0].limits"),
    ({"numbers": [1, 2, "CANARY-0"]}, "numbers[2]"),
    ({"by-name": {"CANARY-0": {"Timeout": "CANARY-0"}}}, "by_name[*].timeout"),
    ({"routes": [{"labels": {"CANARY-0": "CANARY-0"}}]}, "routes[0].labels"),
    ({"either": [1, {"timeout": "CANARY-0"}]}, "either[1].timeout"),
    ({"pool": {"low": 100}}, "pool"),
    ({"routes": [{"tiemout": 1}]}, "routes[0].tiemout"),
]


@pytest.mark.parametrize(("data", "place"), PLACES)
def test_places_in_documents(refusal, kubelet_volume, data, place):
    """K24: a fault inside lists and models is located, with the document; names of entries and values are withheld."""
    text = refusal(App, {"app.yaml": yaml.safe_dump(data)})
    assert f"  {place}: " in text
    assert f"in {kubelet_volume.path}/app.yaml" in text
    assert "CANARY" not in text


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_key_of_an_entry(refusal, kubelet_volume, name):
    """K24: of the keys that feed the entries of one mapping, the error names the one whose value is wrong."""
    keys = {"by_name": '{"c": {"timeout": 1}}', "by_name.a.timeout": "1", "by_name.b": '{"timeout": 1}'}
    wrong = {"a": "by_name.a.timeout", "b": "by_name.b", "c": "by_name"}[name]
    text = refusal(App, {**keys, wrong: keys[wrong].replace("1", '"CANARY-0"')})
    assert "  by_name[*].timeout: " in text
    assert f"in {kubelet_volume.path}/{wrong})" in text
    assert "CANARY" not in text


@pytest.mark.parametrize(("data", "place"), PLACES)
def test_places_at_a_swap(kubelet_volume, load, data, place):
    """K24: the same when a change is rejected: in the fields and in the reason."""
    kubelet_volume.write({"app.yaml": ""})
    settings = load(App, _volumes=kubelet_volume.path)
    with recorded(settings) as events:
        kubelet_volume.write({"app.yaml": yaml.safe_dump(data)})
        assert not settings.live.reload()
    (event,) = events
    assert place in event.fields
    assert f"{place}: " in event.reason
    assert "app.yaml" in event.reason
    assert "CANARY" not in repr(event)


@pytest.mark.parametrize(
    ("key", "content", "place"),
    [
        ("routes", '[{"timeout": "x"}]', "routes[0].timeout"),
        ("by_name.acme.timeout", "x", "by_name[*].timeout"),
        ("pool.low", "x", "pool.low"),
    ],
)
def test_places_in_single_keys(refusal, kubelet_volume, key, content, place):
    """K24: the same for single keys, which are named."""
    text = refusal(App, {key: content})
    assert f"  {place}: " in text
    assert f"in {kubelet_volume.path}/{key}" in text


def test_places_in_other_sources(refusal, monkeypatch, tmp_path):
    """K24: of a variable, a .env file and an argument it is said as well."""
    monkeypatch.setenv("ROUTES", '[{"timeout": "x"}]')
    assert "routes[0].timeout: Input should be a valid number" in (text := refusal(App, {}))
    assert "(in the variable ROUTES)" in text
    monkeypatch.delenv("ROUTES")
    (tmp_path / "env").write_text('Routes=[{"timeout": "x"}]')
    assert f"(in {tmp_path / 'env'}, Routes)" in refusal(App, {}, _env_file=tmp_path / "env")
    assert "(from an argument)" in refusal(App, {}, numbers=["x"])


TYPES = [
    (dt.timedelta, "5m", "duration"),
    (dt.date, "x", "YYYY-MM-DD"),
    (dt.datetime, "x", "date and time"),
    (dt.time, "x", "hh:mm"),
    (FilePath, "/nowhere/x", "file that exists"),
    (DirectoryPath, "/nowhere/x", "directory that exists"),
    (NewPath, "/", "nothing exists"),
    (ByteSize, "5x", "size in bytes"),
    (ByteSize, "x", "size in bytes"),
    (ipaddress.IPv4Network, "x", "IPv4 network"),
    (ipaddress.IPv6Address, "x", "IPv6 address"),
    (ipaddress.IPv4Interface, "x", "IPv4 interface"),
    (IPvAnyNetwork, "x", "IP network"),
    (zoneinfo.ZoneInfo, "Nowhere/Town", "time zone"),
    (uuid.UUID, "x", "UUID"),
    (UUID4, "6fa459ea-ee8a-11e3-ac10-0800200c9a66", "version 4"),
    (HttpUrl, "x", "scheme://host"),
    (HttpUrl, "ftp://x", "'http' or 'https'"),
    (PostgresDsn, "mysql://x", "scheme"),
    (Json[int], "{", "JSON"),
    (re.Pattern[str], "(", "regular expression"),
    (ImportString, "no.such.thing", "imported"),
    (decimal.Decimal, "x", "decimal"),
    (Literal["a", "b"], "x", "'a' or 'b'"),
    (Annotated[SecretStr, Field(min_length=30)], "x", "at least 30"),
    (Annotated[Sequence[int], NoDecode], "abc", "expected a list"),
    (Annotated[int, Predicate(lambda value: value > 10)], "5", "condition"),
    (Annotated[int, Not(lambda value: value < 10)], "5", "condition"),
    (type, "abc", "expected a class"),
    (Fraction, "abc", "fraction"),
    (PastDate, "2999-01-01", "in the past"),
    (AwareDatetime, "2026-01-02T03:04:05", "timezone"),
    (RedisDsn, "http://abc", "'redis' or 'rediss'"),
    (Base64Str, "abc", "Base64"),
    (Secret[int], "abc", "integer"),
    (complex, "abc", "complex"),
    (Annotated[str, Field(pattern="^[0-9]+$")], "abc", "pattern"),
    (Annotated[str, Field(pattern=r"^\d+\.\d+$")], "abc", r"pattern '^\d+\.\d+$'"),
    (Annotated[str, Field(pattern=r"""^['"]\w$""")], "abc", "pattern"),
    (Annotated[dt.date, Field(ge=dt.date(2026, 1, 1))], "2025-02-03", "limits"),
    (Annotated[dt.timedelta, Field(le=dt.timedelta(minutes=5))], "PT300M", "limits"),
    (Annotated[dt.time, Field(lt=dt.time(5))], "06:07", "limits"),
    (Annotated[AwareDatetime, Field(gt=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))], "2025-02-03T00:00:00Z", "limits"),
]


@pytest.mark.parametrize(("annotation", "content", "said"), TYPES)
def test_texts_by_type(refusal, kubelet_volume, annotation, content, said):
    """K25: each type of error has a text that says what is expected, without the value."""
    cls = type("Typed", (Settings,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    text = refusal(cls, {"value": content})
    assert said in text
    assert "not valid" not in text
    assert len(content) < 3 or content not in text.replace(str(kubelet_volume.path), "")


ADVICE = [
    (dt.timedelta, "5m", ["00:05:00", "PT5M"]),
    (ByteSize, "x", ["10MB", "2GiB", "10"]),
    (Fraction, "x", ["1/3"]),
    (zoneinfo.ZoneInfo, "Mars", ["Europe/Berlin"]),
    (dt.datetime, "x", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05+01:00"]),
    (dt.date, "x", ["2026-01-02"]),
    (dt.time, "x", ["03:04:05"]),
    (uuid.UUID, "x", ["12345678-1234-5678-1234-567812345678"]),
    (ipaddress.IPv4Network, "x", ["10.0.0.0/8"]),
]


@pytest.mark.parametrize(("annotation", "wrong", "right"), ADVICE)
def test_advice_is_accepted(refusal, load, kubelet_volume, annotation, wrong, right):
    """K25: content as the text of an error asks for it is accepted."""
    cls = type("Advised", (Settings,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    assert "expected" in refusal(cls, {"value": wrong})
    for content in right:
        kubelet_volume.write({"value": content})
        assert load(cls, _volumes=kubelet_volume.path).value is not None


class Tagged(BaseModel):
    kind: Literal["a"]


class OtherTagged(BaseModel):
    kind: Literal["b"]


def test_text_of_a_discriminator(refusal):
    """K25: an unknown discriminator lists what is expected, not what was found."""

    class Union(Settings):
        value: Annotated[Tagged | OtherTagged, Field(discriminator="kind")]

    text = refusal(Union, {"value.kind": "CANARY-0"})
    assert "'a', 'b'" in text
    assert "CANARY" not in text


def test_every_type_of_error_has_a_text():
    """K25: there is a text for each type of error that pydantic has."""
    theirs = {"value_error", "assertion_error", "union_tag_invalid"}  # of validators; and one with a text of its own
    assert set(get_args(ErrorType)) - set(_SAFE) - set(_TEXTS) <= theirs


def test_custom_errors_are_withheld(refusal):
    """K25: the text of an error that a validator constructed is never shown, whatever its type."""

    class Custom(Settings):
        value: str

        @field_validator("value")
        @classmethod
        def check(cls, value: str) -> str:
            raise PydanticCustomError("path_not_file", "CANARY-0 {v}", {"v": value})  # type: ignore[misc]

    assert "CANARY" not in refusal(Custom, {"value": "CANARY-0"})


class Database(BaseModel):
    user: str = "app"
    password: SecretStr


class Needy(Settings):
    model_config = SettingsConfigDict(documents=["settings.yaml"], env_nested_delimiter="__", watch=False)
    db: Database
    name: str


@pytest.mark.parametrize("key", ["db.pasword", "db-password", "db/passwd", "DB_PASSWORD"])
def test_nearest_key(refusal, kubelet_volume, key):
    """K26: a required field that is missing is named with its dot, and the key that comes near is named."""
    text = refusal(Needy, {"db.user": "x", "name": "x", key: "CANARY-0"})
    assert "  db.password: " in text
    assert f"did you mean the key `{key}` in {kubelet_volume.path}?" in text
    assert "db.password or db/password" in text
    assert "DB__PASSWORD" in text
    assert "CANARY" not in text


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"db.pasword": "CANARY-0"}, "the key `db.pasword` in {}"),
        ({"db-password": "CANARY-0"}, "the key `db-password` in {}"),
        ({"database.password": "CANARY-0"}, "the key `database.password` in {}"),
        ({"db": '{"pasword": "CANARY-0"}'}, "the name `pasword` in {}/db"),
        ({"settings.yaml": "db: {passwrd: CANARY-0}"}, "the name `passwrd` in {}/settings.yaml"),
        ({"db.user": "x"}, None),
    ],
)
def test_nearest_key_of_a_model(refusal, kubelet_volume, payload, told):
    """K26: the same where nothing else of the model is there, and for a name in a document or in the JSON of a key."""
    text = refusal(Needy, {"name": "x", **payload})
    assert "db.password" in text
    assert ("did you mean" in text) is (told is not None)
    if told is not None:
        assert f"did you mean {told.format(kubelet_volume.path)}?" in text
    assert "CANARY" not in text


@pytest.mark.parametrize(("key", "near"), [("settings.yml", True), ("settings/yaml", True), ("zzz", False)])
def test_nearest_document(refusal, key, near):
    """K23: where a required field is missing, a document that is not there is named with the key that comes near."""
    text = refusal(Needy, {"db.password": "x", key: "name: CANARY"})
    assert "the documents settings.yaml" in text
    assert (f"the document `settings.yaml` is not there; did you mean `{key}`?" in text) is near
    assert "CANARY" not in text


class Listed(Settings):
    model_config = SettingsConfigDict(documents=["settings.yaml"], watch=False)
    databases: list[Database] = []


def test_nearest_name_in_a_list(refusal, kubelet_volume):
    """K26: the same for a required field of an item of a list."""
    text = refusal(Listed, {"settings.yaml": "databases: [{password: x}, {pasword: CANARY-0}]"})
    assert "  databases[1].password: Field required" in text
    assert f"did you mean the name `pasword` in {kubelet_volume.path}/settings.yaml?" in text
    assert "CANARY" not in text


@pytest.mark.parametrize(("key", "near"), [("nmae", True), ("na-me", True), ("zzz", False)])
def test_nearest_key_at_the_top(refusal, key, near):
    """K26: the same for a field of the settings; a key that is nothing like it is not named."""
    text = refusal(Needy, {"db.password": "x", key: "x"})
    assert ("did you mean" in text) is near
    assert "the documents settings.yaml" in text


class Prefixed(Settings):
    model_config = SettingsConfigDict(env_prefix="PAYMENTS_", watch=False)
    password: str
    database: Database = Database(password="x")


@pytest.mark.parametrize(
    ("cls", "payload", "near"),
    [
        (Prefixed, {"PAYMENTS_zzz": "x"}, None),
        (Prefixed, {"PAYMENTS_pasword": "x"}, "PAYMENTS_pasword"),
        (Prefixed, {"PAYMENTS_zzz": "x", "payments-pasword": "x"}, "payments-pasword"),
        (Needy, {"name": "x", "db.user": "x", "db.zzz": "x"}, None),
    ],
)
def test_a_shared_prefix_is_not_near(refusal, kubelet_volume, cls, payload, near):
    """K26: a key that has only the prefix or the model in common with a missing one does not come near."""
    text = refusal(cls, payload)
    assert ("did you mean" in text) is (near is not None)
    assert near is None or f"did you mean the key `{near}` in {kubelet_volume.path}?" in text


def test_an_unused_key_with_the_prefix(kubelet_volume, load):
    """An unused key that has only the prefix in common with a field has no nearest field."""
    kubelet_volume.write({"PAYMENTS_password": "x", "PAYMENTS_zzz": "x", "PAYMENTS_pasword": "x"})
    unused = load(Prefixed, _volumes=kubelet_volume.path).live.status().unused_keys
    assert {each.key: each.nearest for each in unused} == {"PAYMENTS_zzz": None, "PAYMENTS_pasword": "password"}


@pytest.mark.parametrize("payload", [{"settings.yaml": "{'na me': CANARY-0}"}, {"settings.env": "NAEM=CANARY-0"}])
def test_nearest_name_that_may_be_a_secret(refusal, payload):
    """K26: a near name that may be no name but a secret, or that is a line of a document of texts, is not shown."""

    class WithTexts(Needy):
        model_config = SettingsConfigDict(documents=["settings.yaml", "settings.env"])

    text = refusal(WithTexts, {"db.password": "x", **payload})
    assert "name: Field required" in text
    assert "did you mean" not in text
    assert "CANARY" not in text


def test_nearest_key_at_a_swap(kubelet_volume, load):
    """K26: the same when a change is rejected."""
    kubelet_volume.write({"db.password": "x", "name": "x"})
    settings = load(Needy, _volumes=kubelet_volume.path)
    kubelet_volume.write({"db.password": "x", "naem": "x"})
    assert not settings.live.reload()
    assert "`naem`" in settings.live.status().last_rejected.reason


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    user: str = "app"


class Strict(Settings):
    model_config = SettingsConfigDict(extra="forbid", documents=["app.yaml", "app.env"], watch=False)
    host: str = "none"
    db: Database | None = None
    one: Forbidding = Forbidding()
    several: list[Forbidding] = []
    named: dict[str, Forbidding] = {}


@pytest.mark.parametrize(
    ("payload", "place", "near"),
    [
        ({"app.yaml": "hosst: x"}, "hosst", "host"),
        ({"app.env": "HOSST=x"}, None, None),  # as any key that feeds nothing
        ({"app.yaml": "port: 1"}, "port", None),
        ({"app.yaml": "one: {usr: x}"}, "one.usr", "user"),
        ({"app.yaml": "{port: 1, one: {usr: x}}"}, "one.usr", "user"),
        ({"app.yaml": "several: [{}, {usr: x}]"}, "several[1].usr", "user"),
        ({"app.yaml": "named: {CANARY: {usr: x}}"}, "named[*].usr", "user"),
        ({"one": '{"usr": "x"}'}, "one.usr", "user"),
    ],
)
def test_extra_forbidden(refusal, load, kubelet_volume, payload, place, near):
    """K28: with extra="forbid" the wrong name in a document is named, with the nearest; single keys may be unused."""
    if place is None:
        kubelet_volume.write(payload)
        (unused,) = load(Strict, _volumes=kubelet_volume.path).live.status().unused_keys
        assert unused.nearest == "host"
        return
    text = refusal(Strict, payload)
    assert f"  {place}: unknown name" in text
    assert f"(in {kubelet_volume.path}/{next(iter(payload))})" in text
    assert ("did you mean" in text) is (near is not None)
    assert near is None or f"did you mean {near!r}" in text
    assert "CANARY" not in text


def test_an_argument_that_is_forbidden(refusal):
    """With extra="forbid" the name of a wrong argument is said, with the nearest field: it stands in the code."""
    text = refusal(Strict, {}, hots="CANARY")
    assert "  hots: unknown name" in text
    assert "did you mean 'host'? (from an argument)" in text
    assert "CANARY" not in text


def test_a_validator_that_does_not_return_self(refusal):
    """A model validator that returns nothing is told what it must return."""

    class App(Settings):
        @model_validator(mode="after")
        def check(self) -> Any:
            pass

    assert "a model validator returned another object than self (mode='after' valid" in refusal(App, {})


@pytest.mark.parametrize("name", ["CANARY-0123456789-0123456789-0123456789-01", "@@CANARY", "CANARY 0"])
def test_extra_forbidden_that_may_be_a_secret(refusal, name):
    """K28: a name that may be no name but a secret is withheld."""
    text = refusal(Strict, {"app.yaml": yaml.safe_dump({name: "x"})})
    assert "unknown name" in text
    assert "CANARY" not in text


class Inner(BaseModel):
    size: int


class Pathed(Settings):
    box: Inner = Field(validation_alias=AliasPath("store", "box"))
    first: int = Field(validation_alias=AliasPath("sizes", 0))
    either: int = Field(validation_alias=AliasChoices("one", AliasPath("both", "two")))


@pytest.mark.parametrize(
    ("key", "value", "looked_for"),
    [
        ("other", "1", "store.box or store/box or store or keys such as store.box.size (with"),
        ("other", "1", "sizes (with"),
        ("other", "1", "one or both.two or both (with"),
        ("store", '{"box": {"size": "x"}}', "store.box.size or store/box/size or store (with"),
    ],
)
def test_where_a_path_is_looked_for(refusal, key, value, looked_for):
    """The keys of a field behind an `AliasPath` are those of its path, and the key inside whose value it is."""
    assert f"looked for the key {looked_for}" in refusal(Pathed, {key: value})


def test_a_key_inside_a_missing_model_has_its_alias(refusal):
    """The key that is named for a model is one that feeds the field: with the prefix, and with the alias of a field."""

    class Server(BaseModel):
        host: str = Field(alias="hostName")

    class App(Settings):
        model_config = SettingsConfigDict(env_prefix="APP_")
        server: Server

    assert "looked for the key APP_server or keys such as APP_server.hostName (with" in refusal(App, {"other": "1"})


def test_what_is_missing_after_a_change(kubelet_volume, load):
    """A change that removes the key of a required field is rejected, and the text says where the key was looked for."""
    kubelet_volume.write({"name": "x", "db.password": "CANARY-0"})
    settings = load(Needy, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({"db.password": "CANARY-0"})
    assert not settings.live.reload()
    rejected = settings.live.status().last_rejected
    assert rejected is not None
    assert f"name: Field required (looked for `name` in {kubelet_volume.path})" in rejected.reason


class Tenant(BaseModel):
    host: str
    port: int


class Tenants(Settings):
    model_config = SettingsConfigDict(watch=False)
    tenants: dict[str, Tenant] = {}


def test_a_key_beside_what_an_entry_lacks(kubelet_volume, load):
    """Where an entry of single keys lacks a field, the error names another key of that entry."""
    kubelet_volume.write({"tenants.acme.host": "h"})
    with pytest.raises(InvalidSettingsError) as caught:
        load(Tenants, _volumes=kubelet_volume.path)
    assert f"tenants[*].port: Field required (in {kubelet_volume.path}/tenants.acme.host)" in str(caught.value)
