"""Names at any depth: mappings and lists of models, prefixes, aliases, extra fields, and `Key`."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass as standard_dataclass
from typing import Annotated, Any, NamedTuple

import pytest
import yaml
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr
from typing_extensions import TypedDict

from liveconfig import AmbiguousKeyError, InvalidSettingsError, Key, LiveConfigError, Settings, SettingsConfigDict

DELIMITED = SettingsConfigDict(watch=False, env_nested_delimiter="__")


@pytest.fixture
def read(kubelet_volume, load):
    """A function that puts keys on a volume and reads it as a settings class."""

    def read(cls, payload):
        kubelet_volume.write(payload)
        return load(cls, _volumes=kubelet_volume.path, _watch=False)

    return read


def unused(settings: Settings) -> set[str]:
    return {each.key for each in settings.live.status().unused_keys}


# Mappings of models


class Pool(BaseModel):
    min_size: int = 0
    max_size: int = 0


class Tenant(BaseModel):
    host: str = "none"
    port: int = 0
    pool: Pool = Pool()
    labels: dict[str, str] = {}
    tags: list[str] = []
    key: bytes = b""


class Tenants(Settings):
    model_config = DELIMITED
    tenants: dict[str, Tenant] = {}


@pytest.mark.parametrize("name", ["tenants__acme__{}", "tenants.acme.{}", "tenants/acme/{}", "TENANTS/acme.{}"])
@pytest.mark.parametrize(
    ("inner", "content", "expected"),
    [
        ("host", "x\n", {"host": "x"}),
        ("HOST", "x", {"host": "x"}),
        ("port", "5", {"port": 5}),
        ("pool__min_size", "5", {"pool": {"min_size": 5}}),
        ("pool.max-size", "5", {"pool": {"max_size": 5}}),
        ("labels.team", "5", {"labels": {"team": "5"}}),
        ("tags", '["a"]', {"tags": ["a"]}),
        ("key", b"\xff\n", {"key": b"\xff\n"}),
    ],
)
def test_mapping_of_models(read, name, inner, content, expected):
    """K02: keys reach the fields of the models in a mapping, in all notations, as deep as the models go."""
    settings = read(Tenants, {name.format(inner): content})
    assert settings.tenants == {"acme": Tenant(**expected)}
    assert unused(settings) == set()
    assert settings.live.origin("tenants").name == name.format(inner)


def test_names_of_entries_are_kept(read):
    """K02: the names of entries are kept as they are written, with dashes, capitals and dots."""
    settings = read(
        Tenants,
        {
            "tenants/Acme-1/host": "a",
            "tenants.acme.example.com.host": "b",
            "tenants__b-c__host": "c",
            "tenants/d.example.com": '{"host": "d"}',
        },
    )
    assert {name: tenant.host for name, tenant in settings.tenants.items()} == {
        "Acme-1": "a",
        "acme.example.com": "b",
        "b-c": "c",
        "d.example.com": "d",
    }


def test_parts_over_the_whole(read):
    """K02: a key for a part goes over one for an entry, and that over one for the mapping."""
    settings = read(
        Tenants,
        {
            "tenants": '{"acme": {"host": "whole", "port": 1, "pool": {"MIN-SIZE": 1}}, "other": {"host": "other"}}',
            "tenants.acme": '{"host": "entry", "port": 2}',
            "tenants.acme.host": "part",
        },
    )
    assert settings.tenants == {
        "acme": Tenant(host="part", port=2, pool=Pool(min_size=1)),
        "other": Tenant(host="other"),
    }


def test_a_name_that_no_model_has(read):
    """K02: a name that the models of a mapping do not have is an unused key, and makes no entry."""
    settings = read(Tenants, {"tenants.acme.hots": "x", "tenants__acme__host__deeper": "y", "tenants.ok.host": "z"})
    assert settings.tenants == {"ok": Tenant(host="z")}
    assert unused(settings) == {"tenants.acme.hots", "tenants__acme__host__deeper"}


@standard_dataclass
class Standard:
    host: str = "none"


class Typed(TypedDict, total=False):
    host: str


class Words(RootModel[dict[str, Tenant]]):
    pass


class Shapes(Settings):
    model_config = DELIMITED
    optional: dict[str, Tenant | None] | None = None
    deep: dict[str, dict[str, int]] = {}
    anything: dict[str, Any] = {}
    bare: dict = {}
    standard: dict[str, Standard] = {}
    typed: dict[str, Typed] = {}
    root: Words = Words({})
    lists: dict[str, list[Tenant]] = {}
    either: dict[str, Tenant | str] = {}
    text: dict[str, str | list[str]] = {}


@pytest.mark.parametrize(
    ("key", "content", "field", "expected"),
    [
        ("optional.a.host", "x", "optional", {"a": Tenant(host="x")}),
        ("optional/a", "null", "optional", {"a": None}),
        ("deep__a__cpu", "5", "deep", {"a": {"cpu": 5}}),
        ("deep.a.cpu", "5", "deep", {"a": {"cpu": 5}}),
        ("deep/a/cpu", "5", "deep", {"a": {"cpu": 5}}),
        ("anything__a__b__c", "x", "anything", {"a": {"b": {"c": "x"}}}),
        ("anything/a/b", "[1]", "anything", {"a": {"b": [1]}}),
        ("bare.a.b", '{"c": 1}', "bare", {"a": {"b": {"c": 1}}}),
        ("standard.a.host", "x", "standard", {"a": Standard("x")}),
        ("typed.a.host", "x", "typed", {"a": {"host": "x"}}),
        ("root.a.host", "x", "root", Words({"a": Tenant(host="x")})),
        ("lists.a", '[{"Host": "x"}]', "lists", {"a": [Tenant(host="x")]}),
        ("either.a.host", "x", "either", {"a": Tenant(host="x")}),
        ("either.a", "x", "either", {"a": "x"}),
        ("text.a", "5", "text", {"a": "5"}),
        ("text.a", '["5"]', "text", {"a": ["5"]}),
    ],
)
def test_other_mappings(read, key, content, field, expected):
    """K02: keys reach into mappings of mappings, of dataclasses, of typed dictionaries, of anything, and optional ones."""
    assert getattr(read(Shapes, {key: content}), field) == expected


def test_as_the_variable(read, monkeypatch, load):
    """K02: the keys give what the variables TENANTS__ACME__... give, and both are merged."""
    monkeypatch.setenv("TENANTS__ACME__HOST", "x")
    monkeypatch.setenv("TENANTS__ACME__POOL__MIN_SIZE", "5")
    settings = read(Tenants, {"tenants.acme.port": "7"})
    assert settings.tenants == {"acme": Tenant(host="x", port=7, pool=Pool(min_size=5))}


def test_two_keys_for_one_entry(read):
    """K02: two spellings of one place inside an entry are ambiguous."""
    with pytest.raises(AmbiguousKeyError, match="tenants"):
        read(Tenants, {"tenants.acme.host": "x", "tenants/acme/host": "y"})


class Tree(BaseModel):
    value: int = 0
    inside: dict[str, Tree] = {}


def test_mappings_that_hold_themselves(read):
    """K02: in models that hold themselves a key reaches any depth, and a search that finds nothing ends."""

    class Rooted(Settings):
        tree: Tree = Tree()

    nothing = "tree." + "inside.a." * 25 + "nothing"
    settings = read(Rooted, {"tree.inside.a.inside.b.value": "5", nothing: "x"})
    assert settings.tree.inside["a"].inside["b"].value == 5
    assert unused(settings) == {nothing}


def test_anything_nested_too_deep(read):
    """K02: a name that would nest an open mapping beyond reason feeds nothing, and breaks nothing."""

    class Open(Shapes):
        model_config = SettingsConfigDict(documents=["a.properties"])

    text = f"anything.{'.'.join('a' * 400)}=x\nanything.b=y\n"
    assert read(Open, {"a.properties": text}).anything["b"] == "y"


# Documents


class Server(BaseModel):
    host_name: str = "unset"
    pool: Pool = Pool()
    key: bytes = b""
    aliased: str = Field("unset", alias="theAlias")


class Point(NamedTuple):
    max_x: int = 0


class Servers(Settings):
    model_config = SettingsConfigDict(documents=["app.yaml", "app.json"], watch=False)
    servers: list[Server] = []
    by_name: dict[str, Server] = {}
    pairs: tuple[Server, int] | None = None
    deep: list[dict[str, list[Server]]] = []
    union: list[Server | str] = []
    standard: list[Standard] = []
    tuples: list[Point] = []


DEEP = [
    ({"servers": [{"host-name": "a"}]}, "servers", [Server(host_name="a")]),
    ({"SERVERS": [{"HostName": "a"}]}, "servers", [Server()]),
    (
        {"servers": [{"Host-Name": "a", "POOL": {"Min-Size": 5}}]},
        "servers",
        [Server(host_name="a", pool=Pool(min_size=5))],
    ),
    ({"servers": [{"thealias": "a"}]}, "servers", [Server(theAlias="a")]),
    ({"servers": [{"key": "é"}]}, "servers", [Server(key="é".encode())]),
    ({"by-name": {"A-b": {"host.name": "a"}}}, "by_name", {"A-b": Server(host_name="a")}),
    ({"pairs": [{"host-name": "a"}, 1]}, "pairs", (Server(host_name="a"), 1)),
    ({"deep": [{"x-y": [{"host-name": "a"}]}]}, "deep", [{"x-y": [Server(host_name="a")]}]),
    ({"union": ["x", {"host-name": "a"}]}, "union", ["x", Server(host_name="a")]),
    ({"standard": [{"HOST": "a"}]}, "standard", [Standard("a")]),
    ({"tuples": [{"max-x": 1}]}, "tuples", [Point(1)]),
]


@pytest.mark.parametrize(("data", "field", "expected"), DEEP)
@pytest.mark.parametrize("name", ["app.yaml", "app.json"])
def test_names_inside_lists(read, data, field, expected, name):
    """K03: names in a document are compared alike inside lists, tuples and mappings of models."""
    text = yaml.safe_dump(data) if name == "app.yaml" else json.dumps(data)
    assert getattr(read(Servers, {name: text}), field) == expected


@pytest.mark.parametrize(("data", "field", "expected"), DEEP)
def test_names_inside_json(read, data, field, expected):
    """K03: the same in the JSON of a single key."""
    ((name, value),) = data.items()
    assert getattr(read(Servers, {name: json.dumps(value)}), field) == expected


UNKNOWN = [
    ("app.yaml", "servers: [{host-name: a}, {host_nmae: b}]", "app.yaml:servers[1].host_nmae", "servers[].host_name"),
    ("app.yaml", "by_name: {x: {hst_name: c}}", "app.yaml:by_name[*].hst_name", "by_name[*].host_name"),
    ("app.yaml", "servers: [{}, {colour: red}]", "app.yaml:servers[1].colour", None),
    ("app.yaml", "nothing_like_it: 1", "app.yaml:nothing_like_it", None),
    ("app.json", '{"pairs": [{"hostname": "a"}, 5]}', "app.json:pairs[0].hostname", "pairs[].host_name"),
    ("servers", '[{"host_nam": "a"}]', "servers:[0].host_nam", "servers[].host_name"),
]


class Site(Settings):
    model_config = SettingsConfigDict(watch=False, env_prefix="SITE_", env_nested_delimiter="__", documents=["app.env"])
    by_name: dict[str, Server] = {}
    one: Server = Server()


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("SITE_by_name__x__hostname", "by_name[*].host_name"),
        ("SITE_by-name.x.hst-name", "by_name[*].host_name"),
        ("SITE_by_name/x/hst_name", "by_name[*].host_name"),
        ("SITE_by_name/x/colour", None),
        ("SITE_one__hostname", "one.host_name"),
    ],
)
def test_unknown_names_inside_entries(read, key, near):
    """The nearest field to a key inside an entry of a mapping is one of that entry, and none of a model beside it."""
    (unused,) = read(Site, {key: "x"}).live.status().unused_keys
    assert (unused.key, unused.nearest) == (key, near)


def test_a_secret_name_of_an_entry(read):
    """A line of a document of texts is not shown because its end is near to a field of an entry: it may be a secret."""
    assert read(Site, {"app.env": "SITE_BY_NAME__CANARY__HOSTNAME=x"}).live.status().unused_keys == ()


@pytest.mark.parametrize(("name", "text", "key", "near"), UNKNOWN)
def test_unknown_names_inside_lists(read, name, text, key, near):
    """K03: unknown names in structured data are listed as unused, with their place, and the nearest field there."""
    (unused,) = read(Servers, {name: text}).live.status().unused_keys
    assert (unused.key, unused.nearest) == (key, near)


@pytest.mark.parametrize("text", ["{}: 1", "servers: [{{{}: 1}}]", "by_name: {{{}: {{hst_name: c}}}}"])
def test_names_that_may_be_secrets(read, canary, text):
    """K03: a name that looks like no name, and the name of an entry, may be a secret, and is not listed."""
    status = read(Servers, {"app.yaml": text.format(canary)}).live.status()
    assert canary not in repr(status) + repr(status.as_dict())


def test_entries_in_documents_are_exact(read):
    """K03: the names of entries in a document are kept, with dots and all."""
    text = yaml.safe_dump({"by_name": {"a.b/c-D": {"host_name": "x"}}})
    assert read(Servers, {"app.yaml": text}).by_name == {"a.b/c-D": Server(host_name="x")}


# Extra fields


class Options(BaseModel):
    model_config = ConfigDict(extra="allow")
    timeout: int = 0


class Engine(Settings):
    model_config = SettingsConfigDict(env_nested_delimiter="__", documents=["app.yaml"], watch=False)
    options: Options = Options()
    engines: dict[str, Options] = {}
    several: list[Options] = []


@pytest.mark.parametrize("key", ["options__sslmode", "options.sslmode", "options/sslmode", "OPTIONS/sslmode"])
def test_extra_fields(read, key):
    """K11: a nested model with extra="allow" takes keys that name no field of it, and they are not unused."""
    settings = read(Engine, {key: "require", "options.timeout": "5"})
    assert settings.options.timeout == 5
    assert settings.options.model_extra == {"sslmode": "require"}
    assert unused(settings) == set()


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        ({"options": {"sslmode": "require", "nested": {"A-b": [1]}}}, {"sslmode": "require", "nested": {"A-b": [1]}}),
        ({"Options": {"Time-Out": 1, "TIMEOUT": 5}}, {"Time-Out": 1}),
    ],
)
def test_extra_fields_in_documents(read, data, extra):
    """K11: an extra name in a document is taken as it is written, and is not unused."""
    settings = read(Engine, {"app.yaml": yaml.safe_dump(data)})
    assert settings.options.model_extra == extra
    assert unused(settings) == set()


def test_extra_fields_deep_inside(read):
    """K11: the same for models in mappings and in lists."""
    settings = read(Engine, {"engines.a.sslmode": "require", "several": '[{"sslmode": "require"}]'})
    assert settings.engines["a"].model_extra == settings.several[0].model_extra == {"sslmode": "require"}
    assert unused(settings) == set()


def test_an_extra_field_changes(kubelet_volume, read):
    """K11: an extra field that changes, comes or goes is a change of its own name, with the key as its origin."""
    settings = read(Engine, {"options.sslmode": "require", "options.timeout": "5"})
    assert settings.live.origins()["options.sslmode"].name == "options.sslmode"
    assert settings.live.origins()["options.timeout"].name == "options.timeout"
    heard: list[str] = []
    settings.live.on_reload(lambda reloaded: heard.extend(str(change.field) for change in reloaded.changes))
    kubelet_volume.write({"options.sslmode": "disable", "options.timeout": "5", "options.keepalive": "1"})
    assert settings.live.reload()
    assert settings.options.model_extra == {"sslmode": "disable", "keepalive": "1"}
    kubelet_volume.write({"options.timeout": "5", "options.keepalive": "1"})
    assert settings.live.reload()
    assert heard == ["options.sslmode", "options.keepalive", "options.sslmode"]


# Prefixes


class Db(Settings):
    model_config = SettingsConfigDict(env_prefix="DB_", watch=False)
    host: str = "none"


class Web(Settings):
    model_config = SettingsConfigDict(env_prefix="WEB_", watch=False)
    host: str = "none"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_only_prefixed_keys(read, caplog):
    """K13: of classes that share a volume each takes the keys with its own prefix, and none the bare ones."""
    payload = {"HOST": "bare", "DB_HOST": "db"}
    assert (read(Db, payload).host, read(Web, payload).host) == ("db", "none")
    lines = warnings_of(caplog)
    assert [("Db" in line, "Web" in line) for line in lines] == [(True, False), (False, True)]
    assert all("HOST" in line and 'key_prefix=""' in line for line in lines)


def test_unused_bare_keys(read):
    """K13: a bare key is unused, the field that it would feed is the nearest, and the hint names the prefix."""
    (key,) = read(Web, {"host": "x"}).live.status().unused_keys
    assert (key.key, key.nearest) == ("host", "host")
    assert "`WEB_`" in str(key.hint)
    assert 'key_prefix=""' in str(key.hint)
    (key,) = read(Web, {"DB_HOST": "x"}).live.status().unused_keys
    assert (key.key, key.hint) == ("DB_HOST", None)


@pytest.mark.parametrize("prefix", ["", "CONF_"])
def test_key_prefix(read, monkeypatch, prefix):
    """K13: key_prefix is the prefix of keys alone, and env_prefix stays that of variables."""

    class Own(Settings):
        model_config = SettingsConfigDict(env_prefix="WEB_", key_prefix=prefix, watch=False)
        host: str = "none"
        port: int = 0

    monkeypatch.setenv("WEB_PORT", "5")
    settings = read(Own, {f"{prefix}host": "x", "WEB_HOST": "y"})
    assert (settings.host, settings.port) == ("x", 5)
    assert unused(settings) == {"WEB_HOST"}


@pytest.mark.parametrize("key", ["conf/web/db/min-size", "CONF/WEB/DB.min_size", "conf/web/db__min_size"])
def test_prefix_of_folders(read, key):
    """K13: a prefix may be made of folders, and keys reach into models below it."""

    class Below(Settings):
        model_config = SettingsConfigDict(key_prefix="conf/web/", env_nested_delimiter="__", watch=False)
        db: Pool = Pool()
        aliased: str = Field("none", alias="ALIAS")

    settings = read(Below, {key: "5", "db/max_size": "6", "ALIAS": "x"})
    assert (settings.db, settings.aliased) == (Pool(min_size=5), "x")
    assert unused(settings) == {"db/max_size"}


def test_most_splits(read, monkeypatch):
    """K02: env_nested_max_split holds for keys as for variables: what is left of a name is one name."""

    class Inner(BaseModel):
        min_size: int = 0
        pool: Pool = Pool()

    class Split(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="_", env_nested_max_split=1, watch=False)
        db: Inner = Inner()
        db_pool: Inner = Inner()

    payload = {"db_min_size": "1", "db_pool_min_size": "2"}
    expected = {"min_size": 1, "pool": Pool().model_dump()}
    assert read(Split, payload).model_dump() == {"db": expected, "db_pool": {**expected, "min_size": 2}}
    for name, value in payload.items():
        monkeypatch.setenv(name.upper(), value)
    assert read(Split, {}).model_dump() == {"db": expected, "db_pool": {**expected, "min_size": 2}}


def test_bare_key_in_errors(read):
    """K13: the error of a required field says that the bare key is there, and what to do."""

    class Needy(Settings):
        model_config = SettingsConfigDict(env_prefix="WEB_", watch=False)
        host: str

    with pytest.raises(InvalidSettingsError) as caught:
        read(Needy, {"host": "x"})
    assert "the key WEB_host" in str(caught.value)
    assert "`host`" in str(caught.value)
    assert 'key_prefix=""' in str(caught.value)


def test_prefix_and_documents(read):
    """K13: names in structured documents carry no prefix; those in documents of texts do."""

    class Documents(Settings):
        model_config = SettingsConfigDict(env_prefix="WEB_", documents=["a.yaml", "b.env"], watch=False)
        host: str = "none"
        port: int = 0

    settings = read(Documents, {"a.yaml": "host: x\nWEB_PORT: 5", "b.env": "PORT=6"})
    assert (settings.host, settings.port) == ("x", 0)
    settings = read(Documents, {"a.yaml": "port: 5", "b.env": "WEB_HOST=y"})
    assert (settings.host, settings.port) == ("y", 5)


def test_prefix_and_aliases(read):
    """K13: an alias carries no prefix, unless env_prefix_target says so, as in pydantic-settings."""

    class Aliased(Settings):
        model_config = SettingsConfigDict(env_prefix="WEB_", watch=False)
        host: str = Field("none", alias="HOST_NAME")

    assert read(Aliased, {"HOST_NAME": "x"}).host == "x"
    assert read(Aliased, {"WEB_HOST_NAME": "x"}).host == "none"


# Aliases


class Renamed(Settings):
    model_config = DELIMITED
    name: str = Field("none", validation_alias=AliasChoices("NEW", "OLD"))
    db: Pool = Field(Pool(), validation_alias=AliasChoices("NEW_DB", "OLD_DB"))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"NEW": "new", "OLD": "old"}, "new"),
        ({"OLD": "old", "new": "new"}, "new"),
        ({"OLD": "old"}, "old"),
    ],
)
def test_first_alias_wins(read, payload, expected):
    """K14: of several aliases the first that is present wins, and the others are not unused."""
    settings = read(Renamed, payload)
    assert settings.name == expected
    assert settings.live.origin("name").name in payload
    assert unused(settings) == set()


def test_first_alias_wins_inside(read):
    """K14: the same for parts of a model with several aliases, part by part."""
    settings = read(Renamed, {"OLD_DB.min_size": "1", "OLD_DB.max_size": "1", "NEW_DB.max_size": "2"})
    assert settings.db == Pool(min_size=1, max_size=2)


def test_first_alias_wins_in_documents(read):
    """K14: the same in a document and in an environment variable."""

    class Document(Renamed):
        model_config = SettingsConfigDict(documents=["a.json"])

    settings = read(Document, {"a.json": '{"OLD": "old", "NEW": "new"}'})
    assert settings.name == "new"


def test_the_stronger_volume_wins(make_kubelet_volume, load):
    """K14: between volumes the stronger one wins, whichever alias it uses."""
    weak, strong = make_kubelet_volume("weak"), make_kubelet_volume("strong")
    weak.write({"NEW": "weak"})
    strong.write({"OLD": "strong"})
    assert load(Renamed, _volumes=[weak.path, strong.path]).name == "strong"


def test_two_spellings_of_an_alias(read):
    """K14: two spellings of one alias stay ambiguous."""
    with pytest.raises(AmbiguousKeyError, match="name"):
        read(Renamed, {"NEW": "1", "new": "2"})


def test_two_fields_with_one_alias(read):
    """K30: two fields with one alias both get its value; with populate_by_name each has its own name too."""

    class Shared(Settings):
        model_config = SettingsConfigDict(populate_by_name=True, watch=False)
        a: str = Field("none", alias="X")
        b: str = Field("none", alias="X")

    def values(payload):
        settings = read(Shared, payload)
        return settings.a, settings.b

    assert values({"X": "1"}) == ("1", "1")
    assert values({"a": "1", "b": "2"}) == ("1", "2")
    assert values({"X": "0", "b": "2"}) == ("0", "0")


class TwoCases(Settings):
    model_config = SettingsConfigDict(documents=["a.json"])
    Host: str = "-"
    host: str = "-"


class AliasOfAnotherField(Settings):
    model_config = SettingsConfigDict(documents=["a.json"])
    host: str = "-"
    other: str = Field("-", alias="host")


class DelimiterInside(Settings):
    model_config = SettingsConfigDict(documents=["a.json"], env_nested_delimiter="__")
    tenant: Tenant = Tenant()
    tenant__host: str = "-"


@pytest.mark.parametrize(
    ("cls", "name", "expected"),
    [
        (TwoCases, "host", {"Host": "x", "host": "-"}),
        (TwoCases, "Host", {"Host": "x", "host": "-"}),
        (AliasOfAnotherField, "host", {"host": "x", "other": "x"}),
        (DelimiterInside, "tenant__host", {"tenant__host": "x"}),
        (DelimiterInside, "tenant.host", {"tenant__host": "-"}),
    ],
)
def test_plain_names_in_documents(read, cls, name, expected):
    """A name in a document that several fields could take leads where the same single key leads."""
    for payload in ({"a.json": json.dumps({name: "x"})}, {name: "x"}):
        values = read(cls, payload).model_dump()
        assert {field: values[field] for field in expected} == expected


def test_a_field_called_self(read):
    """K30: a field called `self` is fed by its key and by an argument."""

    class Odd(Settings):
        model_config = SettingsConfigDict(watch=False)
        self: str = "none"
        cls: str = "none"

    assert read(Odd, {"self": "x", "cls": "y"}).self == "x"  # type: ignore[comparison-overlap]
    assert Odd(self="given").self == "given"  # type: ignore[comparison-overlap]
    assert Odd.load(cls="given").cls == "given"


def test_a_path_reaches_inside(read):
    """K30: keys reach inside the value into which an AliasPath looks, as variables do."""

    class Inside(Settings):
        model_config = DELIMITED
        letter: str = Field("none", validation_alias=AliasPath("envelope", "letter"))

    settings = read(Inside, {"envelope__letter": "dear"})
    assert (settings.letter, settings.live.origin("letter").name) == ("dear", "envelope__letter")


# Key


class WithKeys(Settings):
    model_config = SettingsConfigDict(
        env_prefix="APP_", env_nested_delimiter="__", documents=["app.yaml", "app.env"], watch=False
    )
    host: Annotated[str, Key("web.host-name")] = "none"
    renamed: Annotated[str, Key(["new-name", "old-name"])] = "none"
    db: Annotated[Pool, Key("database.json")] = Pool()
    logging: Annotated[dict[str, Any], Key("logging.yaml")] = {}
    text: Annotated[str, Key("text.yaml")] = "none"
    secret: Annotated[SecretStr, Key("secret.json")] = SecretStr("none")
    forced: Annotated[Any, Key(format="toml")] = None
    table: Annotated[Pool, Key("table", format="properties")] = Pool()
    items: Annotated[list[Server], Key("items.yml")] = []
    number: Annotated[int, Key("number.yaml")] = 0


@pytest.mark.parametrize(
    ("key", "content", "field", "expected"),
    [
        ("web.host-name", "x\n", "host", "x"),
        ("WEB.HOST_NAME", "x", "host", "x"),
        ("new-name", "x", "renamed", "x"),
        ("old-name", "x", "renamed", "x"),
        ("database.json", '{"MIN-SIZE": 5}', "db", Pool(min_size=5)),
        ("APP_db.min_size", "5", "db", Pool(min_size=5)),
        ("logging.yaml", "version: 1\nroot: {level: INFO}", "logging", {"version": 1, "root": {"level": "INFO"}}),
        ("text.yaml", "a: 1\n", "text", "a: 1"),
        ("APP_forced", "a = 1", "forced", {"a": 1}),
        ("table", "min-size=5", "table", Pool(min_size=5)),
        ("items.yml", "- host-name: a", "items", [Server(host_name="a")]),
        ("number.yaml", "5", "number", 5),
    ],
)
def test_key(read, key, content, field, expected):
    """Key: the whole key without prefix, and the format of its content by its ending or as it is given."""
    settings = read(WithKeys, {key: content})
    assert getattr(settings, field) == expected
    assert settings.live.status().unused_keys == ()
    assert next(origin.name for name, origin in settings.live.origins().items() if name.startswith(field)) == key


def test_key_instead_of_the_name(read):
    """Key: the field's own name feeds nothing as a single key, and still does in documents and in variables."""
    settings = read(WithKeys, {"APP_host": "x", "host": "y"})
    assert settings.host == "none"
    assert unused(settings) == {"APP_host", "host"}
    assert read(WithKeys, {"app.yaml": "host: x"}).host == "x"
    assert read(WithKeys, {"app.env": "APP_HOST=x\nweb.host-name=y"}).host == "x"


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Named(Settings):
    model_config = DELIMITED
    logging: Annotated[dict, Key("logging.yaml")] = {}
    tenants: Annotated[dict[str, Server], Key(["tenants/all.json", "tenants__all"])] = {}
    extra: Annotated[Open, Key("extra.json")] = Open()
    db: Annotated[Pool, Key("db.min_size", format="json")] = Pool()


@pytest.mark.parametrize(
    ("key", "content", "field", "expected"),
    [
        ("logging.yaml", "version: 1", "logging", {"version": 1}),
        ("LOGGING.yaml", "yaml: 1", "logging", {"yaml": 1}),
        ("tenants/all.json", '{"acme": {}}', "tenants", {"acme": Server()}),
        ("tenants__all", '{"acme": {}}', "tenants", {"acme": Server()}),
        ("extra.json", '{"a": "b"}', "extra", Open(a="b")),
        ("db.min_size", '{"max_size": 2}', "db", Pool(max_size=2)),
        ("db.max_size", "3", "db", Pool(max_size=3)),
    ],
)
def test_key_that_looks_like_an_entry(read, key, content, field, expected):
    """Key: the key of a field feeds the field alone, and nothing inside it, though its name leads there."""
    settings = read(Named, {key: content})
    assert getattr(settings, field) == expected
    assert settings.live.status().unused_keys == ()


@pytest.mark.parametrize("key", ["logging.yml", "logging.level", "tenants.acme.host", "extra.yaml"])
def test_entries_of_a_field_with_a_key(read, key):
    """Key: a mapping that has a key of its own takes no entries by its own name: such a key is unused."""
    settings = read(Named, {key: "x"})
    assert (settings.logging, settings.tenants, settings.extra) == ({}, {}, Open())
    assert unused(settings) == {key}


def test_key_in_a_variable(read, monkeypatch):
    """Key: a variable keeps the name of the field."""
    monkeypatch.setenv("APP_HOST", "x")
    assert read(WithKeys, {}).host == "x"


def test_first_key_wins(read):
    """Key: of several names the first that is present wins."""
    assert read(WithKeys, {"old-name": "old", "new-name": "new"}).renamed == "new"


def test_key_that_is_a_secret(read, canary):
    """Key: a secret gets its content as it is, whatever the ending of its key."""
    settings = read(WithKeys, {"secret.json": f'{{"a": "{canary}"}}'})
    assert settings.secret.get_secret_value() == f'{{"a": "{canary}"}}'


@pytest.mark.parametrize(
    ("key", "content", "said"),
    [
        ("logging.yaml", "a: [", "logging.yaml: invalid YAML (line 2"),
        ("database.json", "{", "database.json: invalid JSON (line 1"),
        ("APP_forced", "=", "APP_forced: invalid TOML"),
        ("logging.yaml", b"\xff", "logging.yaml: not UTF-8"),
    ],
)
def test_key_with_bad_content(read, key, content, said):
    """Key: content that is not in the format of its key is an error that names the key and the line."""
    with pytest.raises(InvalidSettingsError) as caught:
        read(WithKeys, {key: content})
    assert said in str(caught.value)


def test_key_in_a_nested_model(read):
    """Key: it works in nested models, also where one model stands in two places."""

    class Login(BaseModel):
        password: Annotated[SecretStr, Key("shared-password")] = SecretStr("none")

    class Nested(Settings):
        model_config = SettingsConfigDict(watch=False)
        primary: Login = Login()
        replica: Login | None = None

    settings = read(Nested, {"shared-password": "x", "primary.password": "y"})
    assert settings.primary.password == settings.replica.password == SecretStr("x")
    assert unused(settings) == {"primary.password"}


def test_required_key_in_errors(read):
    """Key: the error of a required field names the key that it looks for."""

    class Needy(Settings):
        host: Annotated[str, Key("web.host-name")]

    with pytest.raises(InvalidSettingsError, match=r"looked for the key web\.host-name"):
        read(Needy, {})


def test_two_fields_of_one_key(read):
    """Key: two fields with one key both get it; a field whose own name it is gets it too."""

    class Both(Settings):
        model_config = SettingsConfigDict(watch=False)
        one: Annotated[str, Key("shared")] = "none"
        other: Annotated[str, Key("shared")] = "none"
        shared: str = "none"

    settings = read(Both, {"shared": "x"})
    assert (settings.one, settings.other, settings.shared) == ("x", "x", "x")
    with pytest.raises(LiveConfigError):
        Key(format="xml")  # type: ignore[arg-type]
