"""The logins of a client, without any client."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._login import Login, Logins
from liveconfig.integrations._renewal import Renewal


@pytest.fixture
def logins(settings: Any) -> Logins:
    return Logins(settings, "db.user", "db.password", 0.2)


def test_a_login_that_is_proven_is_not_tried_again(logins: Logins, door: Any) -> None:
    """Who wants the newest login proven tries it once, and not again while the server is known to take it."""

    def attempt(login: Login) -> None:
        door.enter(**login.arguments())

    async def attempt_here(login: Login) -> None:
        attempt(login)

    logins.prove(attempt)
    logins.prove(attempt)
    asyncio.run(logins.aprove(attempt_here))
    assert door.tried == [("app", "one")]


def test_steps_that_somebody_else_performs(logins: Logins, door: Any) -> None:
    """Where the calling thread must not block, reading and waiting are left to who called."""
    door.takes = set()
    steps = []

    def perform(step: Any) -> None:
        steps.append(type(step).__name__)
        step.plain(logins.live)

    with pytest.raises(Exception, match="login refused"):
        logins.connect(lambda login: door.enter(**login.arguments()), perform)
    assert steps[0] == "Look"
    assert "Wait" in steps


def test_a_login_that_comes_when_nobody_wants_one(settings: Any) -> None:
    """A change that is just being told when the last client goes is told to nobody."""
    logins = Logins(settings, "db.user", "db.password", 0.2)
    [subscriber] = settings.live._core.hub.subscribers
    del logins
    gc.collect()
    assert settings.live.status().subscribers == ()
    subscriber.callback(None)


def test_an_extra_that_is_missing() -> None:
    """An integration whose client is not installed says what to install."""
    with (
        pytest.raises(ModuleNotFoundError, match=r"pip install 'kube-liveconfig\[redis\]'") as caught,
        extra_of("liveconfig.integrations.redis"),
    ):
        raise ModuleNotFoundError("no such module", name="redis")
    assert caught.value.name == "redis"


def test_a_pool_that_goes_while_it_is_subscribed_for(settings: Any, logins: Logins) -> None:
    """A pool that nobody refers to any more at the moment at which its renewal subscribes is not subscribed for."""

    class Pool:
        pass

    pool = Pool()
    renewal = Renewal(pool, logins, lambda pool: None, lambda pool: True)
    del pool
    gc.collect()
    before = settings.live.status().subscribers
    renewal._subscribe()
    assert settings.live.status().subscribers == before
