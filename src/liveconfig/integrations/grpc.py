"""gRPC: calls with the newest token, and servers with the newest certificate."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from liveconfig import Change, LiveConfigError, Settings
from liveconfig.integrations._certificates import load_pair, trust
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import secret_reader
from liveconfig.integrations._subscription import subscribe_for
from liveconfig.integrations._token import TokenOptions
from liveconfig.settings import live_of

with extra_of(__name__):
    import grpc

__all__ = ["TokenAuth", "server_credentials"]


class TokenAuth(TokenOptions, grpc.AuthMetadataPlugin):
    """Adds the token of the newest snapshot to each call.

    ::

        token = grpc.metadata_call_credentials(TokenAuth(settings, "api_token"))
        credentials = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), token)
        channel = grpc.secure_channel("orders:443", credentials)

    It works with `grpc` and `grpc.aio`. gRPC does not report a refused call to it, so no call is repeated. A token that
    cannot be sent fails the call, with an error that names the field.

    Args:
        settings: Live settings.
        token: The dotted name of the field that holds the token. While the field is None no token is sent.
        header: The key of the metadata that carries it; gRPC sends it in lower case.
        scheme: The scheme before the token, such as ``Bearer``; empty for the token alone.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:  # noqa: ARG002
        """Pass the token to gRPC, for each call."""
        try:
            value = self._token.newest()
        except LiveConfigError as error:
            callback((), error)
        else:
            callback(() if value is None else ((self._token.header.lower(), value.get_secret_value()),), None)


def server_credentials(
    settings: Settings,
    cert: str = "tls_crt",
    key: str = "tls_key",
    *,
    ca: str | None = None,
) -> grpc.ServerCredentials:
    """Credentials for servers, sync and async, whose new connections get the newest certificate and key.

    They are checked before they are used. A pair that does not match or cannot be read is not used: the one before
    stays, and the settings are unhealthy (the subscriber fails) until there is a better one. The same object can serve
    several ports and several servers.

    Args:
        settings: Live settings.
        cert: The dotted name of the field that holds the certificate and its chain, as PEM.
        key: The dotted name of the field that holds the private key, as PEM, not encrypted.
        ca: The dotted name of the field that holds the authorities of clients, as PEM: each client must show a
            certificate from one of them. None: no client is asked for a certificate.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
        ssl.SSLError: The first pair does not match, or something is no PEM.
        ValueError: The first key is encrypted, or the first authorities are missing.
    """
    certificates = _Certificates(settings, [name for name in (cert, key, ca) if name is not None])
    return _ServerCredentials(lambda: _of_a_port(certificates, needs_client=ca is not None))


class _ServerCredentials(grpc.ServerCredentials):
    """Credentials that are made anew for each port that asks for them.

    gRPC asks for the certificate of each port, and does not say of which. The answer that nothing has changed is about
    one port only, so each port needs an object that knows what this port has. An object for all ports would have to
    answer with a certificate each time: gRPC 1.85 then crashed when eight clients connected at the same time.
    """

    def __init__(self, make: Callable[[], grpc.ServerCredentials]) -> None:
        self._make = make

    @property
    def _credentials(self) -> Any:
        """The attribute that `grpc` and `grpc.aio` read when a port is added."""
        made: Any = self._make()
        return made._credentials  # noqa: SLF001 - of the class that this one extends


def _of_a_port(certificates: _Certificates, *, needs_client: bool) -> grpc.ServerCredentials:
    """The credentials of one port."""
    known = certificates.newest

    def fetch() -> Any:  # the types of gRPC leave out None
        """Return the configuration for the next connection; None if that is the one of before."""
        nonlocal known
        newest, before = certificates.newest, known
        known = newest
        return None if newest is before else newest

    return grpc.dynamic_ssl_server_credentials(known, fetch, needs_client)


class _Certificates:
    """The newest configuration of certificates that can be used. The credentials of each port refer to it.

    Attributes:
        newest: It.
    """

    newest: grpc.ServerCertificateConfiguration

    def __init__(self, settings: Settings, fields: list[str]) -> None:
        self._live = live_of(settings)
        self._select = _selector(settings, fields)
        self._source: tuple[SecretStr | None, ...] | None = None
        self._use_newest()
        subscribe_for(self, settings, self._select, _Certificates._use_newest, f"gRPC server of {', '.join(fields)}")

    def _use_newest(self, _change: Change[Any] | None = None) -> None:
        source = self._select(self._live.latest())
        if source != self._source:
            self.newest, self._source = _configuration(*source), source


def _selector(settings: Settings, fields: list[str]) -> Callable[[Any], tuple[SecretStr | None, ...]]:
    """A function that reads the fields from a snapshot."""
    readers = [secret_reader(settings, name) for name in fields]
    return lambda snapshot: tuple(read(snapshot) for read in readers)


def _configuration(
    cert: SecretStr | None, key: SecretStr | None, *ca: SecretStr | None
) -> grpc.ServerCertificateConfiguration:
    """The configuration of a pair and of the authorities of clients; it can be used, or it raises."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, cert, key)
    for each in ca:
        trust(context, each)
    return grpc.ssl_server_certificate_configuration([(_bytes(key), _bytes(cert))], *map(_bytes, ca))


def _bytes(pem: SecretStr | None) -> bytes:
    return b"" if pem is None else pem.get_secret_value().encode()
