"""A certificate authority is replaced while a server and a client that check each other are running.

Usage: python rotation.py
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from liveconfig import Settings
from liveconfig.integrations.tls import client_context, server_context
from liveconfig.testing import KubeletVolume


class PeerSettings(Settings):
    tls_crt: str
    tls_key: SecretStr
    ca_crt: str


class Pair(NamedTuple):
    cert: str
    key: str


class Authority:
    """Signs certificates for ``localhost``, as cert-manager does in a cluster."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.cert = self._sign(self._name, self._key.public_key(), {constraints: True, signs: True})

    def issue(self) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, form, none).decode()
        return Pair(self._sign(_named("localhost"), key.public_key(), {names: False}), private)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extensions: dict[x509.ExtensionType, bool]
    ) -> str:
        """Sign a certificate; the extensions say whether they are critical."""
        now = datetime.now(UTC)
        of_key = x509.SubjectKeyIdentifier.from_public_key(key)
        of_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=90))
        for extension, critical in {**extensions, of_key: False, of_issuer: False}.items():
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Server:
    """Greets each client that shows a certificate from an authority in the settings."""

    def __init__(self, settings: PeerSettings) -> None:
        self.served = self.refused = 0
        self._settings = settings
        self._context = server_context(settings, configure=self._ask_for_certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def _ask_for_certificate(self, context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self._settings.ca_crt)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the listener is closed
                return
            connection.settimeout(10)
            try:
                with self._context.wrap_socket(connection, server_side=True) as client:
                    client.sendall(b"hello")
                    self.served += 1
            except (ssl.SSLError, OSError):
                connection.close()
                self.refused += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            thread.join()


def greet(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None = None) -> ssl.SSLSession | None:
    """One request: the session, with which another one could be resumed."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as connection,
        context.wrap_socket(connection, server_hostname="localhost", session=session) as server,
    ):
        assert server.recv(5) == b"hello"
        return server.session


class Peer:
    """One side: its Secret, and its settings."""

    def __init__(self, directory: Path) -> None:
        self._volume = KubeletVolume(directory)
        self._directory = directory

    def load(self, pair: Pair, *authorities: Authority) -> PeerSettings:
        self._write(pair, authorities)
        self.settings = PeerSettings.load(_volumes=self._directory)
        return self.settings

    def rotate(self, pair: Pair, *authorities: Authority) -> None:
        self._write(pair, authorities)
        self.settings.live.reload()

    def _write(self, pair: Pair, authorities: tuple[Authority, ...]) -> None:
        ca = "".join(authority.cert for authority in authorities)
        self._volume.write({"tls.crt": pair.cert, "tls.key": pair.key, "ca.crt": ca})


def stale_client(directory: Path, old: Authority, new: Authority) -> ssl.SSLContext:
    """A client that trusts everybody, and never gets a new certificate."""
    context = ssl.create_default_context(cadata=old.cert + new.cert)
    file = directory / "old.pem"
    file.write_text("".join(old.issue()))
    context.load_cert_chain(file)
    return context


def tell(directory: Path) -> Server:
    """The story; it ends with a client that is refused."""
    old, new = Authority("old"), Authority("new")
    pairs = {"server": old.issue(), "client": old.issue()}
    peers = {name: Peer(directory / name) for name in pairs}
    steps = [
        ("both have the old authority", pairs, [old]),
        ("both trust the new one, too", pairs, [old, new]),
        ("both have new certificates", {name: new.issue() for name in pairs}, [old, new]),
        ("the old authority is withdrawn", {name: new.issue() for name in pairs}, [new]),
    ]
    settings = {name: peer.load(pairs[name], old) for name, peer in peers.items()}
    server = Server(settings["server"])
    context = client_context(settings["client"], "ca_crt", "tls_crt", "tls_key")
    stale = stale_client(directory, old, new)
    session = None
    print(f"{'step':32}{'served':>10}{'refused':>9}")
    with settings["server"].live, settings["client"].live, server.running():
        kept = greet(stale, server.port)
        for title, newer, authorities in steps:
            for name, peer in peers.items():
                peer.rotate(newer[name], *authorities)
                for _ in range(20):
                    session = greet(context, server.port, session)
            print(f"{title:32}{server.served:10}{server.refused:9}", flush=True)
        try:
            greet(stale, server.port, kept)
        except (ssl.SSLError, OSError, AssertionError) as error:
            print("a client with an old certificate and a session:", type(error).__name__)
    return server


def main() -> int:
    with TemporaryDirectory() as directory:
        return tell(Path(directory)).served


if __name__ == "__main__":
    sys.exit(main() == 0)
