"""A TLS context that stays the same object while certificates and authorities are replaced."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Callable
from contextlib import suppress
from operator import itemgetter
from socket import socket
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


def _forwarding(cls: C) -> C:
    """Forward the public attributes and methods of a context class to the newest context."""
    for name, kind in inspect.getmembers(ssl.SSLContext):
        if name.startswith("_") or name in vars(cls):
            continue
        if not inspect.isroutine(kind):
            setattr(cls, name, _attribute(name))
        else:
            setattr(cls, name, (_setter if name.startswith(("set_", "load_")) else _reader)(name))
    return cls


def _attribute(name: str) -> property:
    def write(self: FollowingContext, value: Any) -> None:
        # an order that works: to verify no server, its name must not be checked any more
        rank = {("check_hostname", False): 0, ("check_hostname", True): 2}.get((name, value), 1)
        self.set(name, lambda context: setattr(context, name, value), rank)

    return property(lambda self: getattr(self.newest, name), write)


def _setter(name: str) -> Callable[..., Any]:
    def call(self: FollowingContext, *args: Any, **options: Any) -> Any:
        key = name if name.startswith("set_") else (name, args, tuple(options.items()))
        return self.set(key, lambda context: getattr(context, name)(*args, **options))

    return call


def _reader(name: str) -> Callable[..., Any]:
    return lambda self, *args, **options: getattr(self.newest, name)(*args, **options)


@_forwarding
class FollowingContext(ssl.SSLContext):
    """A context that stays the same object and uses the newest context for each new connection.

    Each context has its own session cache and ticket keys, so a session of an older one cannot be resumed. The public
    attributes and methods are those of the newest context. What is set here is set on later contexts too.

    Attributes:
        newest: The context that makes new connections.
        source: The values that it was made of.
    """

    newest: ssl.SSLContext

    def __init__(self, _protocol: int) -> None:
        self.source: Any = None
        self._settings: dict[Any, tuple[int, Callable[[ssl.SSLContext], object]]] = {}

    def use(self, newest: ssl.SSLContext, source: Any) -> None:
        """Use a newer context for new connections."""
        for _, setting in sorted(self._settings.values(), key=itemgetter(0)):
            setting(newest)
        self.newest, self.source = newest, source

    def set(self, key: Any, setting: Callable[[ssl.SSLContext], Any], rank: int = 1) -> Any:
        """Set something on the newest context, and on later ones in the order of their ranks."""
        result = setting(self.newest)
        self._settings.pop(key, None)
        self._settings[key] = rank, setting
        return result

    def wrap_socket(
        self,
        sock: socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As `ssl.SSLContext.wrap_socket`; a session of an older context is not resumed.

        A listening socket keeps this context, because it wraps each connection that it accepts with its context.
        """
        how = (server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname)
        if server_side and not _is_connected(sock):
            return super().wrap_socket(sock, *how, session)
        newest = self.newest
        return newest.wrap_socket(sock, *how, _resumable(newest, session))

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As `ssl.SSLContext.wrap_bio`; a session of an older context is not resumed."""
        newest = self.newest
        return newest.wrap_bio(incoming, outgoing, server_side, server_hostname, _resumable(newest, session))


def _is_connected(sock: socket) -> bool:
    with suppress(OSError):
        sock.getpeername()
        return True
    return False


def _resumable(context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """Return a client's session, unless it was made with another context: Python would close the socket."""
    if session is not None:
        try:
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost", session=session)
        except ValueError:
            return None
    return session
