"""HTTP requests without proxy and redirect, because the page belongs to a process nearby."""

from __future__ import annotations

import base64
import json
import os
import queue
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

T = TypeVar("T")

_LIMIT = 16 * 1024 * 1024
_OK = 200


class NoAnswer(Exception):  # noqa: N818 - it describes the other side
    """There is no such page. The message is one line."""


def get_json(url: str, *, headers: Mapping[str, str] = MappingProxyType({}), timeout: float = 10.0) -> Any:
    """Return the JSON of a page.

    Args:
        url: An ``http`` or ``https`` address. A user and a password in it are sent as Basic authentication (RFC 7617),
            unless the headers have an ``Authorization``.
        headers: To send with the request.
        timeout: Seconds for the name, the connection and the whole answer together.

    Raises:
        NoAnswer: There is no answer in time, or the answer is not JSON.
    """
    parts = _split(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # without a password or token
    try:
        status, reason, body = _within(timeout, lambda: _get(parts, {**_login(parts, headers), **headers}, timeout))
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"{shown} cannot be reached: {_why(error)}") from None
    if status != _OK:
        raise NoAnswer(f"{shown} answers {status} {reason}{_hint(status)}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise NoAnswer(f"{shown} does not return JSON: is it the status page?") from None


def _within(timeout: float, call: Callable[[], T]) -> T:
    """Run a call on a separate thread, which is abandoned after a timeout: a server can send one byte after the other.

    Raises:
        TimeoutError: The time is up.
        Exception: What the call raised.
    """
    results: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((call(), None))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is wanted
            results.put((None, error))

    threading.Thread(target=run, name="liveconfig-request", daemon=True).start()
    try:
        value, error = results.get(timeout=timeout)
    except queue.Empty:
        error = TimeoutError(f"no complete answer within {timeout:g} s")
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def _split(url: str) -> SplitResult:
    host, _, rest = url.partition("://")[2].partition("/")
    if "@" in rest or "@" in host.partition("?")[2] or "@" in host.partition("#")[2]:  # part of a password is the path
        raise NoAnswer("write `/`, `?`, `#` and `@` in the user or the password as %2F, %3F, %23 and %40")
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # its message repeats the address, and what may be secret in it
    raise NoAnswer("this is not a valid address; write http://HOST:PORT/liveconfig/status")


def _login(parts: SplitResult, headers: Mapping[str, str]) -> dict[str, str]:
    if parts.username is None or any(name.lower() == "authorization" for name in headers):
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(os.fsencode(login)).decode()}"}


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
    """Return the text of the operating system; other messages may contain a header or the address."""
    if isinstance(error, ConnectionRefusedError):
        return f"{error.strerror}: is the application running, and does it listen there?"
    return (error.strerror or str(error)) if isinstance(error, OSError) else type(error).__name__


def _hint(status: int) -> str:
    if status in (401, 403):
        return (
            ": pass the credentials with --header NAME:VALUE, as in --header 'Authorization: Bearer TOKEN', or as "
            "USER:PASSWORD@ before the host"
        )
    if 300 <= status < 400:
        return (
            ": redirects are not followed. If it leads to a login, pass the credentials with --header NAME:VALUE, or "
            "run `liveconfig ps` in the container"
        )
    return ": is the status page on (status=True)?" if status == 404 else ""
