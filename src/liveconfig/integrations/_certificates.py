"""Loading of certificates and keys (PEM in fields) into a TLS context, without a file on disk."""

from __future__ import annotations

import os
import ssl
from contextlib import ExitStack

from pydantic import SecretStr


def load_pair(context: ssl.SSLContext, cert: SecretStr | None, key: SecretStr | None) -> None:
    """Load a certificate and its private key into a context.

    Args:
        context: A context without a certificate.
        cert: The certificate and its chain.
        key: The private key, not encrypted; None if it is in ``cert``.

    Raises:
        ssl.SSLError: They do not match, or cannot be read.
        ValueError: The key is encrypted.
    """
    with ExitStack() as files:
        certfile = _file(cert, files)
        context.load_cert_chain(certfile, None if key is None else _file(key, files), password=_no_password)


def trust(context: ssl.SSLContext, ca: SecretStr | None) -> None:
    """Make a context trust certificate authorities.

    Raises:
        ssl.SSLError: They cannot be read.
        ValueError: There are none.
    """
    context.load_verify_locations(cadata=_text(ca))


def _file(pem: SecretStr | None, files: ExitStack) -> str:
    """A file in memory, because OpenSSL loads a certificate and a key only from paths."""
    descriptor = os.memfd_create("liveconfig")
    files.callback(os.close, descriptor)
    with open(descriptor, "w", closefd=False) as file:
        file.write(_text(pem))
    return f"/proc/self/fd/{descriptor}"


def _text(pem: SecretStr | None) -> str:
    return "" if pem is None else pem.get_secret_value()


def _no_password() -> str:
    """Prevent OpenSSL from asking for the password on the terminal."""
    raise ValueError("the private key is encrypted")
