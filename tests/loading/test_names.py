"""Which key feeds which field."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field
from typing_extensions import TypeAliasType

from liveconfig import AmbiguousKeyError, Key, Settings, SettingsConfigDict


class Database(BaseModel):
    user: str = "nobody"
    port: int = 0
    pool_size: int = 1


class Mode(enum.Enum):
    FAST = "fast"
    SAFE = "safe"


class Shop(Settings):
    model_config = SettingsConfigDict(env_nested_delimiter="__")

    mysql_root_password: str = "none"
    log_level: str = "none"
    port: int = 0
    db: Database = Database()
    labels: dict[str, str] = Field({})
    tags: list[str] = Field([])
    aliased: str = Field("none", alias="theAlias")
    chosen: str = Field("none", validation_alias=AliasChoices("first_choice", "second_choice"))
    inside: str = Field("none", validation_alias=AliasPath("envelope", "letter"))
    mode: Mode = Mode.SAFE


@pytest.fixture
def read(kubelet_volume, load):
    """A function that puts keys on a volume and reads it as a settings class."""

    def read(cls, **keys):
        kubelet_volume.write(keys)
        return load(cls, _volumes=kubelet_volume.path, _watch=False)

    return read


@pytest.mark.parametrize(
    ("key", "content", "field", "expected"),
    [
        ("mysql_root_password", "pw", "mysql_root_password", "pw"),
        ("mysql-root-password", "pw", "mysql_root_password", "pw"),
        ("MYSQL_ROOT_PASSWORD", "pw", "mysql_root_password", "pw"),
        ("Mysql-Root_Password", "pw", "mysql_root_password", "pw"),
        ("log.level", "info", "log_level", "info"),
        ("LOG.LEVEL", "info", "log_level", "info"),
        ("theAlias", "value", "aliased", "value"),
        ("THEALIAS", "value", "aliased", "value"),
        ("first_choice", "value", "chosen", "value"),
        ("second-choice", "value", "chosen", "value"),
        ("envelope", '{"letter": "dear"}', "inside", "dear"),
        ("mode", "fast", "mode", Mode.FAST),
        ("tags", '["a", "b"]', "tags", ["a", "b"]),
        ("labels", '{"a": "1"}', "labels", {"a": "1"}),
        ("labels/tier", "web", "labels", {"tier": "web"}),
        ("labels.tier", "web", "labels", {"tier": "web"}),
        ("labels__tier", "web", "labels", {"tier": "web"}),
        ("db", '{"user": "shop", "port": 3306}', "db", Database(user="shop", port=3306)),
    ],
)
def test_simple(read, key, content, field, expected):
    """A key feeds the field of its name or alias, whatever the case, with - and a lone dot read as _."""
    assert getattr(read(Shop, **{key: content}), field) == expected


@pytest.mark.parametrize(
    "key", ["db/pool_size", "db/pool-size", "DB/Pool-Size", "db.pool_size", "db.pool-size", "db.pool.size"]
)
def test_nested(read, key):
    """A folder and a dot reach into a nested model."""
    assert read(Shop, **{key: "9"}).db.pool_size == 9


@pytest.mark.parametrize("key", ["db__pool_size", "DB__POOL_SIZE", "db__pool-size"])
def test_nested_delimiter(read, key):
    """env_nested_delimiter reaches into a nested model."""
    assert read(Shop, **{key: "9"}).db.pool_size == 9


class Hyphenated(Settings):
    model_config = SettingsConfigDict(env_nested_delimiter="-")
    checkout_enabled: str = "none"
    db_port: str = "none"
    db: Database = Database()
    labels: dict[str, str] = Field({})
    databases: dict[str, Database] = Field({})


@pytest.mark.parametrize("delimiter", ["-", "--", "_-"])
def test_a_delimiter_of_hyphens(read, monkeypatch, delimiter):
    """A delimiter with hyphens separates levels, in keys as in variables, and - in it is read as _."""

    class Delimited(Hyphenated):
        model_config = SettingsConfigDict(env_nested_delimiter=delimiter)

    for written in (delimiter, delimiter.replace("-", "_")):
        keys = {"db-user": "a", "DB-pool_size": "9", "labels-Team": "b", "databases-Acme-user": "c"}
        settings = read(Delimited, **{key.replace("-", written): text for key, text in keys.items()})
        assert settings.db == Database(user="a", pool_size=9)
        assert (settings.labels, settings.databases) == ({"Team": "b"}, {"Acme": Database(user="c")})
        assert settings.live.status().unused_keys == ()
    monkeypatch.setenv(f"DB{delimiter}USER", "variable")
    settings = read(Delimited)
    assert settings.db.user == "variable"
    assert settings.live.origin("db.user").name == f"DB{delimiter}USER"


def test_a_field_before_a_delimiter_of_hyphens(read):
    """With - as the delimiter, a name that a field has as a whole is that of the field, as with _."""
    settings = read(Hyphenated, **{"checkout-enabled": "yes", "db-port": "1", "db-user": "a"})
    assert (settings.checkout_enabled, settings.db_port, settings.db) == ("yes", "1", Database(user="a"))


@pytest.mark.parametrize(("delimiter", "name"), [("_", "acme-corp"), ("-", "acme_corp")])
def test_an_entry_whose_name_is_like_the_delimiter(read, delimiter, name):
    """A name that splits only where - is read as _ is that of an entry if no field of the entry has the rest of it."""

    class Delimited(Hyphenated):
        model_config = SettingsConfigDict(env_nested_delimiter=delimiter)

    settings = read(Delimited, **{f"databases.{name}": '{"user": "a"}'})
    assert settings.databases == {name: Database(user="a")}


def test_no_delimiter(read):
    """Without env_nested_delimiter two underscores are part of a name."""

    class Plain(Settings):
        db: Database = Database()
        db__user: str = "none"

    settings = read(Plain, db__user="x")
    assert (settings.db.user, settings.db__user) == ("nobody", "x")


def test_nested_over_whole(read):
    """A key for a part of a model goes over the JSON of the whole."""
    settings = read(Shop, **{"db": '{"user": "whole", "port": 1}', "db.user": "part"})
    assert settings.db == Database(user="part", port=1)


def test_deep(read):
    """Folders, dots and the delimiter reach any depth, mixed too."""

    class Inner(BaseModel):
        a: int = 0
        b: int = 0
        c: int = 0
        d: int = 0

    class Outer(BaseModel):
        inner: Inner = Inner()

    class Deep(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="__")
        outer: Outer = Outer()

    keys = {"outer/inner/a": "1", "outer.inner.b": "2", "outer__inner__c": "3", "outer/inner.d": "4"}
    assert read(Deep, **keys).outer.inner == Inner(a=1, b=2, c=3, d=4)


def test_optional_model(read):
    """A key reaches into a model that may be None."""

    class Maybe(Settings):
        db: Database | None = None

    assert read(Maybe).db is None
    assert read(Maybe, **{"db.user": "x"}).db == Database(user="x")


def test_dot_without_model(read):
    """A dot that names no nested model is read as _, also where a part of it names a simple field."""

    class Dotted(Settings):
        log: str = "none"
        log_level: str = "none"

    settings = read(Dotted, **{"log.level": "debug", "log": "file"})
    assert (settings.log, settings.log_level) == ("file", "debug")


@pytest.mark.parametrize("key", ["app_port", "APP-PORT", "app.port", "App_Port"])
def test_prefix(read, key):
    """A key carries env_prefix."""

    class Prefixed(Settings):
        model_config = SettingsConfigDict(env_prefix="APP_")
        port: int = 0

    assert read(Prefixed, **{key: "8"}).port == 8


def test_prefix_nested(read):
    """env_prefix stands before the outermost name."""

    class Prefixed(Settings):
        model_config = SettingsConfigDict(env_prefix="app_", env_nested_delimiter="__")
        db: Database = Database()

    settings = read(Prefixed, **{"app_db__user": "x", "app-db/port": "7", "db.pool_size": "5"})
    assert settings.db == Database(user="x", port=7, pool_size=1)


def test_case_sensitive(read):
    """With case_sensitive a key of another case feeds nothing, and is no second claim."""

    class Exact(Settings):
        model_config = SettingsConfigDict(case_sensitive=True)
        port: int = 0
        Port: int = 0

    settings = read(Exact, port="1", Port="2", PORT="3")
    assert (settings.port, settings.Port) == (1, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("log-level", "log_level"),
        ("log.level", "log-level"),
        ("port", "PORT"),
        ("theAlias", "THEALIAS"),
        ("first_choice", "first-choice"),
        ("db/user", "db.user"),
        ("db.user", "db__user"),
        ("labels/tier", "labels.tier"),
    ],
)
def test_ambiguous(read, kubelet_volume, one, other):
    """Two keys of one volume that claim one field are refused, and the error names both files."""
    with pytest.raises(AmbiguousKeyError) as caught:
        read(Shop, **{one: "1", other: "2"})
    assert f"{kubelet_volume.path}/{one}" in str(caught.value)
    assert f"{kubelet_volume.path}/{other}" in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_ambiguous_later(read, kubelet_volume):
    """Two claims on one field that come later are a rejection that names both, and the last good stays."""
    settings = read(Shop, **{"log-level": "info"})
    kubelet_volume.write({"log-level": "debug", "log_level": "warn"})
    assert not settings.live.reload()
    assert settings.log_level == "info"
    rejected = settings.live.status().last_rejected
    assert rejected.stage == "parse"
    assert rejected.fields == ("log_level",)
    assert f"{kubelet_volume.path}/log-level" in rejected.reason
    assert f"{kubelet_volume.path}/log_level" in rejected.reason


def test_duplicates_of_no_field(read):
    """Duplicates that feed no field do no harm, and stand among the unused keys."""
    settings = read(Shop, **{"other-key": "1", "other_key": "2", "OTHER.KEY": "3", "port": "4"})
    assert settings.port == 4
    assert {unused.key for unused in settings.live.status().unused_keys} == {"other-key", "other_key", "OTHER.KEY"}


def test_unused_keys(read):
    """A key that no field uses is named with the nearest field; one that is nothing like a field has none."""
    settings = read(Shop, **{"mysql-rot-password": "x", "zzzzzz": "y"})
    assert {unused.key: unused.nearest for unused in settings.live.status().unused_keys} == {
        "mysql-rot-password": "mysql_root_password",
        "zzzzzz": None,
    }


def test_unused_is_never_decoded(read):
    """A key that feeds no field is never decoded."""
    assert read(Shop, logo=b"\xff\xfe\x00", port="1").port == 1


def test_folder_that_feeds_nothing(read):
    """A folder that names no model, or that goes deeper than the models, feeds nothing."""
    settings = read(Shop, **{"port/x": "1", "nothing/here": "2", "db/user/name": "3", "db/nothing": "4"})
    assert (settings.port, settings.db) == (0, Database())
    assert len(settings.live.status().unused_keys) == 4


def test_names_with_underscores_around(read):
    """A field whose name begins with the letters of the prefix needs the prefix all the same."""

    class Prefixed(Settings):
        model_config = SettingsConfigDict(env_prefix="app_")
        app_name: str = "none"

    assert read(Prefixed, app_name="x").app_name == "none"
    assert read(Prefixed, app_app_name="y").app_name == "y"


def test_union_of_models(read):
    """Keys reach into whichever model of a union has the field."""

    class Other(BaseModel):
        path: str

    class Either(Settings):
        store: Other | Database = Database()

    assert read(Either, **{"store.path": "/x"}).store == Other(path="/x")
    assert read(Either, **{"store.user": "u"}).store == Database(user="u")


class Listed(BaseModel):
    kind: Literal["listed"] = "listed"
    ports: list[int] = []
    size: int = 1


class Mapped(BaseModel):
    kind: Literal["mapped"] = "mapped"
    ports: dict[str, int] = {}
    size: Annotated[int, Key(restart=True)] = 1


def test_one_name_in_several_members_of_a_union(read, kubelet_volume):
    """A field that several members of a union have takes what any of them takes, and has the `Key` of any of them."""

    class Either(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="__")
        store: Annotated[Listed | Mapped, Field(discriminator="kind")] = Listed()

    assert read(Either, store__kind="mapped", store__ports__web="80").store == Mapped(ports={"web": 80})
    assert read(Either, store__kind="listed", store__ports="[80]").store == Listed(ports=[80])
    settings = read(Either, store__kind="mapped", store__size="2")
    kubelet_volume.update({"store__size": "3"})
    assert settings.live.reload()
    assert (settings.store.size, settings.live.status().restart_pending) == (2, ("store.size",))


def test_types_that_are_names_of_others(read):
    """A type that is an alias by name, or a mapping beside other members of a union, is read as what it stands for."""
    text, words = TypeAliasType("text", str), TypeAliasType("words", dict[str, bytes])

    class Named(Settings):
        line: text = "none"
        mixed: words | list[str] = Field({})
        things: dict = Field({})

    settings = read(Named, **{"line": "5", "mixed.a": b"\xff", "things.a": "5"})
    assert (settings.line, settings.mixed, settings.things) == ("5", {"a": b"\xff"}, {"a": 5})


def test_more_names_than_are_remembered(read):
    """Keys that feed nothing do not pile up without end, and those that feed something are found after them."""
    settings = read(Shop, port="1")
    plan = settings.live._core.loader.plan
    for number in range(50_001):
        plan.resolve(f"nothing-{number}")
    assert len(plan._resolved) <= 50_000
    assert plan.resolve("port") is not None


def test_a_path_into_what_has_no_inside(read):
    """Where an AliasPath leads into a value that has nothing inside, the field keeps its default."""
    assert read(Shop, envelope="5").inside == "none"
    assert read(Shop, envelope='{"stamp": "1"}').inside == "none"


def test_a_stronger_name_given_first(kubelet_volume, load):
    """Of two names for one field in one source, the one that pydantic looks for first wins, in whatever order they come."""

    class Both(Settings):
        model_config = SettingsConfigDict(validate_by_name=True, validate_by_alias=True)
        first: str = Field("none", validation_alias="theAlias")

    for given in ({"theAlias": "alias", "first": "name"}, {"first": "name", "theAlias": "alias"}):
        assert load(Both, _watch=False, **given).first == "alias"
