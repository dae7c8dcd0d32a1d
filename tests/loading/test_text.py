"""A key's bytes -> what the field is given."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import pathlib
import uuid
from typing import Annotated, Any, Literal

import pytest
from pydantic import Base64Bytes, BaseModel, Field, Json, PostgresDsn, SecretBytes, SecretStr

from liveconfig import InvalidSettingsError, Key, Settings, SettingsConfigDict


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: int
    y: int = 0


class Everything(Settings):
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    secret: SecretStr = SecretStr("")
    raw: bytes = b""
    secret_raw: SecretBytes = SecretBytes(b"")
    maybe_raw: bytes | None = None
    maybe: int | None = None
    price: decimal.Decimal = decimal.Decimal(0)
    day: dt.date = dt.date.min
    pause: dt.timedelta = dt.timedelta()
    path: pathlib.Path = pathlib.Path()
    token: uuid.UUID = uuid.UUID(int=0)
    word: Literal["a", "b"] = "a"
    level: Level = Level.LOW
    numbers: list[int] = Field([])
    mixed: int | list[int] = 0
    point: Point = Point(x=0)
    points: dict[str, Point] = Field({})
    anything: Any = None
    decoded: Json[list[int]] = Field([], validate_default=False)
    packed: Base64Bytes = b""
    dsn: PostgresDsn | None = None


@pytest.fixture
def value(kubelet_volume, load):
    """A function: what a field holds when its key has this content."""

    def value(key, content, cls=Everything, field=None):
        kubelet_volume.write({key: content})
        return getattr(load(cls, _volumes=kubelet_volume.path, _watch=False), field or key)

    return value


@pytest.mark.parametrize(
    ("field", "content", "expected"),
    [
        ("text", "hello", "hello"),
        ("text", "hello\n", "hello"),
        ("text", "hello\r\n", "hello"),
        ("text", "hello\n\r\n\n", "hello"),
        ("text", "\n", ""),
        ("text", "  hello \t\n", "  hello \t"),
        ("text", "\nhello\nworld\n", "\nhello\nworld"),
        ("text", "a\r\nb", "a\r\nb"),
        ("text", b"a\x00b\n", "a\x00b"),
        ("text", b"\xef\xbb\xbfhello", "\ufeffhello"),
        ("text", "é\u2028", "é\u2028"),
        ("text", "hello\x0b\x0c", "hello\x0b\x0c"),
        ("text", '{"not": "decoded"}', '{"not": "decoded"}'),
        ("text", "null", "null"),
        ("text", "", ""),
        ("secret", "pw\n", SecretStr("pw")),
        ("number", "42\n", 42),
        ("number", "-7", -7),
        ("number", "9" * 60, int("9" * 60)),
        ("ratio", "1e3", 1000.0),
        ("flag", "true\n", True),
        ("flag", "off", False),
        ("flag", "1", True),
        ("maybe", "3", 3),
        ("price", "12.50", decimal.Decimal("12.50")),
        ("day", "2026-11-22", dt.date(2026, 11, 22)),
        ("pause", "PT2M", dt.timedelta(minutes=2)),
        ("path", "/var/lib\n", pathlib.Path("/var/lib")),
        ("token", "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678123456781234567812345678")),
        ("word", "b\n", "b"),
        ("level", "2", Level.HIGH),
        ("numbers", "[1, 2]\n", [1, 2]),
        ("numbers", '\n[1,\r\n "2"]', [1, 2]),
        ("mixed", "5", 5),
        ("mixed", "[5]", [5]),
        ("point", '{"x": 1, "y": 2}', Point(x=1, y=2)),
        ("points", '{"a": {"x": 1}}', {"a": Point(x=1)}),
        ("packed", "aGVsbG8=\n", b"hello"),
    ],
)
def test_read(value, field, content, expected):
    """Text is UTF-8 less its trailing line ends; structured fields take JSON."""
    assert value(field, content) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"a\n", b"\xff\xfe\x00\n", b"\xef\xbb\xbfa\r\n", bytes(range(256))])
@pytest.mark.parametrize("field", ["raw", "maybe_raw"])
def test_bytes(value, field, content):
    """B06: a bytes field gets the bytes as they are."""
    assert value(field, content) == content


def test_secret_bytes(value):
    """B06: SecretBytes gets the bytes as they are."""
    assert value("secret_raw", b"\x00\xff\n").get_secret_value() == b"\x00\xff\n"


@pytest.mark.parametrize("field", ["text", "number", "secret", "numbers", "point", "word", "path"])
@pytest.mark.parametrize("content", [b"\xff\xfeh\x00i\x00", b"caf\xe9", b"\xed\xa0\x80", b"\xc0\x80"])
def test_not_utf8(value, field, content):
    """B06: text that is not UTF-8 is refused, and the field and the file are named."""
    with pytest.raises(InvalidSettingsError, match=rf"/{field} is not UTF-8") as caught:
        value(field, content)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("field", ["number", "flag", "day", "numbers", "point", "level", "token", "word"])
def test_empty_where_the_type_says_no(value, field):
    """B07: an empty file is refused where the type refuses the empty text."""
    with pytest.raises(InvalidSettingsError, match=field):
        value(field, "")


def test_empty_ignored(value):
    """With env_ignore_empty an empty key counts as absent, as with variables."""

    class Ignoring(Settings):
        model_config = SettingsConfigDict(env_ignore_empty=True)
        number: int = 7

    assert value("number", "\n", Ignoring) == 7


def test_none_text(value):
    """With env_parse_none_str that text stands for None, as with variables."""

    class Nullable(Settings):
        model_config = SettingsConfigDict(env_parse_none_str="null")
        number: int | None = 7

    assert value("number", "null\n", Nullable) is None


class Special(Settings):
    model_config = SettingsConfigDict(env_ignore_empty=True, env_parse_none_str="null")
    raw: bytes | None = b"default"
    secret: SecretBytes | None = SecretBytes(b"default")
    listed: Annotated[list[int] | None, Key("list.yaml")] = Field([7])
    text: Annotated[str | None, Key(format="json")] = "default"


@pytest.mark.parametrize(
    ("field", "key"), [("raw", "raw"), ("secret", "secret"), ("listed", "list.yaml"), ("text", "text")]
)
def test_empty_and_none_of_every_type(value, field, key):
    """env_ignore_empty and env_parse_none_str hold for bytes, and for keys with a format, as for all others."""
    assert value(key, "", Special, field) == Special.model_fields[field].default
    assert value(key, "null", Special, field) is None


@pytest.mark.parametrize("content", [b"\n", b"null\n", b"\xff"])
def test_bytes_beside_the_options(value, content):
    """A line end is content of bytes: such a key is neither empty nor the text that stands for None."""
    assert value("raw", content, Special) == content


def test_enums_by_name(value):
    """With env_parse_enums a key may hold the name of an enum member, as with variables."""

    class Named(Settings):
        model_config = SettingsConfigDict(env_parse_enums=True)
        level: Level = Level.LOW

    assert value("level", "HIGH", Named) is Level.HIGH


@pytest.mark.parametrize(
    "content", ["[1, 2", "nonsense", "[" * 100_000, '{"x":' * 50_000, "[1" + "0" * 5000 + "]", "NaN", "[1]]"]
)
@pytest.mark.parametrize("field", ["numbers", "point"])
def test_bad_json(value, field, content):
    """B01: a structured field that holds no valid JSON, or JSON of absurd depth or size, is refused."""
    with pytest.raises(InvalidSettingsError, match=field):
        value(field, content)


def test_huge_number(value):
    """A number with more digits than Python converts is refused, and does not raise out of the blue."""
    with pytest.raises(InvalidSettingsError, match="number"):
        value("number", "9" * 100_000)


def test_wrong_type_names_no_value(value, canary):
    """B02: a wrong type names the field and never the value."""
    for field in ("number", "ratio", "flag", "day", "token", "word", "numbers", "level", "point", "decoded", "dsn"):
        with pytest.raises(InvalidSettingsError, match=field) as caught:
            value(field, canary)
        assert canary not in repr(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_optional_bytes_and_text(value):
    """A union of bytes and text that is not all bytes is still one value, and never raises undecoded."""

    class Both(Settings):
        either: bytes | str = b""

    assert value("either", b"text\n", Both) in (b"text", b"text\n", "text")


def test_not_a_number_is_no_change(kubelet_volume, load):
    """A field that is not a number (nan) does not change with every reload."""

    class Ratio(Settings):
        ratio: float = math.nan
        other: int = 0

    kubelet_volume.write({"ratio": "nan", "other": "1", "unused": "1"})
    settings = load(Ratio, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.update({"unused": "2"})
    assert settings.live.reload()
    assert settings.live.version == 1
