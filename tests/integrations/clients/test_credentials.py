"""`credential`: a callable that returns the newest value, for clients that take one."""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.credentials import credential
from liveconfig.testing import KubeletVolume


class Db(BaseModel):
    password: SecretStr
    port: int = 5432
    raw: SecretBytes = SecretBytes(b"raw")


class ShopSettings(Settings):
    db: Db
    token: SecretStr | None = None


class Clock:
    """A clock that the test moves."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("liveconfig.integrations.credentials.monotonic", clock)
    return clock


@pytest.fixture
def shop(kubelet_volume: KubeletVolume) -> ShopSettings:
    """Unwatched settings: a newer value is found only by a read of the volume."""
    kubelet_volume.write({"db.password": "one"})
    return ShopSettings.load(_volumes=kubelet_volume.path, _watch=False)


@pytest.fixture
def rotate(kubelet_volume: KubeletVolume) -> Callable[[str], None]:
    return lambda password: kubelet_volume.write({"db.password": password})


class Slow:
    """A volume that does not answer until the test allows it."""

    def __init__(self, settings: Settings, patch: pytest.MonkeyPatch, until_ended: Callable[[str], None]) -> None:
        self._until_ended = until_ended
        self.begun, self.answers = threading.Event(), threading.Event()
        self.count = 0
        self._reload = settings.live.reload
        patch.setattr(settings.live, "reload", self)

    def __call__(self, wait: bool = True, *, retry: bool = True) -> bool:
        assert not wait, "subscribers would be waited for"
        self.count += 1
        self.begun.set()
        assert self.answers.wait(30)
        return self._reload(wait, retry=retry)

    def answer(self) -> None:
        """Let the reads of the volume finish."""
        self.answers.set()
        self._until_ended("liveconfig-credential")


@pytest.fixture
def slow(shop: ShopSettings, monkeypatch: pytest.MonkeyPatch, until_ended: Callable[[str], None]) -> Any:
    slow = Slow(shop, monkeypatch, until_ended)
    yield slow
    slow.answer()


# What it returns


def test_the_newest_value_as_plain_text(shop: ShopSettings, rotate: Callable[[str], None]) -> None:
    """Each call returns the newest value, inside a pinned block too."""
    password = credential(shop, "db.password")
    with shop.live.pinned():
        assert password() == "one"
        rotate("two")
        shop.live.reload()
        assert password() == "two"


@pytest.mark.parametrize(("field", "value"), [("db.port", "5432"), ("db.raw", "raw")])
def test_other_types_become_text(shop: ShopSettings, field: str, value: str) -> None:
    """A number and secret bytes are returned as text."""
    assert credential(shop, field)() == value


async def test_the_awaitable_returns_the_same(shop: ShopSettings) -> None:
    """``awaitable`` is a coroutine function without arguments."""
    password = credential(shop, "db.password")
    assert inspect.iscoroutinefunction(password.awaitable)
    assert await password.awaitable() == "one"


async def test_a_field_that_is_none(shop: ShopSettings) -> None:
    """While the field is None there is no credential, and the error names the field."""
    token = credential(shop, "token")
    with pytest.raises(LiveConfigError, match="ShopSettings: `token` is None"):
        token()
    with pytest.raises(LiveConfigError, match="ShopSettings: `token` is None"):
        await token.awaitable()


@pytest.mark.parametrize(
    ("field", "error"),
    [("db.pasword", r"did you mean 'db.password'"), ("db", "`db` must hold one value, found Db: name a field in it")],
)
def test_a_field_that_cannot_serve_is_refused(shop: ShopSettings, field: str, error: str) -> None:
    """A field that does not exist, and a model, are errors at once."""
    with pytest.raises(LiveConfigError, match=error):
        credential(shop, field)


def test_a_snapshot_is_refused(shop: ShopSettings) -> None:
    """A snapshot never changes: it is an error at once."""
    with pytest.raises(LiveConfigError, match="snapshot"):
        credential(shop.live.latest(), "db.password")


# After a refused login


def test_a_second_call_within_a_second_reads_the_volume(
    clock: Clock, shop: ShopSettings, rotate: Callable[[str], None]
) -> None:
    """A first call does not read the volume; a second one within a second does, as a login may have been refused."""
    password = credential(shop, "db.password")
    rotate("two")
    assert password() == "one"
    clock.time += 0.9
    assert password() == "two"


def test_a_call_after_a_second_does_not_read_the_volume(
    clock: Clock, shop: ShopSettings, rotate: Callable[[str], None]
) -> None:
    """Calls that are a second apart or more do not read the volume."""
    password = credential(shop, "db.password")
    rotate("two")
    for _ in range(3):
        assert password() == "one"
        clock.time += 1


@pytest.mark.usefixtures("long_pauses")
def test_frequent_calls_call_no_verifier_again(
    clock: Clock, shop: ShopSettings, rotate: Callable[[str], None], until_ended: Callable[[str], None]
) -> None:
    """However often it is called, content that a verifier has rejected waits for its next attempt."""
    calls: list[ShopSettings] = []
    shop.live.add_verifier(lambda candidate: calls.append(candidate) or False, on="db")
    rotate("two")
    assert not shop.live.reload()
    calls.clear()
    password = credential(shop, "db.password")
    for _ in range(20):
        assert password() == "one"
        clock.time += 0.5
    until_ended("liveconfig-credential")
    assert not shop.live.reload(retry=False)  # waits for a verifier that runs
    assert calls == []


async def test_the_awaitable_reads_the_volume_too(
    clock: Clock, shop: ShopSettings, rotate: Callable[[str], None]
) -> None:
    """The second call within a second reads the volume for the awaitable too, whichever of the two was called first."""
    password = credential(shop, "db.password")
    rotate("two")
    assert password() == "one"
    assert await password.awaitable() == "two"


def test_the_volume_is_read_once_a_second(clock: Clock, shop: ShopSettings, slow: Slow) -> None:
    """However often it is called, one object has the volume read once a second; another object by itself."""
    slow.answers.set()
    password, other = credential(shop, "db.password"), credential(shop, "db.password")
    for _ in range(20):
        password()
        clock.time += 0.1
    assert slow.count == 2
    other()
    other()
    assert slow.count == 3


def test_a_volume_that_hangs_holds_up_a_call_for_half_a_second(shop: ShopSettings, slow: Slow) -> None:
    """A call does not wait for a volume that hangs, and no second thread reads it meanwhile."""
    password = credential(shop, "db.password")
    assert [password() for _ in range(20)] == ["one"] * 20
    assert slow.begun.is_set()
    assert slow.count == 1


async def test_the_event_loop_goes_on_while_the_volume_is_read(
    shop: ShopSettings, slow: Slow, rotate: Callable[[str], None]
) -> None:
    """``awaitable`` does not block the event loop, and a call that is cancelled takes nothing from the others."""
    password = credential(shop, "db.password")
    await password.awaitable()
    rotate("two")
    calls = [asyncio.create_task(password.awaitable()) for _ in range(3)]
    while not slow.begun.is_set():
        await asyncio.sleep(0)
    calls[0].cancel()
    slow.answers.set()
    assert await asyncio.gather(*calls[1:]) == ["two", "two"]


async def test_an_awaitable_gives_up_on_a_volume_that_hangs(shop: ShopSettings, slow: Slow) -> None:
    """``awaitable`` returns what there is when the volume does not answer."""
    password = credential(shop, "db.password")
    assert [await password.awaitable() for _ in range(3)] == ["one"] * 3
    assert slow.begun.is_set()
    assert not slow.answers.is_set()


def test_many_threads_share_one_reading(shop: ShopSettings, slow: Slow, rotate: Callable[[str], None]) -> None:
    """Threads that call while the volume is read wait for the same reading, and return what it found."""
    password = credential(shop, "db.password")
    password()
    rotate("two")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(password())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert slow.begun.wait(10)
    slow.answers.set()
    for thread in threads:
        thread.join(10)
    assert slow.count == 1
    assert set(found) <= {"one", "two"}
    assert password() == "two"


def test_a_call_inside_a_subscriber_waits_for_no_subscriber(
    kubelet_volume: KubeletVolume, rotate: Callable[[str], None]
) -> None:
    """A subscriber that reconnects may call it as often as it likes."""
    rotate("one")
    shop = ShopSettings.load(_volumes=kubelet_volume.path)
    with shop.live:
        password = credential(shop, "db.password")
        seen: list[str] = []

        @shop.live.on_change("db.password")
        def reconnect(_change: object) -> None:
            seen.extend(password() for _ in range(3))

        rotate("two")
        shop.live.reload()
        assert seen == ["two"] * 3


def test_a_forked_child_reads_the_volume_by_itself(
    shop: ShopSettings,
    rotate: Callable[[str], None],
    holds_in_child: Callable[[Callable[[], bool]], bool],
    until_ended: Callable[[str], None],
) -> None:
    """A child that is forked while its parent reads the volume reads it by itself."""
    password = credential(shop, "db.password")
    with pytest.MonkeyPatch.context() as patch:
        slow = Slow(shop, patch, until_ended)
        password()
        password()
        assert slow.begun.wait(10)
        patch.undo()
        rotate("two")
        assert holds_in_child(lambda: "two" in [password(), password()])
        slow.answer()


# Copies and pickles


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_client_may_copy_its_options(shop: ShopSettings, copied: Callable[[Any], Any]) -> None:
    """A copy is the same object, also where the settings cannot be imported."""
    password = credential(shop, "db.password")
    assert copied({"password": password})["password"] is password


MODULE = """
import os
from pydantic import SecretStr
from liveconfig import Settings, SettingsConfigDict

class ShopSettings(Settings):
    model_config = SettingsConfigDict(volumes=[os.environ["SHOP_VOLUME"]], watch=False)
    password: SecretStr

settings = ShopSettings.load()
"""

CHILD = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1]))())"


def test_a_pickle_goes_to_another_process(
    kubelet_volume: KubeletVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential of settings that are a global variable is pickled by name, without the value."""
    (tmp_path / "liveconfig_shop_settings.py").write_text(MODULE)
    monkeypatch.setenv("SHOP_VOLUME", str(kubelet_volume.path))
    monkeypatch.syspath_prepend(str(tmp_path))
    kubelet_volume.write({"password": "one"})
    try:
        import liveconfig_shop_settings as shop

        password = credential(shop.settings, "password")
        pickled = pickle.dumps(password)
        assert b"one" not in pickled
        assert pickle.loads(pickled)() == "one"
        kubelet_volume.write({"password": "two"})
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", CHILD, pickled.hex()]
        child = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=60)
        assert child.stdout == "two\n"
        del shop.settings
        with pytest.raises(pickle.UnpicklingError, match=r"liveconfig_shop_settings\.settings"):
            pickle.loads(pickled)
    finally:
        sys.modules.pop("liveconfig_shop_settings", None)


def test_what_cannot_be_pickled_says_why(shop: ShopSettings) -> None:
    """Without a global variable that holds the settings, the error says what to do."""
    with pytest.raises(pickle.PicklingError, match="assign it to a name at the top level of a module"):
        pickle.dumps(credential(shop, "db.password"))


def test_its_repr_shows_no_value(kubelet_volume: KubeletVolume, shop: ShopSettings, canary: str) -> None:
    """Neither its ``repr`` nor that of anything it refers to shows the value."""
    kubelet_volume.write({"db.password": canary})
    shop.live.reload()
    password = credential(shop, "db.password")
    assert password() == canary
    assert repr(password) == "<credential db.password>"
    assert canary not in repr(vars(password))
