"""A key that holds a whole document."""

from __future__ import annotations

import copy
import json
import resource
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from liveconfig import AmbiguousKeyError, InvalidSettingsError, Key, LiveConfigError, Settings, SettingsConfigDict
from liveconfig.testing import override

SECONDS = 10.0  # far more than any document here may take on a slow machine
KIBIBYTES = 500 * 1024


class Pool(BaseModel):
    min_size: int = 0
    max_size: int = 0


class Database(BaseModel):
    user: str = "nobody"
    pool: Pool = Pool()
    key: bytes = b""


class Tree(BaseModel):
    value: int = 0
    next: Tree | None = None


class App(Settings):
    model_config = SettingsConfigDict(
        documents=["application.yaml", "flags.json", "app.toml", ".env", "app.properties", "conf/inner.yml"]
    )
    message: str = "none"
    log_level: str = "none"
    number: int = 0
    ratio: float = 0.0
    tags: list[str] = Field([])
    labels: dict[str, str] = Field({})
    db: Database = Database()
    secret: SecretStr = SecretStr("none")
    aliased: str = Field("none", alias="theAlias")
    anything: object = None
    tree: Tree = Tree()


@pytest.fixture
def read(kubelet_volume, load):
    """A function that puts documents on a volume and reads it."""

    def read(payload, cls=App):
        kubelet_volume.write(payload)
        return load(cls, _volumes=kubelet_volume.path, _watch=False)

    return read


@contextmanager
def bounded():
    """Fail where what is done takes all time or memory."""
    began, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < KIBIBYTES


@pytest.fixture
def refusal(read):
    """A function: the error for a document that is refused, bounded in time and memory, without cause or context."""

    def refusal(payload, cls=App):
        with bounded(), pytest.raises(InvalidSettingsError) as caught:
            read(payload, cls)
        assert caught.value.__cause__ is caught.value.__context__ is None
        return str(caught.value)

    return refusal


DOCUMENTS = {
    "application.yaml": """
        message: hello
        Log-Level: debug
        number: 42
        tags: [a, b]
        labels: {some-key: x, Other.Key: y}
        db:
          user: shop
          pool: {min-size: 1, MAX_SIZE: 9}
        theAlias: found
    """,
    "flags.json": """
        {"message": "hello", "Log-Level": "debug", "number": 42, "tags": ["a", "b"],
         "labels": {"some-key": "x", "Other.Key": "y"},
         "db": {"user": "shop", "pool": {"min-size": 1, "MAX_SIZE": 9}}, "theAlias": "found"}
    """,
    "app.toml": """
        message = "hello"
        Log-Level = "debug"
        number = 42
        tags = ["a", "b"]
        theAlias = "found"
        [labels]
        some-key = "x"
        "Other.Key" = "y"
        [db]
        user = "shop"
        pool = {min-size = 1, MAX_SIZE = 9}
    """,
    ".env": """
        # a comment
        message="hello"
        export LOG_LEVEL=debug
        number=42
        tags='["a", "b"]'
        labels={"some-key": "x", "Other.Key": "y"}
        db.user=shop
        db={"pool": {"min_size": 1, "max_size": 9}}
        theAlias=found
    """,
    "app.properties": """
        # a comment
        ! another
        message=hello
        log-level : debug
        number 42
        tags=["a", \\
              "b"]
        labels.some-key=x
        labels.Other.Key=y
        db.user=shop
        db.pool.min-size=1
        db.pool.MAX_SIZE=9
        theAlias=found
    """,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_formats(read, name):
    """YAML, JSON, TOML, dotenv and properties feed the same fields, with names compared as keys are."""
    settings = read({name: "\n".join(line.removeprefix(" " * 8) for line in DOCUMENTS[name].splitlines())})
    assert settings.message == "hello"
    assert settings.log_level == "debug"
    assert settings.number == 42
    assert settings.tags == ["a", "b"]
    assert settings.labels == {"some-key": "x", "Other.Key": "y"}
    assert settings.db == Database(user="shop", pool=Pool(min_size=1, max_size=9))
    assert settings.aliased == "found"


@pytest.mark.parametrize("name", ["application.yaml", "flags.json", "app.toml", ".env", "app.properties"])
def test_empty(read, name):
    """An empty document gives nothing, save in JSON, where empty text is no document."""
    if name == "flags.json":
        with pytest.raises(InvalidSettingsError, match="invalid JSON"):
            read({name: ""})
    else:
        assert read({name: ""}).message == "none"


def test_under_single_keys(read):
    """The single keys of a volume go over its documents, part by part."""
    settings = read(
        {
            "application.yaml": "message: document\ndb: {user: document, pool: {min_size: 1}}",
            "message": "key",
            "db.pool.max_size": "5",
        }
    )
    assert settings.message == "key"
    assert settings.db == Database(user="document", pool=Pool(min_size=1, max_size=5))


def test_later_document_wins(read):
    """The later of several documents in the list wins, part by part."""
    settings = read(
        {
            "flags.json": '{"message": "json", "db": {"pool": {"min_size": 2}}}',
            "application.yaml": "message: yaml\nnumber: 1\ndb: {pool: {min_size: 1, max_size: 1}}",
        }
    )
    assert (settings.message, settings.number) == ("json", 1)
    assert settings.db.pool == Pool(min_size=2, max_size=1)


def test_in_a_folder(read):
    """A document may lie in a folder of the volume."""
    assert read({"conf/inner.yml": "message: deep"}).message == "deep"


def test_not_listed(read):
    """A key that looks like a document but is not listed is not parsed."""
    settings = read({"other.yaml": "message: [", "message": "x"})
    assert settings.message == "x"


def test_absent(read):
    """A listed document that is not there gives nothing."""
    assert read({"message": "x"}).message == "x"


def test_bytes_in_documents(read):
    """A bytes field gets the UTF-8 of a document's text."""
    assert read({"application.yaml": "db: {key: 'é'}"}).db.key == "é".encode()


def test_origin(read, kubelet_volume):
    """The origin of what a document gives is the document."""
    origin = read({"application.yaml": "db: {user: x}"}).live.origin("db.user")
    assert (origin.kind, origin.name) == ("volume", "application.yaml")
    assert origin.path == f"{kubelet_volume.path}/application.yaml"


def test_unused_names(read):
    """A name at the top of a document that no field uses is listed in the unused keys, with the nearest field."""
    unused = read({"application.yaml": "mesage: x", ".env": "NUMBR=1"}).live.status().unused_keys
    assert {(each.key, each.nearest) for each in unused} == {
        ("application.yaml:mesage", "message"),
        (".env:NUMBR", "number"),
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.properties", "number=1\nKEY=-----BEGIN PRIVATE KEY-----\n@\n@/x=\n-----END PRIVATE KEY-----\n"),
        (".env", "number=1\n@\n"),
        ("application.yaml", "number: 1\n? '@'\n"),
        ("flags.json", '{"number": 1, "@": "@"}'),
    ],
)
def test_secrets_that_look_like_names(read, canary, name, text):
    """P4: a line of a pasted key in the place of a name in a document is never shown."""
    settings = read({name: text.replace("@", canary)})
    assert settings.number == 1
    status = settings.live.status()
    assert canary not in repr(status) + repr(status.as_dict())


def test_many_unused_names(read):
    """A status stays cheap when thousands of names feed no field."""
    settings = read({"flags.json": json.dumps({f"anything_{number}": 1 for number in range(20_000)})})
    began = time.process_time()
    settings.live.status()
    assert time.process_time() - began < SECONDS


ENTRIES = {
    "app.properties": "{one}=1\n{other}=2\n",
    ".env": "{one}=1\n{other}=2\n",
    "application.yaml": "{one}: 1\n{other}: 2\n",
}


class Client(BaseModel):
    scopes: list[str] = Field([])


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Clients(Settings):
    model_config = SettingsConfigDict(
        documents=["application.yaml", ".env", "app.properties"], env_nested_delimiter="__"
    )
    clients: dict[str, Client] = Field({})
    labels: dict[str, str] = Field({})
    extra: Open = Open()
    number: int = 0


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("labels.@", "Labels.@", "labels"),
        ("extra.@", "EXTRA.@", "extra"),
        ("clients.@.scopes", "clients.@.SCOPES", "clients"),
        ("clients__@__scopes", "clients__@__SCOPES", "clients"),
    ],
)
def test_ambiguous_entries(read, canary, name, one, other, field):
    """P4: two names of one document for the same place in an entry of a mapping are refused, and neither is shown."""
    text = ENTRIES[name].format(one=one, other=other).replace("@", canary)
    with pytest.raises(AmbiguousKeyError, match=f"{name} has two names for one entry of the field '{field}'") as caught:
        read({name: text}, Clients)
    assert canary not in str(caught.value)


@pytest.mark.parametrize("name", ["app.properties", ".env"])
def test_entries_that_are_not_valid(refusal, canary, name):
    """P4: the error for a value inside an entry of a mapping names its place without the name of the entry."""
    text = refusal({name: f"clients.{canary}.scopes=oops"}, Clients)
    assert f"{name}:clients[*].scopes is not valid JSON" in text
    assert canary not in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.properties", 'clients.@={"scopez": []}'),
        (".env", """clients.@='{"scopez": []}'"""),
        ("application.yaml", "clients.@: {scopez: []}"),
        ("application.yaml", "clients: {'@': {scopez: []}}"),
    ],
)
def test_unused_names_inside_entries(read, canary, name, text):
    """P4: a name that feeds no field inside an entry of a mapping is listed without the name of the entry."""
    settings = read({name: text.replace("@", canary)}, Clients)
    status = settings.live.status()
    assert [each.key for each in status.unused_keys] == [f"{name}:clients[*].scopez"]
    assert canary not in repr(status) + repr(status.as_dict())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("application.yaml", "log-level: a\nlog_level: b"),
        ("application.yaml", "db: {pool: {min-size: 1, min_size: 2}}"),
        ("flags.json", '{"number": 1, "NUMBER": 2}'),
        ("flags.json", '{"NUMBER": 1, "number": 2}'),
        ("flags.json", '{"db": {"user": "a", "User": "b"}}'),
        ("app.toml", "log-level = 'a'\nlog_level = 'b'"),
        (".env", "LOG_LEVEL=a\nlog_level=b"),
        ("app.properties", "log.level=a\nlog-level=b"),
    ],
)
def test_ambiguous(read, name, text):
    """Two names of one document that claim one field are refused."""
    with pytest.raises(AmbiguousKeyError, match="both claim the field"):
        read({name: text})


BROKEN = [
    ("application.yaml", "message: [\nnumber: 1"),
    ("application.yaml", "message: hello: world"),
    ("application.yaml", "\tmessage: x"),
    ("application.yaml", "message: !!python/object:os.system x"),
    ("application.yaml", "message: !!python/object/apply:os.system [echo]"),
    ("application.yaml", "message: !unknown x"),
    ("application.yaml", "--- \nmessage: a\n--- \nmessage: b"),
    ("application.yaml", "- a\n- b"),
    ("application.yaml", "just text"),
    ("application.yaml", "42"),
    ("application.yaml", "message: *nowhere"),
    ("application.yaml", "? [a, b]\n: x"),
    ("application.yaml", "day: 2026-13-45"),
    ("application.yaml", "a: !!int x"),
    ("application.yaml", "a: &a [*a]"),
    ("application.yaml", "a: &a {b: *a}"),
    ("flags.json", "{"),
    ("flags.json", "{'message': 1}"),
    ("flags.json", "[]"),
    ("flags.json", "null"),
    ("flags.json", '{"message": "a"} x'),
    ("app.toml", "message = "),
    ("app.toml", "message = 'a'\nmessage = 'b'"),
    ("app.toml", "[db]\n[db]"),
    (".env", "= x"),
    (".env", 'message="unclosed'),
]


@pytest.mark.parametrize(("name", "text"), BROKEN)
def test_invalid(refusal, name, text):
    """B01, B09: an invalid document is refused by its name and the place, whatever is wrong with it."""
    assert f"/{name}: " in refusal({name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("application.yaml", "message: a\nmessage: b"),
        ("application.yaml", "db: {user: a, user: b}"),
        ("application.yaml", "base: &base {x: 1}\nuse: {<<: *base, y: 1, y: 2}"),
        ("application.yaml", "yes: 1\ntrue: 2"),
        ("flags.json", '{"message": "a", "message": "b"}'),
        ("flags.json", '{"db": {"user": "a", "user": "b"}}'),
        (".env", "message=a\nmessage=b"),
        ("app.properties", "message=a\nmessage=b"),
    ],
)
def test_duplicates(refusal, name, text):
    """B09: a name that occurs twice in one mapping is an error."""
    assert "twice" in refusal({name: text})


def test_merge_keys(read):
    """YAML's merge keys work: a name beside them wins, and is no duplicate."""
    text = "base: &base {user: base, key: k}\ndb: {<<: *base, user: own}"
    assert read({"application.yaml": text}).db == Database(user="own", key=b"k")


def test_merge_of_a_merged_mapping(read):
    """A mapping that was merged, and is merged into another one before its own turn comes, holds no duplicate."""
    text = """
base: &base {user: base}
deep:
  deeper:
    middle: &middle
      <<: *base
      user: middle
db:
  <<: *middle
  key: k
"""
    assert read({"application.yaml": text}).db == Database(user="middle", key=b"k")


@pytest.mark.parametrize(("name", "text"), [*BROKEN, ("app.properties", "number=@")])
def test_no_leak(read, canary, name, text):
    """P4: nothing of an invalid document is in the error, whatever line it broke on."""
    secret = {"flags.json": f'{{"secret": "{canary}", ', "app.toml": f"secret = '{canary}'\n"}
    start = secret.get(name, f"secret: {canary}\n" if name.endswith("yaml") else f"secret={canary}\n")
    for broken in (start + text, text + "\n" + start, text.replace("message", canary), f"{canary} {text}"):
        try:
            read({name: broken})
        except InvalidSettingsError as error:
            assert canary not in repr(error)
            assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("name", ["application.yaml", "flags.json", "app.toml", ".env", "app.properties"])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"message: caf\xe9", b"\x80"])
def test_not_utf8(refusal, name, content):
    """B06: a document that is not UTF-8 is refused."""
    assert f"/{name}: not UTF-8" in refusal({name: content})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("flags.json", r'{"message": "\ud800"}'),
        ("flags.json", r'{"db": {"key": "\ud800"}}'),
        ("flags.json", r'{"\ud800": "x", "message": "\udfff"}'),
        ("flags.json", r'{"others": [1, ["\ud800"]]}'),
        ("app.properties", r"message=\ud800"),
        ("app.properties", r"db.key=\udfff\ud800"),
    ],
)
def test_half_a_character(refusal, name, text):
    """B06: an escape for half a character is refused with that reason, and raises nothing else."""
    assert "an escape stands for half a character" in refusal({name: text})


def test_half_a_character_as_a_whole_key(read):
    """B06: an escape for half a character that is the whole JSON of a single key is refused with that reason."""

    class Quoted(Settings):
        text: Annotated[str, Key(format="json")] = "none"

    assert read({"text": r'"\ud83d\ude00"'}, Quoted).text == "\U0001f600"
    with pytest.raises(InvalidSettingsError, match="half a character"):
        read({"text": r'"\ud800"'}, Quoted)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("application.yaml", r'message: "\ud800"'),
        ("application.yaml", r'db: {key: "\ud800"}'),
        ("app.toml", r'message = "\ud800"'),
    ],
)
def test_half_a_character_in_yaml_and_toml(refusal, name, text):
    """B06: the parsers of YAML and TOML refuse such an escape themselves, and nothing else is raised."""
    refusal({name: text})


def test_half_a_character_of_a_variable(refusal, monkeypatch):
    """B06: a variable in a dotenv document that holds bytes which are not UTF-8 is refused, and raises nothing else."""
    monkeypatch.setenv("NOT_TEXT", "\udcff")
    assert "half a character" in refusal({".env": "message=${NOT_TEXT}"})


def test_properties_escapes(read):
    """Escapes in properties are Java's: a character beyond the 16 bits is written as two of them."""
    text = r"message=\u00e9\uD83D\uDE00\t\\ \:\=" + "\nlog\\ level=x\nlog_level=a\\\n    b\\\\\nnumber=1\n"
    settings = read({"app.properties": text})
    assert settings.message == "é\U0001f600\t\\ :="
    assert settings.log_level == "ab\\"
    assert settings.number == 1


def test_properties_comments(read):
    """A comment in properties does not go on in the next line, whatever it ends in."""
    settings = read({"app.properties": "# C:\\dir\\\nmessage=x\n! also\\\nnumber=3\n"})
    assert (settings.message, settings.number) == ("x", 3)


def test_separators_of_properties(read):
    """Only a space, a tab and a form feed separate names and values in properties, and begin a line; the rest is text."""
    text = "message\t \f:  \xa0hello\u3000\nlabels.a\u3000b=1\nlabels.\x0b:\x85\n \t\f# a comment\nlog_level\f= = x"
    settings = read({"app.properties": text})
    assert (settings.message, settings.log_level) == ("\xa0hello\u3000", "= x")
    assert settings.labels == {"a\u3000b": "1", "\x0b": "\x85"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_in_properties(read, end):
    """A line of properties that is blank once it is joined is no name, and a blank line ends a value that goes on."""
    lines = ["\\", "", "\\", "   ", "message=a\\", "  \t", "log_level=b\\", "#c", "\\"]
    settings = read({"app.properties": end.join(lines)})
    assert (settings.message, settings.log_level) == ("a", "b#c")
    assert settings.live.status().unused_keys == ()


@pytest.mark.parametrize("escape", [r"\u", r"\u12", r"\u12g4", r"C:\\\users"])
@pytest.mark.parametrize("line", ["message=a{}", "a{}=x"])
def test_wrong_escapes_in_properties(refusal, line, escape):
    r"""A \u in properties without four hexadecimal digits is refused with its line, as Java does; other letters stay."""
    text = "number=1\nlog_level=\\q\\\n  b\n" + line.format(escape) + "\\\n  c\\"
    assert "app.properties: a \\u without four hexadecimal digits (line 4)" in refusal({"app.properties": text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.properties", r"message=a\r\n" + "\n" + r"secret=KEY\n" + "\n" + r"db.key=raw\n" + "\n" + r"labels.a=\n"),
        (".env", 'message="a\\r\\n"\nsecret="KEY\n"\ndb.key="raw\\n"\nlabels.a="\\n"\n'),
    ],
)
def test_line_ends_of_values(read, name, text):
    """A value in a document of texts keeps the line ends at its end; only those at the end of a file are dropped."""
    settings = read({name: text})
    assert (settings.message, settings.secret.get_secret_value()) == ("a\r\n", "KEY\n")
    assert (settings.db.key, settings.labels) == (b"raw\n", {"a": "\n"})


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n"])
def test_line_ends_inside_dotenv(read, tmp_path, line_end):
    """A line end inside a value of a dotenv document is one character, as in an `env_file`."""
    content = 'MESSAGE="one\ntwo"\nLOG_LEVEL="\\r\\n"\n'.replace("\n", line_end).encode()
    (tmp_path / "peer.env").write_bytes(content)
    settings = read({".env": content})
    assert (settings.message, settings.log_level) == ("one\ntwo", "\r\n")
    assert settings.model_dump() == App(_env_file=tmp_path / "peer.env", _watch=False).model_dump()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["application.yaml", "flags.json", "app.toml", ".env", "app.properties"])
def test_line_ends(read, name, line_end):
    """B06: CRLF in a document is a line end."""
    text = "\n".join(line.removeprefix(" " * 8) for line in DOCUMENTS[name].splitlines())
    settings = read({name: text.replace("\n", line_end).encode()})
    assert (settings.message, settings.number, settings.db.user) == ("hello", 42, "shop")


LAUGHS = "a0: &a0 [x, x]\n" + "\n".join(
    f"a{count}: &a{count} [{', '.join([f'*a{count - 1}'] * 10)}]" for count in range(1, 12)
)
MERGES = "a0: &a0 {k: v}\n" + "\n".join(
    f"a{count}: &a{count} {{<<: [{', '.join([f'*a{count - 1}'] * 10)}]}}" for count in range(1, 12)
)
WIDE_MERGES = (
    "base: &base {" + ", ".join(f"k{count}: 1" for count in range(5000)) + "}\n"
    "use: {<<: [" + ", ".join(["*base"] * 20_000) + "]}\n"
)


def laughs_of(tag: str) -> str:
    """Aliases of aliases, in collections of a tag whose entries are pairs."""
    start = f"a0: &a0 !!{tag} [x: x, y: x]\n"
    return start + "\n".join(
        f"a{count}: &a{count} !!{tag} [{', '.join([f'? *a{count - 1} : *a{count - 1}'] * 5)}]" for count in range(1, 12)
    )


BOMBS = {
    "aliases": ("application.yaml", LAUGHS),
    "aliases in pairs": ("application.yaml", laughs_of("pairs")),
    "aliases in ordered maps": ("application.yaml", laughs_of("omap")),
    "sexagesimal integer in a mapping": ("application.yaml", "number: !!int {=: '1" + ":1" * 300_000 + "'}"),
    "wide merges": ("application.yaml", WIDE_MERGES),
    "sexagesimal integer": ("application.yaml", "number: 1" + ":1" * 300_000),
    "sexagesimal float": ("application.yaml", "ratio: 1" + ":1" * 300_000 + ".5"),
    "flow depth": ("application.yaml", "a: " + "[" * 100_000),
    "closed flow depth": ("application.yaml", "a: " + "[" * 20_000 + "]" * 20_000),
    "flow maps": ("application.yaml", "a: " + "{a: " * 50_000),
    "block depth": ("application.yaml", "\n".join(" " * depth + "a:" for depth in range(2000))),
    "sequence depth": ("application.yaml", "a:\n" + "- " * 100_000 + "x"),
    "YAML digits": ("application.yaml", "number: " + "9" * 1_000_000),
    "many duplicates": ("application.yaml", "a: 1\n" * 100_000),
    "JSON depth": ("flags.json", '{"a":' * 100_000),
    "JSON arrays": ("flags.json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "JSON digits": ("flags.json", '{"number": ' + "9" * 1_000_000 + "}"),
    "JSON exponent": ("flags.json", '{"number": 1e999999999}'),
    "TOML depth": ("app.toml", "a = " + "[" * 100_000),
    "TOML dots": ("app.toml", ".".join(["a"] * 20_000) + " = 1"),
    "TOML tables": ("app.toml", "[" + ".".join(["a"] * 20_000) + "]"),
    "TOML digits": ("app.toml", "number = " + "9" * 1_000_000),
    "TOML strings": ("app.toml", 'message = """' + '"' * 500_000),
    "dotenv quotes": (".env", "a='" + "\\'" * 200_000),
    "dotenv spaces": (".env", "a" + " " * 200_000 + "b"),
    "properties dots": ("app.properties", "number=@\n" + "a." * 500_000 + "b=1"),
    "properties depth": ("app.properties", "number=@\n" + "tree.next." + "next." * 100_000 + "value=1"),
    "properties lines": ("app.properties", "number=@\n" + "a" + "\\\n" * 500_000),
    "properties spaces": ("app.properties", "number=@\n" + "a" + " " * 500_000 + "\\ " * 100_000),
    "JSON dots": ("flags.json", '{"number": "@", "' + "db." * 300_000 + '": 1}'),
    "dotenv lines": (".env", "a b\n" * 50_000),
}


def test_bomb_of_merges(read):
    """B01: merges of merges are refused, or, by a PyYAML that takes each name once (6.0.4), read within seconds."""
    with bounded(), suppress(InvalidSettingsError):
        read({"application.yaml": MERGES})


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(refusal, bomb):
    """B01: a document made to take all time, memory or stack is refused within seconds."""
    name, text = BOMBS[bomb]
    refusal({name: text})


@pytest.mark.parametrize("bomb", ["flow depth", "closed flow depth", "JSON depth", "JSON arrays", "TOML depth"])
def test_bombs_in_a_thread(kubelet_volume, load, bomb):
    """B01: a bomb that arrives later is rejected by the watching thread, whose stack is smaller, and kills nothing."""
    kubelet_volume.write({"message": "good"})
    settings = load(App, _volumes=kubelet_volume.path)
    heard = threading.Event()
    settings.live.on_reject(lambda _: heard.set())
    name, text = BOMBS[bomb]
    kubelet_volume.write({name: text})
    assert heard.wait(SECONDS)
    assert settings.message == "good"
    kubelet_volume.write({"message": "better"})
    settings.live.wait(lambda s: s.message == "better", timeout=SECONDS)


DEEPEST = 100
"""The levels of mappings and lists that a document may have; the document itself is the first."""


@pytest.mark.parametrize("name", ["application.yaml", "flags.json", "app.toml"])
def test_deepest(read, refusal, name):
    """B01: a document is read a hundred levels deep, and one level more is refused, with that reason."""
    text = {"application.yaml": "anything: %s", "flags.json": '{"anything": %s}', "app.toml": "anything = %s"}[name]
    levels = DEEPEST - 1
    found = read({name: text % ("[" * levels + "]" * levels)}).anything
    for _ in range(levels - 1):
        (found,) = found
    assert found == []
    assert f"nested more than {DEEPEST} deep" in refusal({name: text % ("[" * (levels + 1) + "]" * (levels + 1))})


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1])
def test_deepest_of_a_single_key(read, levels):
    """B01: the JSON of a single key is read a hundred levels deep, and one level more counts as no JSON."""

    class Nested(Settings):
        tags: list[object] = Field([])

    refused = pytest.raises(InvalidSettingsError, match="not valid JSON")
    with refused if levels > DEEPEST else nullcontext():
        read({"tags": "[" * levels + "]" * levels}, Nested)


def test_the_deepest_list_of_dates(read, refusal):
    """B01: a date counts as a value in the list around it, not as one level more."""
    dates, levels = "[2026-11-28, 2026-11-29]", DEEPEST - 2
    found = read({"application.yaml": f"anything: {'[' * levels}{dates}{']' * levels}"}).anything
    for _ in range(levels):
        (found,) = found
    assert found == [date(2026, 11, 28), date(2026, 11, 29)]
    levels += 1
    assert f"nested more than {DEEPEST} deep" in refusal(
        {"application.yaml": f"anything: {'[' * levels}{dates}{']' * levels}"}
    )


@pytest.mark.parametrize("links", [2, 20])
def test_deep_aliases(refusal, links):
    """B01: aliases that lead into each other are refused with the same reason, though each is written less deep."""
    chain = "".join(f"a{link}: &a{link} {'[' * 90}{f'*a{link - 1}' * (link > 0)}{']' * 90}\n" for link in range(links))
    assert f"nested more than {DEEPEST} deep" in refusal({"application.yaml": chain})


SELF_CONTAINING = ["[*a]", "{x: *a}", "!!pairs [x: *a]", "!!pairs [? *a : x]", "!!omap [x: *a]", "!!omap [? *a : x]"]


@pytest.mark.parametrize("text", SELF_CONTAINING)
def test_an_alias_that_contains_itself(refusal, text):
    """B01: a collection that contains itself has no end, and is refused as too deep."""
    assert f"nested more than {DEEPEST} deep" in refusal({"application.yaml": f"anything: &a {text}"})


@pytest.mark.parametrize("tag", ["pairs", "omap"])
def test_deepest_pairs(read, refusal, tag):
    """B01: pairs in a list of YAML count as a level each, as the lists around them do."""
    nested = f"!!{tag} [x: " * ((DEEPEST - 2) // 2) + "%s" + "]" * ((DEEPEST - 2) // 2)
    found = read({"application.yaml": f"anything: {nested % '[]'}"}).anything
    for _ in range((DEEPEST - 2) // 2):
        ((_, found),) = found
    assert found == []
    assert f"nested more than {DEEPEST} deep" in refusal({"application.yaml": f"anything: {nested % '[[]]'}"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!pairs [a: {x: 1}, a: 2]", [("a", {"x": 1}), ("a", 2)]),
        ("!!omap [a: {x: 1}, b: 2]", [("a", {"x": 1}), ("b", 2)]),
        ("!!set {a, b}", {"a", "b"}),
        ("[{x: 1}]", [{"x": 1}]),
    ],
)
def test_a_validator_that_changes_what_it_gets(kubelet_volume, load, text, value):
    """A validator that changes its input changes nothing for the next load, whatever collections a document holds."""
    found = []

    class Changing(Settings):
        model_config = SettingsConfigDict(documents=["application.yaml"])
        anything: object = None
        number: int = 0

        @field_validator("anything")
        @classmethod
        def change(cls, anything: Any) -> Any:
            found.append(copy.deepcopy(anything))
            if isinstance(anything, set):
                anything.clear()
            else:
                inner = anything[0] if isinstance(anything[0], dict) else anything[0][1]
                inner.clear()
            return anything

    kubelet_volume.write({"application.yaml": f"anything: {text}"})
    settings = load(Changing, _volumes=kubelet_volume.path, _watch=False)
    with override(settings, number=1):
        assert settings.number == 1
    assert len(found) > 1
    assert all(each == value for each in found)


def test_the_most_entries(read, refusal):
    """B01: a million entries, those behind aliases counted at each place, are read, and one more is refused."""
    text = "anything: [&a [" + ", ".join(["0"] * 3936) + "]" + ", *a" * 253 + "]\n"
    found = read({"application.yaml": text}).anything
    assert 2 + sum(1 + len(inner) for inner in found) == 1_000_000  # 2: the document and the outer list
    assert "it has more than 1,000,000 entries once its aliases are expanded" in refusal(
        {"application.yaml": text + "number: 1\n"}
    )


def test_large_but_honest(read):
    """A large document without tricks is read."""
    labels = {f"key{number}": "x" * 20 for number in range(20_000)}
    text = "labels:\n" + "".join(f"  {key}: {value}\n" for key, value in labels.items())
    assert read({"application.yaml": text}).labels == labels
    properties = "".join(f"labels.{key}={value}\n" for key, value in labels.items())
    assert read({"app.properties": properties}).labels == labels


@pytest.mark.parametrize("documents", [["app.ini"], {"app.ini": None}, ["config"]])
def test_unknown_ending(documents):
    """A document whose ending is not known is an error when the class is made; it lists the endings and the remedy."""
    with pytest.raises(LiveConfigError, match=r'none of \.yaml, .*documents={"(app.ini|config)": "yaml"}'):
        type("Odd", (Settings,), {"model_config": SettingsConfigDict(documents=documents), "__module__": __name__})


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("yaml", "message: found"),
        ("json", '{"message": "found"}'),
        ("toml", 'message = "found"'),
        ("dotenv", "MESSAGE=found"),
        ("properties", "message=found"),
    ],
)
@pytest.mark.parametrize("name", ["config", "conf.d/app.conf"])
def test_format_of_a_name(kubelet_volume, load, form, text, name):
    """A mapping of documents gives the format of names with an unknown ending."""

    class Named(Settings):
        model_config = SettingsConfigDict(documents={name: form}, watch=False)
        message: str = "none"

    kubelet_volume.write({name: text})
    assert load(Named, _volumes=kubelet_volume.path).message == "found"


def test_unknown_format():
    """A format that is not known is an error when the class is made, with the nearest one."""
    with pytest.raises(LiveConfigError, match=r"'config' must be one of .*; did you mean 'yaml'\?"):
        type("Odd", (Settings,), {"model_config": SettingsConfigDict(documents={"config": "yml"}), "__module__": "x"})


def test_variables_in_dotenv(read, monkeypatch):
    """A dotenv document expands ${NAME} from the names before it, from the environment, or from a default."""
    monkeypatch.setenv("FROM_ENVIRONMENT", "environment")
    monkeypatch.setenv("FIRST", "hidden by the document")
    text = "FIRST=1\nMESSAGE=${FIRST}-${FROM_ENVIRONMENT}-${ABSENT:-default}-${ABSENT}\nLOG_LEVEL='${FIRST}'\n"
    settings = read({".env": text})
    assert (settings.message, settings.log_level) == ("1-environment-default-", "1")


def test_variables_that_grow(refusal):
    """A dotenv document whose variables double at each line is refused before it takes all memory."""
    lines = ["A0=xxxxxxxxxx", *(f"A{number}=${{A{number - 1}}}${{A{number - 1}}}" for number in range(1, 60))]
    assert ".env: more than" in refusal({".env": "\n".join(lines)})


@pytest.mark.parametrize("name", ["application.yaml", "flags.json", "app.toml"])
def test_dotted_names(read, name):
    """A dot in a name of a document reaches into a nested model, as it does in a key."""
    text = {
        "application.yaml": "db.user: x\nlog.level: y",
        "flags.json": '{"db.user": "x", "log.level": "y"}',
        "app.toml": '"db.user" = "x"\n"log.level" = "y"',
    }[name]
    settings = read({name: text})
    assert (settings.db.user, settings.log_level) == ("x", "y")


def test_dotted_over_whole(read):
    """A dotted name for a part goes over the mapping of the whole, and into no other use of the same anchor."""
    text = "labels: &one {a: '1'}\nanything: *one\nlabels.b: '2'\ndb.user: x\ndb: {user: y, pool: {min_size: 1}}"
    settings = read({"application.yaml": text})
    assert settings.labels == {"a": "1", "b": "2"}
    assert settings.anything == {"a": "1"}
    assert settings.db == Database(user="x", pool=Pool(min_size=1))


def test_recursive_model(read):
    """Keys reach into a model that holds itself."""
    assert read({"tree.next.next.value": "3"}).tree == Tree(next=Tree(next=Tree(value=3)))


def test_properties_that_end_in_a_continued_line(kubelet_volume, load):
    """A last line of a .properties document with a continuation mark and no continuation is complete."""
    kubelet_volume.write({"app.properties": "message = half \\\n  a line\\"})
    assert load(App, _volumes=kubelet_volume.path, _watch=False).message == "half a line"


def test_yaml_without_its_extra(kubelet_volume, load, monkeypatch):
    """Where PyYAML is not installed, a YAML document is refused with the name of the extra that is missing."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    kubelet_volume.write({"application.yaml": "message: hello"})
    with pytest.raises(InvalidSettingsError, match="pip install 'pyyaml"):
        load(App, _volumes=kubelet_volume.path, _watch=False)


class TestNamesWithoutQuotes:
    """Names that YAML reads as true, false or null where they have no quotes."""

    class App(Settings):
        model_config = SettingsConfigDict(documents=["app.yaml"], watch=False)
        on: str = "default"
        off: str = "default"
        message: str = ""
        words: dict[Any, str] = {}

    @pytest.mark.parametrize("name", ["on", "yes", "off", "no", "null", "~", "true", "False", "Off"])
    def test_reported(self, kubelet_volume, load, name):
        """I07: such a name feeds no field, and is reported as unused, with the hint to put it in quotes."""
        kubelet_volume.write({"app.yaml": f"{name}: x\nmessage: two\n"})
        settings = load(self.App, _volumes=kubelet_volume.path)
        (unused,) = settings.live.status().unused_keys
        assert unused.key == f"app.yaml:{name}"
        assert "quotes" in unused.hint
        assert unused.nearest == {"on": "on", "off": "off", "Off": "off"}.get(name)
        assert (settings.on, settings.off, settings.message) == ("default", "default", "two")

    def test_inside_a_model(self, kubelet_volume, load):
        """I07: a name inside a nested model is reported with the path to it."""

        class Flags(BaseModel):
            yes: str = "default"

        class App(self.App):
            flags: Flags = Flags()

        kubelet_volume.write({"app.yaml": "flags: {yes: x, no: x}\n"})
        settings = load(App, _volumes=kubelet_volume.path)
        assert [each.key for each in settings.live.status().unused_keys] == ["app.yaml:flags.no", "app.yaml:flags.yes"]

    def test_two_of_one_meaning(self, kubelet_volume, load):
        """I07: two names that YAML reads alike, as `on` and `yes`, are refused with the hint at quotes."""
        kubelet_volume.write({"app.yaml": "on: x\nyes: y\n"})
        with pytest.raises(InvalidSettingsError, match="in quotes"):
            load(self.App, _volumes=kubelet_volume.path)

    def test_with_quotes(self, kubelet_volume, load):
        """I07: in quotes it feeds its field."""
        kubelet_volume.write({"app.yaml": '"on": x\n'})
        settings = load(self.App, _volumes=kubelet_volume.path)
        assert settings.on == "x"
        assert settings.live.status().unused_keys == ()

    def test_entries_of_a_mapping(self, kubelet_volume, load):
        """A mapping that is itself the value of a field keeps such names as YAML reads them."""
        kubelet_volume.write({"app.yaml": "words: {on: a, 3: b, x: c}\n"})
        settings = load(self.App, _volumes=kubelet_volume.path)
        assert settings.words == {True: "a", 3: "b", "x": "c"}
        assert settings.live.status().unused_keys == ()

    def test_nothing_else_is_shown(self, kubelet_volume, load, canary):
        """I07: the report contains no value."""
        kubelet_volume.write({"app.yaml": f"on: {canary}\n"})
        assert canary not in str(load(self.App, _volumes=kubelet_volume.path).live.status().as_dict())
