"""Asks one page over HTTP: no proxy, no redirect, as the page is a process's own and never far away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

_LIMIT = 16 * 1024 * 1024
_OK = 200


class NoAnswer(Exception):  # noqa: N818 - a word on the other side, not on us
    """There is no such page; the message is one clear line."""


def get_json(url: str, *, headers: Mapping[str, str] = MappingProxyType({}), timeout: float = 10.0) -> Any:
    """What a page answers.

    Args:
        url: An ``http`` or ``https`` address.
        headers: To send with it.
        timeout: Seconds to wait for each piece of the answer.

    Raises:
        NoAnswer: Nobody answers, or not with JSON.
    """
    parts = _split(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # without a password or token
    try:
        status, reason, body = _get(parts, headers, timeout)
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"{shown} cannot be reached: {_why(error)}") from None
    if status != _OK:
        raise NoAnswer(f"{shown} answers {status} {reason}{_hint(status)}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise NoAnswer(f"{shown} answers, but not with JSON: is it the status page?") from None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # its message repeats the address, and what may be secret in it
    raise NoAnswer("this is not an address that can be asked: http://HOST:PORT/liveconfig/status is")


def _get(parts: SplitResult, headers: Mapping[str, str], timeout: float) -> tuple[int, str, bytes]:
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        response = connection.getresponse()
        return response.status, response.reason, response.read(_LIMIT)
    finally:
        connection.close()


def _why(error: Exception) -> str:
    """The operating system's word; other messages may repeat a header or the address."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else type(error).__name__


def _hint(status: int) -> str:
    if status in (401, 403):
        return ": send what it asks for with --header"
    return ": is it switched on (status=True)?" if status == 404 else ""
