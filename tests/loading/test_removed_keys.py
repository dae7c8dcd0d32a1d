"""Keys that are removed from a volume that is still there (K12)."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import AfterValidator, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from liveconfig import Key, Settings, SettingsConfigDict, Stale, Volume


class Smtp(BaseModel):
    host: str
    password: SecretStr
    key: SecretStr = SecretStr("none")


class Tenant(BaseModel):
    host: str = "none"
    password: SecretStr = SecretStr("none")
    previous: SecretStr | None = None
    tokens: dict[str, SecretStr] = {}


class Options(BaseModel):
    model_config = ConfigDict(extra="allow")
    timeout: int = 0


class App(Settings):
    model_config = SettingsConfigDict(env_nested_delimiter="__", watch=False)
    tokens: dict[str, SecretStr] = {}
    labels: dict[str, str] = {}
    tenants: dict[str, Tenant] = {}
    smtp: Smtp | None = None
    previous_key: SecretStr | None = None
    made_key: SecretStr | None = Field(default_factory=lambda: None)
    previous_keys: list[SecretStr] | None = None
    options: Options = Options()
    password: SecretStr = SecretStr("default")
    message: str = "default"


def plain(value: Any) -> Any:
    """The values, with secrets unveiled."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return plain({**dict(value)})
    return {name: plain(inner) for name, inner in value.items()} if isinstance(value, dict) else value


@pytest.fixture
def swap(kubelet_volume, load):
    """A function: load a payload, then remove some keys; the settings, and whether that was applied."""

    def swap(payload: dict[str, str], *removed: str, cls: type[Settings] = App) -> tuple[Any, bool]:
        kubelet_volume.write({**payload, "message": "kept"})
        settings = load(cls, _volumes=kubelet_volume.path)
        kubelet_volume.remove(*removed)
        return settings, settings.live.reload()

    return swap


@pytest.mark.parametrize(
    ("payload", "removed", "field", "left"),
    [
        ({"tokens/acme": "1", "tokens/other": "2"}, ["tokens/acme"], "tokens", {"other": "2"}),
        ({"tokens.acme": "1", "tokens__other": "2"}, ["tokens__other"], "tokens", {"acme": "1"}),
        ({"tokens/acme": "1"}, ["tokens/acme"], "tokens", {}),
        ({"labels.team": "1"}, ["labels.team"], "labels", {}),
        (
            {"tenants.a.host": "x", "tenants.a.password": "1", "tenants.b.host": "y"},
            ["tenants.a.host", "tenants.a.password"],
            "tenants",
            {"b": {"host": "y", "password": "none", "previous": None, "tokens": {}}},
        ),
        (
            {"tenants.a.previous": "1", "tenants.a.tokens.x": "2", "tenants.a.host": "x"},
            ["tenants.a.previous", "tenants.a.tokens.x"],
            "tenants",
            {"a": {"host": "x", "password": "none", "previous": None, "tokens": {}}},
        ),
        ({"smtp.host": "x", "smtp.password": "1"}, ["smtp.host", "smtp.password"], "smtp", None),
        ({"smtp": '{"host": "x", "password": "1"}'}, ["smtp"], "smtp", None),
        ({"previous_key": "1"}, ["previous_key"], "previous_key", None),
        ({"made_key": "1"}, ["made_key"], "made_key", None),
        ({"previous_keys": '["1"]'}, ["previous_keys"], "previous_keys", None),
        ({"options.sslkey": "1", "options.timeout": "5"}, ["options.sslkey"], "options", {"timeout": 5}),
    ],
)
def test_what_may_go(swap, caplog, payload, removed, field, left):
    """K12: an entry of a mapping, a field whose default is None and a whole optional model may go, with a warning."""
    settings, applied = swap(payload, *removed)
    assert applied
    assert plain(getattr(settings, field)) == left
    assert settings.live.status().healthy
    assert {(stale.field, stale.reason) for stale in settings.live.status().stale} == {(field, "vanished")}
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert any(f"`{field}`" in line and "removed" in line for line in warnings)


@pytest.mark.parametrize(
    ("payload", "removed", "field"),
    [
        ({"password": "1"}, ["password"], "password"),
        ({"smtp.host": "x", "smtp.password": "1", "smtp.key": "2"}, ["smtp.key"], "smtp.key"),
        ({"tokens": '{"acme": "1"}'}, ["tokens"], "tokens"),
        ({"tenants.a.host": "x", "tenants.a.password": "1"}, ["tenants.a.password"], "tenants"),
    ],
)
def test_what_may_not_go(swap, payload, removed, field):
    """K12: other secrets do not fall back: the change is rejected, and the reason says what to do."""
    settings, applied = swap(payload, *removed)
    assert not applied
    rejected = settings.live.status().last_rejected
    assert rejected.fields == (field,)
    assert f"key `{removed[0]}` was removed from" in rejected.reason
    assert 'missing="fallback"' in rejected.reason


class Mail(BaseModel):
    host: str = "none"
    key: SecretStr = SecretStr("none")


class Mailing(Settings):
    model_config = SettingsConfigDict(watch=False, documents=["app.json"])
    mail: Mail = Mail()


def test_a_null_beside_a_single_key(kubelet_volume, load, canary):
    """K12: a secret does not fall back where its model becomes null in a document, and a single key feeds the rest."""
    kubelet_volume.write({"app.json": f'{{"mail": {{"key": "{canary}"}}}}', "mail.host": "x"})
    settings = load(Mailing, _volumes=kubelet_volume.path)
    kubelet_volume.update({"app.json": '{"mail": null}'})
    assert not settings.live.reload()
    assert settings.live.status().rejections[0].fields == ("mail.key",)
    assert settings.mail.key.get_secret_value() == canary


@pytest.mark.parametrize(
    ("key", "variable", "text"),
    [("tokens.acme", "TOKENS", '{"acme": "old"}'), ("tenants.a.password", "TENANTS__A__PASSWORD", "old")],
)
def test_an_entry_that_the_environment_has_too(swap, monkeypatch, canary, key, variable, text):
    """K12: a secret entry does not fall back to the environment: it may go only if nothing replaces it."""
    monkeypatch.setenv(variable, text)
    settings, applied = swap({key: canary}, key)
    assert not applied
    assert settings.live.status().rejections[0].fields == (key.partition(".")[0],)


def test_an_entry_that_falls_back(swap, monkeypatch, caplog):
    """K12: the warning about a removed entry says so where another source gives its value now."""
    monkeypatch.setenv("LABELS", '{"acme": "old"}')
    settings, applied = swap({"labels.acme": "new"}, "labels.acme")
    assert applied
    assert settings.labels == {"acme": "old"}
    assert "another source, such as the environment, feeds it" in caplog.text
    assert "no longer in" not in caplog.text


NONE = SecretStr("none")


class Rich(Tenant):
    made: SecretStr | None = Field(default_factory=lambda: None)
    preset: dict[str, SecretStr] = {"first": SecretStr("default")}
    smtp: Smtp | None = None
    fixed: Annotated[str, Key(missing="reject")] = "default"


class Card(BaseModel):
    kind: Literal["card"]
    token: SecretStr = SecretStr("none")


class Invoice(BaseModel):
    kind: Literal["invoice"]


@dataclass
class Wire:
    kind: Literal["wire"]
    token: SecretStr = NONE


@dataclass
class Cheque:
    kind: Literal["cheque"]


class Named(TypedDict):
    host: str
    old: NotRequired[SecretStr]


class Documented(Settings):
    model_config = SettingsConfigDict(watch=False, documents=["app.json"], env_nested_delimiter="__")
    tokens: dict[str, SecretStr] = {}
    labels: dict[str, str] = {}
    tenants: dict[str, Rich] = {}
    numbered: dict[int, Tenant] = {}
    payers: dict[str, Annotated[Card | Invoice, Field(discriminator="kind")]] = {}
    wires: dict[int, Wire | Cheque] = {}
    named: dict[str, Named] = {}
    things: dict[str, Any] = {}
    behind: dict[str, Tenant] = Field({}, validation_alias=AliasPath("box", "inside"))
    free: dict[str, SecretStr] = Field({}, validation_alias="lent")
    kept: Annotated[dict[str, Tenant], Key(missing="fallback")] = {}


TWO = {"host": "h", "password": "CANARY-1"}
GONE_INSIDE = [
    ({"tenants": {"a": TWO}}, {"tenants": {"a": {"host": "h"}}}, "`password` of an entry of `tenants`"),
    ({"tenants": {"a": {"tokens": {"b": "1"}}}}, {"tenants": {"a": {"tokens": {}}}}, None),
    ({"tenants": {"a": {"previous": "1"}}}, {"tenants": {"a": {}}}, None),
    ({"tenants": {"a": TWO, "b": TWO}}, {"tenants": {"b": TWO}}, None),
    ({"tenants": {"a": TWO}}, {"tenants": {"a": {"password": "CANARY-1"}}}, None),
    ({"numbered": {1: TWO}}, {"numbered": {1: {"host": "h"}}}, "`password` of an entry of `numbered`"),
    ({"box": {"inside": {"a": TWO}}}, {"box": {"inside": {"a": {}}}}, "`password` of an entry of `behind`"),
    ({"payers": {"a": {"kind": "card", "token": "1"}}}, {"payers": {"a": {"kind": "invoice"}}}, None),
    ({"payers": {"a": {"kind": "card", "token": "1"}}}, {"payers": {"a": {"kind": "card"}}}, "`token` of an entry of"),
    ({"kept": {"a": TWO}}, {"kept": {"a": {}}}, None),
    ({"tenants": {"a": {"smtp": {**TWO, "key": "1"}}}}, {"tenants": {"a": {}}}, None),
    ({"tenants": {"a": {"smtp": {**TWO, "key": "1"}}}}, {"tenants": {"a": {"smtp": TWO}}}, "`key` of an entry of `ten"),
    ({"tenants": {"a": {"made": "1"}}}, {"tenants": {"a": {}}}, None),
    ({"tenants": {"a": {"preset": {"first": "1"}}}}, {"tenants": {"a": {}}}, "an entry of `tenants`"),
    ({"tenants": {"a": {"fixed": "1"}}}, {"tenants": {"a": {}}}, "`fixed` of an entry of `tenants`"),
    ({"tenants": {"env": TWO}}, {"tenants": {}}, "`password` of an entry of `tenants`"),
    ({"wires": {1: {"kind": "wire", "token": "1"}}}, {"wires": {1: {"kind": "cheque"}}}, None),
    (
        {"wires": {1: {"kind": "wire", "token": "1"}}},
        {"wires": {1: {"kind": "wire"}}},
        "`token` of an entry of `wires`",
    ),
    ({"named": {"a": {"host": "h", "old": "1"}}}, {"named": {"a": {"host": "h"}}}, None),
    ({"things": {"a": {"b": "1"}}}, {"things": {"a": {}}}, None),
    ({"tokens": {"a": "1", "b": "1"}}, {"tokens": {"b": "1"}}, None),
    ({"tokens": {"old": "1", "b": "1"}}, {"tokens": {"b": "1"}}, "an entry of `tokens`"),
    ({"labels": {"old": "1"}}, {"labels": {}}, None),
    ({"lent": {"old": "1"}}, {"lent": {}}, "an entry of `free`"),
]


@pytest.mark.parametrize(("before", "after", "refused"), GONE_INSIDE)
@pytest.mark.parametrize("in_document", [True, False], ids=["document", "keys"])
def test_what_is_gone_inside_a_value(kubelet_volume, load, monkeypatch, in_document, before, after, refused):
    """K12: the same holds inside a document or the JSON of a key: no secret falls back to a default or a variable."""
    for name in ("TOKENS", "LABELS", "LENT"):
        monkeypatch.setenv(name, '{"old": "0"}')
    monkeypatch.setenv("TENANTS", '{"env": {"host": "x"}}')

    def files(data: dict[str, Any]) -> dict[str, str]:
        whole = {"app.json": json.dumps(data)}
        return whole if in_document else {name: json.dumps(value) for name, value in data.items()}

    kubelet_volume.write(files(before))
    settings = load(Documented, _volumes=kubelet_volume.path)
    kubelet_volume.write(files(after))
    assert settings.live.reload() is (refused is None)
    last = settings.live.status().last_rejected
    key = "app.json" if in_document else next(iter(after))
    assert (last is None) if refused is None else refused in last.reason
    assert last is None or f"was removed from {kubelet_volume.path}/{key}" in last.reason


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ({"tenants.a": json.dumps(TWO), "tenants.b": json.dumps(TWO)}, {"tenants.b": '{"host": "h"}'}, "tenants.b"),
        ({"app.json": '{"tokens": {"old": "1"}}', "tokens": '{"b": "1"}'}, {"app.json": "{}"}, "app.json"),
    ],
)
def test_the_key_that_is_named(kubelet_volume, load, monkeypatch, before, after, named):
    """K12: of several keys that feed one mapping, the rejection names the one that has changed."""
    monkeypatch.setenv("TOKENS", '{"old": "0"}')
    kubelet_volume.write(before)
    settings = load(Documented, _volumes=kubelet_volume.path)
    kubelet_volume.update(after)
    assert not settings.live.reload()
    assert f"was removed from {kubelet_volume.path}/{named}" in settings.live.status().last_rejected.reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"tenants.a": json.dumps(TWO)}, {"tenants.a.host": "h", "tenants.a.password": "CANARY-1"}),
        ({"tenants.a.host": "h", "tenants.a.password": "CANARY-1"}, {"tenants": json.dumps({"a": TWO})}),
    ],
)
def test_another_spelling_of_the_same(kubelet_volume, load, before, after):
    """K12: a value that other keys of the same volume give now was not removed."""
    kubelet_volume.write(before)
    settings = load(Documented, _volumes=kubelet_volume.path)
    kubelet_volume.write(after)
    assert settings.live.reload()
    assert settings.live.status().stale == ()


@pytest.mark.parametrize("form", ["json", "single keys"])
def test_a_plain_field_beside_a_secret_volume(make_kubelet_volume, load, form):
    """K12: what a ConfigMap gives for an entry is no secret because a secret volume gives another part of it."""
    config, secret = make_kubelet_volume("config"), make_kubelet_volume("secret")
    config.write({"tenants": '{"a": {"host": "h"}}'} if form == "json" else {"tenants.a.host": "h"})
    secret.write({"tenants.a.password": "CANARY-1"})
    settings = load(Documented, _volumes=[config.path, Volume(secret.path, secret=True)])
    config.write({})
    assert settings.live.reload()
    assert settings.tenants["a"].host == "none"


def test_an_argument_for_another_entry(kubelet_volume, load):
    """K12: a secret does not fall back where an argument gives another entry of the same mapping."""
    kubelet_volume.write({"tenants.a": json.dumps(TWO)})
    settings = load(Documented, _volumes=kubelet_volume.path, tenants={"z": {"host": "x"}})
    kubelet_volume.write({"tenants.a": '{"host": "h"}'})
    assert not settings.live.reload()


def test_a_whole_value_beside_its_entries(kubelet_volume, load, monkeypatch):
    """K12: a secret of the value of a key does not fall back where single keys still feed other entries."""
    monkeypatch.setenv("TOKENS", '{"acme": "old"}')
    kubelet_volume.write({"tokens": '{"acme": "new"}', "tokens.other": "1"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.remove("tokens")
    assert not settings.live.reload()
    assert settings.live.status().rejections[0].fields == ("tokens",)


def test_a_union_in_a_mapping(kubelet_volume, load):
    """A key of a model in a mapping may go with its member of a union: the new member has no place for it."""
    kubelet_volume.write({"payers.a.kind": "card", "payers.a.token": "1"})
    settings = load(Documented, _volumes=kubelet_volume.path)
    kubelet_volume.write({"payers.a.kind": "invoice"})
    assert settings.live.reload()
    assert isinstance(settings.payers["a"], Invoice)


def test_revoking_stops_nothing_else(kubelet_volume, load):
    """K12: what else changes in the same swap is applied with the removal."""
    kubelet_volume.write({"tokens/acme": "1", "tokens/other": "2", "message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.write({"tokens/other": "2", "message": "two"})
    assert settings.live.reload()
    assert (list(settings.tokens), settings.message) == (["other"], "two")


def test_an_event_and_the_end_of_it(kubelet_volume, load, caplog):
    """K12: a removal is a Stale event with the reason `vanished`; it ends when the key is back."""
    caplog.set_level(logging.INFO, "liveconfig")
    kubelet_volume.write({"tokens/acme": "1", "tokens/other": "2"})
    settings = load(App, _volumes=kubelet_volume.path)
    heard: list[Stale] = []
    settings.live.on_stale(heard.append)
    kubelet_volume.remove("tokens/acme")
    assert settings.live.reload()
    assert [(stale.field, stale.reason) for stale in heard] == [("tokens", "vanished")]
    kubelet_volume.update({"tokens/acme": "3"})
    assert settings.live.reload()
    assert settings.live.status().stale == ()
    assert any("`tokens` has the value again" in record.getMessage() for record in caplog.records)


class Papers(App):
    model_config = SettingsConfigDict(documents=["app.yaml"])


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({"app.yaml": "tokens: {a: '1', b: '2'}"}, {"app.yaml": "tokens: {a: '1'}"}, "an entry of `tokens`"),
        ({"tokens": '{"a": "1", "b": "2"}'}, {"tokens": '{"a": "1"}'}, "an entry of `tokens`"),
        ({"tokens.a": "1", "tokens.b": "2"}, {"tokens": '{"a": "1"}'}, "key `tokens.b`"),
    ],
)
def test_an_entry_that_is_removed_from_content(kubelet_volume, load, caplog, before, after, what):
    """K12: an entry has also vanished if the document or the JSON that held it is still there, until it is back."""
    kubelet_volume.write(before)
    settings = load(Papers, _volumes=kubelet_volume.path)
    kubelet_volume.write(after)
    assert settings.live.reload()
    assert [(stale.field, stale.reason) for stale in settings.live.status().stale] == [("tokens", "vanished")]
    assert f"{what} was removed from {kubelet_volume.path}" in caplog.text
    kubelet_volume.write(before)
    assert settings.live.reload()
    assert settings.live.status().stale == ()


def test_one_record_for_each_field(kubelet_volume, load, caplog):
    """K12: each removal of an entry is logged and published; of one field, the newest stands."""
    caplog.set_level(logging.INFO, "liveconfig")
    kubelet_volume.write({"tokens.t0": "x"})
    settings = load(App, _volumes=kubelet_volume.path)
    heard: list[Stale] = []
    settings.live.on_stale(heard.append)
    for day in (1, 2, 3):
        kubelet_volume.write({f"tokens.t{day}": "x"})
        assert settings.live.reload()
    assert [stale.field for stale in heard] == ["tokens"] * 3
    assert settings.live.status().stale == (heard[-1],)
    assert all(f"key `tokens.t{day}` was removed" in caplog.text for day in (0, 1, 2))
    assert "resolved" not in caplog.text


def test_several_entries_at_once(kubelet_volume, load, caplog):
    """K12: several entries that one change removes are one record, which ends when all are back."""
    kubelet_volume.write({"tokens.a": "1", "tokens.b": "2", "tokens.c": "3"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.write({"tokens.c": "3"})
    assert settings.live.reload()
    assert "key `tokens.a` was removed" in caplog.text
    assert "together with other values of `tokens` (1)" in caplog.text
    kubelet_volume.update({"tokens.a": "1"})
    assert settings.live.reload()
    assert [stale.field for stale in settings.live.status().stale] == ["tokens"]
    kubelet_volume.update({"tokens.b": "1"})
    assert settings.live.reload()
    assert settings.live.status().stale == ()


def test_a_part_of_an_entry(kubelet_volume, load, caplog):
    """K12: of an entry that is still there, only what was removed is said to have gone."""
    kubelet_volume.write({"tenants.a.host": "x", "tenants.a.previous": "y"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.remove("tenants.a.previous")
    assert settings.live.reload()
    assert "key `tenants.a.previous` was removed from" in caplog.text
    assert "its value is no longer in `tenants`" in caplog.text


def test_a_whole_mapping_after_an_entry(kubelet_volume, load):
    """K12: a field whose entry was removed, and then the rest, is stale once."""
    kubelet_volume.write({"labels": '{"a": "1", "b": "2"}', "message": "x"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.update({"labels": '{"a": "1"}'})
    assert settings.live.reload()
    kubelet_volume.remove("labels")
    assert settings.live.reload()
    assert [(stale.field, stale.reason) for stale in settings.live.status().stale] == [("labels", "vanished")]


def test_an_entry_of_a_restart_field(kubelet_volume, load):
    """K12: an entry that stays in use until a restart has not vanished."""

    class Restarted(Settings):
        model_config = SettingsConfigDict(watch=False)
        labels: Annotated[dict[str, str], Key(restart=True)] = {}

    kubelet_volume.write({"labels": '{"a": "1", "b": "2"}'})
    settings = load(Restarted, _volumes=kubelet_volume.path)
    kubelet_volume.write({"labels": '{"a": "1"}'})
    settings.live.reload()
    assert settings.labels == {"a": "1", "b": "2"}
    assert [(stale.field, stale.reason) for stale in settings.live.status().stale] == [("labels", "restart")]


@pytest.mark.parametrize(
    "payload", [{"tokens/acme": "1"}, {"previous_key": "1"}, {"smtp": '{"host": "x", "password": "1"}'}]
)
def test_a_volume_that_is_empty_now(make_kubelet_volume, load, payload):
    """K12: a volume that fed a secret and is empty as a whole is rejected; the text names what lets it go."""
    config, secrets = make_kubelet_volume("config"), make_kubelet_volume("secrets")
    config.write({"message": "one"})
    secrets.write(payload)
    settings = load(App, _volumes=[config.path, secrets.path])
    secrets.write({})
    assert not settings.live.reload()
    reason = settings.live.status().last_rejected.reason
    assert "the volume is empty now" in reason
    assert 'Key(missing="fallback")' in reason
    secrets.write(payload)
    assert settings.live.reload()


def test_a_volume_that_is_empty_and_fed_no_secret(swap, kubelet_volume, load):
    """K12: a volume without secrets may become empty."""
    kubelet_volume.write({"labels.team": "1"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.write({})
    assert settings.live.reload()
    assert settings.labels == {}


def test_a_volume_that_is_secret(kubelet_volume, load):
    """K12: of a volume that is declared secret everything is a secret, entries too."""
    kubelet_volume.write({"labels.team": "1", "labels.tier": "2", "message": "x"})
    settings = load(App, _volumes=Volume(kubelet_volume.path, secret=True))
    kubelet_volume.remove("labels.team")
    assert settings.live.reload()
    kubelet_volume.remove("message")
    assert not settings.live.reload()
    assert settings.message == "x"


class WithRules(Settings):
    model_config = SettingsConfigDict(watch=False)
    tokens: Annotated[dict[str, SecretStr], Key(missing="fallback")] = {}
    secret: Annotated[SecretStr, Key(missing="fallback")] = SecretStr("default")
    number: Annotated[int, Key(missing="reject")] = 0
    tenants: dict[str, Annotated[Tenant, "x"]] = {}
    optional: Annotated[SecretStr | None, Key(missing="reject")] = None
    smtp: Annotated[Smtp | None, Key(missing="reject")] = None
    message: str = "default"


@pytest.mark.parametrize(
    ("payload", "applied"),
    [
        ({"tokens/acme": "1"}, True),
        ({"secret": "1"}, True),
        ({"number": "1"}, False),
        ({"optional": "1"}, False),
        ({"smtp.host": "x", "smtp.password": "1"}, False),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_the_rule_of_a_field(kubelet_volume, load, payload, applied, empty):
    """K12: Key(missing=...) decides for its field, also when the volume becomes empty."""
    kubelet_volume.write({**payload, "other": "x"})
    settings = load(WithRules, _volumes=kubelet_volume.path)
    kubelet_volume.write({} if empty else {"other": "x"})
    assert settings.live.reload() is applied
    if not applied:
        assert 'Key(missing="reject")' in settings.live.status().last_rejected.reason


@pytest.mark.parametrize(("rule", "applied"), [("fallback", True), ("reject", False)])
@pytest.mark.parametrize("payload", [{"tokens/acme": "1"}, {"password": "1"}, {"previous_key": "1"}, {"labels.a": "1"}])
def test_the_rule_of_a_class(kubelet_volume, load, rule, applied, payload):
    """K12: missing_key of the class beats the rules for secrets, entries and optional values."""

    class Ruled(App):
        model_config = SettingsConfigDict(missing_key=rule)

    kubelet_volume.write({**payload, "message": "x"})
    settings = load(Ruled, _volumes=kubelet_volume.path)
    kubelet_volume.remove(*payload)
    assert settings.live.reload() is applied
    if not applied:
        assert 'missing_key="reject"' in settings.live.status().last_rejected.reason


@pydantic_dataclass(config=ConfigDict(extra="allow"))
class Allowing:
    host: str = "none"


class AllowingDictionary(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    host: str


class Plan(BaseModel):
    host: str = "none"
    limit: int = 0


@pytest.mark.parametrize("kind", [Allowing, AllowingDictionary, dict[str, str] | Plan])
@pytest.mark.parametrize("optional", [False, True])
def test_an_undeclared_key_of_another_container(kubelet_volume, load, kind, optional):
    """K12: the removal of a key that a dataclass, a typed dictionary or a union holds without declaring it is applied."""

    class Holder(Settings):
        model_config = SettingsConfigDict(watch=False, env_nested_delimiter="__")
        options: (kind | None) if optional else kind
        message: str = "none"

    kubelet_volume.write({"options__host": "one", "options__mode": "require"})
    settings = load(Holder, _volumes=kubelet_volume.path)
    kubelet_volume.write({"options__host": "one", "message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"


def test_a_bad_entry_of_a_document_beside_a_key(kubelet_volume, load):
    """K02: where a field may be a mapping or a model, a bad value of a document is rejected as any other is."""

    class Holder(Settings):
        model_config = SettingsConfigDict(watch=False, env_nested_delimiter="__", documents=["app.yaml"])
        options: dict[str, str] | Plan | None = None

    kubelet_volume.write({"other": "1"})
    settings = load(Holder, _volumes=kubelet_volume.path)
    kubelet_volume.write({"options__limit": "x", "app.yaml": "options: {sub: {sub: x}}"})
    assert not settings.live.reload()
    assert "options__limit" in settings.live.status().last_rejected.reason


class NoLogin(BaseModel):
    kind: Literal["none"] = "none"
    token: str = "anonymous"


class Login(BaseModel):
    kind: Literal["login"] = "login"
    token: SecretStr = SecretStr("anonymous")


@pytest.mark.parametrize("kind", [NoLogin | Login, Login | NoLogin])
def test_a_secret_of_one_member_of_a_union(kubelet_volume, load, kind):
    """K12: a secret that another member of a union has as plain text does not fall back."""

    class Client(Settings):
        model_config = SettingsConfigDict(watch=False)
        login: Annotated[kind, Field(discriminator="kind")] = NoLogin()

    kubelet_volume.write({"login.kind": "login", "login.token": "one"})
    settings = load(Client, _volumes=kubelet_volume.path)
    kubelet_volume.remove("login.token")
    assert not settings.live.reload()
    assert settings.login.token == SecretStr("one")


class Region(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    name: str = "none"


class Strict(Settings):
    model_config = SettingsConfigDict(missing_key="reject", watch=False)
    region: Region | None = None


@pytest.mark.parametrize(("content", "left"), [("null", None), ('{"name": "north"}', {"name": "none", "zones": 3})])
def test_a_key_that_no_field_declares(kubelet_volume, load, content, left):
    """K12: null for the model around takes it away, as it does the fields; another content of the model does not."""
    kubelet_volume.write({"region.zones": "3"})
    settings = load(Strict, _volumes=kubelet_volume.path)
    kubelet_volume.write({"region": content})
    assert settings.live.reload() == (left is None)
    assert plain(settings.region) == left


def test_key_beats_the_class(kubelet_volume, load):
    """K12: Key(missing=...) is stronger than missing_key of the class."""

    class Ruled(WithRules):
        model_config = SettingsConfigDict(missing_key="fallback")

    kubelet_volume.write({"number": "1", "message": "x"})
    settings = load(Ruled, _volumes=kubelet_volume.path)
    kubelet_volume.remove("message")
    assert settings.live.reload()
    kubelet_volume.remove("number")
    assert not settings.live.reload()


def test_an_optional_secret_that_the_environment_holds(kubelet_volume, load, monkeypatch):
    """K12: a secret does not fall back to the environment, though its default is None."""
    monkeypatch.setenv("PREVIOUS_KEY", "old")
    kubelet_volume.write({"previous_key": "1", "message": "x"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.remove("previous_key")
    assert not settings.live.reload()
    assert settings.previous_key.get_secret_value() == "1"


def test_an_entry_that_a_weaker_volume_has(make_kubelet_volume, load):
    """K12: an entry that a weaker volume has too is not gone."""
    weak, strong = make_kubelet_volume("weak"), make_kubelet_volume("strong")
    weak.write({"tokens/acme": "weak"})
    strong.write({"tokens/acme": "strong", "tokens/other": "x"})
    settings = load(App, _volumes=[weak.path, strong.path])
    strong.remove("tokens/acme")
    assert settings.live.reload()
    assert plain(settings.tokens) == {"acme": "weak", "other": "x"}
    assert settings.live.status().stale == ()


def test_entries_of_a_whole(kubelet_volume, load):
    """K12: single keys of entries that are replaced by one key for the whole mapping have not vanished."""
    kubelet_volume.write({"tokens/acme": "1", "tokens/other": "2"})
    settings = load(App, _volumes=kubelet_volume.path)
    kubelet_volume.write({"tokens": '{"acme": "3", "other": "4"}'})
    assert settings.live.reload()
    assert plain(settings.tokens) == {"acme": "3", "other": "4"}
    assert settings.live.status().stale == ()


def test_a_name_in_a_document(kubelet_volume, load, caplog):
    """K12: a secret that is removed from a document that is still there is rejected; an entry may go."""

    class Document(App):
        model_config = SettingsConfigDict(documents=["app.env"])

    kubelet_volume.write({"app.env": "PASSWORD=1\nTOKENS__ACME=2\nTOKENS__OTHER=3"})
    settings = load(Document, _volumes=kubelet_volume.path)
    kubelet_volume.write({"app.env": "TOKENS__ACME=2\nTOKENS__OTHER=3"})
    assert not settings.live.reload()
    assert "`password` was removed from" in settings.live.status().last_rejected.reason
    kubelet_volume.write({"app.env": "PASSWORD=1\nTOKENS__OTHER=3"})
    assert settings.live.reload()
    assert plain(settings.tokens) == {"OTHER": "3"}
    assert any("an entry of `tokens` was removed from" in record.getMessage() for record in caplog.records)


@dataclass
class Server:
    host: str = "none"
    password: SecretStr | None = None


def test_an_optional_secret_of_a_dataclass(kubelet_volume, load, monkeypatch):
    """K12: an optional secret of a dataclass does not fall back to the environment."""

    class Shop(App):
        server: Server

    monkeypatch.setenv("SERVER__PASSWORD", "from the environment")
    kubelet_volume.write({"server.host": "one", "server.password": "one"})
    settings = load(Shop, _volumes=kubelet_volume.path)
    kubelet_volume.remove("server.password")
    assert not settings.live.reload()
    assert settings.server.password == SecretStr("one")


class Tokens(RootModel[dict[str, SecretStr]]):
    pass


class Gathered(Settings):
    model_config = SettingsConfigDict(watch=False)
    rooted: Tokens = Tokens({})
    mixed: dict[Annotated[int | str, Field(union_mode="left_to_right")], SecretStr] = {}
    rows: Annotated[dict[str, SecretStr], AfterValidator(lambda given: list(given.values()))] = {}


@pytest.mark.parametrize("field", ["rooted", "mixed", "rows"])
def test_an_entry_in_another_container(kubelet_volume, load, field):
    """K12: an entry may go from a root model, beside names of another type, and where a validator makes a list of them."""
    kubelet_volume.write({field: '{"1": "one", "old": "two"}'})
    settings = load(Gathered, _volumes=kubelet_volume.path)
    kubelet_volume.write({field: '{"1": "one"}'})
    assert settings.live.reload()
    value = getattr(settings, field)
    assert len(value.root if field == "rooted" else value) == 1
