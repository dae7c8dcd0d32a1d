"""The object itself: assignments, private attributes, singletons, deprecated fields, a second `__init__`."""

from __future__ import annotations

import copy
import logging
import pickle
import queue
import threading
import traceback
import warnings
from functools import cached_property
from typing import Any

import pytest
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    computed_field,
    field_validator,
    model_validator,
)

from liveconfig import InvalidSettingsError, LiveConfigError, Settings, SettingsConfigDict
from liveconfig.testing import override, recorded

UNWATCHED = SettingsConfigDict(watch=False)


@pytest.fixture
def loaded(kubelet_volume, load):
    """A function that puts keys on a volume and loads a class from it."""

    def loaded(cls, payload, **arguments):
        kubelet_volume.write(payload)
        return load(cls, _volumes=kubelet_volume.path, **arguments)

    return loaded


# Private attributes


class Client(Settings):
    model_config = UNWATCHED
    message: str = "none"
    _client: Any = PrivateAttr()
    _count: int = PrivateAttr(0)
    _made: str = PrivateAttr("")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._client = "set in __init__"

    def model_post_init(self, context: Any) -> None:
        self._made = f"made for {self.message}"


def test_private_attributes_survive(kubelet_volume, loaded):
    """K06: private attributes of the live object survive a swap, whenever they were set."""
    settings = loaded(Client, {"message": "one"})
    settings._count += 1
    for number in range(3):
        kubelet_volume.write({"message": str(number)})
        assert settings.live.reload()
        assert (settings._client, settings._count) == ("set in __init__", 1)
    settings._client = "later"
    kubelet_volume.write({"message": "four"})
    assert settings.live.reload()
    assert settings._client == "later"


def test_private_attributes_of_a_version(kubelet_volume, loaded):
    """K06: those that model_post_init assigns belong to each version, and win over one assigned from outside."""
    settings = loaded(Client, {"message": "one"})
    first = settings.live.snapshot()
    assert settings._made == first._made == "made for one"
    settings._made = "outside"
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings._made == settings.live.snapshot()._made == "made for two"
    assert first._made == "made for one"


def test_private_attributes_of_a_validator(kubelet_volume, loaded):
    """K06: those that a validator assigns belong to each version as well."""

    class Validated(Settings):
        model_config = UNWATCHED
        message: str = "none"
        _seen: str | None = None
        _kept: list[str] = PrivateAttr(default_factory=list)

        @model_validator(mode="after")
        def note(self) -> Validated:
            self._seen = self.message
            return self

    settings = loaded(Validated, {"message": "one"})
    settings._kept.append("x")
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert (settings._seen, settings._kept) == ("two", ["x"])


def test_private_attributes_of_a_rejected_version(kubelet_volume, loaded):
    """K06: what a validator assigned before it refused is never seen."""

    class Refusing(Settings):
        model_config = UNWATCHED
        message: str = "none"
        _seen: str = ""

        @model_validator(mode="after")
        def note(self) -> Refusing:
            self._seen = self.message
            if self.message == "bad":
                raise ValueError("bad")
            return self

    settings = loaded(Refusing, {"message": "one"})
    kubelet_volume.write({"message": "bad"})
    assert not settings.live.reload()
    assert settings._seen == "one"


# Assignments while an object is built


class Template(Settings):
    model_config = UNWATCHED
    a: int = 1
    b: int | None = None
    c: int | None = None
    d: int = 0

    @model_validator(mode="after")
    def fill(self) -> Template:
        if self.b is None:
            self.b = 2 * self.a
        return self

    @model_validator(mode="after")
    def fill_more(self) -> Template:
        self.c = (self.b or 0) + 1
        return self

    def model_post_init(self, context: Any) -> None:
        self.d = self.a + 1


def test_assignments_in_validators(kubelet_volume, loaded):
    """K15: after-validators and model_post_init may assign, at the load and at each swap."""
    settings = loaded(Template, {"a": "1"})
    assert (settings.b, settings.c, settings.d) == (2, 3, 2)
    with recorded(settings) as events:
        kubelet_volume.write({"a": "5"})
        assert settings.live.reload()
    assert (settings.b, settings.c, settings.d) == (10, 11, 6)
    assert {change.field for change in events[0].changes} == {"a", "b", "c", "d"}
    kubelet_volume.write({"a": "5", "b": "7"})
    assert settings.live.reload()
    assert (settings.b, settings.c) == (7, 8)


def test_assignments_of_other_attributes(loaded):
    """K15: properties with a setter and cached properties may be assigned; what is no field may not."""

    class Other(Settings):
        model_config = UNWATCHED
        a: int = 1

        @property
        def twice(self) -> int:
            return self.a * 2

        @twice.setter
        def twice(self, value: int) -> None:
            self.a = value // 2

        @cached_property
        def cached(self) -> int:
            return 0

        @model_validator(mode="after")
        def fill(self) -> Other:
            self.twice = 10
            self.cached = 7
            return self

    settings = loaded(Other, {})
    assert settings.a == 5

    class Wrong(Settings):
        model_config = UNWATCHED

        @model_validator(mode="after")
        def fill(self) -> Wrong:
            self.nothing = 1  # type: ignore[attr-defined]
            return self

    with pytest.raises(InvalidSettingsError, match="refused by its validator"):
        Wrong()


def test_assignments_in_nested_models(kubelet_volume, loaded):
    """K15: a nested model assigns as it always could; a frozen one cannot."""

    class Pool(BaseModel):
        low: int = 1
        high: int | None = None

        @model_validator(mode="after")
        def fill(self) -> Pool:
            self.high = self.high or self.low * 10
            return self

    class Frozen(BaseModel, frozen=True):
        low: int = 1

        @model_validator(mode="after")
        def fill(self) -> Frozen:
            self.low = 5  # type: ignore[misc]
            return self

    class Nested(Settings):
        model_config = UNWATCHED
        pool: Pool = Pool()

    class Refused(Settings):
        model_config = UNWATCHED
        frozen: Frozen

    assert loaded(Nested, {"pool.low": "3"}).pool.high == 30
    with pytest.raises(InvalidSettingsError, match="frozen"):
        loaded(Refused, {"frozen.low": "3"})


def test_assignments_elsewhere_meanwhile(kubelet_volume, loaded):
    """K15: while a version is built in one thread, the live object stays frozen for all others."""
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Settings):
        model_config = UNWATCHED
        message: str = "none"

        @field_validator("message")
        @classmethod
        def wait(cls, message: str) -> str:
            if message == "slow":
                inside.set()
                assert go_on.wait(30)
            return message

    settings = loaded(Slow, {"message": "one"})
    kubelet_volume.write({"message": "slow"})
    thread = threading.Thread(target=settings.live.reload)
    thread.start()
    assert inside.wait(30)
    with pytest.raises(ValidationError):
        settings.message = "x"
    go_on.set()
    thread.join()
    assert settings.message == "slow"


@pytest.mark.parametrize("which", ["live", "snapshot", "copy"])
@pytest.mark.parametrize(
    ("name", "advice"),
    [("pw", ""), ("passw", "it is not a field; did you mean 'password'?"), ("live", "it is not a field")],
)
def test_assignments_to_a_finished_object(loaded, canary, which, name, advice):
    """K16: an assignment raises an error that shows no value and says what to do instead; so does a deletion."""

    class Finished(Settings):
        model_config = UNWATCHED
        pw: SecretStr = SecretStr("none")
        password: str = "none"

    settings = loaded(Finished, {})
    target = {"live": settings, "snapshot": settings.live.latest(), "copy": copy.copy(settings)}[which]
    with pytest.raises(ValidationError) as caught:
        setattr(target, name, canary)
    assert f"Finished.{name} cannot be assigned" in str(caught.value)
    assert (advice or ("override" if which == "live" else "model_copy(update=")) in str(caught.value)
    said = str(caught.value) + repr(caught.value.errors()) + "".join(traceback.format_exception(caught.value))
    assert canary not in said
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
    assert canary not in repr([frame.f_locals for frame in frames])
    with pytest.raises(ValidationError, match="cannot be deleted"):
        delattr(target, name)
    assert settings.pw.get_secret_value() == "none"


# Deprecated fields


def test_deprecated_fields(kubelet_volume, load, monkeypatch):
    """K07: a deprecated field, and a variable for it, make no difference where warnings are errors."""

    class Inner(BaseModel):
        old: str = Field("none", deprecated="use new")

    class Deprecated(Settings):
        model_config = SettingsConfigDict(watch=False, env_nested_delimiter="__")
        old: str = Field("none", deprecated=True)
        inner: Inner = Inner()

        @computed_field(deprecated="no more")  # type: ignore[prop-decorator]
        @property
        def computed(self) -> str:
            return "x"

    monkeypatch.setenv("OLD", "environment")
    monkeypatch.setenv("INNER__OLD", "environment")
    kubelet_volume.write({"old": "one", "other": "x"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = load(Deprecated, _volumes=kubelet_volume.path)
        status = settings.live.status()
        heard: list[Any] = []
        settings.live.on_change("old")(lambda change: heard.append((change.old, change.new)))
        settings.live.on_change("inner.old")(lambda change: heard.append((change.old, change.new)))
        kubelet_volume.write({"old": "two", "inner.old": "two"})
        assert settings.live.reload()
        assert settings.live.origin("old").kind == "volume"
        assert settings.live.status().healthy
        with override(settings, inner__old="three"):
            assert heard[-1] == ("two", "three")
        copy.deepcopy(settings)
    assert status.fields["inner.old"].kind == "environment"
    assert heard[:2] == [("one", "two"), ("environment", "two")]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert settings.old == "two"


class Old(BaseModel):
    old: str = Field("none", deprecated="use new")
    new: str = "none"


@pytest.mark.parametrize(
    ("annotation", "default", "one", "two"),
    [
        (dict[str, Old], {}, {"field.a.old": "1"}, {"field.a.old": "2"}),
        (list[Old], [], {"field": '[{"old": "1"}]'}, {"field": '[{"old": "2"}]'}),
        (Old | None, None, {"field.old": "1"}, {"field.new": "1"}),
        (Old | None, None, {"field.old": "1"}, {}),
    ],
)
def test_deprecated_inside(loaded, kubelet_volume, annotation, default, one, two):
    """K07: the same for deprecated fields of models in mappings and lists, and of models that come and go."""
    namespace = {"__annotations__": {"field": annotation}, "__module__": __name__, "field": default}
    cls = type("Holding", (Settings,), {**namespace, "model_config": UNWATCHED})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = loaded(cls, {**one, "other": "x"})
        heard: list[Any] = []
        settings.live.on_change("field")(heard.append)
        kubelet_volume.write({**two, "other": "x"})
        assert settings.live.reload(wait=True)
        settings.live.status().as_dict()
        settings.live.origins()
        copy.deepcopy(settings.live.snapshot())
        assert settings.live.snapshot() == settings.live.snapshot()
    assert len(heard) == 1


def test_deprecated_and_rejected(loaded, kubelet_volume):
    """K07: a deprecated field that is not valid is named, where warnings are errors."""

    class Deprecated(Settings):
        model_config = UNWATCHED
        old: int = Field(0, deprecated=True)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = loaded(Deprecated, {"old": "1"})
        kubelet_volume.write({"old": "x"})
        assert not settings.live.reload()
        assert settings.live.status().last_rejected.fields == ("old",)


# Singletons


class Singleton(Settings):
    model_config = UNWATCHED
    message: str = "none"
    _instance: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.__dict__.get("the_one") is None:
            type.__setattr__(cls, "the_one", super().__new__(cls))
        return cls.__dict__["the_one"]


@pytest.fixture
def singleton(kubelet_volume, load):
    """A singleton that is loaded; it is forgotten afterwards."""
    kubelet_volume.write({"message": "one"})
    yield load(Singleton, _volumes=kubelet_volume.path)
    type.__setattr__(Singleton, "the_one", None)


def test_a_singleton(kubelet_volume, singleton):
    """K17: a class whose `__new__` returns one object works: changes are delivered, and rejected values never visible."""
    seen: list[str] = []

    @singleton.live.verify
    def check(candidate: Singleton) -> None:
        seen.append(singleton.message)
        if candidate.message == "bad":
            raise ValueError

    with recorded(singleton) as events:
        kubelet_volume.write({"message": "bad"})
        assert not singleton.live.reload()
        assert singleton.message == "one"
        kubelet_volume.write({"message": "two"})
        assert singleton.live.reload()
    assert seen == ["one", "one"]
    assert singleton.message == "two"
    assert [type(event).__name__ for event in events][:2] == ["Rejected", "Reloaded"]
    assert events[1].old.message == "one"


def test_copies_of_a_singleton(singleton, kubelet_volume):
    """K17: copies and pickles of a singleton are snapshots of their own."""
    copies = [copy.copy(singleton), copy.deepcopy(singleton), pickle.loads(pickle.dumps(singleton))]
    kubelet_volume.write({"message": "two"})
    assert singleton.live.reload()
    assert [each.message for each in copies] == ["one"] * 3
    assert all(each is not singleton for each in copies)


def test_a_singleton_called_again(singleton, kubelet_volume):
    """K17: calling the class again gives the same object and looks again."""
    kubelet_volume.write({"message": "two"})
    assert Singleton() is singleton
    assert singleton.message == "two"


# A second `__init__`


class Reloadable(Settings):
    model_config = UNWATCHED
    message: str = "none"
    given: str = "none"


def test_a_second_init(kubelet_volume, load):
    """K18: a second `__init__`, without arguments or with those of the first, looks again; the object stays the same."""
    kubelet_volume.write({"message": "one"})
    arguments: dict[str, Any] = {"_volumes": kubelet_volume.path, "given": "x"}
    settings = load(Reloadable, **arguments)
    live, version = settings.live, settings.live.version
    heard: queue.Queue[str] = queue.Queue()
    settings.live.on_change("message")(lambda change: heard.put(change.new))
    for number, again in enumerate(({}, arguments)):
        kubelet_volume.write({"message": str(number)})
        settings.__init__(**again)  # type: ignore[misc]
        assert (settings.message, settings.given) == (str(number), "x")
        assert heard.get(timeout=30) == str(number)  # two changes that nobody has heard yet would be told as one
    assert settings.live is live
    assert settings.live.version == version + 2


def test_a_second_init_that_finds_nothing_good(kubelet_volume, load, caplog):
    """K18: it raises nothing when what is there is not valid: the last good configuration stays."""

    class Number(Settings):
        model_config = UNWATCHED
        number: int = 0

    kubelet_volume.write({"number": "1"})
    settings = load(Number, _volumes=kubelet_volume.path)
    kubelet_volume.write({"number": "x"})
    settings.__init__()  # type: ignore[misc]
    assert settings.number == 1
    assert not settings.live.status().healthy


@pytest.mark.parametrize("other", [{"given": "y"}, {"_watch": True}, {"_volumes": "/nowhere"}, {"_volume": "x"}])
def test_a_second_init_with_other_arguments(kubelet_volume, load, other, canary):
    """K18: with other arguments it is an error, which shows none of them; so is one of a snapshot."""
    kubelet_volume.write({"message": "one"})
    settings = load(Reloadable, _volumes=kubelet_volume.path, given=canary)
    with pytest.raises(LiveConfigError, match="loaded already") as caught:
        settings.__init__(**other)  # type: ignore[misc]
    assert canary not in str(caught.value)
    with pytest.raises(LiveConfigError, match="snapshot"):
        settings.live.latest().__init__()
    assert settings.message == "one"


def test_a_second_init_with_an_argument_that_cannot_be_compared(kubelet_volume, load, canary):
    """K18: an argument whose `__eq__` raises counts as another one, and is not shown."""

    class Incomparable(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            raise ValueError(canary)

    kubelet_volume.write({"message": "one"})
    settings = load(Reloadable, _volumes=kubelet_volume.path, given=Incomparable(canary))
    with pytest.raises(LiveConfigError, match="loaded already") as caught:
        settings.__init__(_volumes=kubelet_volume.path, given=Incomparable(canary))  # type: ignore[misc]
    assert canary not in str(caught.value)


def test_a_second_init_waits_for_no_subscriber(kubelet_volume, load):
    """K18: it does not wait for subscribers."""
    kubelet_volume.write({"message": "one"})
    settings = load(Reloadable, _volumes=kubelet_volume.path)
    go_on, inside = threading.Event(), threading.Event()

    @settings.live.on_change("message")
    def slow(change: Any) -> None:
        inside.set()
        go_on.wait(30)

    kubelet_volume.write({"message": "two"})
    settings.__init__()  # type: ignore[misc]
    assert settings.message == "two"
    assert inside.wait(30)
    go_on.set()
    assert logging.getLogger("liveconfig") is not None
