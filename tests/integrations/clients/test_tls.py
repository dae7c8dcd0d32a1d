"""The certificates of `server_context`, in real handshakes on a socket pair."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from werkzeug import Response
from werkzeug.serving import make_server

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.tls import server_context
from liveconfig.testing import KubeletVolume


@dataclass
class Pair:
    """A self-signed certificate and its key, both as PEM."""

    cert: str
    key: str
    encrypted_key: str

    @classmethod
    def make(cls, name: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        cert = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

        def pem(encryption: serialization.KeySerializationEncryption) -> str:
            form = serialization.PrivateFormat.PKCS8
            return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()

        return cls(cert, pem(serialization.NoEncryption()), pem(serialization.BestAvailableEncryption(b"word")))

    def keys(self, **other: str) -> dict[str, str]:
        return {"tls.crt": self.cert, "tls.key": self.key} | other


class TlsSettings(Settings):
    tls_crt: str
    tls_key: SecretStr


A, B = Pair.make("a"), Pair.make("b")


@pytest.fixture
def settings(kubelet_volume: KubeletVolume) -> Iterator[TlsSettings]:
    kubelet_volume.write(A.keys())
    settings = TlsSettings.load(_volumes=kubelet_volume.path)
    with settings.live:
        yield settings


def client_context(**changes: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def handshake(
    server: ssl.SSLContext, name: str | None = "shop", client: ssl.SSLContext | None = None
) -> tuple[str, Any]:
    """One handshake: the certificate that the client saw, and the protocol that was agreed on."""
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as other_side:
        accepted = other_side.submit(server.wrap_socket, ours, server_side=True)
        with (client or client_context()).wrap_socket(theirs, server_hostname=name) as connection:
            seen = connection.getpeercert(binary_form=True)
            assert seen is not None
            with accepted.result(10):
                return ssl.DER_cert_to_PEM_cert(seen), connection.selected_alpn_protocol()


def same(seen: str, expected: str) -> bool:
    return ssl.PEM_cert_to_DER_cert(seen) == ssl.PEM_cert_to_DER_cert(expected)


@pytest.mark.parametrize("name", ["shop", None])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_handshakes_see_the_new_pair(
    settings: TlsSettings, kubelet_volume: KubeletVolume, name: str | None, version: ssl.TLSVersion
) -> None:
    """A rotated pair is served to the next handshake, to clients that name no server as well."""
    context = server_context(settings)
    client = client_context(minimum_version=version, maximum_version=version)
    assert same(handshake(context, name, client)[0], A.cert)
    kubelet_volume.write(B.keys())
    assert settings.live.reload()
    assert same(handshake(context, name, client)[0], B.cert)


def test_an_open_connection_goes_on(settings: TlsSettings, kubelet_volume: KubeletVolume) -> None:
    """A connection that is open when the pair is rotated goes on."""
    context = server_context(settings)
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as other_side:
        accepted = other_side.submit(context.wrap_socket, ours, server_side=True)
        with client_context().wrap_socket(theirs) as client, accepted.result(10) as server:
            kubelet_volume.write(B.keys())
            assert settings.live.reload()
            client.sendall(b"still here")
            assert server.recv(100) == b"still here"


def listen_then_wrap(context: ssl.SSLContext, **options: bool) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True, **options)


def wrap_then_listen(context: ssl.SSLContext, **options: bool) -> ssl.SSLSocket:
    listener = context.wrap_socket(socket.socket(), server_side=True, **options)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@pytest.mark.parametrize("make_listener", [listen_then_wrap, wrap_then_listen])
def test_a_listening_socket_serves_the_new_pair(
    settings: TlsSettings, kubelet_volume: KubeletVolume, make_listener: Callable[..., ssl.SSLSocket]
) -> None:
    """A listening socket that was wrapped before a rotation accepts connections with the rotated pair."""
    with make_listener(server_context(settings)) as listener:
        gc.collect()  # the socket keeps the context
        assert same(certificate_of(listener), A.cert)
        kubelet_volume.write(B.keys())
        assert settings.live.reload()
        assert same(certificate_of(listener), B.cert)
    del listener
    gc.collect()
    assert settings.live.status().subscribers == ()


def certificate_of(listener: ssl.SSLSocket) -> str:
    """The certificate that a client of a listening socket sees."""
    listener.settimeout(10)
    with ThreadPoolExecutor(1) as other_side:
        accepted = other_side.submit(listener.accept)
        with (
            socket.create_connection(listener.getsockname(), 10) as plain,
            client_context().wrap_socket(plain) as client,
            accepted.result(10)[0],
        ):
            return pem_of(client)


def pem_of(connection: ssl.SSLSocket) -> str:
    """The certificate of the other side."""
    seen = connection.getpeercert(binary_form=True)
    assert seen is not None
    return ssl.DER_cert_to_PEM_cert(seen)


@pytest.mark.parametrize("chosen", [True, False])
def test_an_accepted_connection_has_the_options_of_its_listening_socket(settings: TlsSettings, chosen: bool) -> None:
    """The options of a listening socket are those of the connections that it accepts."""
    options = {"do_handshake_on_connect": chosen, "suppress_ragged_eofs": chosen}
    with listen_then_wrap(server_context(settings), **options) as listener, ThreadPoolExecutor(1) as other_side:
        connected = other_side.submit(socket.create_connection, listener.getsockname(), 10)
        wrapped = other_side.submit(lambda: client_context().wrap_socket(connected.result(10)))
        connection, _ = listener.accept()
        assert (connection.version() is not None) is chosen
        connection.do_handshake()
        assert {name: getattr(connection, name) for name in options} == options
        connection.close()
        wrapped.result(10).close()


class Greeting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def standard_server(context: ssl.SSLContext) -> HTTPServer:
    server = HTTPServer(("127.0.0.1", 0), Greeting)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def werkzeug_server(context: ssl.SSLContext) -> HTTPServer:
    return make_server("127.0.0.1", 0, Response(status=204), ssl_context=context)


@pytest.mark.parametrize("make", [standard_server, werkzeug_server])
def test_http_servers_serve_the_new_pair(
    settings: TlsSettings, kubelet_volume: KubeletVolume, make: Callable[[ssl.SSLContext], HTTPServer]
) -> None:
    """`http.server` and Werkzeug, which wrap the listening socket, serve the rotated pair."""

    def get() -> str:
        address = server.server_address
        client = HTTPSConnection(str(address[0]), address[1], timeout=10, context=client_context())
        with closing(client), ThreadPoolExecutor(1) as other_side:
            answered = other_side.submit(server.handle_request)
            client.connect()
            seen = pem_of(client.sock)
            client.request("GET", "/")
            assert client.getresponse().status == 204
            answered.result(10)
            return seen

    with make(server_context(settings)) as server:
        server.timeout = 10
        assert same(get(), A.cert)
        kubelet_volume.write(B.keys())
        assert settings.live.reload()
        assert same(get(), B.cert)


@pytest.mark.parametrize(
    "bad",
    [
        A.keys(**{"tls.key": B.key}),
        A.keys(**{"tls.crt": "no PEM"}),
        B.keys(**{"tls.key": B.encrypted_key}),
        B.keys(**{"tls.key": ""}),
    ],
    ids=["mismatched", "no PEM", "encrypted", "empty"],
)
def test_a_bad_pair_is_never_served(
    settings: TlsSettings, kubelet_volume: KubeletVolume, bad: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A pair that does not match or cannot be read is not served, is reported, and holds up nothing after it."""
    context = server_context(settings)
    kubelet_volume.write(bad)
    assert settings.live.reload()
    assert same(handshake(context)[0], A.cert)
    assert not settings.live.status().healthy
    assert "PRIVATE KEY" not in caplog.text
    kubelet_volume.write(B.keys())
    assert settings.live.reload()
    assert same(handshake(context)[0], B.cert)
    assert settings.live.status().healthy


@pytest.mark.parametrize(
    ("bad", "why"),
    [(A.keys(**{"tls.key": B.key}), "MISMATCH"), (A.keys(**{"tls.key": A.encrypted_key}), "encrypted")],
    ids=["mismatched", "encrypted"],
)
def test_a_bad_first_pair_is_an_error_at_once(kubelet_volume: KubeletVolume, bad: dict[str, str], why: str) -> None:
    """A pair that does not match and an encrypted key are errors, without a prompt for a password."""
    kubelet_volume.write(bad)
    settings = TlsSettings.load(_volumes=kubelet_volume.path)
    with settings.live, pytest.raises((ssl.SSLError, ValueError), match=why):
        server_context(settings)


def test_what_is_configured_holds_for_each_pair(settings: TlsSettings, kubelet_volume: KubeletVolume) -> None:
    """Protocols that `configure` sets are agreed on before and after a rotation."""
    context = server_context(settings, configure=lambda context: context.set_alpn_protocols(["http/1.1"]))
    client = client_context()
    client.set_alpn_protocols(["http/1.1"])
    assert handshake(context, client=client)[1] == "http/1.1"
    kubelet_volume.write(B.keys())
    assert settings.live.reload()
    assert handshake(context, client=client)[1] == "http/1.1"


def test_a_field_that_is_not_there_is_named(settings: TlsSettings) -> None:
    """The name of a field that does not exist is an error at once, that names the nearest."""
    with pytest.raises(LiveConfigError, match="tls_crt"):
        server_context(settings, cert="tls_cert")


def test_a_context_that_is_gone_is_forgotten(settings: TlsSettings, kubelet_volume: KubeletVolume) -> None:
    """E161: the settings keep neither a collected context nor a subscription for it."""
    context = server_context(settings)
    kubelet_volume.write(B.keys())
    settings.live.reload()
    other = server_context(settings)
    subscriber = settings.live._core.publisher.subscribers[0]
    del context
    gc.collect()
    assert len(settings.live.status().subscribers) == 1
    subscriber.callback(None)  # what was just being told reaches nobody
    del other
    gc.collect()
    assert settings.live.status().subscribers == ()


def test_the_files_for_openssl_are_gone_at_once(settings: TlsSettings, kubelet_volume: KubeletVolume) -> None:
    """F08: OpenSSL reads the pair from memory, and no descriptor of it is left."""
    opened: list[str] = []
    before = len(os.listdir("/proc/self/fd"))
    with pytest.MonkeyPatch.context() as patch:
        load = ssl.SSLContext.load_cert_chain

        def watched(context: ssl.SSLContext, certfile: str, keyfile: str, password: Any = None) -> None:
            opened.extend(os.readlink(name) for name in (certfile, keyfile))
            load(context, certfile, keyfile, password)

        patch.setattr(ssl.SSLContext, "load_cert_chain", watched)
        server_context(settings)
    assert {name.split(":")[0] for name in opened} == {"/memfd"}
    assert len(os.listdir("/proc/self/fd")) == before


async def test_uvicorn_serves_the_new_pair(settings: TlsSettings, kubelet_volume: KubeletVolume) -> None:
    """Uvicorn with `ssl_context_factory` serves the rotated pair, and goes on serving requests."""
    await serve_with_uvicorn(settings, kubelet_volume)


async def serve_with_uvicorn(settings: TlsSettings, volume: KubeletVolume) -> None:
    started = asyncio.Event()

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def request() -> str:
        reader, writer = await asyncio.open_connection(*listener.getsockname(), ssl=client_context())
        writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 204")
        seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return ssl.DER_cert_to_PEM_cert(seen)

    config = uvicorn.Config(
        app, ssl_context_factory=lambda *_: server_context(settings), log_config=None, lifespan="off", ws="none"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Announced(config)
        serving = asyncio.create_task(server.serve([listener]))
        await asyncio.wait_for(started.wait(), 10)
        assert same(await request(), A.cert)
        volume.write(B.keys())
        await settings.live.wait_for(lambda s: s.tls_crt == B.cert.rstrip("\n"), 10)
        await asyncio.to_thread(settings.live.reload)
        assert same(await request(), B.cert)
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
