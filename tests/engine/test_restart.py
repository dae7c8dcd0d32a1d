"""Fields with `Key(restart=True)` keep the values of the start; what is pending is reported."""

from __future__ import annotations

import dataclasses
import logging
from typing import Annotated, Any, NamedTuple

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from typing_extensions import TypedDict

from liveconfig import Key, Reloaded, Settings, SettingsConfigDict, Stale
from liveconfig.testing import override, recorded

PATIENCE = 30.0


class Pool(BaseModel):
    size: Annotated[int, Key(restart=True)] = 5
    timeout: int = 1


class App(Settings):
    model_config = SettingsConfigDict(watch=False)
    port: Annotated[int, Key(restart=True)] = 8000
    message: str = "hello"
    pool: Pool = Pool()


@pytest.fixture
def settings(kubelet_volume, load):
    kubelet_volume.write({"port": "8000", "message": "one", "pool/size": "5"})
    return load(App, _volumes=kubelet_volume.path)


def test_a_change_does_not_touch_the_attribute(settings, kubelet_volume):
    """A change of a restart field alone leaves the attribute and the version as they are, and fires no event."""
    with recorded(settings) as events:
        kubelet_volume.update({"port": "9000"})
        assert settings.live.reload()
    assert (settings.port, settings.live.version) == (8000, 1)
    assert [type(event) for event in events] == [Stale]
    assert (events[0].field, events[0].reason) == ("port", "restart")
    status = settings.live.status()
    assert status.restart_pending == ("port",)
    assert status.healthy
    assert any("`port`" in note and "starts again" in note for note in status.notes)
    assert status.volumes[0].generation_applied == kubelet_volume.generation


def test_a_removed_key_is_pending(kubelet_volume, load):
    """A restart field whose key is removed keeps its value; only the restart is pending, and nothing has fallen back."""
    kubelet_volume.write({"port": "7000", "message": "one"})
    settings = load(App, _volumes=kubelet_volume.path)
    with recorded(settings) as events:
        kubelet_volume.write({"message": "one"})
        assert settings.live.reload()
    assert settings.port == 7000
    assert [(event.field, event.reason) for event in events if isinstance(event, Stale)] == [("port", "restart")]
    assert settings.live.status().restart_pending == ("port",)


def test_other_fields_change(settings, kubelet_volume):
    """Other fields of the same swap change, the restart field does not, also inside a nested model."""
    with recorded(settings) as events:
        kubelet_volume.update({"port": "9000", "message": "two", "pool/size": "7", "pool/timeout": "3"})
        assert settings.live.reload()
    assert (settings.port, settings.message) == (8000, "two")
    assert (settings.pool.size, settings.pool.timeout) == (5, 3)
    (reloaded,) = [event for event in events if isinstance(event, Reloaded)]
    assert sorted(str(change.field) for change in reloaded.changes) == ["message", "pool.timeout"]
    assert settings.live.status().restart_pending == ("port", "pool.size")


def test_the_old_value_back(settings, kubelet_volume, caplog):
    """When the volume has the value in use again, nothing is pending, and one INFO line says so."""
    caplog.set_level(logging.INFO, "liveconfig")
    kubelet_volume.update({"port": "9000"})
    assert settings.live.reload()
    kubelet_volume.update({"port": "8000"})
    assert settings.live.reload()
    assert settings.live.status().restart_pending == ()
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("App: `port` changed on the volume") for line in lines)
    assert "the volume has the value of `port` that is in use" in lines[-1]


def test_a_key_that_comes_and_goes(settings, kubelet_volume):
    """A restart field whose key is removed keeps the value of the start, and one that had no key keeps its default."""
    kubelet_volume.write({"message": "one", "pool/timeout": "2"})
    assert settings.live.reload()
    assert (settings.port, settings.pool.size) == (8000, 5)
    kubelet_volume.write({"port": "9000", "message": "one"})
    assert settings.live.reload()
    assert settings.port == 8000
    assert settings.live.status().restart_pending == ("port",)


def test_a_bad_value_is_rejected(settings, kubelet_volume):
    """A value that the process could not start with is rejected now, not at the restart."""
    kubelet_volume.update({"port": "eighty", "message": "two"})
    assert not settings.live.reload()
    assert settings.live.status().rejections[0].fields == ("port",)
    assert settings.message == "one"


def test_values_that_a_validator_derives(kubelet_volume, load):
    """A value that a validator derives from a restart field matches the value in use."""

    class Derived(App):
        url: str = ""

        @model_validator(mode="before")
        @classmethod
        def derive(cls, data: Any) -> Any:
            return {**data, "url": f"http://here:{data['port']}/{data['message']}"}

    kubelet_volume.write({"port": "8000", "message": "one"})
    settings = load(Derived, _volumes=kubelet_volume.path)
    kubelet_volume.write({"port": "9000", "message": "two"})
    assert settings.live.reload()
    assert settings.url == "http://here:8000/two"


def test_on_disk_and_in_use_must_both_be_valid(kubelet_volume, load):
    """A change that is valid only together with the pending value is rejected until the restart."""

    class Bounds(Settings):
        model_config = SettingsConfigDict(watch=False)
        low: int = 0
        high: Annotated[int, Key(restart=True)] = 10

        @model_validator(mode="after")
        def check(self) -> Bounds:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    kubelet_volume.write({"low": "1", "high": "10"})
    settings = load(Bounds, _volumes=kubelet_volume.path)
    kubelet_volume.write({"low": "15", "high": "20"})
    assert not settings.live.reload()
    assert (settings.low, settings.high) == (1, 10)


def test_a_default_that_a_factory_makes(kubelet_volume, load):
    """A restart field whose default a factory makes is not pending at every change."""

    class Made(Settings):
        model_config = SettingsConfigDict(watch=False)
        made: Annotated[object, Key(restart=True)] = Field(default_factory=object)
        message: str = ""

    kubelet_volume.write({"message": "one"})
    settings = load(Made, _volumes=kubelet_volume.path)
    made = settings.made
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings.made is made
    assert settings.live.status().restart_pending == ()


def test_an_override_takes_effect_at_once(settings, kubelet_volume):
    """In a test of an application, an override of a restart field holds at once, and ends with the value of the start."""
    kubelet_volume.update({"port": "9000"})
    with override(settings, port=7000, pool__size=1):
        assert (settings.port, settings.pool.size) == (7000, 1)
        assert settings.live.status().restart_pending == ()
    assert (settings.port, settings.pool.size) == (8000, 5)
    assert settings.live.status().restart_pending == ("port",)


def test_a_whole_model(kubelet_volume, load):
    """For a nested model that needs a restart as a whole, the leaves that differ are pending."""

    class Whole(Settings):
        model_config = SettingsConfigDict(watch=False)
        pool: Annotated[Pool, Key(restart=True)] = Pool()
        message: str = ""

    kubelet_volume.write({"pool/timeout": "1"})
    settings = load(Whole, _volumes=kubelet_volume.path)
    kubelet_volume.write({"pool/timeout": "9", "message": "two"})
    assert settings.live.reload()
    assert (settings.pool.timeout, settings.message) == (1, "two")
    assert settings.live.status().restart_pending == ("pool.timeout",)
    assert not settings.live.origin("pool.timeout").live
    assert settings.live.status().frozen == ()


def test_a_model_that_appears(kubelet_volume, load):
    """A restart field inside an optional model that was None at the start has no old value to keep."""

    class Optional(Settings):
        model_config = SettingsConfigDict(watch=False)
        pool: Pool | None = None

    kubelet_volume.write({"other": "x"})
    settings = load(Optional, _volumes=kubelet_volume.path)
    kubelet_volume.write({"pool/size": "9"})
    assert settings.live.reload()
    assert settings.pool == Pool(size=9)
    assert settings.live.status().restart_pending == ()


def test_a_model_that_the_value_of_the_start_removes(kubelet_volume, load):
    """Where a validator makes a model None because of the value of the start, the model is None until the restart."""

    class Optional(Settings):
        model_config = SettingsConfigDict(watch=False)
        pool: Pool | None = None

        @field_validator("pool")
        @classmethod
        def small_enough(cls, pool):
            return None if pool is not None and pool.size * pool.timeout > 100 else pool

    kubelet_volume.write({"pool/size": "50", "pool/timeout": "1"})
    settings = load(Optional, _volumes=kubelet_volume.path)
    kubelet_volume.write({"pool/size": "5", "pool/timeout": "9"})
    assert settings.live.reload()
    assert settings.pool is None
    assert settings.live.status().restart_pending == ("pool.size",)


def test_no_secret_is_shown(kubelet_volume, load, canary, caplog):
    """A pending secret is reported by name alone."""

    class Secret(Settings):
        model_config = SettingsConfigDict(watch=False)
        token: Annotated[SecretStr, Key(restart=True)]

    kubelet_volume.write({"token": "start"})
    settings = load(Secret, _volumes=kubelet_volume.path)
    kubelet_volume.write({"token": canary})
    assert settings.live.reload()
    assert canary not in str(settings.live.status().as_dict()) + caplog.text


def test_reported_at_once_where_it_is_watched(kubelet_volume, load):
    """A watched object reports a pending restart by its event, without waiting for a re-check."""

    class Watched(App):
        model_config = SettingsConfigDict(watch=True, resync=3600.0)

    kubelet_volume.write({"port": "8000"})
    settings = load(Watched, _volumes=kubelet_volume.path)
    found: list[Stale] = []
    with settings.live:
        import threading

        told = threading.Event()
        settings.live.on_stale(lambda stale: (found.append(stale), told.set()))
        kubelet_volume.write({"port": "9000"})
        assert told.wait(PATIENCE)
    assert [(each.field, each.reason) for each in found] == [("port", "restart")]


Size = Annotated[int, Key(restart=True)]


@dataclasses.dataclass
class Standard:
    size: Size = 1
    name: str = "n"


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    size: Size = 1
    name: str = "n"


@pydantic.dataclasses.dataclass(frozen=True)
class Validated:
    size: Size = 1
    name: str = "n"


class Typed(TypedDict):
    size: Size
    name: str


class Named(NamedTuple):
    size: Size = 1
    name: str = "n"


@pytest.mark.parametrize("cls", [Standard, Slotted, Validated, Typed, Named, Standard | None])
def test_dataclasses_and_the_like(kubelet_volume, load, cls):
    """A restart field of a dataclass, a typed dictionary or a named tuple keeps its value, and is pending."""

    class Nested(Settings):
        model_config = SettingsConfigDict(watch=False)
        pool: cls

    def held():
        pool = settings.pool
        return tuple(pool.values()) if isinstance(pool, dict) else (pool.size, pool.name)

    kubelet_volume.write({"pool.size": "4", "pool.name": "a"})
    settings = load(Nested, _volumes=kubelet_volume.path)
    with recorded(settings) as events:
        kubelet_volume.write({"pool.size": "8", "pool.name": "a"})
        assert settings.live.reload()
    assert (held(), settings.live.version) == ((4, "a"), 1)
    assert [type(event) for event in events] == [Stale]
    assert settings.live.status().restart_pending == ("pool.size",)
    kubelet_volume.write({"pool": '{"size": 8, "name": "b"}'})
    assert settings.live.reload()
    assert held() == (4, "b")
    kubelet_volume.write({"pool.size": "4", "pool.name": "b"})
    assert settings.live.reload()
    assert settings.live.status().restart_pending == ()


def test_a_default_with_slots(kubelet_volume, load):
    """The other fields of a default stay where a restart field of a dataclass keeps its value, or is overridden."""

    class Nested(Settings):
        model_config = SettingsConfigDict(watch=False)
        pool: Slotted = Slotted(name="default")

    kubelet_volume.write({"other": "x"})
    settings = load(Nested, _volumes=kubelet_volume.path)
    with override(settings, pool__size=7):
        assert settings.pool == Slotted(7, "default")
    kubelet_volume.write({"pool.size": "8", "pool.name": "a"})
    assert settings.live.reload()
    assert settings.pool == Slotted(1, "a")
    assert Nested.model_fields["pool"].default == Slotted(1, "default")


class Server(BaseModel):
    port: Annotated[int, Key(restart=True)] = 8000


class Listening(TypedDict, total=False):
    port: Annotated[int, Key(restart=True)]
    name: str


class Growing(Settings):
    model_config = SettingsConfigDict(watch=False, env_nested_delimiter="__")
    admin: Server | None = None
    listening: Listening = {}
    previous: Annotated[SecretStr | None, Key(restart=True)] = None
    tokens: Annotated[dict[str, SecretStr], Key(restart=True)] = {}
    message: str = "hello"


def test_a_model_that_appears_later(kubelet_volume, load):
    """In a model that is there only later, a restart field keeps the first value that was in use."""
    kubelet_volume.write({"message": "one"})
    settings = load(Growing, _volumes=kubelet_volume.path)
    with recorded(settings) as events:
        for port in ("9000", "9001", "9002"):
            kubelet_volume.write({"admin.port": port})
            assert settings.live.reload()
    assert settings.admin.port == 9000
    assert settings.live.status().restart_pending == ("admin.port",)
    [reloaded] = [event for event in events if isinstance(event, Reloaded)]
    assert reloaded.new.admin == Server(port=9000)


def test_an_override_is_no_first_value(kubelet_volume, load):
    """A model that only a test has put there says nothing about the values of the start."""
    kubelet_volume.write({"message": "one"})
    settings = load(Growing, _volumes=kubelet_volume.path)
    with override(settings, admin=Server(port=1)):
        kubelet_volume.write({"message": "two"})
        assert settings.live.reload()
    kubelet_volume.write({"admin.port": "9000"})
    assert settings.live.reload()
    assert settings.admin.port == 9000
    assert settings.live.status().restart_pending == ()


def test_a_field_that_a_typed_dictionary_need_not_have(kubelet_volume, load):
    """Its value stays when the key is removed, and the restart is pending."""
    kubelet_volume.write({"listening.port": "7000", "listening.name": "a"})
    settings = load(Growing, _volumes=kubelet_volume.path)
    kubelet_volume.write({"listening.name": "b"})
    assert settings.live.reload()
    assert settings.listening == {"port": 7000, "name": "b"}
    assert settings.live.status().restart_pending == ("listening.port",)


@pytest.mark.parametrize("key", ["previous", "tokens__acme"])
def test_a_secret_that_may_go(kubelet_volume, load, key, canary):
    """The removal of an optional secret, or of an entry, is pending; it holds back nothing else."""
    kubelet_volume.write({"message": "one", "tokens__kept": "x", key: canary})
    settings = load(Growing, _volumes=kubelet_volume.path)
    kubelet_volume.write({"message": "two", "tokens__kept": "x"})
    assert settings.live.reload()
    assert settings.message == "two"
    assert settings.live.status().restart_pending == (key.partition("__")[0],)
    held = settings.previous if key == "previous" else settings.tokens["acme"]
    assert held.get_secret_value() == canary
