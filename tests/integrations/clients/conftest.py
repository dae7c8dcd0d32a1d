"""A login or a token on a volume, and servers that accept some."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from time import monotonic
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, SecretStr

from liveconfig import Settings
from liveconfig.testing import KubeletVolume


class Db(BaseModel):
    user: str | None = None
    password: SecretStr


class LoginSettings(Settings):
    db: Db


class RefusedError(Exception):
    """The server does not take this login."""

    sqlstate = "28P01"


class LoginServer:
    """Takes some logins, and remembers which were tried."""

    def __init__(self) -> None:
        self.takes: set[tuple[str | None, str | None]] = set()
        self.tried: list[tuple[str | None, str | None]] = []
        self.broken: Exception | None = None

    def log_in(self, user: str | None, password: str | None) -> None:
        self.tried.append((user, password))
        if self.broken is not None:
            raise self.broken
        if (user, password) not in self.takes:
            raise RefusedError("login refused")


@pytest.fixture
def login_server() -> LoginServer:
    one = LoginServer()
    one.takes = {("app", "one")}
    return one


@pytest.fixture
def volume(kubelet_volume: KubeletVolume) -> KubeletVolume:
    kubelet_volume.write({"db.user": "app", "db.password": "one"})
    return kubelet_volume


@pytest.fixture
def settings(volume: KubeletVolume) -> Iterator[LoginSettings]:
    one = LoginSettings.load(_volumes=volume.path)
    with one.live:
        yield one


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier is not called again by itself."""
    monkeypatch.setattr("liveconfig._engine.verification.FIRST_RETRY", 3600.0)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], bool]:
    """Whether something holds at last, of which nobody tells."""

    def eventually(holds: Callable[[], object]) -> bool:
        deadline = monotonic() + 10
        while not holds() and monotonic() < deadline:
            threading.Event().wait(0.01)
        return bool(holds())

    return eventually


class TokenSettings(Settings):
    api_token: SecretStr | None = None


@pytest.fixture
def token_settings(kubelet_volume: KubeletVolume) -> TokenSettings:
    """Settings that nobody watches: a newer token is found only if somebody reads the volume."""
    kubelet_volume.write({"api-token": "one"})
    return TokenSettings.load(_volumes=kubelet_volume.path, _watch=False)


class Site:
    """A web site that accepts one token in one header, redirects some paths, and remembers what it was sent."""

    def __init__(self) -> None:
        self.accepted = "Bearer one"
        self.still_accepted: str | None = None  # the token before, in the meantime
        self.header = "Authorization"
        self.redirects: dict[str, str] = {}
        self.seen: list[tuple[str, str | None]] = []  # path, and the token
        self.bodies: list[bytes] = []
        self.breaks: set[str] = set()  # paths whose next request gets no answer: the connection is closed
        self.before: Callable[[], object] = lambda: None
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                status, location = site._answer(self.path, self.headers[site.header], body)
                if self.path in site.breaks:
                    site.breaks.remove(self.path)
                    self.close_connection = True
                    return
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _answer(self, path: str, token: str | None, body: bytes) -> tuple[int, str]:
        self.seen.append((path, token))
        self.bodies.append(body)
        self.before()
        if path in self.redirects:
            return (307 if "keep" in path else 302), self.redirects[path]
        known = {self.accepted, self.still_accepted} - {None}
        return (200 if token in known else 401), ""

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def make_site() -> Iterator[Callable[[], Site]]:
    sites: list[Site] = []

    def make() -> Site:
        sites.append(Site())
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    """The server that a program addresses."""
    return make_site()


@pytest.fixture
def other(make_site: Callable[[], Site]) -> Site:
    """A server to which redirects lead."""
    return make_site()


class Pair(NamedTuple):
    """A certificate and its key, both as PEM."""

    cert: str
    key: str


class Authority:
    """A certificate authority that signs certificates for servers and clients on this machine."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), True)
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        others += ("encipher_only", "decipher_only")
        self.cert = self._sign(
            self._name,
            self._key.public_key(),
            x509.BasicConstraints(ca=True, path_length=None),
            x509.KeyUsage(**usage, **dict.fromkeys(others, False)),
        )

    def issue(self, name: str) -> Pair:
        """A certificate with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private = key.private_bytes(pem, form, serialization.NoEncryption()).decode()
        return Pair(self._sign(subject, key.public_key(), names), private)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType) -> str:
        """Sign a certificate that Python 3.13 accepts, which verifies more strictly than older ones."""
        now, issuer = datetime.now(UTC), self._key.public_key()
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=not isinstance(extension, x509.SubjectAlternativeName))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def authorities() -> tuple[Authority, Authority]:
    return Authority("one"), Authority("two")
