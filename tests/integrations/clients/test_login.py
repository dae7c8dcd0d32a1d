"""The logins of a client, without any client."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._login import Login, Logins
from liveconfig.integrations._pool_renewal import Renewal


@pytest.fixture
def logins(settings: Any) -> Logins:
    return Logins(settings, "db.user", "db.password", 0.2)


def test_a_login_that_is_proven_is_not_tried_again(logins: Logins, login_server: Any) -> None:
    """`prove` tries the newest login once, and not again while the server is known to accept it."""

    def attempt(login: Login) -> None:
        login_server.log_in(**login.arguments())

    async def attempt_here(login: Login) -> None:
        attempt(login)

    logins.prove(attempt)
    logins.prove(attempt)
    asyncio.run(logins.aprove(attempt_here))
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


def test_a_change_after_the_last_client_is_gone(settings: Any) -> None:
    """A change that is being delivered when the last client is deleted reaches nobody."""
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
