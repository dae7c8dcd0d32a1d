"""TLS: new connections use rotated certificates, keys and certificate authorities, without a restart."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from liveconfig import Change, LiveConfigError, Settings
from liveconfig.integrations._certificates import load_pair, trust
from liveconfig.integrations._fields import secret_reader
from liveconfig.integrations._subscription import subscribe_for
from liveconfig.integrations._tls_context import FollowingContext
from liveconfig.settings import live_of

__all__ = ["client_context", "server_context"]

Pem = Mapping[str, SecretStr | None]  # by field
Configure = Callable[[ssl.SSLContext], object]


def server_context(
    settings: Settings,
    cert: str = "tls_crt",
    key: str = "tls_key",
    *,
    configure: Configure | None = None,
) -> ssl.SSLContext:
    """Return a context for servers whose new connections get the newest certificate and key.

    Both are taken from one snapshot and checked on a context of their own. A pair that does not match or cannot be
    read is not used: the one before stays, and the settings are unhealthy (the subscriber fails) until there is a
    better one. Nothing is written to a disk.

    Args:
        settings: Live settings.
        cert: The dotted name of the field that holds the certificate and its chain, as PEM.
        key: The dotted name of the field that holds the private key, as PEM, not encrypted.
        configure: Called with each context before it is used, the first one included: the place for protocols (ALPN),
            client certificates, ciphers. It runs again at each change of the settings, so it may read any field, such
            as the authorities of client certificates. After such a change no client resumes a session of before.

    Returns:
        A context for `asyncio`, uvicorn (``ssl_context_factory``) and everything else that takes one. It follows while
        anything refers to it.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
        ssl.SSLError: The first pair does not match, or is no PEM.
        ValueError: The first key is encrypted.
    """

    def make(pem: Pem) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_pair(context, pem[cert], pem[key])
        return context

    return _following(settings, ssl.PROTOCOL_TLS_SERVER, [cert, key], make, configure)


def client_context(
    settings: Settings,
    ca: str | None = "ca_crt",
    cert: str | None = None,
    key: str | None = None,
    *,
    configure: Configure | None = None,
) -> ssl.SSLContext:
    """Return a context for clients whose new connections trust the newest authorities and show the newest certificate.

    It verifies the server and its name. An authority that is removed from the field is no longer trusted. A
    file that cannot be read is not used, as for `server_context`.

    Args:
        settings: Live settings.
        ca: The dotted name of the field that holds the authorities to trust, as PEM; None: those of the system.
        cert: The dotted name of the field that holds the client's certificate and its chain, as PEM; None, or a field
            that is None: the client shows none.
        key: The dotted name of the field that holds its private key, as PEM, not encrypted; None: it is in ``cert``.
        configure: Called with each context before it is used, as for `server_context`.

    Returns:
        A context for `asyncio`, httpx, aiohttp, urllib3 and everything else that takes one. It follows while anything
        refers to it.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), or ``key`` is given without ``cert``.
        ssl.SSLError: The first authorities or the first pair cannot be read, or the pair does not match.
        ValueError: The first authorities are missing, or the first key is encrypted.
    """
    if key is not None and cert is None:
        raise LiveConfigError("client_context: `key` needs `cert`: name the field of the certificate too")

    def make(pem: Pem) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca is None:
            context.load_default_certs()
        else:
            trust(context, pem[ca])
        if cert is not None and pem[cert] is not None:
            load_pair(context, pem[cert], None if key is None else pem[key])
        return context

    fields = [name for name in (ca, cert, key) if name is not None]
    return _following(settings, ssl.PROTOCOL_TLS_CLIENT, fields, make, configure)


def _following(
    settings: Settings,
    protocol: int,
    fields: list[str],
    make: Callable[[Pem], ssl.SSLContext],
    configure: Configure | None,
) -> ssl.SSLContext:
    """Return a context that follows its fields; with ``configure``, which may read any field, all fields."""
    live = live_of(settings)
    readers = {name: secret_reader(settings, name) for name in fields}

    def select(snapshot: Any) -> Any:
        pem = {name: read(snapshot) for name, read in readers.items()}
        return pem if configure is None else (pem, snapshot)

    def use_newest(context: FollowingContext, _change: Change[Any] | None = None) -> None:
        source = select(live.latest())
        if source != context.source:
            newest = make(source if configure is None else source[0])
            if configure is not None:
                configure(newest)
            context.use(newest, source)

    context = FollowingContext(protocol)
    use_newest(context)
    subscribe_for(context, settings, select, use_newest, f"TLS context of {', '.join(fields) or 'the system'}")
    return context
