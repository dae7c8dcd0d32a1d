"""The logins of a client, without any client."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._login import Login, Logins, Wait
from liveconfig.integrations._pool_renewal import AsyncRenewal, Renewal
from liveconfig.testing import KubeletVolume


@pytest.fixture
def logins(settings: Any) -> Logins:
    return Logins(settings, "db.user", "db.password", 0.2)


async def test_a_login_that_is_proven_is_not_tried_again(logins: Logins, login_server: Any) -> None:
    """`prove` tries the newest login once, and not again while the server is known to accept it."""

    def attempt(login: Login) -> Login:
        login_server.log_in(**login.arguments())
        return login

    async def attempt_here(login: Login) -> Login:
        return attempt(login)

    logins.prove(attempt)
    logins.prove(attempt)
    await logins.aprove(attempt_here)
    assert login_server.tried == [("app", "one")]


def test_steps_that_the_caller_runs(logins: Logins, login_server: Any) -> None:
    """A caller whose thread must not block runs the steps that read and wait itself."""
    login_server.takes = set()
    steps = []

    def perform(step: Any) -> None:
        steps.append(type(step).__name__)
        step.plain(logins.live)

    with pytest.raises(Exception, match="login refused"):
        logins.connect(lambda login: login_server.log_in(**login.arguments()), perform)
    assert steps[0] == "ReadVolume"
    assert "Wait" in steps


class Checked:
    """A verifier of the settings that tries the login, and counts the attempts."""

    def __init__(self, logins: Logins, login_server: Any) -> None:
        self.calls = 0
        self._server = login_server
        logins.live.add_verifier(self._log_in, on="db")

    def _log_in(self, candidate: Any) -> None:
        self.calls += 1
        self._server.log_in(candidate.db.user, candidate.db.password.get_secret_value())


@pytest.mark.usefixtures("long_pauses")
def test_refused_connections_do_not_call_the_verifiers_each_time(
    logins: Logins, volume: KubeletVolume, login_server: Any
) -> None:
    """While a server refuses all logins, only the first connection has the verifiers called for a rejected login."""
    checked = Checked(logins, login_server)
    logins.connect(lambda login: login_server.log_in(**login.arguments()))
    login_server.takes = set()
    volume.write({"db.user": "app", "db.password": "two"})
    assert not logins.live.reload()
    checked.calls = 0
    for _ in range(3):
        with pytest.raises(Exception, match="login refused"):
            logins.connect(lambda login: login_server.log_in(**login.arguments()))
    logins.live.reload(retry=False)  # waits for a verifier that runs
    assert checked.calls == 1


@pytest.mark.usefixtures("long_pauses")
def test_a_rejected_login_that_the_server_accepts_at_last(
    waiting: Logins, volume: KubeletVolume, login_server: Any
) -> None:
    """A server that begins to refuse the login in use has changed: a login that was rejected before is tried at once."""
    Checked(waiting, login_server)
    waiting.connect(lambda login: login_server.log_in(**login.arguments()))
    volume.write({"db.user": "app", "db.password": "two"})
    assert not waiting.live.reload()
    login_server.takes = {("app", "two")}
    waiting.connect(lambda login: login_server.log_in(**login.arguments()))
    assert login_server.tried[-1] == ("app", "two")


@pytest.fixture
def waiting(settings: Any) -> Logins:
    """Logins whose connections wait for longer than a test lasts."""
    return Logins(settings, "db.user", "db.password", 30)


def test_a_login_that_is_replaced_before_it_is_tried(
    waiting: Logins, volume: KubeletVolume, login_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A waiting connection that finds two new logins at once uses the older one if the server does not know the newer."""
    login_server.takes = {("app", "two")}

    def perform(step: Any) -> None:
        if isinstance(step, Wait):
            for password in ("two", "three"):
                volume.write({"db.user": "app", "db.password": password})
                waiting.live.reload()

    waiting.connect(lambda login: login_server.log_in(**login.arguments()), perform)
    assert [password for _, password in login_server.tried] == ["one", "three", "two"]
    assert "the server refuses the newest login" in caplog.text


def test_a_login_that_arrives_during_an_attempt(waiting: Logins, volume: KubeletVolume) -> None:
    """A login that arrives while a waiting connection tries the one before is tried without a pause."""
    tried: list[str] = []
    pauses: list[bool] = []

    def attempt(login: Login) -> None:
        tried.append(login.arguments()["password"])
        if tried == ["one", "one"]:
            volume.write({"db.user": "app", "db.password": "two"})
            waiting.live.reload()
        if tried[-1] == "one":
            raise ValueError("null character")  # counts as refused

    def perform(step: Any) -> None:
        if isinstance(step, Wait):
            pauses.append(not step.enough(waiting.live.latest()))

    waiting.connect(attempt, perform)
    assert tried == ["one", "one", "two"]
    assert pauses == [True, False]


def test_a_change_after_the_last_client_is_gone(settings: Any) -> None:
    """A change that is delivered while the last client is deleted has no effect."""
    logins = Logins(settings, "db.user", "db.password", 0.2)
    [subscriber] = settings.live._core.publisher.subscribers
    del logins
    gc.collect()
    assert settings.live.status().subscribers == ()
    subscriber.callback(None)


def test_an_extra_that_is_missing() -> None:
    """An integration whose client is not installed says what to install."""
    with (
        pytest.raises(ModuleNotFoundError, match="pip install 'redis>=") as caught,
        extra_of("liveconfig.integrations.redis"),
    ):
        raise ModuleNotFoundError("no such module", name="redis")
    assert caught.value.name == "redis"


def test_a_pool_that_is_deleted_while_its_renewal_subscribes(settings: Any, logins: Logins) -> None:
    """A pool that is deleted while its renewal subscribes leaves no subscription."""

    class Pool:
        pass

    pool = Pool()
    renewal = Renewal(pool, logins, lambda pool: None, lambda pool: True)
    del pool
    gc.collect()
    before = settings.live.status().subscribers
    renewal._subscribe()
    assert settings.live.status().subscribers == before


def test_a_change_while_a_renewal_subscribes_again(settings: Any, logins: Logins, volume: KubeletVolume) -> None:
    """A login that arrives while a renewal removes its failure from the status is used for another renewal."""
    called, go_on, dropped = threading.Event(), threading.Event(), threading.Event()

    def hold_up(change: Any) -> None:
        called.set()
        go_on.wait(10)

    class Pool:
        pass

    settings.live.subscribe("db.password", hold_up)
    pool, first = Pool(), logins.newest()
    renewal = Renewal(pool, logins, lambda _: logins.newest() != first and dropped.set(), lambda _: True)
    renewal.connected(first, lambda login: None)
    renewal.ended(None, OSError("refused"))
    volume.write({"db.user": "app", "db.password": "two"})
    assert called.wait(10)
    renewal.ended(first, None)  # the subscription before this one has not been told of the change
    go_on.set()
    assert dropped.wait(10)


class Pool:
    """A pool without connections."""


class Connection:
    """A connection that can be closed as a sync and as an async one."""

    def close(self) -> Connection:
        return self

    def __await__(self) -> Iterator[None]:
        return iter(())


class Connect:
    """Opens connections of a renewal, sync or async."""

    def __init__(self, kind: type[Any], logins: Logins, login_server: Any) -> None:
        self.pool = Pool()
        self._renewal = kind(self.pool, logins, lambda _: None, lambda _: False)  # without rounds
        self._server = login_server
        self._run = asyncio.run if kind is AsyncRenewal else lambda result: result

    def __call__(self) -> None:
        make = self._amake if isinstance(self._renewal, AsyncRenewal) else self._make
        self._run(self._renewal.connect(make))

    def _make(self, login: Login) -> Connection:
        assert len(self._server.tried) < 50, "it logs in again and again"
        self._server.log_in(**login.arguments())
        return Connection()

    async def _amake(self, login: Login) -> Connection:
        return self._make(login)


@pytest.fixture(params=[Renewal, AsyncRenewal], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest, logins: Logins, login_server: Any) -> Connect:
    return Connect(request.param, logins, login_server)


def test_a_login_that_is_refused_after_it_was_accepted(
    connect: Connect, logins: Logins, volume: KubeletVolume, login_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection with the login before is kept if the server refuses the newest one, which it accepted once."""
    login_server.takes = {("app", "one")}
    connect()
    volume.write({"db.user": "app", "db.password": "two"})
    logins.live.reload()
    volume.write({"db.user": "app", "db.password": "one"})
    logins.live.reload()
    login_server.takes = {("app", "two")}
    login_server.tried.clear()
    connect()
    assert login_server.tried == [("app", "one"), ("app", "two")]
    assert caplog.text.count("the server refuses the newest login") == 1
    assert not logins.outdated(Login("app", SecretStr("two")), lambda login: login_server.log_in(**login.arguments()))


def test_a_server_that_changes_its_mind(connect: Connect, logins: Logins, login_server: Any) -> None:
    """A connection is replaced a few times at most if the server accepts a newer login after each."""
    login_server.takes = {(None, None)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logins, "superseded", lambda _: True)
        patch.setattr(logins, "newest", lambda: Login(None, None))
        patch.setattr(login_server, "log_in", lambda **_: login_server.tried.append(None))
        connect()
    assert 1 < len(login_server.tried) < 10


def test_a_change_during_an_attempt_is_no_refusal(
    logins: Logins, volume: KubeletVolume, caplog: pytest.LogCaptureFixture
) -> None:
    """If the volume changes while a connection logs in, the log does not say that the server refuses the new login."""

    def attempt(login: Login) -> None:
        volume.write({"db.user": "app", "db.password": "two"})
        logins.live.reload()

    logins.connect(attempt)
    assert logins.newest().arguments()["password"] == "two"
    logins.outdated(Login(None, None), lambda _: volume.write({"db.password": "three"}) or logins.live.reload())
    assert "refuses" not in caplog.text


@pytest.mark.parametrize("error", [ValueError("embedded null character"), "a\udc80".encode])
def test_a_login_that_the_driver_cannot_send(
    logins: Logins, volume: KubeletVolume, error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A password that the driver cannot send counts as refused: the connection is made with the login before."""
    volume.write({"db.user": "app", "db.password": "two"})
    logins.live.reload()

    def attempt(login: Login) -> str:
        if login.arguments()["password"] == "two":
            if callable(error):
                error()
            raise error
        return login.arguments()["password"]

    assert logins.connect(attempt) == "one"
    assert "the server refuses the newest login" in caplog.text


def test_any_error_of_the_client_is_without_the_password(logins: Logins, canary: str) -> None:
    """An error that does not refuse the login (the server is down) is raised at once, without the password."""

    class DownError(Exception):
        pgconn = SimpleNamespace(password=canary.encode(), info=[canary])

    def attempt(login: Login) -> None:
        password = canary
        raise DownError(f"no route with {len(password)} letters")

    with pytest.raises(DownError, match="no route") as caught:
        logins.connect(attempt)
    assert "attempt" not in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert vars(caught.value.pgconn) == {"password": b"", "info": []}


def frames_of(error: BaseException | None) -> Iterator[str]:
    """The functions in the tracebacks of an error and of what came before it."""
    if error is not None:
        yield from (frame.name for frame in traceback.extract_tb(error.__traceback__))
        yield from frames_of(error.__cause__ or error.__context__)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_an_attempt_that_is_interrupted(logins: Logins, canary: str, kind: type[BaseException]) -> None:
    """What interrupts a login is raised as it is, without the driver's frames, which hold the password."""
    interruption = kind()

    def driver(login: Login) -> None:
        password = canary
        try:
            raise OSError(f"{len(password)} letters")
        except OSError:
            raise interruption from None

    async def async_driver(login: Login) -> None:
        driver(login)

    async def connect() -> None:
        await logins.aconnect(async_driver)

    def probe() -> None:
        logins.outdated(Login(None, None), driver)

    for call in (lambda: logins.connect(driver), lambda: connect().send(None), probe):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value is interruption
        assert not {"driver", "async_driver"}.intersection(frames_of(caught.value))


async def test_an_attempt_that_is_cancelled_by_a_timeout(logins: Logins, canary: str) -> None:
    """The error of a timeout has no frames of the driver either, and the timeout ends the attempt."""
    cancelled = []

    async def driver(login: Login) -> None:
        password = canary
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(len(password))

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await logins.aconnect(driver)
    assert len(cancelled) == 1
    assert "aconnect" in frames_of(caught.value)
    assert "driver" not in frames_of(caught.value)
