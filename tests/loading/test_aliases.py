"""Names under which pydantic takes a field: whichever source uses which of them, precedence and origins hold."""

from __future__ import annotations

import dataclasses
import json
import operator
import uuid
import warnings
from operator import attrgetter
from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr, Strict
from pydantic_settings import PydanticBaseSettingsSource

from liveconfig import InvalidSettingsError, Key, Settings, SettingsConfigDict, Volume

DELIMITED = SettingsConfigDict(watch=False, env_nested_delimiter="__")


class Unwatched(Settings):
    model_config = SettingsConfigDict(watch=False)


class ByPath(Unwatched):
    token: str = Field("default", validation_alias=AliasChoices("token", AliasPath("auth", "token")))


def test_a_path_takes_its_part_of_a_key(kubelet_volume):
    """An AliasPath among the choices takes what lies inside the key, and not the whole of it."""
    kubelet_volume.write({"auth": '{"token": "right", "master": "not for here"}'})
    settings = ByPath(_volumes=kubelet_volume.path)
    assert (settings.token, settings.live.origin("token").kind) == ("right", "volume")


def test_a_name_and_a_path_are_no_ambiguity(kubelet_volume):
    """Where a key of the field's name and a key for the path are both there, the first choice wins, as with variables."""
    kubelet_volume.write({"auth": '{"token": "path"}', "token": "name"})
    assert ByPath(_volumes=kubelet_volume.path).token == "name"


class TestEmptyValues:
    """A value that ``env_ignore_empty`` ignores claims nothing."""

    EMPTY = SettingsConfigDict(watch=False, env_ignore_empty=True, documents=["app.env"])

    def test_another_alias(self, kubelet_volume):
        """An empty first alias leaves the field to the second one, as with variables."""

        class Renamed(Settings):
            model_config = self.EMPTY
            token: SecretStr = Field(validation_alias=AliasChoices("NEW", "OLD"))

        kubelet_volume.write({"NEW": "\n", "OLD": "x"})
        settings = Renamed(_volumes=kubelet_volume.path)
        assert settings.token == SecretStr("x")
        assert settings.live.origin("token").name == "OLD"

    def test_another_name_of_a_key(self, kubelet_volume):
        """An empty key of the first name of a Key leaves the field to the second name."""

        class Named(Settings):
            model_config = self.EMPTY
            token: Annotated[SecretStr, Key(("new", "old"))]

        kubelet_volume.write({"new": "", "old": "x"})
        assert Named(_volumes=kubelet_volume.path).token == SecretStr("x")

    @pytest.mark.parametrize(
        "files", [{"a-b": "", "a_b": "x"}, {"app.env": "a-b=x\na_b="}, {"app.env": "a_b=x", "a-b": ""}]
    )
    def test_another_spelling(self, kubelet_volume, files):
        """A name whose value is empty is in no conflict with another spelling, and overrides no document."""

        class Spelled(Settings):
            model_config = self.EMPTY
            a_b: str = "default"

        kubelet_volume.write(files)
        settings = Spelled(_volumes=kubelet_volume.path)
        assert settings.a_b == "x"
        assert settings.live.status().unused_keys == ()


class Chosen(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    token: str = Field("default", validation_alias=AliasChoices("old", AliasPath("auth", "token")))
    other: str = "default"


class Choosing(Settings):
    model_config = SettingsConfigDict(
        watch=False, env_nested_delimiter="__", nested_model_default_partial_update=True, documents=["app.json"]
    )
    token: str = Field("default", validation_alias=AliasChoices("old", AliasPath("auth", "token")))
    item: str = Field("default", validation_alias=AliasChoices(AliasPath("items", 0), "single"))
    nested: Chosen = Chosen(token="partly")


@pytest.mark.parametrize(
    ("weak", "strong", "field"),
    [
        ({"old": "weak"}, {"auth": '{"token": "strong"}'}, "token"),
        ({"auth": '{"token": "weak"}'}, {"old": "strong"}, "token"),
        ({"old": "weak"}, {"auth__token": "strong"}, "token"),
        ({"items": '["weak", "x"]'}, {"single": "strong"}, "item"),
        ({"single": "weak"}, {"items": '["strong"]'}, "item"),
        ({"nested__old": "weak"}, {"nested__auth": '{"token": "strong"}'}, "nested.token"),
        ({"nested__other": "x"}, {"nested__auth": '{"token": "strong"}'}, "nested.token"),
    ],
)
def test_the_stronger_layer_wins(kubelet_volume, make_kubelet_volume, monkeypatch, weak, strong, field):
    """K14: of two layers the stronger wins, though the weaker uses a name for which pydantic looks first."""
    get = operator.attrgetter(field)
    kubelet_volume.write(strong)
    below = make_kubelet_volume("below")
    below.write(weak)
    settings = Choosing(_volumes=[below.path, kubelet_volume.path])
    assert (get(settings), settings.live.origin(field).name) == ("strong", next(iter(strong)))
    for name, value in weak.items():
        monkeypatch.setenv(name.upper(), value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = Choosing(_volumes=kubelet_volume.path)
    assert (get(settings), settings.live.origin(field).kind) == ("strong", "volume")


class Credentials(BaseModel):
    token: str = Field("default", validation_alias=AliasChoices(AliasPath("auth", "token"), "token"))
    user: str = Field("default", validation_alias=AliasPath("auth", "user"))


class WithCredentials(Unwatched):
    token: str = Field("default", validation_alias=AliasChoices(AliasPath("auth", "token"), "token"))
    user: str = Field("default", validation_alias=AliasPath("auth", "user"))


class WithNestedCredentials(Unwatched):
    login: Credentials = Credentials()


def test_a_stronger_name_leaves_the_rest_of_a_path(kubelet_volume, make_kubelet_volume):
    """K14: a stronger layer that gives a field by name replaces only this field's part of a weaker layer's key."""
    below = make_kubelet_volume("below")
    below.write({"auth": '{"token": "weak", "user": "ann"}'})
    kubelet_volume.write({"token": "strong"})
    settings = WithCredentials(_volumes=[below.path, kubelet_volume.path])
    assert (settings.token, settings.user) == ("strong", "ann")


def test_a_path_inside_a_nested_model(kubelet_volume, make_kubelet_volume):
    """K14: the same inside a nested model, where the settings themselves have no AliasPath."""
    below = make_kubelet_volume("below")
    below.write({"login": '{"auth": {"token": "weak", "user": "ann"}}'})
    kubelet_volume.write({"login": '{"token": "strong"}'})
    settings = WithNestedCredentials(_volumes=[below.path, kubelet_volume.path])
    assert (settings.login.token, settings.login.user) == ("strong", "ann")


def test_a_stronger_layer_that_does_not_give_the_field(kubelet_volume, make_kubelet_volume):
    """K14: of a key that several fields look into, each layer gives the fields for which it has a part."""
    below = make_kubelet_volume("below")
    below.write({"auth": '{"token": "weak", "user": "bob"}'})
    kubelet_volume.write({"auth": '{"user": "ann"}'})
    settings = WithCredentials(_volumes=[below.path, kubelet_volume.path])
    assert (settings.token, settings.user) == ("weak", "ann")


class Renamed(Unwatched):
    host: str = Field("default", validation_alias=AliasChoices("host", "hostname"))


def test_two_names_in_one_volume(kubelet_volume):
    """K14: of two keys for one field in one volume, the one that pydantic looks for first wins; that is no ambiguity."""
    kubelet_volume.write({"hostname": "second", "host": "first"})
    assert Renamed(_volumes=kubelet_volume.path).host == "first"


class Labelled(Unwatched):
    labels: dict[str, str] = Field({}, validation_alias=AliasChoices("old", AliasPath("meta", "labels"), "new"))


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ({"old": '{"a": "weak"}'}, {"meta": '{"labels": {"b": "strong"}}'}),
        ({"meta": '{"labels": {"a": "weak"}}'}, {"new": '{"b": "strong"}'}),
    ],
)
def test_a_mapping_with_several_names(kubelet_volume, make_kubelet_volume, weak, strong):
    """K14: a mapping that a stronger layer gives by another name replaces that of the weaker one as a whole."""
    below = make_kubelet_volume("below")
    below.write(weak)
    kubelet_volume.write(strong)
    assert Labelled(_volumes=[below.path, kubelet_volume.path]).labels == {"b": "strong"}


def test_names_that_are_no_text(kubelet_volume):
    """K13: a name in an argument that is no text reaches no field, and hides nothing of a volume."""
    kubelet_volume.write({"login": '{"token": "right"}'})
    settings = WithNestedCredentials(_volumes=kubelet_volume.path, login={1: "number"})
    assert settings.login.token == "right"


class Shared(Unwatched):
    a: str = Field("default", validation_alias=AliasPath("auth", "a"))
    b: SecretStr = Field(SecretStr("default"), validation_alias=AliasPath("auth", "b"))


def test_fields_that_share_a_key_are_all_known_to_be_served(kubelet_volume, canary):
    """Two fields that look inside one key both have it as their origin; the secret among them may not vanish."""
    kubelet_volume.write({"auth": f'{{"a": "1", "b": "{canary}"}}'})
    settings = Shared(_volumes=Volume(kubelet_volume.path, secret=True))
    assert [settings.live.origin(name).name for name in ("a", "b")] == ["auth", "auth"]
    assert "'1'" not in repr(settings)
    kubelet_volume.write({})
    assert not settings.live.reload()
    assert settings.b.get_secret_value() == canary


class InParts(Settings):
    model_config = DELIMITED
    a: str = Field("default", validation_alias=AliasPath("auth", "a"))
    b: str = Field("default", validation_alias=AliasPath("auth", "b"))
    entries: dict[str, str] = Field({}, validation_alias=AliasPath("auth", "entries"))


PARTS = {"auth__a": "one", "auth/b": "two", "auth__entries__first": "three", "auth/entries/second": "four"}


@pytest.mark.parametrize(
    ("removed", "field"),
    [("auth__a", "a"), ("auth/b", "b"), ("auth__entries__first", "entries"), ("auth/entries/second", "entries")],
)
def test_a_part_of_a_shared_key_is_removed(kubelet_volume, load, removed, field):
    """Of the fields that look inside one key, only the one whose part was removed is reported as stale."""
    kubelet_volume.write(PARTS)
    settings = load(InParts, _volumes=kubelet_volume.path)
    kubelet_volume.write({key: text for key, text in PARTS.items() if key != removed})
    assert settings.live.reload()
    assert [each.field for each in settings.live.status().stale] == [field]
    kubelet_volume.write(PARTS)
    assert settings.live.reload()
    assert settings.live.status().stale == ()


class NumberParts(Unwatched):
    a: int = Field(0, validation_alias=AliasPath("auth", "a"))
    b: int = Field(0, validation_alias=AliasChoices("other", AliasPath("auth", "list", 1)))
    entries: dict[str, int] = Field({}, validation_alias=AliasPath("auth", "entries"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"a": "x"}', "a: Input should be a valid integer"),
        ('{"list": [0, "x"]}', "b: Input should be a valid integer"),
        ('{"entries": {"first": "x"}}', "entries: Input should be a valid integer"),
    ],
)
def test_an_invalid_part_of_a_shared_key(kubelet_volume, content, problem):
    """Of the fields that look inside one key, the error names the one whose part is not valid."""
    kubelet_volume.write({"auth": content})
    with pytest.raises(InvalidSettingsError) as caught:
        NumberParts(_volumes=kubelet_volume.path)
    assert problem in str(caught.value)
    assert f"(in {kubelet_volume.path}/auth)" in str(caught.value)


class Login(BaseModel):
    user: str = "default"
    token: SecretStr = Field(SecretStr("default"), alias="Token")


class SecretParts(Unwatched):
    a: SecretStr = Field(SecretStr("default"), validation_alias=AliasPath("auth", "a"))
    b: SecretStr = Field(SecretStr("default"), validation_alias=AliasPath("auth", "b"))
    login: Login = Field(Login(), validation_alias=AliasPath("auth", "login"))


@pytest.mark.parametrize(("key", "field"), [("auth/a", "a"), ("auth/b", "b"), ("auth/login/Token", "login.token")])
def test_a_secret_part_of_a_shared_key_may_not_vanish(kubelet_volume, load, canary, key, field):
    """The removal of the key of one secret, of several that fields look for by a path, is rejected for its field."""
    payload = {"auth/a": canary, "auth/b": canary, "auth/login/Token": canary, "auth/login/user": "root"}
    kubelet_volume.write(payload)
    settings = load(SecretParts, _volumes=kubelet_volume.path)
    assert settings.live.origin(field).name == key
    del payload[key]
    kubelet_volume.write(payload)
    assert not settings.live.reload()
    assert settings.live.status().rejections[0].fields == (field,)
    assert operator.attrgetter(field)(settings).get_secret_value() == canary
    del payload["auth/login/user"]
    kubelet_volume.write({**payload, key: canary})
    assert settings.live.reload()
    assert [each.field for each in settings.live.status().stale] == ["login.user"]


class Tenant(BaseModel):
    host: str = "default"
    password: SecretStr = SecretStr("default")
    token: SecretStr = Field(SecretStr("default"), validation_alias=AliasPath("inner", "token"))


class SecretsInside(Settings):
    model_config = SettingsConfigDict(watch=False, env_nested_delimiter="__", documents=["app.json"])
    a: SecretStr = Field(SecretStr("default"), validation_alias=AliasPath("auth", "a"))
    login: Login = Field(Login(), validation_alias=AliasPath("auth", "login"))
    tenants: dict[str, Tenant] = Field({}, validation_alias=AliasPath("auth", "tenants"))
    others: dict[str, Tenant] = {}


LOGIN = {"login": {"Token": "CANARY", "user": "root"}}


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ({"auth": json.dumps(LOGIN)}, {"auth": '{"login": {"user": "root"}}'}, "login.token"),
        (
            {"app.json": json.dumps({"auth": LOGIN})},
            {"app.json": '{"auth": {"login": {"user": "root"}}}'},
            "login.token",
        ),
        ({"app.json": '{"auth": {"a": "CANARY"}}', "auth": '{"a": "CANARY"}'}, {"auth": "null"}, "a"),
        (
            {"auth/tenants/a/host": "x", "auth/tenants/a/password": "CANARY"},
            {"auth/tenants/a/password": None},
            "tenants",
        ),
        ({"others.a.host": "x", "others.a.inner.token": "CANARY"}, {"others.a.inner.token": None}, "others"),
    ],
    ids=["in a key", "in a document", "null over a document", "in an entry", "by a path in an entry"],
)
def test_a_secret_inside_may_not_vanish(kubelet_volume, load, canary, before, after, field):
    """K12: a secret may not vanish from a model, a mapping or a document that an AliasPath leads to, or leads through."""
    payload = {key: text.replace("CANARY", canary) for key, text in before.items()}
    kubelet_volume.write({**payload, "other": "kept"})
    settings = load(SecretsInside, _volumes=kubelet_volume.path)
    shown = settings.live.latest()
    kept = {key: text for key, text in {**payload, **after}.items() if text is not None}
    kubelet_volume.write({**kept, "other": "kept"})
    assert not settings.live.reload()
    assert settings.live.status().rejections[0].fields == (field,)
    assert settings.live.latest() is shown


def test_null_in_a_stronger_volume_takes_a_secret(make_kubelet_volume, load, canary):
    """K12: a null in a stronger volume, under the name in which an AliasPath looks, may not take a secret away."""
    weak, strong = make_kubelet_volume("weak"), make_kubelet_volume("strong")
    weak.write({"auth": json.dumps({"a": canary})})
    strong.write({"other": "kept"})
    settings = load(SecretParts, _volumes=[weak.path, strong.path])
    strong.update({"auth": "null"})
    assert not settings.live.reload()
    assert settings.a.get_secret_value() == canary


def test_a_part_that_no_field_looks_for_is_unused(kubelet_volume, load):
    """A key inside the value of an AliasPath is unused where no field looks; one that a mapping takes too is used."""
    kubelet_volume.write({"auth/a": "one", "auth/c": "two", "auth__d": "three"})
    settings = load(InParts, _volumes=kubelet_volume.path)
    assert [each.key for each in settings.live.status().unused_keys] == ["auth/c", "auth__d"]

    class Both(Unwatched):
        auth: dict[str, str] = {}
        a: str = Field("default", validation_alias=AliasPath("auth", "a"))

    assert load(Both, _volumes=kubelet_volume.path).live.status().unused_keys[0].key == "auth__d"


def test_the_origin_is_the_name_that_comes_first(kubelet_volume, load):
    """Of a key for the name and a key for the path, the origin is the one that gives the value."""
    kubelet_volume.write({"auth/token": "path", "token": "name"})
    settings = load(ByPath, _volumes=kubelet_volume.path)
    assert (settings.token, settings.live.origin("token").name) == ("name", "token")


def test_a_part_beside_the_whole_of_a_shared_key(kubelet_volume, load, monkeypatch):
    """Of a shared key that is decoded once, and a key for one part of it, each is the origin of what it gives."""
    whole, decoded, loads = '{"a": "whole", "b": "whole"}', [], json.loads

    def note_and_load(text, **options):
        decoded.append(text)
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", note_and_load)
    kubelet_volume.write({"auth": whole, "auth__a": "part"})
    settings = load(InParts, _volumes=kubelet_volume.path)
    assert (settings.a, settings.b) == ("part", "whole")
    assert [settings.live.origin(name).name for name in ("a", "b")] == ["auth__a", "auth"]
    assert decoded.count(whole) == 1


def test_a_variable_by_path_is_told_as_the_environment(kubelet_volume, monkeypatch):
    """A field that a variable serves by way of an AliasPath has the environment as its origin."""
    kubelet_volume.write({"other": "x"})
    monkeypatch.setenv("AUTH", '{"token": "from the environment"}')
    settings = ByPath(_volumes=kubelet_volume.path)
    assert settings.token == "from the environment"
    assert settings.live.origin("token").kind == "environment"
    assert settings.live.status().frozen == ("token",)


class Boxed(BaseModel):
    value: str = Field("default", validation_alias=AliasPath("beta_box", "in"))


class Inmost(BaseModel):
    max_size: str = "default"
    by_alias: str = Field("default", alias="byAlias")
    deep: Boxed = Boxed()
    entries: dict[str, str] = {}


class InBoxes(Settings):
    model_config = DELIMITED
    beta: Boxed = Boxed()
    gamma: Inmost = Field(Inmost(), validation_alias=AliasPath("Envelope", "Model"))
    letter: str = Field("default", validation_alias=AliasPath("Envelope", "Inner-Part", "letter"))
    other: str = Field("default", validation_alias=AliasPath("Envelope", "inner_part", "other"))


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("BETA__BETA_BOX__IN", "beta.value"),
        ("beta/Beta_Box/In", "beta.value"),
        ("beta.beta-box.IN", "beta.value"),
        ("ENVELOPE__INNER_PART__LETTER", "letter"),
        ("envelope__Inner-Part__letter", "letter"),
        ("Envelope__inner_part__OTHER", "other"),
        ("ENVELOPE__MODEL__MAX_SIZE", "gamma.max_size"),
        ("envelope/model/max-size", "gamma.max_size"),
        ("envelope.model.byalias", "gamma.by_alias"),
        ("envelope.model.Deep.Beta_Box.In", "gamma.deep.value"),
    ],
)
def test_case_of_the_parts_of_a_path(kubelet_volume, load, key, field):
    """A key reaches what an AliasPath looks for, whatever the case of the names on the way, as a variable does."""
    kubelet_volume.write({key: "x"})
    settings = load(InBoxes, _volumes=kubelet_volume.path)
    names = ("beta.value", "letter", "other", "gamma.max_size", "gamma.by_alias", "gamma.deep.value")
    found = {name: attrgetter(name)(settings) for name in names}
    assert found == {**dict.fromkeys(found, "default"), field: "x"}
    assert settings.live.origin(field).name == key
    assert settings.live.status().unused_keys == ()


def test_case_of_an_entry_inside_a_path(kubelet_volume, load):
    """The name of an entry of a mapping behind an AliasPath stays as it is."""
    kubelet_volume.write({"envelope.model.ENTRIES.KeepThis": "x"})
    settings = load(InBoxes, _volumes=kubelet_volume.path)
    assert settings.gamma.entries == {"KeepThis": "x"}


class Inside(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    user: str = Field("default", alias="username")


class Nested(Settings):
    model_config = DELIMITED
    db: Inside = Inside()


def test_an_argument_beats_the_volume_whatever_name_it_uses(kubelet_volume):
    """Arguments win over volumes inside nested models too, by alias or by name."""
    kubelet_volume.write({"db/user": "volume"})
    for name in ("user", "username"):
        settings = Nested(_volumes=kubelet_volume.path, db={name: "argument"})
        assert (settings.db.user, settings.live.origin("db.user").kind) == ("argument", "init")


class Aliased(Unwatched):
    model_config = SettingsConfigDict(env_prefix="APP_")
    token: str = Field(validation_alias="api-token")


def test_the_error_names_the_variable_that_works(kubelet_volume, monkeypatch):
    """An error names the variable that pydantic-settings looks for, and that variable then serves the field."""
    kubelet_volume.write({"other": "x"})
    monkeypatch.setenv("APP_TOKEN", "not looked at")
    with pytest.raises(InvalidSettingsError, match="the variable API-TOKEN"):
        Aliased(_volumes=kubelet_volume.path)


def test_no_variable_is_named_where_none_reaches(kubelet_volume):
    """For a field inside a model no variable is named where the class has no nested delimiter."""

    class Database(BaseModel):
        user: str = ""
        password: SecretStr

    class App(Unwatched):
        db: Database

    kubelet_volume.write({"db/user": "x"})
    with pytest.raises(InvalidSettingsError) as caught:
        App(_volumes=kubelet_volume.path)
    assert "db/password" in str(caught.value)
    assert "the variable" not in str(caught.value)


class Dots(BaseModel):
    user: str = "default"


class Dotted(Settings):
    model_config = DELIMITED
    url: str = Field("default", alias="spring.datasource.url")
    my_db: Dots = Dots()
    db: Dots = Dots()


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("spring.datasource.url", "url"),
        ("my.db.user", "my_db.user"),
        ("my-db/user", "my_db.user"),
        ("db--user", "db.user"),
    ],
)
def test_dots_and_dashes(kubelet_volume, key, field):
    """A dot that names no nested model is read as `_`, anywhere in a name, and `-` is `_` in a delimiter too."""
    kubelet_volume.write({key: "fed"})
    settings = Dotted(_volumes=kubelet_volume.path)
    assert settings.live.origin(field).name == key


@dataclasses.dataclass
class Record:
    password: SecretStr
    user: str = "default"


class Words(RootModel[dict[str, str]]):
    pass


def test_dataclasses_and_root_models_take_keys_and_variables(kubelet_volume, monkeypatch):
    """Keys and variables reach into standard dataclasses and mappings that a RootModel holds."""
    kubelet_volume.write({"db/password": "p", "words/a": "x"})
    monkeypatch.setenv("DB__USER", "prod")

    class App(Settings):
        model_config = DELIMITED
        db: Record = Record(SecretStr("default"))
        words: Words = Words({})

    settings = App(_volumes=kubelet_volume.path)
    assert (settings.db.password.get_secret_value(), settings.db.user, settings.words.root) == ("p", "prod", {"a": "x"})
    assert settings.live.status().unused_keys == ()


def test_a_secret_in_a_dataclass_may_not_vanish(kubelet_volume):
    """A secret inside a dataclass is rejected when its key is removed."""

    class App(Unwatched):
        db: Record = Record(SecretStr("default"))
        other: str = ""

    kubelet_volume.write({"db": '{"password": "right"}', "other": "x"})
    settings = App(_volumes=kubelet_volume.path)
    kubelet_volume.remove("db")
    assert not settings.live.reload()
    assert settings.db.password.get_secret_value() == "right"
    kubelet_volume.write({"db": '{"password": "right"}', "other": "x"})
    assert settings.live.reload()


class Password(BaseModel):
    kind: Literal["password"]
    password: SecretStr


class Token(BaseModel):
    kind: Literal["token"]
    token: SecretStr


class Either(Settings):
    model_config = DELIMITED
    auth: Annotated[Password | Token, Field(discriminator="kind")]


def test_another_member_of_a_union_is_taken(kubelet_volume, monkeypatch):
    """A change to another member of a union is no removed secret; a variable for the other one has no effect."""
    monkeypatch.setenv("AUTH__PASSWORD", "of the environment")
    kubelet_volume.write({"auth/kind": "password", "auth/password": "p"})
    settings = Either(_volumes=kubelet_volume.path)
    kubelet_volume.write({"auth/kind": "token", "auth/token": "t"})
    assert settings.live.reload()
    assert isinstance(settings.auth, Token)
    assert settings.live.status().healthy
    assert isinstance(Either(_volumes=kubelet_volume.path).auth, Token)


def test_a_key_that_served_nothing_may_vanish(kubelet_volume):
    """The key of a secret that an argument serves may vanish: nothing falls back."""

    class App(Unwatched):
        password: SecretStr
        number: int = 0

    kubelet_volume.write({"password": "x", "number": "1"})
    settings = App(_volumes=kubelet_volume.path, password="argument")
    kubelet_volume.write({"number": "2"})
    assert settings.live.reload()
    assert (settings.number, settings.live.status().stale) == (2, ())


def test_a_default_that_was_made_stays(kubelet_volume):
    """A default of a factory is created once, so that other bytes alone are no new version."""

    class App(Unwatched):
        message: str = ""
        identity: uuid.UUID = Field(default_factory=uuid.uuid4)

    kubelet_volume.write({"message": "one"})
    settings = App(_volumes=kubelet_volume.path)
    identity = settings.identity
    kubelet_volume.write({"message": "one", "unused": "x"})
    assert settings.live.reload()
    assert (settings.identity, settings.live.version) == (identity, 1)


def test_a_default_made_from_other_fields_follows_them(kubelet_volume):
    """A default that a factory computes from other fields is computed again when they change."""

    class App(Unwatched):
        host: str = ""
        url: str = Field(default_factory=lambda data: f"http://{data['host']}")

    kubelet_volume.write({"host": "one"})
    settings = App(_volumes=kubelet_volume.path)
    kubelet_volume.write({"host": "two"})
    assert settings.live.reload()
    assert (settings.host, settings.url) == ("two", "http://two")


def test_a_snapshot_shares_nothing_with_the_live_object(kubelet_volume):
    """A change of a copy of the live object changes no snapshot."""

    class App(Unwatched):
        a: str = "a"
        b: str = "b"

    kubelet_volume.write({"a": "1"})
    settings = App(_volumes=kubelet_volume.path)
    snapshot: Any = settings.live.latest()
    settings.model_copy(update={"b": "x"})
    assert snapshot.model_fields_set == {"a"}


def test_a_bom_before_a_document_is_passed_over(kubelet_volume):
    """The mark that some editors put before a text keeps no document from being read, whatever its format."""

    class App(Unwatched):
        model_config = SettingsConfigDict(documents=["a.json", "b.properties", "c.yaml", "d.env", "e.toml"])
        a: str = ""
        b: str = ""
        c: str = ""
        d: str = ""
        e: str = ""

    texts = {"a.json": '{"a": "1"}', "b.properties": "b=1", "c.yaml": "c: '1'", "d.env": "D=1", "e.toml": "e = '1'"}
    kubelet_volume.write({name: b"\xef\xbb\xbf" + text.encode() for name, text in texts.items()})
    settings = App(_volumes=kubelet_volume.path)
    assert [settings.a, settings.b, settings.c, settings.d, settings.e] == ["1"] * 5


def test_of_fields_that_share_a_key_only_those_inside_it_are_served(kubelet_volume):
    """A field whose part is not inside the shared key keeps its default, and that is its origin."""
    kubelet_volume.write({"auth": '{"a": "1"}'})
    settings = Shared(_volumes=kubelet_volume.path)
    assert [settings.live.origin(name).kind for name in ("a", "b")] == ["volume", "default"]


def test_a_model_given_as_an_argument(kubelet_volume):
    """A model that the caller made is an argument's, its fields too, whatever the volume holds for them."""

    class Database(BaseModel):
        user: str = "nobody"

    class WithModel(Unwatched):
        db: Database = Database()

    kubelet_volume.write({"db.user": "volume"})
    settings = WithModel(_volumes=kubelet_volume.path, db=Database(user="argument"))
    assert settings.db.user == "argument"
    assert settings.live.origin("db.user").kind == "init"


def test_the_environment_holds_another_member_of_a_union(kubelet_volume, monkeypatch):
    """A variable that gives a text where the volume gives a model holds nothing for the fields inside the model."""

    class Database(BaseModel):
        user: str = "nobody"

    class Either(Settings):
        model_config = DELIMITED
        db: Database | str = "none"

    monkeypatch.setenv("DB", "text")
    kubelet_volume.write({"db.user": "volume"})
    settings = Either(_volumes=kubelet_volume.path)
    assert settings.db == Database(user="volume")
    assert settings.live.origin("db.user").kind == "volume"
    assert [shadow.name for shadow in settings.live.origin("db.user").shadows] == ["DB"]  # it stands for the whole


def test_two_names_from_a_source_of_the_class(kubelet_volume):
    """Of two names for one field that a source of the class gives, pydantic's first one wins, in whatever order."""

    class Given(PydanticBaseSettingsSource):
        def get_field_value(self, field, field_name):
            return None, field_name, False

        def __call__(self):
            return self.given

    class Both(Settings):
        model_config = SettingsConfigDict(watch=False, validate_by_name=True, validate_by_alias=True)
        first: str = Field("none", validation_alias="theAlias")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            return file_secret_settings, Given(settings_cls)

    for Given.given in ({"theAlias": "alias", "first": "name"}, {"first": "name", "theAlias": "alias"}):
        assert Both(_volumes=kubelet_volume.path).first == "alias"


def test_a_tree_of_models_without_a_secret(kubelet_volume):
    """A model that holds itself, beside other types, is looked through once; without a secret its key may vanish."""

    class Tree(BaseModel):
        value: int = 0
        inside: Tree | int | None = None

    class Rooted(Unwatched):
        tree: Tree | int | None = None

    kubelet_volume.write({"tree": '{"inside": {"value": 1}}'})
    settings = Rooted(_volumes=kubelet_volume.path)
    assert settings.tree.inside.value == 1
    kubelet_volume.write({})
    assert settings.live.reload()
    assert settings.tree is None


class Inner(BaseModel):
    size: str = "none"
    ports: list[int] = []


class Inside(Unwatched):
    token: str = Field("none", validation_alias=AliasPath("auth", "token"))
    pin: SecretStr | None = Field(None, validation_alias=AliasPath("auth", "deep", "pin"))
    raw: bytes = Field(b"", validation_alias=AliasPath("auth", "raw"))
    port: int = Field(0, validation_alias=AliasPath("auth", "port"))
    ports: list[int] = Field([], validation_alias=AliasPath("auth", "ports"))
    inner: Inner = Field(Inner(), validation_alias=AliasPath("auth", "inner"))


@pytest.mark.parametrize("text", ["12345", "true", "null", '{"a": 1}', "1e3", "plain"])
def test_text_inside_a_path(kubelet_volume, text):
    """The key of a field that takes text, inside a path, is taken as it is, also if it is JSON, as by pydantic-settings."""
    kubelet_volume.write({"auth.token": text, "auth.deep.pin": text, "auth.inner.size": text})
    settings = Inside(_volumes=kubelet_volume.path)
    assert settings.pin is not None
    assert [settings.token, settings.pin.get_secret_value(), settings.inner.size] == [text, text, text]


def test_other_types_inside_a_path(kubelet_volume):
    """Bytes inside a path are not decoded; numbers and lists are."""
    kubelet_volume.write(
        {"auth.raw": b"\xff\x00\n", "auth.port": "5", "auth.ports": "[1, 2]", "auth.inner.ports": "[3]"}
    )
    settings = Inside(_volumes=kubelet_volume.path)
    assert (settings.raw, settings.port, settings.ports, settings.inner.ports) == (b"\xff\x00\n", 5, [1, 2], [3])


def test_a_path_through_the_field_of_another(kubelet_volume):
    """A key of which one field takes the text and another looks inside is decoded, for the one that looks inside."""

    class Both(Unwatched):
        whole: dict[str, str] | str = Field("none", validation_alias=AliasPath("auth", "box"))
        part: str = Field("none", validation_alias=AliasPath("auth", "box", "part"))

    kubelet_volume.write({"auth.box": '{"part": "in"}'})
    settings = Both(_volumes=kubelet_volume.path)
    assert (settings.whole, settings.part) == ({"part": "in"}, "in")


def test_strict_fields_inside_a_path(kubelet_volume):
    """The key of a strict number or bool, inside a path, is parsed, because it refuses text; that of a strict text is not."""

    class WithStrict(Unwatched):
        number: int = Field(0, strict=True, validation_alias=AliasPath("auth", "number"))
        flag: Annotated[bool, Strict()] = Field(False, validation_alias=AliasPath("auth", "flag"))
        text: Annotated[str, Strict()] = Field("none", validation_alias=AliasPath("auth", "text"))

    kubelet_volume.write({"auth.number": "5", "auth.flag": "true", "auth.text": "5"})
    settings = WithStrict(_volumes=kubelet_volume.path)
    assert (settings.number, settings.flag, settings.text) == (5, True, "5")
