"""The story of redis-py's clients, on a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from liveconfig.integrations.redis import bind

ON_REDIS = pytest.mark.parametrize("on", ["redis_server"], indirect=True)


@ON_REDIS
def test_a_client_lives_through_rotations(rotation: Any, make_load: Any, tell: Callable[..., None]) -> None:
    """A client under load loses no operation while its password is rotated ten times."""
    client = redis.Redis(**rotation.server.where)
    bind(client, rotation.settings)

    def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        with client.client() as alone:
            before = alone.client_id()
            held.set()
            release.wait(10)
            return before, alone.client_id()

    with client:
        tell(rotation, make_load(client.ping, hold), 0.2)


@ON_REDIS
def test_an_async_client_lives_through_rotations(
    rotation: Any, make_async_load: Any, tell: Callable[..., None]
) -> None:
    """An async client under load loses no operation while its password is rotated ten times."""

    @asynccontextmanager
    async def client() -> AsyncIterator[redis.asyncio.Redis]:
        async with redis.asyncio.Redis(**rotation.server.where) as one:
            bind(one, rotation.settings)
            yield one

    async def hold(client: redis.asyncio.Redis, held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
        async with client.client() as alone:
            before = await alone.client_id()
            held.set()
            await asyncio.to_thread(release.wait, 10)
            return before, await alone.client_id()

    tell(rotation, make_async_load(client, lambda client: client.ping(), hold), 0.2)
