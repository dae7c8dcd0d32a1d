"""gRPC: tokens of calls, and servers that are rotated to a new certificate."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
import grpc.aio
import pytest
from grpc.experimental import session_cache
from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.grpc import TokenAuth, server_credentials
from liveconfig.testing import KubeletVolume


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """Each process in which gRPC was used keeps threads and descriptors of it until the end."""


class GrpcSettings(Settings):
    model_config = SettingsConfigDict(missing_key="fallback")
    tls_crt: str
    tls_key: SecretStr
    ca_crt: str
    api_token: SecretStr | None = None


@pytest.fixture
def pki(authorities: Any) -> dict[str, Any]:
    """Two authorities, and certificates of a server and a client from each."""
    found: dict[str, Any] = {}
    for name, ca in zip(("one", "two"), authorities, strict=True):
        found |= {name: ca.cert, f"server of {name}": ca.issue("server"), f"client of {name}": ca.issue("client")}
    return found


@pytest.fixture
def write(kubelet_volume: KubeletVolume, pki: dict[str, Any]) -> Callable[..., None]:
    """Write the volume: whose certificate is served, which authority of clients is trusted, and the token."""

    def write(pair: str, authority: str = "one", token: str | None = "one") -> None:
        cert, key = pki[pair]
        keys = {"tls.crt": cert, "tls.key": key, "ca.crt": pki[authority]}
        kubelet_volume.write(keys if token is None else {**keys, "api-token": token})

    return write


@pytest.fixture
def settings(kubelet_volume: KubeletVolume, write: Callable[..., None]) -> Iterator[GrpcSettings]:
    write("server of one")
    settings = GrpcSettings.load(_volumes=kubelet_volume.path)
    with settings.live:
        yield settings


METHOD = "/shop.Orders/Get"


def answer(_request: bytes, context: Any) -> bytes:
    """The token that a call carries."""
    return dict(context.invocation_metadata()).get("authorization", "none").encode()


class Server:
    """A server that answers with the token that it was sent."""

    def __init__(self, *credentials: grpc.ServerCredentials) -> None:
        self._executor = ThreadPoolExecutor(2)
        self._server = grpc.server(self._executor)
        handlers = {"Get": grpc.unary_unary_rpc_method_handler(answer)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", handlers),))
        self.ports = [self._server.add_secure_port("127.0.0.1:0", each) for each in credentials]
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait(10)
        self._executor.shutdown()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def serve(*credentials: grpc.ServerCredentials) -> Server:
        servers.append(Server(*credentials))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


class Client:
    """A channel with a connection of its own."""

    def __init__(
        self, server: Server, credentials: grpc.ChannelCredentials, *options: tuple[str, Any], at: int = 0
    ) -> None:
        own = ("grpc.use_local_subchannel_pool", 1)  # channels to one place share a connection otherwise
        self._channel = grpc.secure_channel(f"localhost:{server.ports[at]}", credentials, [own, *options])
        self._get = self._channel.unary_unary(METHOD)

    def get(self) -> str:
        return self._get(b"", timeout=10).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()


def trusting(pki: dict[str, Any], authority: str, pair: str | None = None) -> grpc.ChannelCredentials:
    cert, key = pki[pair] if pair else (None, None)
    return grpc.ssl_channel_credentials(pki[authority].encode(), key and key.encode(), cert and cert.encode())


def refused(server: Server, credentials: grpc.ChannelCredentials, *options: tuple[str, Any], at: int = 0) -> bool:
    """Whether a new connection cannot be made."""
    with Client(server, credentials, *options, at=at) as client:
        try:
            client.get()
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.UNAVAILABLE
    return False


# Tokens


def with_token(credentials: grpc.ChannelCredentials, settings: Settings, **options: str) -> grpc.ChannelCredentials:
    token = grpc.metadata_call_credentials(TokenAuth(settings, "api_token", **options))
    return grpc.composite_channel_credentials(credentials, token)


def test_each_call_carries_the_newest_token(
    settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None], serve: Callable[..., Server]
) -> None:
    """A call carries the token of the newest snapshot, never of a pinned one; without a token it carries none."""
    server = serve(server_credentials(settings))
    with Client(server, with_token(trusting(pki, "one"), settings)) as client, settings.live.pinned():
        assert client.get() == "Bearer one"
        write("server of one", token="two")
        settings.live.reload()
        assert client.get() == "Bearer two"
        write("server of one", token=None)
        settings.live.reload()
        assert client.get() == "none"


async def test_an_asynchronous_channel_carries_it_too(
    settings: GrpcSettings, pki: dict[str, Any], serve: Callable[..., Server]
) -> None:
    """The same credentials serve `grpc.aio`; the scheme can be chosen."""
    server = serve(server_credentials(settings))
    credentials = with_token(trusting(pki, "one"), settings, scheme="")
    async with grpc.aio.secure_channel(f"localhost:{server.ports[0]}", credentials) as channel:
        assert await channel.unary_unary(METHOD)(b"", timeout=10) == b"one"


@pytest.mark.parametrize("token", ["{} ", "{}\nsecond line", "{}€"])
def test_a_token_that_cannot_be_sent_is_not_shown(
    settings: GrpcSettings,
    pki: dict[str, Any],
    write: Callable[..., None],
    serve: Callable[..., Server],
    canary: str,
    token: str,
) -> None:
    """F51: a token that cannot be sent fails the call, with an error that names the field and does not show it."""
    write("server of one", token=token.format(canary))
    settings.live.reload()
    server = serve(server_credentials(settings))
    channel = Client(server, with_token(trusting(pki, "one"), settings))
    with channel as client, pytest.raises(grpc.RpcError) as caught:
        client.get()
    assert "`api_token` cannot be sent in a header" in str(caught.value)
    assert canary not in str(caught.value)


# Servers


def test_new_connections_get_the_new_certificate(
    settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None], serve: Callable[..., Server]
) -> None:
    """A rotated certificate is served to new connections, and an open one goes on."""
    server = serve(server_credentials(settings))
    with Client(server, trusting(pki, "one")) as client:
        assert client.get() == "none"
        assert refused(server, trusting(pki, "two"))
        write("server of two")
        settings.live.reload()
        assert not refused(server, trusting(pki, "two"))
        assert refused(server, trusting(pki, "one"))
        assert client.get() == "none"


def test_one_object_serves_every_port(
    settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None], serve: Callable[..., Server]
) -> None:
    """A rotated certificate reaches each port of each server that has the same credentials."""
    credentials = server_credentials(settings)
    servers = [serve(credentials, credentials), serve(credentials)]
    ports = [(servers[0], 0), (servers[0], 1), (servers[1], 0)]
    for name in ("one", "two", "one"):
        write(f"server of {name}")
        settings.live.reload()
        assert [refused(server, trusting(pki, name), at=at) for server, at in ports] == [False] * 3


def test_a_port_that_is_added_after_a_rotation(
    settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None], serve: Callable[..., Server]
) -> None:
    """A port that begins to listen after a rotation leaves the new certificate to the other ports."""
    credentials = server_credentials(settings)
    first = serve(credentials)
    write("server of two")
    settings.live.reload()
    second = serve(credentials)
    assert [refused(each, trusting(pki, "two")) for each in (first, second)] == [False, False]


async def test_an_asynchronous_server(settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None]) -> None:
    """The same credentials serve `grpc.aio`."""

    async def get(_request: bytes, _context: Any) -> bytes:
        return b"hello"

    server = grpc.aio.server()
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(get)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", handlers),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(settings))
    await server.start()
    own = [("grpc.use_local_subchannel_pool", 1)]
    try:
        for name in ("one", "two"):
            write(f"server of {name}")
            await asyncio.to_thread(settings.live.reload)
            async with grpc.aio.secure_channel(f"localhost:{port}", trusting(pki, name), own) as channel:
                assert await channel.unary_unary(METHOD)(b"", timeout=10) == b"hello"
    finally:
        await server.stop(None)


def test_an_authority_of_clients_that_rotates_alone(
    settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None], serve: Callable[..., Server]
) -> None:
    """I04: with ``ca`` each client must show a certificate; a withdrawn authority ends new connections, resumed ones too."""
    server = serve(server_credentials(settings, ca="ca_crt"))
    sessions = ("grpc.ssl_session_cache", session_cache.ssl_session_cache_lru(8))
    old, new = trusting(pki, "one", "client of one"), trusting(pki, "one", "client of two")
    assert refused(server, trusting(pki, "one"))
    assert [refused(server, old, sessions), refused(server, new)] == [False, True]
    assert not refused(server, old, sessions)
    write("server of one", "two")
    settings.live.reload()
    assert [refused(server, old, sessions), refused(server, new)] == [True, False]


def test_a_bad_pair_is_never_served(
    settings: GrpcSettings, kubelet_volume: KubeletVolume, pki: dict[str, Any], write: Any, serve: Callable[..., Server]
) -> None:
    """A pair that does not match is not served and makes the settings unhealthy; at the start it is an error."""
    server = serve(server_credentials(settings))
    kubelet_volume.update({"tls.crt": pki["server of two"].cert})
    settings.live.reload()
    assert not settings.live.status().healthy
    assert not refused(server, trusting(pki, "one"))
    with pytest.raises(OSError, match="MISMATCH"):
        server_credentials(settings)
    write("server of two")
    settings.live.reload()
    assert settings.live.status().healthy
    assert not refused(server, trusting(pki, "two"))


def test_credentials_that_are_gone_are_forgotten(settings: GrpcSettings) -> None:
    """The settings do not keep unreferenced credentials alive."""
    credentials = server_credentials(settings)
    assert len(settings.live.status().subscribers) == 1
    del credentials
    gc.collect()
    assert settings.live.status().subscribers == ()


def test_many_calls_while_everything_rotates(
    settings: GrpcSettings, pki: dict[str, Any], write: Callable[..., None], serve: Callable[..., Server]
) -> None:
    """No call fails while token and certificate are rotated ten times under load, and the newest token arrives."""
    server = serve(server_credentials(settings))
    both = {"both": pki["one"] + pki["two"]}
    done, failures, ended = threading.Semaphore(0), [], threading.Event()

    def load() -> None:
        while not ended.is_set():
            with Client(server, with_token(trusting(both, "both"), settings)) as client:
                try:
                    client.get()
                    done.release()
                except grpc.RpcError as error:
                    failures.append(error.details())

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(load)
        for number in range(10):
            write(f"server of {('one', 'two')[number % 2]}", token=f"token-{number}")
            settings.live.reload()
            for _ in range(8):
                assert done.acquire(timeout=20)
        ended.set()
    assert failures == []
