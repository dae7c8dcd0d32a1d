"""TLS servers: a certificate and key that are rotated are served to new handshakes, with no restart."""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from pydantic import SecretStr

from liveconfig import Change, Settings
from liveconfig.integrations._fields import secret_reader

__all__ = ["server_context"]

Pair = tuple[SecretStr | None, ...]


def server_context(
    settings: Settings,
    cert: str = "tls_crt",
    key: str = "tls_key",
    *,
    configure: Callable[[ssl.SSLContext], object] = lambda _context: None,
) -> ssl.SSLContext:
    """A context for servers whose new handshakes are served with the newest certificate and key.

    Both are taken from one snapshot and checked on a context of their own. A pair that does not match or cannot be
    read is not served: the one before stays, and the settings are not healthy (the subscriber fails) until there is a
    better one. Clients that name no server are served as well. Nothing is written to a disk.

    Args:
        settings: Live settings.
        cert: The dotted name of the field that holds the certificate and its chain, as PEM.
        key: The dotted name of the field that holds the private key, as PEM, not encrypted.
        configure: Called with the context, and with the one that is made for each newer pair, before it is served:
            the place for protocols (ALPN), client certificates, ciphers.

    Returns:
        A context for `asyncio`, uvicorn (``ssl_context_factory``) and whatever else takes one. Its ``sni_callback``
        is taken. It follows for as long as somebody refers to it.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
        ssl.SSLError: The first pair does not match, or is no PEM.
        ValueError: The first key is encrypted.
    """
    readers = [secret_reader(settings, name) for name in (cert, key)]

    def read(snapshot: Any) -> Pair:
        return tuple(reader(snapshot) for reader in readers)

    first = _context(read(settings.live.latest()), configure)
    served = _Served(first)
    first.sni_callback = served.choose
    weak = weakref.ref(served)

    def serve(change: Change[Pair]) -> None:
        if (served := weak()) is not None:
            served.context = _context(change.new, configure)

    subscription = settings.live.subscribe(read, serve, initial=True)  # initial: it may have changed since it was read
    weakref.finalize(served, subscription.cancel).atexit = False
    return first


class _Served:
    """What the next handshake is served with. Only the context that the server has refers to it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def choose(self, connection: ssl.SSLObject, _server_name: str | None, _context: ssl.SSLContext) -> None:
        """What Python calls in each handshake."""
        connection.context = self.context


def _context(pair: Pair, configure: Callable[[ssl.SSLContext], object]) -> ssl.SSLContext:
    """A context of its own for a pair: raises where they do not match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with ExitStack() as files:
        cert, key = (_file(pem, files) for pem in pair)
        context.load_cert_chain(cert, key, password=_no_password)
    configure(context)
    return context


def _file(pem: SecretStr | None, files: ExitStack) -> str:
    """A file in memory, as OpenSSL takes a certificate and a key only by their paths."""
    descriptor = os.memfd_create("liveconfig")
    files.callback(os.close, descriptor)
    with open(descriptor, "w", closefd=False) as file:
        file.write("" if pem is None else pem.get_secret_value())
    return f"/proc/self/fd/{descriptor}"


def _no_password() -> str:
    """Keeps OpenSSL from asking for the password on the terminal."""
    raise ValueError("the private key is encrypted")
