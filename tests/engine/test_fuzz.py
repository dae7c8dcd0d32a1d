"""Whatever lies on a volume: no crash, no exception but ours, no leak, and an end in bounded time."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel, Field, SecretBytes, SecretStr

from liveconfig import LiveConfigError, Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

CANARY = f"CANARY-{uuid.uuid4()}"

fuzz = settings(
    max_examples=120,
    derandomize=True,
    database=None,
    deadline=5000,  # milliseconds for one example
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)


class Node(BaseModel):
    name: str = ""
    secret: SecretStr = SecretStr("")
    nodes: list[Node] = Field([])
    named: dict[str, Node] = Field({})
    inner: Node | None = None


class App(Settings):
    """Every sort of field, each reachable from documents and keys."""

    model_config = SettingsConfigDict(
        documents=["app.yaml", "app.json", "app.toml", "app.env", "app.properties"],
        watch=False,
        env_nested_delimiter="__",
        missing_key="fallback",
    )
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    raw: bytes = b""
    secret: SecretStr = SecretStr("")
    secret_raw: SecretBytes = SecretBytes(b"")
    numbers: list[int] = Field([])
    words: dict[str, str] = Field({})
    anything: Any = None
    node: Node = Node()
    either: int | str | Node | None = None


@contextlib.contextmanager
def volume() -> Iterator[KubeletVolume]:
    """A volume of one example's own: Hypothesis runs many of them in one test."""
    folder = Path(tempfile.mkdtemp(prefix="liveconfig-"))
    try:
        yield KubeletVolume(folder / "volume")
    finally:
        shutil.rmtree(folder)


def feed(payload: dict[str, bytes]) -> None:
    """Load a payload first, and then as a change of a good one; both end well or in an error of ours."""
    with volume() as disk:
        disk.write(payload)
        loaded = None
        try:
            loaded = App(_volumes=disk.path)
        except LiveConfigError as error:
            told = "".join(traceback.format_exception(error))
            assert CANARY not in told
            assert error.__cause__ is error.__context__ is None
        disk.write({"text": b"good"})
        changed = App(_volumes=disk.path)
        disk.write(payload)
        assert changed.live.reload() is (loaded is not None)
        assert CANARY not in json.dumps(changed.live.status().as_dict())
        if loaded is None:
            assert changed.text == "good"
        else:
            assert repr(changed.live.latest()) == repr(loaded.live.latest())


# Texts that are nearly documents

NAMES = st.sampled_from([*App.model_fields, "node.inner.name", "node__secret", "NODE", "no-such", "a.b", "", "<<", "é"])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.just(CANARY),
    st.sampled_from(["1:1:1", "0x1F", "1e999", "~", "2026-11-22", "!!binary x", "*a", "\ud800", "\x00", "9" * 5000]),
)
DATA = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(NAMES, DATA, max_size=6)
PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ":",
        "\n",
        "- ",
        "  ",
        "=",
        '"',
        "'",
        "#",
        "&a ",
        "*a",
        "<<: ",
        "!!python/object:os.system ",
        "\\",
        "text",
        "number",
        "node",
        "secret",
        CANARY,
        ".",
        ",",
        "|",
        ">",
        "%",
        "---\n",
        "\r\n",
        "\t",
        "\x00",
        "\ufeff",
        "1",
        "?",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, text: st.SearchStrategy[str]) -> bytes:
    """A text with some pieces put in, or cut out, anywhere."""
    found = draw(text)
    for piece in draw(st.lists(PIECES, max_size=4)):
        at = draw(st.integers(0, len(found)))
        found = found[:at] + piece + found[at + draw(st.integers(0, 3)) :]
    return found.encode("utf-8", "surrogatepass")


def as_yaml(data: Any) -> str:
    try:
        return yaml.safe_dump(data, allow_unicode=True)
    except yaml.YAMLError:
        return repr(data)


def as_lines(data: dict[str, Any]) -> str:
    return "".join(f"{name}={value}\n" for name, value in data.items())


def as_toml(data: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in data.items())


TEXTS = {
    "app.yaml": MAPPINGS.map(as_yaml) | MAPPINGS.map(json.dumps),
    "app.json": MAPPINGS.map(json.dumps),
    "app.toml": MAPPINGS.map(as_toml),
    "app.env": MAPPINGS.map(as_lines),
    "app.properties": MAPPINGS.map(as_lines),
}


@pytest.mark.parametrize("name", TEXTS)
def test_documents(name: str) -> None:
    """B26: a document of any content is accepted or rejected, and no message shows its content."""
    soup = st.lists(PIECES, max_size=30).map("".join)

    @fuzz
    @given(content=damaged(TEXTS[name]) | damaged(soup) | st.binary(max_size=60))
    def run(content: bytes) -> None:
        feed({name: content, "secret": CANARY.encode()})

    run()


LETTERS = st.text("abz_-.AZ09", min_size=1, max_size=12).filter(lambda name: name != "." and not name.startswith(".."))
KEYS = st.one_of(
    st.sampled_from(["node/name", "node/inner/inner/name", "node.inner.secret", "node__named__x", "words/a", "TEXT"]),
    st.sampled_from(list(App.model_fields)),
    LETTERS,
    st.lists(LETTERS, min_size=1, max_size=5).map("/".join),
    st.lists(LETTERS, min_size=1, max_size=60)
    .map(".".join)
    .map(lambda key: key[:240])
    .filter(lambda key: not key.startswith("..")),
)
CONTENTS = st.one_of(
    st.binary(max_size=40),
    damaged(MAPPINGS.map(json.dumps)),
    st.just(CANARY.encode()),
    st.sampled_from([b"[" * 5000, b"9" * 5000, b"\xff", b"", b"\n", b"null", b"NaN", b"1e999", b"true\r\n"]),
)


@fuzz
@given(payload=st.dictionaries(KEYS, CONTENTS, max_size=6))
def test_keys(payload: dict[str, bytes]) -> None:
    """B27: keys of any name and content are accepted or rejected, and no message shows their content."""
    folders = {"/".join(parts[:end]) for key in payload for parts in [key.split("/")] for end in range(1, len(parts))}
    feed({key: content for key, content in payload.items() if key not in folders})
