"""Faults of content: content that cannot be read, parsed or validated is never applied, and is reported once."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import traceback
from typing import Literal

import pytest
from pydantic import BaseModel, Field, PostgresDsn, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from liveconfig import AmbiguousKeyError, InvalidSettingsError, Refusal, Settings, SettingsConfigDict

PATIENCE = 60.0


class Database(BaseModel):
    user: str = "nobody"
    password: SecretStr = SecretStr("none")
    port: int = 0


class App(Settings):
    model_config = SettingsConfigDict(documents=["app.yaml", "app.json", "app.toml"], resync=3600.0)
    message: str
    number: int = 0
    secret: SecretStr
    db: Database = Database()
    words: dict[str, int] = Field({})


GOOD = {"message": "one", "secret": "CANARY-00000000", "number": "1"}


@pytest.fixture
def good(kubelet_volume, load):
    """Settings that were loaded from good content, and the list of what was rejected since."""
    kubelet_volume.write(GOOD)
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    rejected = []
    settings.live.on_reject(rejected.append)
    return settings, rejected


BAD = {
    "YAML": ({**GOOD, "app.yaml": "message: ["}, "parse", ("app.yaml",)),
    "JSON": ({**GOOD, "app.json": '{"message": '}, "parse", ("app.json",)),
    "TOML": ({**GOOD, "app.toml": "message = "}, "parse", ("app.toml",)),
    "not UTF-8": ({**GOOD, "message": b"\xff"}, "parse", ("message",)),
    "two claims": ({**GOOD, "MESSAGE": "two"}, "parse", ("message",)),
    "wrong type": ({**GOOD, "number": "many"}, "validate", ("number",)),
    "wrong type inside": ({**GOOD, "db.port": "many"}, "validate", ("db.port",)),
    "wrong type in a document": ({**GOOD, "app.yaml": "db: {port: many}"}, "validate", ("db.port",)),
    "wrong type in a mapping": ({**GOOD, "words": '{"CANARY-00000000": "x"}'}, "validate", ("words",)),
    "empty": ({**GOOD, "number": ""}, "validate", ("number",)),
    "required key gone": ({"secret": "CANARY-00000000"}, "validate", ("message",)),
    "secret gone": ({"message": "two"}, "validate", ("secret",)),
    "all gone": ({}, "validate", ("message", "secret")),
}


@pytest.mark.parametrize("bad", BAD)
def test_rejected(good, kubelet_volume, caplog, bad):
    """B01, B02, B03: bad content leaves the last good one in use, is reported once with its fields, and makes it unhealthy."""
    settings, rejected = good
    before = settings.live.latest()
    payload, stage, fields = BAD[bad]
    kubelet_volume.write(payload)
    for _ in range(3):
        assert not settings.live.reload()
    assert settings.live.latest() is before
    assert (settings.message, settings.number) == ("one", 1)
    assert settings.live.version == 1
    assert len(rejected) == 1
    assert rejected[0].stage == stage
    assert rejected[0].fields == fields
    assert rejected[0].generations == {str(kubelet_volume.path): kubelet_volume.generation}
    assert rejected[0].attempt == 1
    assert "CANARY" not in repr(rejected)
    status = settings.live.status()
    assert not status.healthy
    assert "CANARY" not in repr(status.as_dict())
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert any(field in errors[0] for field in fields)
    kubelet_volume.write({**GOOD, "message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"
    assert settings.live.status().healthy


@pytest.mark.parametrize("bad", BAD)
def test_first_load(kubelet_volume, load, bad):
    """B10: bad content at the first load is an error of the constructor that names the field and holds no value."""
    payload, _, fields = BAD[bad]
    kubelet_volume.write(payload)
    with pytest.raises((InvalidSettingsError, AmbiguousKeyError)) as caught:
        load(App, _volumes=kubelet_volume.path)
    assert any(field in str(caught.value) for field in fields)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))
    assert str(kubelet_volume.path) in str(caught.value)


def test_first_load_holds_no_value(kubelet_volume, canary):
    """B10: no object that the error leads to, frames with their locals included, holds a value of a volume."""
    kubelet_volume.write({"secret": canary, "number": f"x{canary}"})
    error = None
    try:
        App(_volumes=kubelet_volume.path)
    except InvalidSettingsError as failure:
        error = failure
    assert error is not None
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if code.co_filename != __file__:
            assert canary not in repr(frame.tb_frame.f_locals), code.co_qualname
        frame = frame.tb_next
    reachable, known = [error.args, vars(error)], set()
    while reachable:
        each = reachable.pop()
        if id(each) not in known and not isinstance(each, type(sys)):
            known.add(id(each))
            assert not isinstance(each, str | bytes) or canary not in str(each)
            reachable.extend(gc.get_referents(each) if isinstance(each, tuple | list | dict | set) else ())


def test_only_its_own_volume(make_kubelet_volume, load):
    """B20: what cannot be parsed, and what does not validate, hold back their own volume only."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"message": "one", "secret": "CANARY-00000000"})
    other.write({"number": "1"})
    settings = load(App, _volumes=[one.path, other.path], _watch=False)
    one.write({"message": b"\xff", "secret": "CANARY-00000000"})
    other.write({"number": "2"})
    assert not settings.live.reload()
    assert (settings.message, settings.number) == ("one", 2)
    one.write({"message": "two", "secret": "CANARY-00000000"})
    other.write({"number": "many"})
    assert not settings.live.reload()
    assert (settings.message, settings.number) == ("two", 2)
    rejected = settings.live.status().last_rejected
    assert (rejected.fields, rejected.held) == (("number",), ())
    assert rejected.generations == {str(other.path): other.generation}
    assert settings.live.status().candidate.held == ()
    other.write({"number": "3"})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("two", 3)
    assert settings.live.status().candidate is None


def test_both_volumes_bad(make_kubelet_volume, load):
    """B21: two volumes with different faults are reported once each, and recover separately."""
    one, other = make_kubelet_volume("one"), make_kubelet_volume("other")
    one.write({"message": "one", "secret": "CANARY-00000000"})
    other.write({"number": "1"})
    settings = load(App, _volumes=[one.path, other.path], _watch=False)
    rejected = []
    settings.live.on_reject(rejected.append)
    one.write({"message": b"\xff", "secret": "CANARY-00000000"})
    other.write({"app.yaml": "["})
    for _ in range(3):
        assert not settings.live.reload()
    assert sorted(event.fields for event in rejected) == [("app.yaml",), ("message",)]
    assert len(settings.live.status().problems) == 2
    other.write({"number": "2"})
    assert not settings.live.reload()
    assert settings.number == 2
    one.write({"message": "two", "secret": "CANARY-00000000"})
    assert settings.live.reload()
    assert settings.message == "two"
    assert len(rejected) == 2


@pytest.mark.parametrize("watch", [True, False])
def test_same_bad_content(kubelet_volume, load, caplog, watch):
    """B05: the same bad content at 20 re-checks (as many as there are in ten minutes) is one line and one event."""

    class Often(App):
        model_config = SettingsConfigDict(resync=0.02)

    kubelet_volume.write(GOOD)
    settings = load(Often, _volumes=kubelet_volume.path, _watch=watch)
    rejected = []
    settings.live.on_reject(rejected.append)
    kubelet_volume.write({**GOOD, "number": "many"})
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if not watch:
            settings.live.reload()
        candidate = settings.live.status().candidate
        if candidate is not None and candidate.attempt >= 20:
            break
        pause.wait(0.02)
    else:
        pytest.fail("it was not looked at 20 times")
    assert len(rejected) == 1
    assert [record.levelno for record in caplog.records if "rejected" in record.getMessage()] == [logging.ERROR]
    kubelet_volume.write({**GOOD, "number": "worse"})
    assert not settings.live.reload()
    assert len(rejected) == 2


def test_bad_good_bad(good, kubelet_volume):
    """B22: bad content that returns after good content is reported again."""
    settings, rejected = good
    for _ in range(2):
        kubelet_volume.write({**GOOD, "number": "many"})
        assert not settings.live.reload()
        kubelet_volume.write(GOOD)
        assert settings.live.reload()
    assert len(rejected) == 2
    assert settings.live.version == 1


def test_variable_and_key(kubelet_volume, load, monkeypatch):
    """B12: with a variable and a key for one field, a change of another key is one event, and the volume still wins."""
    monkeypatch.setenv("MESSAGE", "from the environment")
    kubelet_volume.write(GOOD)
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    told = []
    settings.live.on_reload(told.append)
    kubelet_volume.update({"number": "2"})
    assert settings.live.reload()
    assert (settings.message, settings.number) == ("one", 2)
    assert [[change.field for change in event.changes] for event in told] == [["number"]]


def leaky(value):
    """A validator that puts its value wherever it can."""
    if "bad" in value:
        raise ValueError(f"{value} is no good")
    return value


class Leaks(Settings):
    """Types and validators whose messages quote what they were given."""

    plain: str = "x"
    url: PostgresDsn = PostgresDsn("postgres://u:p@h/d")
    choice: Literal["a", "b"] = "a"
    long: SecretStr = Field(SecretStr("x"), max_length=4)
    pattern: str = Field("x", pattern="^x$")
    custom: str = "x"
    known: str = "x"
    asserted: str = "x"
    refused: str = "x"
    other: str = "x"
    whole: str = "x"

    @field_validator("plain")
    @classmethod
    def _plain(cls, value):
        return leaky(value)

    @field_validator("custom")
    @classmethod
    def _custom(cls, value):
        if "bad" in value:
            raise PydanticCustomError("string_too_short", "{value} is too short", {"value": value})
        return value

    @field_validator("known")
    @classmethod
    def _known(cls, value):
        if "bad" in value:
            raise PydanticKnownError("value_error", {"error": ValueError(value)})
        return value

    @field_validator("asserted")
    @classmethod
    def _asserted(cls, value):
        assert "bad" not in value, value
        return value

    @field_validator("refused")
    @classmethod
    def _refused(cls, value):
        if "bad" in value:
            raise Refusal("it begins with bad")
        return value

    @field_validator("other")
    @classmethod
    def _other(cls, value):
        if "bad" in value:
            raise KeyError(value)
        return value

    @model_validator(mode="after")
    def _whole(self):
        if "bad" in self.whole:
            raise ValueError(f"{self.whole} {self!r}")
        return self


@pytest.mark.parametrize(
    "field",
    ["plain", "url", "choice", "long", "pattern", "custom", "known", "asserted", "refused", "other", "whole"],
)
def test_leaky_validators(kubelet_volume, load, canary, field):
    """B02: whatever quotes its input, nothing of that is in the rejection, the status or the constructor's error."""
    kubelet_volume.write({})
    settings = load(Leaks, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write({field: f"bad {canary}"})
    assert not settings.live.reload()
    rejected = settings.live.status().last_rejected
    assert rejected.stage == "validate"
    assert rejected.fields in ((field,), ())
    assert canary not in repr(rejected) + repr(settings.live.status().as_dict())
    assert ("begins with bad" in rejected.reason) == (field == "refused")
    with pytest.raises(InvalidSettingsError) as caught:
        load(Leaks, _volumes=kubelet_volume.path)
    assert canary not in "".join(traceback.format_exception(caught.value))


def test_validator_that_reloads(kubelet_volume, load):
    """B23: a validator that reads the settings, or reloads them, neither hangs nor recurses."""
    box = []

    class Reloading(Settings):
        message: str = "none"

        @field_validator("message")
        @classmethod
        def reload(cls, value):
            for settings in box:
                settings.live.reload()
                settings.live.status()
                assert settings.message == "one"
            return value

    kubelet_volume.write({"message": "one"})
    settings = load(Reloading, _volumes=kubelet_volume.path, _watch=False)
    box.append(settings)
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"


def test_value_that_cannot_be_compared(kubelet_volume, load):
    """B24: a value whose comparison raises counts as changed, and stops nothing."""

    class Touchy:
        def __init__(self, text):
            self.text = text

        def __eq__(self, other):
            raise RuntimeError(self.text)

        __hash__ = None

    class Odd(Settings):
        model_config = SettingsConfigDict(arbitrary_types_allowed=True)
        message: str = "none"
        touchy: Touchy | None = None

        @field_validator("touchy", mode="before")
        @classmethod
        def make(cls, value):
            return Touchy(value)

    kubelet_volume.write({"message": "one", "touchy": "CANARY-00000000"})
    settings = load(Odd, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.update({"message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"


def test_many_faults(kubelet_volume, load):
    """B25: a hundred wrong fields make a message that can still be read, and no field is named twice."""
    fields = {f"number{index}": (int, index) for index in range(100)}
    wide = type("Wide", (Settings,), {"__annotations__": dict.fromkeys(fields, int), "__module__": __name__})
    kubelet_volume.write(dict.fromkeys(fields, "1"))
    settings = load(wide, _volumes=kubelet_volume.path, _watch=False)
    kubelet_volume.write(dict.fromkeys(fields, "bad"))
    assert not settings.live.reload()
    rejected = settings.live.status().last_rejected
    assert len(rejected.reason) < 5000
    assert len(set(rejected.fields)) == len(rejected.fields) >= 20
