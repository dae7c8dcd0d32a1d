"""One fault holds back one volume: what the others hold is applied."""

from __future__ import annotations

import gc
import json
import logging
import random
import sys
import threading
import time
import weakref
from contextlib import ExitStack
from functools import partial
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import (
    AfterValidator,
    AliasPath,
    BaseModel,
    Field,
    SecretStr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)
from watchdog.observers.inotify_c import InotifyFD

from liveconfig import InvalidSettingsError, Recovered, Rejected, Reloaded, Settings, SettingsConfigDict, Volume
from liveconfig._engine.engine import Engine
from liveconfig._engine.single_flight import SingleFlight
from liveconfig._volumes.volume import VolumeBusy, VolumeReader
from liveconfig._watching import DelayedCall, process_watcher
from liveconfig.testing import recorded

PATIENCE = 60.0


class Pool(BaseModel):
    low: int = 0
    high: int = 10
    name: str = "pool"

    @model_validator(mode="after")
    def ordered(self):
        assert self.low <= self.high
        return self


class App(Settings):
    model_config = SettingsConfigDict(resync=3600.0, documents=["app.json"])
    flag: bool = True
    number: int = Field(0, ge=0)
    other: str = "default"
    password: SecretStr = SecretStr("none")
    user: str = "nobody"
    tokens: dict[str, str] = {}
    routes: list[int] = []
    pool: Pool = Pool()


class ByUser(BaseModel):
    kind: Literal["user"] = "user"
    user: str = ""


class ByPort(BaseModel):
    kind: Literal["port"] = "port"
    port: int = 1
    weight: int = 1


class Tagged(App):
    way: Annotated[ByUser | ByPort, Field(discriminator="kind")] = ByUser()


class Parts(App):
    a: int = Field(0, validation_alias=AliasPath("blob", "a"))
    b: int = Field(0, validation_alias=AliasPath("blob", "b"))
    c: int = Field(0, validation_alias=AliasPath("blob", "c"))


class Coupled(App):
    """Its numbers are valid together, or not, as a class."""

    low: int = 0
    high: int = 10
    third: int = 5

    @model_validator(mode="after")
    def ordered(self):
        if self.low > self.high:
            raise ValueError
        return self


@pytest.fixture
def open_settings(make_kubelet_volume):
    """A function that makes settings of a class on several volumes with these contents; and the volumes."""
    with ExitStack() as opened:

        def make(*contents, cls=App, watch=False, **options):
            volumes = [make_kubelet_volume(f"volume-{place}") for place in range(len(contents))]
            for volume, content in zip(volumes, contents, strict=True):
                volume.write(content)
            settings = cls.load(_volumes=[Volume(each.path) for each in volumes], _watch=watch, **options)
            opened.callback(settings.live.close)
            return settings, *volumes

        yield make


@pytest.fixture
def gate():
    """An event that verifiers can be held at; it is open again when the test ends."""
    event = threading.Event()
    yield event
    event.set()


class Check:
    """A verifier that records its candidates and gives a prepared answer."""

    def __init__(self, select, act=lambda _: None):
        self.select = select
        self.act = act
        self.seen = []
        self._news = threading.Condition()

    def __call__(self, candidate):
        with self._news:
            self.seen.append(self.select(candidate))
            self._news.notify_all()
        return self.act(candidate)

    def wait(self, count):
        with self._news:
            assert self._news.wait_for(lambda: len(self.seen) >= count, PATIENCE), self.seen


class Watched:
    """A selector that tells when another thread than that of the test calls it, to compare with a running call."""

    def __init__(self, select):
        self.select = select
        self.compared = threading.Event()

    def __call__(self, seen):
        if threading.current_thread() is not threading.main_thread():
            self.compared.set()
        return self.select(seen)


def waiting(settings):
    """The names of the volumes that wait, by standing rejection, oldest first."""
    return [sorted(path[-1] for path in each.generations) for each in settings.live.status().rejections]


def refuse(_):
    return False


@pytest.fixture
def refused_together(open_settings):
    """Settings whose two volumes are valid only together, and refused; the volumes, and the verifier that refused."""
    settings, one, other = open_settings({"low": "1"}, {"high": "2"}, cls=Coupled)
    check = Check(lambda s: (s.low, s.high), refuse)
    settings.live.verify(check)
    one.update({"low": "5"})
    other.update({"high": "6"})
    assert not settings.live.reload()
    return settings, one, other, check


class TestInvalid:
    def test_the_others_are_applied(self, open_settings):
        """P3: a value that is not valid holds back its own volume; what the other holds is applied at once."""
        settings, config, secrets = open_settings({"number": "1"}, {"password": "one"})
        config.update({"number": "many"})
        secrets.update({"password": "two"})
        assert not settings.live.reload()
        assert (settings.number, settings.password.get_secret_value()) == (1, "two")
        assert waiting(settings) == [["0"]]

    def test_each_by_itself(self, open_settings):
        """P3: two volumes that are not valid are two rejections, each with its reason, and each recovers by itself."""
        settings, one, other = open_settings({"number": "1"}, {"flag": "true"})
        with recorded(settings) as events:
            one.update({"number": "many"})
            assert not settings.live.reload()
            other.update({"flag": "perhaps"})
            assert not settings.live.reload()
            assert waiting(settings) == [["0"], ["1"]]
            one.update({"number": "2"})
            assert not settings.live.reload()
            assert waiting(settings) == [["1"]]
            other.update({"flag": "false"})
            assert settings.live.reload()
        rejected = [event for event in events if isinstance(event, Rejected)]
        assert [event.fields for event in rejected] == [("number",), ("flag",)]
        assert "flag" not in rejected[0].reason
        assert [event.after.fields for event in events if isinstance(event, Recovered)] == [("number",), ("flag",)]

    def test_both_at_once(self, open_settings):
        """P3: two volumes that become invalid at once are two rejections too."""
        settings, one, other = open_settings({"number": "1"}, {"flag": "true"})
        one.update({"number": "many"})
        other.update({"flag": "perhaps"})
        assert not settings.live.reload()
        assert sorted(waiting(settings)) == [["0"], ["1"]]

    def test_a_volume_that_keeps_moving(self, open_settings):
        """P3: a standing rejection is published once, however often the other volume changes."""
        settings, one, other = open_settings({"number": "1"}, {"other": "0"})
        rejected = []
        settings.live.on_reject(rejected.append)
        one.update({"number": "many"})
        for turn in range(1, 5):
            other.update({"other": str(turn)})
            assert not settings.live.reload()
            assert settings.other == str(turn)
        assert len(rejected) == 1
        assert settings.live.status().rejections[0].attempt == 4

    def test_the_same_bytes_again(self, open_settings):
        """P3: the same bad bytes in a new generation are the same bad content: published once, with counted attempts."""
        settings, one = open_settings({"number": "many", "other": "x"}, cls=AppWithNumber)
        rejected = []
        settings.live.on_reject(rejected.append)
        one.write({"number": "-1", "other": "x"})
        assert not settings.live.reload()
        generation = one.generation
        one.write({"number": "-1", "other": "y"})
        assert not settings.live.reload()
        one.write({"number": "-1", "other": "x"})
        assert not settings.live.reload()
        assert len(rejected) == 3
        (one.path / "..other").symlink_to(_copied(one))
        (one.path / "..other").rename(one.path / "..data")
        assert one.generation != generation
        assert not settings.live.reload()
        assert len(rejected) == 3
        [standing] = settings.live.status().rejections
        assert standing.generations == {str(one.path): one.generation}
        assert standing.attempt == 2

    def test_removed_key(self, open_settings):
        """P3: a key that was removed points to the field that it fed."""
        settings, one, other = open_settings({"must": "1", "other": "a"}, {"number": "1"}, cls=Must)
        one.write({"other": "b"})
        other.update({"number": "2"})
        assert not settings.live.reload()
        assert (settings.must, settings.other, settings.number) == (1, "a", 2)
        [rejected] = settings.live.status().rejections
        assert (rejected.fields, rejected.held) == (("must",), ("other",))

    def test_vanished_secret(self, open_settings):
        """P3: a secret that may not fall back holds back its own volume only."""
        settings, one, other = open_settings({"number": "1"}, {"password": "one", "user": "a"})
        other.write({"user": "b"})
        one.update({"number": "2"})
        assert not settings.live.reload()
        assert (settings.number, settings.password.get_secret_value(), settings.user) == (2, "one", "a")
        assert waiting(settings) == [["1"]]

    def test_mapping_entry(self, open_settings):
        """P3: an entry of a mapping that changed points to the mapping, whatever key of it changed last."""
        settings, one, other = open_settings({"tokens/a": "1", "tokens/z": "1"}, {"number": "1"}, cls=Short)
        one.update({"tokens/a": "too long"})
        other.update({"number": "2"})
        assert not settings.live.reload()
        assert (settings.tokens, settings.number) == ({"a": "1", "z": "1"}, 2)
        assert waiting(settings) == [["0"]]

    def test_overshadowed_key(self, open_settings):
        """P3: a key that a stronger volume overrides feeds nothing, so its volume is not held back."""
        settings, weak, strong = open_settings({"number": "1", "flag": "true"}, {"number": "2"})
        strong.update({"number": "many"})
        weak.write({"number": "3", "flag": "false"})
        assert not settings.live.reload()
        assert (settings.number, settings.flag) == (2, False)
        assert waiting(settings) == [["1"]]

    def test_what_comes_to_light(self, open_settings):
        """P3: a key that comes to light because a stronger one was removed, and is bad, waits with its own volume."""
        settings, weak, strong = open_settings({"number": "1", "other": "a"}, {"number": "2"})
        weak.write({"number": "many", "other": "b"})
        assert settings.live.reload()
        assert (settings.number, settings.other) == (2, "b")
        strong.write({"flag": "false"})
        assert not settings.live.reload()
        assert (settings.number, settings.flag) == (2, True)
        assert waiting(settings) == [["1"]]


class AppWithNumber(App):
    number: str = ""  # type: ignore[assignment]

    @field_validator("number")
    @classmethod
    def never_negative(cls, value):
        assert value != "-1"
        return value


class Must(App):
    must: int


class Short(App):
    tokens: dict[str, Annotated[str, Field(max_length=3)]] = {}


def _copied(volume):
    import shutil

    name = "..2026_11_28_00_00_00.1"
    shutil.copytree(volume.path / volume.generation, volume.path / name)
    return name


TABLE = {"one": "first", "two": "second"}


def _looked_up(token: str) -> str:
    if token == "leave":
        raise SystemExit
    return token if token in TABLE.values() else TABLE[token]  # a decoded value is validated again with the class


class Translated(App):
    """pydantic-settings validates a union with a strict member when it decodes the text."""

    token: Annotated[str, Strict(), AfterValidator(_looked_up)] | None = None


class TestDecoding:
    @pytest.mark.parametrize("error", ["KeyError", "SystemExit"])
    def test_a_validator_raises(self, open_settings, canary, error):
        """P3: an exception of a validator that runs while a key is decoded rejects its volume only, without a value."""
        settings, secrets, config = open_settings({"token": "one"}, {"number": "1"}, cls=Translated)
        with recorded(settings) as events:
            secrets.write({"token": "leave" if error == "SystemExit" else canary})
            config.write({"number": "2"})
            assert not settings.live.reload()
            assert (settings.token, settings.number) == ("first", 2)
            assert waiting(settings) == [["0"]]
            secrets.write({"token": "two"})
            assert settings.live.reload()
            assert settings.token == "second"
        (rejected,) = (event for event in events if isinstance(event, Rejected))
        assert rejected.fields == ("token",)
        assert f"/token: a validator of 'token' raised {error} at test_isolation.py:" in rejected.reason
        assert canary not in repr(events) + repr(settings.live.history())

    def test_the_watcher_goes_on(self, open_settings):
        """P3: after a validator has raised while the scheduler thread decoded a key, both volumes are still followed."""
        settings, secrets, config = open_settings({"token": "one"}, {"number": "1"}, cls=Translated, watch=True)
        heard = threading.Event()
        settings.live.on_reject(lambda _: heard.set())
        secrets.write({"token": "three"})
        assert heard.wait(PATIENCE)
        config.write({"number": "2"})
        assert settings.live.wait(lambda s: s.number == 2, PATIENCE)
        secrets.write({"token": "two"})
        assert settings.live.wait(lambda s: s.token == "second", PATIENCE)
        assert settings.live.status().healthy

    def test_at_the_start(self, open_settings, canary):
        """P3: at the start, an exception of a validator in decoding is an error with the key, the field and the line."""
        with pytest.raises(InvalidSettingsError) as caught:
            open_settings({"token": canary}, cls=Translated)
        assert "/token: a validator of 'token' raised KeyError at test_isolation.py:" in str(caught.value)
        assert "a source of the settings" not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None

    def test_interrupted(self, open_settings, monkeypatch):
        """Ctrl-C in such a validator raises KeyboardInterrupt, and the values in use stay."""
        settings, secrets = open_settings({"token": "one"}, cls=Translated)

        class Interrupting(dict[str, str]):
            def __getitem__(self, _):
                raise KeyboardInterrupt

        secrets.write({"token": "two"})
        with monkeypatch.context() as patched:
            patched.setitem(globals(), "TABLE", Interrupting())
            with pytest.raises(KeyboardInterrupt):
                settings.live.reload()
        assert settings.token == "first"
        assert settings.live.reload()
        assert settings.token == "second"


class Endless(App):
    """A validator makes a value of its own that contains itself."""

    anything: object = None

    @field_validator("anything")
    @classmethod
    def endless(cls, anything: object) -> object:
        if anything is None:
            return None
        made = {"text": anything}
        made["self"] = made
        return made


class TestEndless:
    def test_a_change(self, open_settings):
        """P3: a change for which a validator makes a value that contains itself is rejected, and the next is applied."""
        settings, one, other = open_settings({"anything": "1"}, {"number": "1"}, cls=Endless)
        one.write({"anything": "2"})
        assert not settings.live.reload()
        assert "RecursionError" in settings.live.status().rejections[0].reason
        one.write({})
        other.write({"number": "2"})
        assert settings.live.reload()
        assert (settings.anything, settings.number) == (None, 2)

    def test_a_secret(self, kubelet_volume):
        """P3: a value of a secret volume that contains itself cannot be hidden, so it is no valid configuration."""
        kubelet_volume.write({"anything": "1"})
        with pytest.raises(InvalidSettingsError, match="a validator raised RecursionError"):
            Endless.load(_volumes=Volume(kubelet_volume.path, secret=True), _watch=False)


class TestHeld:
    def test_nested_validator(self, open_settings):
        """K09: a nested model whose validator refuses is located, and its fields are not among those held."""
        settings, one = open_settings({"pool/low": "1", "pool/name": "a", "other": "a"})
        one.update({"pool/low": "99", "pool/name": "b", "other": "b"})
        assert not settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert rejected.fields == ("pool",)
        assert rejected.held == ("other",)

    def test_nested_validator_of_two_volumes(self, open_settings):
        """K09: where two volumes feed the model that refuses, both wait; a third is applied."""
        settings, one, other, _third = open_settings({"pool/low": "1"}, {"pool/high": "10"}, {"number": "1"})
        one.update({"pool/low": "9"})
        other.update({"pool/high": "5"})
        _third.update({"number": "2"})
        assert not settings.live.reload()
        assert (settings.pool.low, settings.pool.high, settings.number) == (1, 10, 2)
        assert waiting(settings) == [["0", "1"]]

    def test_the_others_of_the_volume(self, open_settings, caplog):
        """P3: held are the other changed fields of the volume that waits, not those of others, nor the unchanged."""
        settings, one, other = open_settings({"number": "1", "flag": "true", "user": "a"}, {"other": "a"})
        one.update({"number": "many", "flag": "false"})
        other.update({"other": "b"})
        assert not settings.live.reload()
        settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert (rejected.fields, rejected.held) == (("number",), ("flag",))
        [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert "also not applied until this is fixed: flag" in line

    def test_document(self, open_settings):
        """P3: of a document only the fields whose values changed are held, not all that it feeds."""
        settings, one = open_settings({"app.json": json.dumps({"number": 1, "user": "a", "other": "a", "flag": True})})
        one.write({"app.json": json.dumps({"number": -1, "user": "a", "other": "b", "flag": True})})
        assert not settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert (rejected.fields, rejected.held) == (("number",), ("other",))

    def test_a_member_of_a_union_with_the_name_of_a_field(self, open_settings):
        """K24: a fault in a tagged union names its own field, where the tag is the name of another; that one is applied."""
        settings, one, other = open_settings({"way.kind": "port", "way.port": "1"}, {"way.weight": "1"}, cls=Tagged)
        one.update({"way.port": "2"})
        other.update({"way.weight": "many"})
        assert not settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert (rejected.fields, rejected.held) == (("way.weight",), ())
        assert (settings.way.port, settings.way.weight) == (2, 1)

    def test_parts_of_one_key(self, open_settings):
        """P3: of fields that look inside one key, only those whose part changed are held."""
        settings, one = open_settings({"blob": json.dumps({"a": 1, "b": 1, "c": 1})}, cls=Parts)
        one.write({"blob": json.dumps({"a": "x", "b": 1, "c": 2})})
        assert not settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert (rejected.fields, rejected.held) == (("a",), ("c",))

    def test_inside_a_list(self, open_settings):
        """K09: a fault inside a list is never listed as held."""
        settings, one = open_settings({"app.json": json.dumps({"routes": [1, 2], "other": "a"})})
        one.write({"app.json": json.dumps({"routes": [1, 2, "x"], "other": "b"})})
        assert not settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert [name.partition("[")[0] for name in rejected.fields] == ["routes"]
        assert rejected.held == ("other",)

    def test_no_field(self, open_settings):
        """P3: a fault of the class as a whole names no field; all changed fields of its volume are held."""
        settings, one = open_settings({"low": "0", "third": "1"}, cls=Coupled)
        one.update({"low": "11", "third": "2"})
        assert not settings.live.reload()
        [rejected] = settings.live.status().rejections
        assert (rejected.fields, sorted(rejected.held)) == ((), ["low", "third"])


class TestAsAWhole:
    def test_one_at_fault(self, open_settings):
        """P3: of a fault of the class as a whole, the volume waits without which the rest is valid."""
        settings, one, other, third = open_settings({"low": "0"}, {"high": "9"}, {"third": "1"}, cls=Coupled)
        one.update({"low": "20"})
        other.update({"high": "10"})
        third.update({"third": "2"})
        assert not settings.live.reload()
        assert (settings.low, settings.high, settings.third) == (0, 10, 2)
        assert waiting(settings) == [["0"]]

    def test_two_that_do_not_go_together(self, open_settings):
        """P3: where each of two alone makes the rest valid, both wait, and the third is applied."""
        settings, one, other, third = open_settings({"low": "0"}, {"high": "9"}, {"third": "1"}, cls=Coupled)
        one.update({"low": "8"})
        other.update({"high": "5"})
        third.update({"third": "2"})
        assert not settings.live.reload()
        assert (settings.low, settings.high, settings.third) == (0, 9, 2)
        assert waiting(settings) == [["0", "1"]]
        other.update({"high": "8"})
        assert settings.live.reload()
        assert (settings.low, settings.high) == (8, 8)

    def test_no_single_volume(self, open_settings):
        """P3: where no single volume is at fault, all that changed waits."""
        settings, one, other, third = open_settings({"low": "2"}, {"high": "4"}, {"third": "1"}, cls=Coupled)
        one.update({"low": "5"})
        other.update({"high": "1"})
        third.update({"third": "2"})
        assert not settings.live.reload()
        assert (settings.low, settings.high, settings.third) == (2, 4, 1)
        assert waiting(settings) == [["0", "1", "2"]]
        one.update({"low": "1"})
        assert settings.live.reload()
        assert (settings.low, settings.high, settings.third) == (1, 1, 2)

    @pytest.mark.parametrize(("count", "applied"), [(8, True), (9, False)])
    def test_many_volumes(self, open_settings, count, applied):
        """P3: of up to 8 changed volumes each is left out in turn; of more, all wait."""
        first = [{"low": "0"}, *({"third": str(place)} for place in range(1, count))]
        settings, *volumes = open_settings(*first, cls=Coupled)
        volumes[0].update({"low": "11"})
        for place, volume in enumerate(volumes[1:], 1):
            volume.update({"third": str(place + 100)})
        assert not settings.live.reload()
        assert settings.low == 0
        assert (settings.third == count - 1 + 100) is applied
        assert len(waiting(settings)[0]) == (1 if applied else count)

    def test_valid_only_together(self, open_settings):
        """P3: two volumes that are valid only together are applied together."""
        settings, one, other = open_settings({"low": "1"}, {"high": "2"}, cls=Coupled)
        with recorded(settings) as events:
            one.update({"low": "5"})
            assert not settings.live.reload()
            other.update({"high": "6"})
            assert settings.live.reload()
        assert (settings.low, settings.high) == (5, 6)
        assert [type(event) for event in events] == [Rejected, Reloaded, Recovered]

    def test_field_of_another_volume(self, open_settings):
        """P3: a fault that names a field which no changed key feeds is found by leaving out each volume."""
        settings, one, other, third = open_settings({"number": "1"}, {"limit": "5"}, {"other": "a"}, cls=Limited)
        one.update({"number": "9"})
        third.update({"other": "b"})
        assert not settings.live.reload()
        assert (settings.number, settings.limit, settings.other) == (1, 5, "b")
        assert waiting(settings) == [["0"]]
        other.update({"limit": "9"})
        assert settings.live.reload()
        assert settings.number == 9


class Limited(App):
    limit: int = 5

    @field_validator("limit")
    @classmethod
    def above_the_number(cls, value: int, info: ValidationInfo) -> int:
        assert value >= info.data["number"]
        return value


class TestVerifier:
    def test_flag_beside_a_refused_secret(self, open_settings):
        """S04: while a verifier refuses the Secret's volume, the flag in the ConfigMap's volume is applied at once."""
        settings, config, secrets = open_settings({"flag": "true"}, {"password": "one"})
        check = Check(lambda s: s.password.get_secret_value(), refuse)
        settings.live.verify(on="password")(check)
        secrets.update({"password": "two"})
        assert not settings.live.reload()
        config.update({"flag": "false"})
        assert not settings.live.reload(wait=False)
        assert not settings.flag
        assert settings.password.get_secret_value() == "one"
        assert waiting(settings) == [["1"]]

    def test_flag_while_it_runs(self, open_settings, gate):
        """S04: the flag is applied while the verifier runs, not after it: its subscriber is called before."""
        settings, config, secrets = open_settings({"flag": "true"}, {"password": "one"})
        check = Check(lambda s: s.flag, lambda _: gate.wait(PATIENCE))
        settings.live.verify(on="password", timeout=60)(check)
        off = threading.Event()
        settings.live.on_change("flag")(lambda _: off.set())
        config.update({"flag": "false"})
        secrets.update({"password": "two"})
        assert not settings.live.reload(wait=False)
        check.wait(1)
        assert off.wait(PATIENCE)
        assert not settings.flag
        assert settings.password.get_secret_value() == "one"
        gate.set()
        assert settings.live.reload()
        assert settings.password.get_secret_value() == "two"
        assert not settings.flag

    def test_demonstration(self, open_settings):
        """S04: with a verifier that always refuses the Secret, a flag is turned off by the event of its swap alone."""
        settings, config, secrets = open_settings({"flag": "true"}, {"password": "one"}, watch=True)
        asked = threading.Event()

        @settings.live.verify(on=lambda s: s.password)
        def log_in(_):
            asked.set()
            raise ConnectionError

        off = threading.Event()
        settings.live.on_change(lambda s: s.flag)(lambda _: off.set())
        secrets.update({"password": "two"})
        assert asked.wait(PATIENCE)
        config.update({"flag": "false"})
        assert off.wait(PATIENCE)
        assert (settings.flag, settings.password.get_secret_value()) == (False, "one")

    @pytest.mark.usefixtures("inotify")
    def test_new_flag_does_not_ask_again(self, open_settings):
        """S09: a change of another volume is no reason to try the refused login again."""
        settings, config, secrets = open_settings({"number": "0"}, {"password": "one"}, watch=True)
        check = Check(lambda s: s.password.get_secret_value(), refuse)
        settings.live.verify(on="password")(check)
        secrets.update({"password": "two"})
        check.wait(1)
        for number in range(1, 6):
            config.update({"number": str(number)})
            settings.live.wait(lambda s, number=number: s.number == number, PATIENCE)
        assert len(check.seen) <= 2  # the back-off may be over by now

    def test_only_what_it_watches(self, open_settings):
        """P3: it is given the candidate on top of what is in use, and not what waits for another reason."""
        settings, one, other = open_settings({"number": "1"}, {"password": "one"})
        check = Check(lambda s: (s.number, s.password.get_secret_value()))
        settings.live.verify(on="password")(check)
        one.update({"number": "many"})
        other.update({"password": "two"})
        assert not settings.live.reload()
        assert check.seen == [(1, "two")]
        assert settings.password.get_secret_value() == "two"

    def test_rebuilt(self, open_settings, gate):
        """P3: a verified candidate is built on what is applied by then: neither change is lost."""
        settings, one, other = open_settings({"number": "1"}, {"password": "one"})
        check = Check(lambda s: s.number, lambda _: gate.wait(PATIENCE))
        settings.live.verify(on="password", timeout=60)(check)
        other.update({"password": "two"})
        settings.live.reload(wait=False)
        check.wait(1)
        one.update({"number": "2"})
        settings.live.reload(wait=False)
        assert settings.number == 2
        gate.set()
        assert settings.live.reload()
        assert (settings.number, settings.password.get_secret_value()) == (2, "two")
        assert check.seen == [1]

    def test_rebuilt_differs(self, open_settings, gate):
        """P3: a verifier whose value differs after the rebuilding is asked again."""
        settings, one, other = open_settings({"number": "1"}, {"user": "a"}, cls=Derived)
        check = Check(lambda s: s.login, lambda _: gate.wait(PATIENCE))
        settings.live.verify(on=lambda s: s.login if s.user != "a" else None, timeout=60)(check)
        other.update({"user": "b"})
        settings.live.reload(wait=False)
        check.wait(1)
        one.update({"number": "2"})
        settings.live.reload(wait=False)
        assert settings.number == 2
        gate.set()
        assert settings.live.reload()
        assert check.seen == ["b-1", "b-2"]
        assert settings.login == "b-2"

    def test_rebuilt_is_not_valid(self, open_settings, gate):
        """P3: a verified candidate that is not valid on what is applied by then is rejected at stage validate."""
        settings, one, other = open_settings({"low": "1"}, {"high": "9"}, cls=Coupled)
        check = Check(lambda s: s.high, lambda _: gate.wait(PATIENCE))
        settings.live.verify(on="high", timeout=60)(check)
        other.update({"high": "5"})
        settings.live.reload(wait=False)
        check.wait(1)
        one.update({"low": "7"})
        settings.live.reload(wait=False)
        gate.set()
        assert not settings.live.reload()
        assert settings.low <= settings.high
        assert [each.stage for each in settings.live.status().rejections] == ["validate"]

    def test_a_rejection_stands_until_the_verifiers_have_decided(self, open_settings, gate):
        """P3: content that another volume makes valid stays reported as rejected until a verifier has accepted it."""
        settings, one, other = open_settings({"low": "1"}, {"high": "5"}, cls=Coupled)
        check = Check(lambda s: s.low, lambda _: gate.wait(PATIENCE))
        settings.live.verify(timeout=60)(check)
        one.update({"low": "7"})
        assert not settings.live.reload()
        other.update({"high": "9"})
        settings.live.reload(wait=False)
        check.wait(1)
        assert waiting(settings) == [["0"]]
        gate.set()
        assert settings.live.reload()
        assert (settings.low, settings.high) == (7, 9)
        assert waiting(settings) == []

    def test_a_value_that_two_volumes_change_together(self, open_settings):
        """P3: a verifier of a value that two volumes change only together holds back both, and no third one."""
        settings, one, other, third = open_settings({"number": "0"}, {"user": "nobody"}, {"password": "one"})
        check = Check(lambda s: (s.number, s.user), refuse)
        settings.live.verify(on=lambda s: s.number > 0 and s.user != "nobody")(check)
        one.update({"number": "1"})
        other.update({"user": "a"})
        third.update({"password": "two"})
        assert not settings.live.reload()
        assert check.seen == [(1, "a")]
        assert (settings.number, settings.user) == (0, "nobody")
        assert settings.password.get_secret_value() == "two"
        assert waiting(settings) == [["0", "1"]]

    def test_hanging_does_not_hold_up_another(self, open_settings, gate):
        """P3: two verifiers of two volumes are asked beside each other: one that hangs holds up its own volume."""
        settings, one, other = open_settings({"user": "a"}, {"password": "one"})
        hanging = Check(lambda s: s.password, lambda _: gate.wait(PATIENCE))
        quick = Check(lambda s: s.user)
        settings.live.verify(on="password", timeout=60)(hanging)
        settings.live.verify(on="user")(quick)
        one.update({"user": "b"})
        other.update({"password": "two"})
        settings.live.reload(wait=False)
        settings.live.wait(lambda s: s.user == "b", PATIENCE)
        assert settings.password.get_secret_value() == "one"
        assert not settings.live.status().rejections

    def test_asked_again_while_it_runs(self, open_settings, gate):
        """P3: content that waited for another reason is not rejected while a verifier still runs on it."""
        settings, one, other, third = open_settings({"low": "1"}, {"high": "9"}, {"password": "one"}, cls=Coupled)
        check = Check(lambda s: s.password.get_secret_value(), lambda _: gate.wait(PATIENCE))
        watched = Watched(lambda s: s.password)
        settings.live.verify(on=watched, timeout=60)(check)
        third.update({"password": "two"})
        settings.live.reload(wait=False)
        check.wait(1)
        one.update({"low": "12"})
        other.update({"high": "0"})
        settings.live.reload(wait=False)
        assert waiting(settings) == [["0", "1", "2"]]
        one.update({"low": "2"})
        settings.live.reload(wait=False)
        assert watched.compared.wait(PATIENCE)
        assert waiting(settings) == [["1"]]
        gate.set()
        assert not settings.live.reload()
        assert settings.password.get_secret_value() == "two"
        assert waiting(settings) == [["1"]]
        assert check.seen == ["two"]

    @pytest.mark.parametrize("accepts", [True, False])
    def test_content_comes_back_while_it_runs(self, open_settings, gate, accepts):
        """P3: where content comes back while a verifier still runs on it, that call decides, and no second one."""
        settings, one = open_settings({"user": "a"})
        calls = iter([lambda: gate.wait(PATIENCE) and accepts, lambda: True, *[lambda: not accepts] * 100])
        check = Check(lambda s: s.user, lambda _: next(calls)())
        watched = Watched(lambda s: s.user)
        settings.live.verify(on=watched, timeout=60)(check)
        decided, rejected = threading.Event(), []
        settings.live.on_reject(lambda event: (rejected.append(event.reason), decided.set()))
        one.update({"user": "b"})
        settings.live.reload(wait=False)
        check.wait(1)
        one.update({"user": "c"})
        assert settings.live.reload()
        settings.live.on_change("user")(lambda _: decided.set())
        watched.compared.clear()
        one.update({"user": "b"})
        settings.live.reload(wait=False)
        assert watched.compared.wait(PATIENCE)
        gate.set()
        assert decided.wait(PATIENCE)
        assert rejected == ([] if accepts else ["verifier Check: it returned False"])

    def test_other_field_while_it_runs(self, open_settings, gate):
        """P3: new content with the same watched value is not rejected while the verifier still runs on that value."""
        settings, one = open_settings({"user": "a", "number": "1"})
        check = Check(lambda s: s.user, lambda _: gate.wait(PATIENCE))
        watched = Watched(lambda s: s.user)
        settings.live.verify(on=watched, timeout=60)(check)
        with recorded(settings) as events:
            one.update({"user": "b", "number": "2"})
            settings.live.reload(wait=False)
            check.wait(1)
            one.update({"user": "b", "number": "3"})
            settings.live.reload(wait=False)
            assert watched.compared.wait(PATIENCE)
            gate.set()
            assert settings.live.reload()
        assert (settings.user, settings.number) == ("b", 3)
        assert check.seen == ["b"]
        assert not [event for event in events if isinstance(event, Rejected)]

    def test_call_beyond_its_timeout(self, open_settings, gate):
        """P3: where content comes back that a call has held up for longer than the timeout, it is rejected at once."""
        settings, one = open_settings({"user": "a"})
        check = Check(lambda s: s.user, lambda s: s.user == "c" or gate.wait(PATIENCE))
        settings.live.verify(on="user", timeout=0.1)(check)
        one.update({"user": "b"})
        assert not settings.live.reload()
        one.update({"user": "c"})
        assert settings.live.reload()
        one.update({"user": "b"})
        assert not settings.live.reload()
        assert [each.reason for each in settings.live.status().rejections] == [
            "verifier Check: its earlier call has not returned"
        ]
        assert check.seen == ["b", "c"]

    def test_reload_inside_a_call_that_others_share(self, open_settings):
        """P3: a verifier whose content was replaced and comes back inside its call can reload there without waiting."""
        settings, one = open_settings({"user": "a"})
        inside = []

        def act(candidate):
            if candidate.user == "b" and not inside:
                inside.append(threading.current_thread())
                for user in ("c", "b"):
                    one.update({"user": user})
                    settings.live.reload()

        check = Check(lambda s: s.user, act)
        settings.live.verify(on="user", timeout=2 * PATIENCE)(check)
        one.update({"user": "b"})
        settings.live.reload(wait=False)
        settings.live.wait(lambda s: s.user == "b", PATIENCE)
        assert not settings.live.status().rejections

    def test_one_refuses(self, open_settings):
        """P3: of two verifiers of two volumes, the one that refuses holds back its own volume."""
        settings, one, other = open_settings({"user": "a"}, {"password": "one"})
        settings.live.verify(on="password")(refuse)
        settings.live.verify(on="user")(lambda _: True)
        one.update({"user": "b"})
        other.update({"password": "two"})
        assert not settings.live.reload()
        assert (settings.user, settings.password.get_secret_value()) == ("b", "one")
        assert waiting(settings) == [["1"]]

    def test_a_pair_of_two_volumes(self, open_settings):
        """P3: a verifier of a value that two volumes feed is asked about both together, and both wait."""
        settings, one, other, third = open_settings({"user": "a"}, {"password": "one"}, {"number": "1"})
        check = Check(lambda s: (s.user, s.password.get_secret_value()), refuse)
        settings.live.verify(on=lambda s: (s.user, s.password))(check)
        one.update({"user": "b"})
        other.update({"password": "two"})
        third.update({"number": "2"})
        assert not settings.live.reload()
        assert (settings.user, settings.password.get_secret_value(), settings.number) == ("a", "one", 2)
        assert check.seen == [("b", "two")]
        assert waiting(settings) == [["0", "1"]]
        check.act = lambda _: True
        assert settings.live.reload()
        assert settings.user == "b"

    def test_half_a_pair(self, open_settings):
        """P3: the second half of a pair that comes later is asked about at once, together with the first."""
        settings, one, other = open_settings({"user": "a"}, {"password": "one"})
        pairs = {("a", "one"), ("b", "two")}
        check = Check(
            lambda s: (s.user, s.password.get_secret_value()),
            lambda s: (s.user, s.password.get_secret_value()) in pairs,
        )
        settings.live.verify(on=lambda s: (s.user, s.password))(check)
        one.update({"user": "b"})
        assert not settings.live.reload()
        other.update({"password": "two"})
        assert settings.live.reload()
        assert check.seen == [("b", "one"), ("b", "two")]
        assert (settings.user, settings.live.version) == ("b", 2)

    def test_needs_another_volume(self, open_settings):
        """P3: a change that is valid only with one that has to be verified waits with it, and is applied with it."""
        settings, one, other = open_settings({"low": "1"}, {"high": "2"}, cls=Coupled)
        check = Check(lambda s: (s.low, s.high), refuse)
        settings.live.verify(on="high")(check)
        one.update({"low": "5"})
        other.update({"high": "6"})
        assert not settings.live.reload()
        assert (settings.low, settings.high) == (1, 2)
        assert waiting(settings) == [["0", "1"]]
        check.act = lambda _: None
        assert settings.live.reload()
        assert (settings.low, settings.high) == (5, 6)

    def test_not_valid_with_what_is_refused(self, open_settings):
        """P3: a change that is valid on what is in use is not held back by content that a verifier refuses."""
        settings, one, other = open_settings({"low": "1"}, {"high": "10"}, cls=Coupled)
        settings.live.verify(on="high")(refuse)
        other.update({"high": "3"})
        assert not settings.live.reload()
        one.update({"low": "5"})
        assert not settings.live.reload()
        assert (settings.low, settings.high) == (5, 10)

    def test_cancelled(self, open_settings):
        """A change that only a cancelled verifier rejected is applied, without a reload if the volumes are watched."""
        settings, one = open_settings({"user": "a"}, watch=True)
        subscription = settings.live.add_verifier(refuse, on="user")
        one.update({"user": "b"})
        assert not settings.live.reload()
        subscription.cancel()
        settings.live.wait(lambda s: s.user == "b", PATIENCE)

    def test_content_back(self, open_settings):
        """P3: when a rejected volume has the content in use again, its rejection ends, and no verifier is called."""
        settings, one, _ = open_settings({"user": "a"}, {"number": "1"})
        check = Check(lambda s: s.user, refuse)
        settings.live.verify(on="user")(check)
        with recorded(settings) as events:
            one.update({"user": "b"})
            assert not settings.live.reload()
            asked = len(check.seen)
            one.update({"user": "a"})
            assert settings.live.reload()
        assert len(check.seen) == asked
        assert [type(event) for event in events] == [Rejected, Recovered]


class Derived(App):
    login: str = ""

    @model_validator(mode="before")
    @classmethod
    def derive(cls, data):
        return {**data, "login": f"{_text(data.get('user', 'nobody'))}-{_text(data.get('number', 0))}"}


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


class TestWithoutOn:
    def test_all_together_first(self, open_settings):
        """P3: a verifier without `on` is asked about all changes together first, and they are applied together."""
        settings, one, other = open_settings({"user": "a"}, {"number": "1"})
        check = Check(lambda s: (s.user, s.number))
        settings.live.verify(check)
        one.update({"user": "b"})
        other.update({"number": "2"})
        assert settings.live.reload()
        assert check.seen == [("b", 2)]
        assert settings.live.version == 2

    def test_then_one_after_the_other(self, open_settings):
        """P3: if it refuses, it is asked about each volume on top of what it accepted, and only the bad one waits."""
        settings, one, other, third = open_settings({"user": "a"}, {"number": "1"}, {"other": "x"})
        check = Check(lambda s: (s.user, s.number, s.other), lambda s: s.number != 2)
        settings.live.verify(check)
        rejected = []
        settings.live.on_reject(rejected.append)
        one.update({"user": "b"})
        other.update({"number": "2"})
        third.update({"other": "y"})
        assert not settings.live.reload()
        assert check.seen == [("b", 2, "y"), ("b", 1, "x"), ("b", 2, "x"), ("b", 1, "y")]
        assert (settings.user, settings.number, settings.other) == ("b", 1, "y")
        assert waiting(settings) == [["1"]]
        assert [event.fields for event in rejected] == [("number",)]

    def test_reload_returns_after_the_rejection(self, open_settings):
        """`reload()` returns after the subscribers of a rejection were called, whichever thread handles the verdict."""
        interval = sys.getswitchinterval()
        settings, *volumes = open_settings({"user": "a"}, {"number": "1"}, {"other": "x"})
        settings.live.verify(Check(lambda s: None, lambda s: s.number != 2))
        rejected = []
        settings.live.on_reject(rejected.append)
        sys.setswitchinterval(1e-6)
        try:
            for turn in range(200):
                for volume, change in zip(volumes, ("user", "number", "other"), strict=True):
                    volume.update({change: "2" if change == "number" else str(turn)})
                assert not settings.live.reload()
                assert len(rejected) == turn + 1
                volumes[1].update({"number": "1"})
                assert settings.live.reload()
        finally:
            sys.setswitchinterval(interval)

    def test_retries_ask_together(self, open_settings):
        """P3: a retry asks about those that wait, together, and not about each of them again."""
        settings, one, other = open_settings({"user": "a"}, {"number": "1"})
        check = Check(lambda s: (s.user, s.number), refuse)
        settings.live.verify(check)
        rejected = []
        settings.live.on_reject(rejected.append)
        one.update({"user": "b"})
        other.update({"number": "2"})
        assert not settings.live.reload()
        assert check.seen == [("b", 2), ("b", 1), ("a", 2)]
        assert not settings.live.reload()
        assert not settings.live.reload()
        assert check.seen[3:] == [("b", 2), ("b", 2)]
        assert len(rejected) == 2
        assert [each.attempt for each in settings.live.status().rejections] == [3, 3]
        check.act = lambda _: None
        assert settings.live.reload()
        assert (settings.user, settings.number, settings.live.version) == ("b", 2, 2)

    def test_new_content_beside_refused(self, open_settings):
        """P3: new content is asked about with what waits, then alone; what waits is not asked about alone again."""
        settings, one, other = open_settings({"user": "a"}, {"number": "1"})
        check = Check(lambda s: (s.user, s.number), lambda s: s.user != "bad")
        settings.live.verify(check)
        one.update({"user": "bad"})
        assert not settings.live.reload()
        other.update({"number": "2"})
        assert not settings.live.reload()
        assert check.seen == [("bad", 1), ("bad", 2), ("a", 2)]
        assert settings.number == 2

    def test_beside_one_with_on(self, open_settings):
        """P3: when a verifier with `on` refuses its volume, the others are asked about the rest."""
        settings, one, other = open_settings({"user": "a"}, {"number": "1"})
        everything = Check(lambda s: (s.user, s.number))
        settings.live.verify(on="user")(lambda s: s.user != "bad")
        settings.live.verify(everything)
        one.update({"user": "bad"})
        other.update({"number": "2"})
        assert not settings.live.reload()
        assert (settings.user, settings.number) == ("a", 2)
        assert everything.seen == [("a", 2)]

    def test_valid_only_together(self, refused_together):
        """P3: volumes that are valid only together are asked about together, and wait together."""
        settings, _, _, check = refused_together
        assert check.seen == [(5, 6), (1, 6)]  # low is not valid without high, so it is not asked about alone
        assert (settings.low, settings.high) == (1, 2)
        assert sorted(name for names in waiting(settings) for name in names) == ["0", "1"]
        check.act = lambda _: None
        assert settings.live.reload()
        assert (settings.low, settings.high) == (5, 6)


class Expiring(App):
    """Its new content is valid for a time only, as a certificate is."""

    expired: ClassVar[threading.Event] = threading.Event()

    @model_validator(mode="after")
    def check(self):
        if self.user == "b" and self.expired.is_set():
            raise ValueError("expired")
        return self


@pytest.fixture
def expired():
    """The event that makes the new content of `Expiring` invalid."""
    yield Expiring.expired
    Expiring.expired.clear()


def test_invalid_when_the_verdict_comes(open_settings, expired):
    """P3: content that became invalid while a verifier ran, which rejects it, waits as a whole, and is applied later."""
    settings, one, other = open_settings({"user": "a"}, {"number": "1"}, cls=Expiring)
    check = Check(lambda s: (s.user, s.number), lambda _: bool(expired.set()))
    settings.live.verify(on=lambda s: (s.user, s.number))(check)
    one.update({"user": "b"})
    other.update({"number": "2"})
    assert not settings.live.reload()
    (rejected,) = settings.live.status().rejections
    assert (rejected.stage, rejected.fields, len(rejected.generations)) == ("verify", (), 2)
    assert (settings.user, settings.number) == ("a", 1)
    expired.clear()
    check.act = lambda _: None
    assert settings.live.reload()
    assert (settings.user, settings.number) == ("b", 2)


@pytest.mark.parametrize("collected", [False, True])
def test_collected_while_a_verifier_runs(kubelet_volume, gate, caplog, monkeypatch, collected, until_ended):
    """G06: a verifier that returns after its settings were collected decides on nothing, and nothing is logged."""
    monkeypatch.delenv("USER", raising=False)  # the name of a field, too
    kubelet_volume.write({"user": "a"})
    settings, inside = App(_volumes=kubelet_volume.path, _watch=False), threading.Event()
    settings.live.verify(on="user")(lambda _: inside.set() or gate.wait(PATIENCE))
    kubelet_volume.write({"user": "b"})
    assert not settings.live.reload(wait=False)
    assert inside.wait(PATIENCE)
    gone = weakref.ref(settings)
    if collected:
        del settings
        gc.collect()
        assert gone() is None
    gate.set()
    until_ended("liveconfig-verify")
    assert collected or settings.user == "b"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class TestBackOff:
    @pytest.fixture
    def clock(self, move_clock):
        """A function that moves the monotonic clock on between two looks at the volumes, and has the scheduler see it."""

        def on_the_scheduler(call):
            passed = threading.Event()
            process_watcher.scheduler.post(lambda: (call(), passed.set()))
            assert passed.wait(PATIENCE)

        def move(seconds):
            on_the_scheduler(lambda: move_clock(seconds))
            on_the_scheduler(lambda: None)

        return move

    def test_schedule(self, open_settings, clock):
        """S09: a refused candidate is tried again after 1 s, doubling to 300 s, each with a jitter of 20 %."""
        settings, one = open_settings({"user": "a"}, watch=True)
        check = Check(lambda s: s.user, refuse)
        settings.live.verify(on="user", timeout=1e6)(check)
        one.update({"user": "b"})
        assert not settings.live.reload()
        pause = 1.0
        while len(check.seen) > 1:  # the event and the reload may have asked apart
            pause, check.seen = pause * 2, check.seen[1:]
        for nominal in [min(pause * 2**turn, 300.0) for turn in range(11)]:
            count = len(check.seen)
            self._decided()
            clock(0.8 * nominal - 0.5 if nominal > 1 else 0.0)
            assert len(check.seen) == count
            clock(0.4 * nominal + 1.0)
            check.wait(count + 1)
        assert nominal == 300.0

    @pytest.fixture(autouse=True)
    def _verifiers(self, until_ended):
        self._decided = partial(until_ended, "liveconfig-verify")  # the verifier that was asked last has decided

    @pytest.mark.usefixtures("inotify")
    def test_invalid_by_now(self, open_settings, clock, expired, monkeypatch):
        """S09: what a verifier rejected and has become invalid meanwhile is rejected as invalid at the next attempt."""
        monkeypatch.setattr(InotifyFD, "handle_event", lambda reader, event: None)  # only `reload` looks
        settings, one, other = open_settings({"user": "a"}, {"number": "1"}, cls=Expiring, watch=True)
        check = Check(lambda s: (s.user, s.number), refuse)
        settings.live.verify(timeout=1e6)(check)
        one.update({"user": "b"})
        other.update({"number": "2"})
        assert not settings.live.reload()
        assert check.seen == [("b", 2), ("b", 1), ("a", 2)]
        expired.set()
        clock(2.0)
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while not all("its validator" in each.reason for each in settings.live.status().rejections):
            assert time.monotonic() < deadline
            pause.wait(0.01)
        assert {each.stage for each in settings.live.status().rejections} == {"validate"}
        assert (settings.user, settings.number) == ("a", 1)

    def test_not_in_step(self, kubelet_volume, clock, monkeypatch):
        """S09: workers that are refused at one moment do not all try again at one moment: each draws its own jitter."""
        drawn = iter([1.0, 1.0, 1.0])
        monkeypatch.setattr(random, "uniform", lambda _, __: next(drawn, 1e4))
        kubelet_volume.write({"user": "a"})
        workers = [App.load(_volumes=kubelet_volume.path) for _ in range(6)]
        checks = [Check(lambda s: s.user, refuse) for _ in workers]
        for worker, check in zip(workers, checks, strict=True):
            worker.live.verify(on="user", timeout=1e6)(check)
        kubelet_volume.update({"user": "b"})
        for check in checks:
            check.wait(1)
        for pause, asked in ((2.0, 3), (1e5, 6)):
            for _ in range(100):  # a pause begins when the scheduler knows the verdict
                if sum(len(check.seen) > 1 for check in checks) == asked:
                    break
                clock(pause)
                self._decided()
            assert sum(len(check.seen) > 1 for check in checks) == asked
        for worker in workers:
            worker.live.close()

    def test_closed_when_the_pause_begins(self, kubelet_volume, monkeypatch):
        """P9: close() at the moment at which the pause between two rounds begins leaves no timer."""
        kubelet_volume.write({"user": "a"})
        settings = App.load(_volumes=kubelet_volume.path)
        closing = threading.Thread(target=settings.live.close)
        timers_cancelled, pause_began, left = threading.Event(), threading.Event(), []
        schedule, later, run_within = DelayedCall.later, Engine._later, SingleFlight.run_within

        def close_first(call, delay):
            if delay > PATIENCE:
                closing.start()
                assert timers_cancelled.wait(PATIENCE)
            schedule(call, delay)

        def say_and_run(transactions, seconds, work):
            if threading.current_thread() is closing:
                timers_cancelled.set()
            return run_within(transactions, seconds, work)

        def look_for_a_timer(engine, call, delay):
            later(engine, call, delay)
            if delay > PATIENCE:
                left.append(call._timer)
                pause_began.set()

        monkeypatch.setattr(DelayedCall, "later", close_first)
        monkeypatch.setattr(SingleFlight, "run_within", say_and_run)
        monkeypatch.setattr(Engine, "_later", look_for_a_timer)
        monkeypatch.setattr(random, "uniform", lambda _, __: 1e6)
        settings.live.verify(on="user")(Check(lambda s: s.user, refuse))
        kubelet_volume.update({"user": "b"})
        assert pause_began.wait(PATIENCE)
        closing.join(PATIENCE)
        assert set(left) == {None}


def test_what_waits_together_with_a_volume_that_is_written(refused_together, monkeypatch):
    """P3: what waits together with a volume that is being written is not applied before that volume is read."""
    settings, one, other, check = refused_together
    told, read, writing = [], VolumeReader.read, [True]
    settings.live.on_change(lambda s: (s.low, s.high))(lambda change: told.append(change.new))

    def read_later(reader, known):
        if reader.path == str(one.path) and writing:
            writing.clear()
            raise VolumeBusy(0.0)
        return read(reader, known)

    monkeypatch.setattr(VolumeReader, "read", read_later)
    other.update({"high": "7"})
    check.act = lambda _: None
    assert settings.live.reload()
    assert (told, writing) == ([(5, 7)], [])


class StartsAgain(App):
    """Its validator starts what is started."""

    started: ClassVar[list[Settings]] = []

    @model_validator(mode="after")
    def start(self):
        for each in self.started:
            each.live.start()
        return self


def test_a_validator_that_starts_the_settings(open_settings):
    """A validator may call `start()` in the middle of a look: the change is applied, and so is the next one."""
    settings, volume = open_settings({"user": "a"}, cls=StartsAgain, watch=True)
    told = threading.Event()
    settings.live.on_change("user")(lambda change: change.new == "c" and told.set())
    StartsAgain.started.append(settings)
    try:
        volume.update({"user": "b"})
        volume.update({"user": "c"})
        assert told.wait(60.0)
    finally:
        StartsAgain.started.clear()
