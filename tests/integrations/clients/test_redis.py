"""The calls of redis-py. The tests with a server are in tests/servers."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import redis
from pydantic import BaseModel, SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.redis import LiveCredentials, bind
from liveconfig.testing import KubeletVolume


async def test_the_credentials_are_the_newest(settings: Any, volume: KubeletVolume) -> None:
    """Each time it is asked, sync or async, the provider has the user and password of the newest snapshot."""
    credentials = LiveCredentials(settings)
    assert credentials.get_credentials() == ("app", "one")
    with settings.live.pinned():
        volume.write({"db.user": "other", "db.password": "two"})
        settings.live.reload()
        assert credentials.get_credentials() == ("other", "two")
        assert await credentials.get_credentials_async() == ("other", "two")


@pytest.mark.parametrize("how", ["no field", "a field that is None"])
def test_without_a_user_only_the_password_is_sent(settings: Any, volume: KubeletVolume, how: str) -> None:
    """For Redis' default user the password goes alone."""
    if how == "a field that is None":
        volume.write({"db.password": "one"})
        settings.live.reload()
    assert LiveCredentials(settings, user=None if how == "no field" else "db.user").get_credentials() == ("one",)


def test_a_password_of_any_type_goes_in_the_clear(kubelet_volume: KubeletVolume) -> None:
    """Text, secret text, bytes and secret bytes are unwrapped for the client alone."""

    class Many(BaseModel):
        text: str
        secret: SecretStr
        raw: bytes

    class ManySettings(Settings):
        db: Many

    kubelet_volume.write({"db.text": "pass", "db.secret": "pass", "db.raw": "pass"})
    settings = ManySettings.load(_volumes=kubelet_volume.path, _watch=False)
    for field in ("db.text", "db.secret", "db.raw"):
        assert LiveCredentials(settings, user=None, password=field).get_credentials() == ("pass",)


@pytest.mark.parametrize("library", [redis, redis.asyncio], ids=["sync", "async"])
def test_a_client_with_a_password_of_its_own_forgets_it(settings: Any, library: Any) -> None:
    """The password of the client is removed, because redis-py rejects a provider beside it."""
    client = library.Redis.from_url("redis://of-the-url:old@cache:6379/0")
    bind(client, settings)
    connection = client.connection_pool.make_connection()
    assert connection.password is None
    assert isinstance(connection.credential_provider, LiveCredentials)


def test_an_asyncio_client_on_a_unix_socket_is_refused(settings: Any) -> None:
    """`bind` refuses such a connection, because redis-py calls no hook before it logs in."""
    with pytest.raises(ValueError, match="Unix socket"):
        bind(redis.asyncio.Redis(unix_socket_path="/run/cache"), settings)


def test_a_cluster_is_refused(settings: Any) -> None:
    """A client that makes its pools itself cannot be bound: the error says what can be done with it."""
    with pytest.raises(TypeError, match=r"RedisCluster .* LiveCredentials"):
        bind(redis.asyncio.RedisCluster(host="cache"), settings)  # type: ignore[arg-type]


def test_a_field_that_is_not_there_is_named(settings: Any) -> None:
    """The name of a field that does not exist is an error at once, that names the nearest."""
    with pytest.raises(LiveConfigError, match=r"db\.password"):
        bind(redis.Redis(), settings, password="db.pasword")
    with pytest.raises(LiveConfigError, match=r"db\.password"):
        LiveCredentials(settings, password="db.pasword")


def test_a_client_that_is_gone_is_forgotten(settings: Any) -> None:
    """The settings keep neither a collected client nor a subscription for it."""
    client = redis.Redis()
    bind(client, settings)
    del client
    gc.collect()
    assert settings.live.status().subscribers == ()
