"""A JSON Web Token, signed with HMAC-SHA256: the part of RFC 7519 that this example needs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any


def issue(key: bytes, subject: str, seconds: float) -> str:
    """Return a token that is valid for some seconds."""
    parts = {"alg": "HS256", "typ": "JWT"}, {"sub": subject, "exp": time.time() + seconds}
    signed = b".".join(_encode(json.dumps(part).encode()) for part in parts)
    return b".".join((signed, _encode(_signature(key, signed)))).decode()


def claims(key: bytes, token: str) -> dict[str, Any]:
    """Return the claims of a token.

    Raises:
        ValueError: The token was not signed with this key, or has expired.
    """
    signed, _, signature = token.encode().rpartition(b".")
    if not hmac.compare_digest(signature, _encode(_signature(key, signed))):
        raise ValueError("the signature does not match")
    found: dict[str, Any] = json.loads(_decode(signed.partition(b".")[2]))
    if found["exp"] < time.time():
        raise ValueError("the token has expired")
    return found


def _signature(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(data: bytes) -> bytes:
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
