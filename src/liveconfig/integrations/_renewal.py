"""What pools share that ask nobody when they hand out a connection: theirs are renewed from outside.

A subscriber first has a connection of its own try the newest login, and only when the server takes it lets the pool
drop the others: as long as the server is behind the volume, those that are there are better than none. If that takes
longer than the patience, the client's error ends the subscriber: liveconfig calls it again, with back-off, and the
settings are not healthy until it succeeds.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from liveconfig.integrations._login import Login, Logins, Wait

# The server may have taken an older login just before it took the newest: by then that connection is in the pool.
SETTLE = Wait(0.5, lambda _: False)

P = TypeVar("P")
Probe = TypeVar("Probe", bound=Callable[[Login], Any])


class _Renewal(Generic[P, Probe]):
    _probe: Probe

    def __init__(self, pool: P, logins: Logins, drop: Callable[[P], Any]) -> None:
        self._pool = weakref.ref(pool)
        self._logins = logins
        self._drop = drop
        self._subscription: Any = None
        self._process = 0
        weakref.finalize(pool, self._cancel).atexit = False

    def connected(self, login: Login, probe: Probe) -> None:
        """Take note of a new connection of the pool, and of how to try a login with one more."""
        self._probe, self._process = probe, os.getpid()
        if self._is_first():  # only now, as by now there is something to renew
            self._subscribe()
            if login != self._logins.newest():  # the change has been before
                self._subscribe(initial=True)

    def _subscribe(self, *, initial: bool = False) -> None:
        self._cancel()
        self._subscription = self._logins.live.subscribe(self._logins.read, self._renew, initial=initial)

    def _cancel(self) -> None:
        if self._subscription is not None:
            self._subscription.cancel()

    def _is_first(self) -> bool:
        raise NotImplementedError

    def _renewable(self) -> P | None:
        """The pool, unless it is gone or this is a child that must not touch its parent's connections."""
        return self._pool() if self._process == os.getpid() else None

    def _renew(self, _change: Any) -> Any:
        raise NotImplementedError


class Renewal(_Renewal[P, Callable[[Login], None]]):
    """Moves the connections of one pool to the newest login.

    Args:
        pool: It is held weakly.
        logins: The logins of the pool.
        drop: Drops the idle connections of the pool at once, and the busy ones when they are returned.
    """

    def __init__(self, pool: P, logins: Logins, drop: Callable[[P], Any]) -> None:
        super().__init__(pool, logins, drop)
        self._count = itertools.count()  # its threads connect at the same time, and one of them gets the 0

    def _is_first(self) -> bool:
        return next(self._count) == 0

    def _renew(self, _change: Any) -> None:
        if (pool := self._renewable()) is not None:
            self._logins.prove(self._probe)
            SETTLE.plain(self._logins.live)
            self._drop(pool)


class AsyncRenewal(_Renewal[P, Callable[[Login], Awaitable[None]]]):
    """As `Renewal`, on the event loop that the pool connects on."""

    _loop: asyncio.AbstractEventLoop | None = None

    def _is_first(self) -> bool:
        before, self._loop = self._loop, asyncio.get_running_loop()
        return self._loop is not before

    async def _renew(self, _change: Any) -> None:
        if (pool := self._renewable()) is not None:
            await self._logins.aprove(self._probe)
            await SETTLE.awaitable(self._logins.live)
            await self._drop(pool)
