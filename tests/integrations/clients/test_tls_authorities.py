"""Certificate authorities that are rotated: mutual TLS of `server_context`, and `client_context`."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import aiohttp
import httpx
import pytest
from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings, SettingsConfigDict
from liveconfig.integrations.tls import client_context, server_context
from liveconfig.testing import KubeletVolume

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class MutualSettings(Settings):
    model_config = SettingsConfigDict(missing_key="fallback")
    tls_crt: str = ""
    tls_key: SecretStr = SecretStr("")
    ca_crt: str
    greeting: str = "hello"
    other_crt: str | None = None
    other_key: SecretStr | None = None


@pytest.fixture(params=VERSIONS, ids=["TLS-1.2", "TLS-1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return request.param


@pytest.fixture
def pki(authorities: Any) -> dict[str, Any]:
    """Two authorities, and certificates of a server and a client from each."""
    one, two = authorities
    return {
        "one": one.cert,
        "two": two.cert,
        **{
            f"{name} of {number}": ca.issue(name)
            for number, ca in zip(("one", "two"), authorities, strict=True)
            for name in ("server", "client")
        },
    }


@pytest.fixture
def write(kubelet_volume: KubeletVolume, pki: dict[str, Any]) -> Callable[..., None]:
    """Write the volume: whose certificate is served or shown, and which authorities are trusted."""

    def write(pair: str, *authorities: str, **more: str) -> None:
        cert, key = pki[pair]
        ca = "".join(pki[name] for name in authorities)
        kubelet_volume.write({"tls.crt": cert, "tls.key": key, "ca.crt": ca, **more})

    return write


@pytest.fixture
def settings(kubelet_volume: KubeletVolume, write: Callable[..., None]) -> Iterator[MutualSettings]:
    write("server of one", "one")
    settings = MutualSettings.load(_volumes=kubelet_volume.path)
    with settings.live:
        yield settings


class Connection:
    """The result of one connection: the client's session and whether it was resumed, or the errors."""

    def __init__(
        self,
        server: ssl.SSLContext,
        client: ssl.SSLContext,
        session: ssl.SSLSession | None = None,
        name: str = "localhost",
    ) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.settimeout(10)
        self.session: ssl.SSLSession | None = None
        self.reused: bool | None = None
        self.errors: list[Exception] = []
        with ThreadPoolExecutor(1) as other_side:
            served = other_side.submit(self._serve, server, ours)
            try:
                with client.wrap_socket(theirs, server_hostname=name, session=session) as connection:
                    assert connection.recv(5) == b"hello"  # with TLS 1.3 the server judges a client after its handshake
                    self.session, self.reused = connection.session, connection.session_reused
            except (ssl.SSLError, OSError, AssertionError) as error:
                self.errors.append(error)
            served.result(10)

    def _serve(self, context: ssl.SSLContext, end: socket.socket) -> None:
        try:
            with closing(context.wrap_socket(end, server_side=True)) as connection:
                connection.sendall(b"hello")
                connection.recv(1)
        except (ssl.SSLError, OSError) as error:
            self.errors.append(error)
            end.close()

    @property
    def refused(self) -> bool:
        return self.reused is None


def plain_client(
    pki: dict[str, Any], version: ssl.TLSVersion, tmp_path: Any, pair: str | None = None
) -> ssl.SSLContext:
    """A client that is not ours, and trusts both authorities."""
    context = ssl.create_default_context(cadata=pki["one"] + pki["two"])
    context.minimum_version = context.maximum_version = version
    if pair is not None:
        cert, key = pki[pair]
        (tmp_path / "pair.pem").write_text(cert + key)
        context.load_cert_chain(tmp_path / "pair.pem")
    return context


def plain_server(
    pki: dict[str, Any], version: ssl.TLSVersion, tmp_path: Any, pair: str, *clients: str
) -> ssl.SSLContext:
    """A server that is not ours; with authorities of clients it asks them for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    cert, key = pki[pair]
    (tmp_path / "server.pem").write_text(cert + key)
    context.load_cert_chain(tmp_path / "server.pem")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata="".join(pki[name] for name in clients))
    return context


# Servers


def mutual(settings: MutualSettings) -> ssl.SSLContext:
    """A server that asks for a certificate from the authority in the settings."""

    def configure(context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=settings.ca_crt)

    return server_context(settings, configure=configure)


def test_a_session_of_a_withdrawn_authority_is_not_resumed(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """I04: after the authority of its certificate was withdrawn, a client cannot resume its session."""
    server = mutual(settings)
    client = plain_client(pki, version, tmp_path, "client of one")
    first = Connection(server, client)
    again = Connection(server, client, first.session)
    assert (first.reused, again.reused) == (False, True)
    write("server of one", "two")
    assert settings.live.reload()
    assert Connection(server, client, first.session).refused
    assert Connection(server, client, again.session).refused
    assert Connection(server, client).refused


def test_an_authority_that_rotates_alone_is_used(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """I04: a new authority of clients is used while the server's certificate stays; the old one is used no more."""
    server = mutual(settings)
    old = plain_client(pki, version, tmp_path, "client of one")
    new = plain_client(pki, version, tmp_path, "client of two")
    assert (Connection(server, old).refused, Connection(server, new).refused) == (False, True)
    write("server of one", "one", "two")
    assert settings.live.reload()
    assert (Connection(server, old).refused, Connection(server, new).refused) == (False, False)
    write("server of one", "two")
    assert settings.live.reload()
    assert (Connection(server, old).refused, Connection(server, new).refused) == (True, False)


def test_any_field_that_configure_reads_is_followed(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """``configure`` runs again when any field changes, and once for each context."""
    greetings: list[str] = []
    server = server_context(settings, configure=lambda _: greetings.append(settings.greeting))
    assert greetings == ["hello"]
    write("server of one", "one", greeting="good day")
    assert settings.live.reload()
    assert greetings == ["hello", "good day"]
    assert not Connection(server, plain_client(pki, version, tmp_path)).refused


def test_a_session_is_resumed_as_long_as_nothing_changes(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """A session is resumed until the certificate changes; then the client sees the new certificate."""
    server = server_context(settings)
    client = plain_client(pki, version, tmp_path)
    first = Connection(server, client)
    write("server of one", "one", greeting="good day")
    assert settings.live.reload()
    assert Connection(server, client, first.session).reused
    write("server of two", "one", greeting="good day")
    assert settings.live.reload()
    assert Connection(server, client, first.session).reused is False


def test_a_configure_that_fails_leaves_the_context_before(
    settings: MutualSettings,
    kubelet_volume: KubeletVolume,
    pki: dict[str, Any],
    write: Callable[..., None],
    version: ssl.TLSVersion,
    tmp_path: Any,
) -> None:
    """An authority that cannot be read makes the settings unhealthy, and the one before stays in use."""
    server = mutual(settings)
    client = plain_client(pki, version, tmp_path, "client of one")
    kubelet_volume.update({"ca.crt": "no PEM"})
    settings.live.reload()
    assert not settings.live.status().healthy
    assert not Connection(server, client).refused
    write("server of one", "two")
    assert settings.live.reload()
    assert settings.live.status().healthy
    assert Connection(server, client).refused


def test_what_is_set_on_the_context_itself_holds_after_a_rotation(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], tmp_path: Any
) -> None:
    """Protocols, versions and verification that a program sets on the context are those of later contexts too."""
    server = server_context(settings)
    server.set_alpn_protocols(["h2"])
    server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=pki["one"])
    write("server of two", "one")
    assert settings.live.reload()
    assert server.verify_mode == ssl.CERT_REQUIRED
    assert server.maximum_version == ssl.TLSVersion.TLSv1_2
    assert len(server.get_ca_certs()) == 1
    assert Connection(server, plain_client(pki, ssl.TLSVersion.TLSv1_2, tmp_path)).refused
    assert Connection(server, plain_client(pki, ssl.TLSVersion.TLSv1_3, tmp_path, "client of one")).refused
    client = plain_client(pki, ssl.TLSVersion.TLSv1_2, tmp_path, "client of one")
    assert not Connection(server, client).refused


# Clients


def test_a_client_trusts_the_newest_authorities_only(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """I04: one context trusts a new authority from its arrival on, and a removed one no more, sessions included."""
    client = client_context(settings)
    old = plain_server(pki, version, tmp_path, "server of one")
    new = plain_server(pki, version, tmp_path, "server of two")
    first = Connection(old, client)
    assert Connection(old, client, first.session).reused
    assert Connection(new, client).refused
    write("server of one", "one", "two")
    assert settings.live.reload()
    assert (Connection(old, client).refused, Connection(new, client).refused) == (False, False)
    write("server of one", "two")
    assert settings.live.reload()
    assert Connection(old, client, first.session).refused
    assert (Connection(old, client).refused, Connection(new, client).refused) == (True, False)


def test_a_client_shows_its_newest_certificate(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """I04: the certificate of the client follows, with a key of its own or in one field with the certificate."""
    write("client of one", "one")
    settings.live.reload()
    client = client_context(settings, "ca_crt", "tls_crt", "tls_key")
    old = plain_server(pki, version, tmp_path, "server of one", "one")
    new = plain_server(pki, version, tmp_path, "server of one", "two")
    assert (Connection(old, client).refused, Connection(new, client).refused) == (False, True)
    write("client of two", "one")
    assert settings.live.reload()
    assert (Connection(old, client).refused, Connection(new, client).refused) == (True, False)


def test_a_client_checks_the_name_of_the_server(
    settings: MutualSettings, pki: dict[str, Any], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """A certificate for another name is refused, also after a rotation."""
    client = client_context(settings)
    server = plain_server(pki, version, tmp_path, "server of one")
    assert not Connection(server, client).refused
    assert Connection(server, client, name="example.org").refused


def test_a_client_with_optional_certificate(
    settings: MutualSettings,
    kubelet_volume: KubeletVolume,
    pki: dict[str, Any],
    version: ssl.TLSVersion,
    tmp_path: Any,
) -> None:
    """While the field of the certificate is None the client shows none; certificate and key may be in one field."""
    client = client_context(settings, cert="other_crt")
    server = plain_server(pki, version, tmp_path, "server of one", "one")
    assert Connection(server, client).refused
    kubelet_volume.update({"other_crt": "".join(pki["client of one"])})
    assert settings.live.reload()
    assert not Connection(server, client).refused


def test_what_is_set_on_a_client_context_holds_after_a_rotation(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """A program that switches verification off, or on again, gets what it asked for, in whatever order it does so."""
    client = client_context(settings)
    server = plain_server(pki, version, tmp_path, "server of two")
    client.verify_mode = ssl.CERT_REQUIRED
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.check_hostname = False
    write("client of two", "one")
    assert settings.live.reload()
    assert not Connection(server, client, name="example.org").refused
    client.check_hostname = True
    write("client of one", "one")
    assert settings.live.reload()
    assert client.verify_mode == ssl.CERT_REQUIRED
    assert Connection(server, client).refused


def test_authorities_of_the_system(settings: MutualSettings) -> None:
    """With ``ca=None`` the client trusts what the system trusts, and ``configure`` may add to it."""
    client = client_context(
        settings, None, configure=lambda context: context.load_verify_locations(cadata=settings.ca_crt)
    )
    plain = ssl.create_default_context()
    assert client.cert_store_stats()["x509_ca"] == plain.cert_store_stats()["x509_ca"] + 1


def test_a_socket_that_is_connected_later(
    settings: MutualSettings, pki: dict[str, Any], version: ssl.TLSVersion, tmp_path: Any
) -> None:
    """A socket that is wrapped first and connected then is verified as any other."""
    server = plain_server(pki, version, tmp_path, "server of one")
    client = client_context(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as other_side:

        def serve() -> None:
            end, _ = listener.accept()
            with end, server.wrap_socket(end, server_side=True) as connection:
                connection.sendall(b"hello")

        served = other_side.submit(serve)
        with client.wrap_socket(socket.socket(), server_hostname="localhost") as connection:
            connection.settimeout(10)
            connection.connect(listener.getsockname())
            assert connection.recv(5) == b"hello"
        served.result(10)


async def test_httpx_and_aiohttp_follow(
    settings: MutualSettings, pki: dict[str, Any], write: Callable[..., None], tmp_path: Any
) -> None:
    """The context serves httpx (sync and async) and aiohttp, which keep it for the life of a client."""
    context = client_context(settings)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def ask(url: str) -> list[str]:
        found = []
        for get in (get_with_httpx, get_with_async_httpx, get_with_aiohttp):
            try:
                found.append(await get(url))
            except (httpx.ConnectError, aiohttp.ClientConnectorCertificateError):
                found.append("refused")
        return found

    async def get_with_httpx(url: str) -> str:
        return (await asyncio.to_thread(plain.get, url)).text

    async def get_with_async_httpx(url: str) -> str:
        return (await asynchronous.get(url)).text

    async def get_with_aiohttp(url: str) -> str:
        async with session.get(url, ssl=context) as response:
            return await response.text()

    version = ssl.TLSVersion.TLSv1_3
    servers = [
        await asyncio.start_server(answer, "127.0.0.1", 0, ssl=plain_server(pki, version, tmp_path, name))
        for name in ("server of one", "server of two")
    ]
    urls = [f"https://localhost:{server.sockets[0].getsockname()[1]}/" for server in servers]
    options: Any = {"verify": context, "trust_env": False}
    with httpx.Client(**options) as plain:
        async with httpx.AsyncClient(**options) as asynchronous, aiohttp.ClientSession() as session:
            assert [await ask(url) for url in urls] == [["ok"] * 3, ["refused"] * 3]
            write("server of one", "two")
            await asyncio.to_thread(settings.live.reload)
            assert [await ask(url) for url in urls] == [["refused"] * 3, ["ok"] * 3]
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("bad", ["", "no PEM"])
def test_bad_authorities(
    settings: MutualSettings,
    kubelet_volume: KubeletVolume,
    pki: dict[str, Any],
    version: ssl.TLSVersion,
    tmp_path: Any,
    bad: str,
) -> None:
    """Authorities that cannot be read are an error at the start; later they are not used, and are reported."""
    client = client_context(settings)
    server = plain_server(pki, version, tmp_path, "server of one")
    kubelet_volume.update({"ca.crt": bad})
    settings.live.reload()
    assert not settings.live.status().healthy
    assert not Connection(server, client).refused
    with pytest.raises((ssl.SSLError, ValueError)):
        client_context(settings)


def test_arguments_of_a_client_context(settings: MutualSettings) -> None:
    """A field that does not exist, a key without a certificate and a snapshot are errors at once."""
    with pytest.raises(LiveConfigError, match="did you mean 'ca_crt'"):
        client_context(settings, "ca_cert")
    with pytest.raises(LiveConfigError, match="`key` needs `cert`"):
        client_context(settings, key="tls_key")
    with pytest.raises(LiveConfigError, match="snapshot"):
        client_context(settings.live.latest())


def test_a_client_context_that_is_gone_is_forgotten(settings: MutualSettings) -> None:
    """The settings do not keep an unreferenced context alive."""
    context = client_context(settings)
    assert [each.name.rpartition(".")[2] for each in settings.live.status().subscribers] == ["TLS context of ca_crt"]
    del context
    gc.collect()
    assert settings.live.status().subscribers == ()


# Both


@pytest.mark.parametrize("first", ["server", "client"])
def test_no_handshake_fails_while_the_authority_rotates(
    make_kubelet_volume: Callable[..., KubeletVolume], pki: dict[str, Any], first: str
) -> None:
    """Eight threads connect all the time while the authority is replaced ten times, one side after the other."""
    volumes = {side: make_kubelet_volume(side) for side in ("server", "client")}

    def write(side: str, pair: str, *authorities: str) -> None:
        cert, key = pki[f"{side} of {pair}"]
        ca = "".join(pki[name] for name in authorities)
        volumes[side].write({"tls.crt": cert, "tls.key": key, "ca.crt": ca})

    for side in volumes:
        write(side, "one", "one")
    settings = {side: MutualSettings.load(_volumes=volume.path) for side, volume in volumes.items()}
    server = mutual(settings["server"])
    client = client_context(settings["client"], cert="tls_crt", key="tls_key")
    errors: list[Exception] = []
    ended, moved, made = threading.Event(), threading.Condition(), [0] * 8

    def connect(index: int) -> None:
        session = None
        while not ended.is_set():
            connection = Connection(server, client, session)
            session = connection.session
            errors.extend(connection.errors)
            with moved:
                made[index] += 1
                moved.notify()

    def until_each_has_connected() -> None:
        """Wait until the present connection of each thread has ended, and one more."""
        with moved:
            enough = [count + 2 for count in made]
            assert moved.wait_for(lambda: all(count >= wanted for count, wanted in zip(made, enough, strict=True)), 60)

    with settings["server"].live, settings["client"].live, ThreadPoolExecutor(8) as threads:
        threads.map(connect, range(8))
        try:
            for number in range(10):
                old, new = ("one", "two") if number % 2 == 0 else ("two", "one")
                for pair, *authorities in ((old, old, new), (new, old, new), (new, new)):
                    for side in sorted(volumes, key=lambda side: side != first):
                        write(side, pair, *authorities)
                        settings[side].live.reload()
                        until_each_has_connected()
        finally:
            ended.set()
    assert errors == []
