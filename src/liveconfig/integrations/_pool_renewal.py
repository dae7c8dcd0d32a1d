"""The renewal of connections after a change, for pools without a hook at the checkout of a connection.

After a change, one more connection tries the newest login. When the server accepts it, the pool drops its connections.
Until then, it keeps the old ones. This runs on a separate thread, so that no other subscriber waits for it. If it takes
longer than ``patience``, the subscriber raises the client's error: liveconfig retries with back-off, and the settings
are not healthy until it succeeds.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from liveconfig.integrations._fields import Login
from liveconfig.integrations._login import Logins, Wait
from liveconfig.integrations._login_errors import accepted_despite_limits, without_secrets

# A connection that logged in just before the server accepted the newest login is in the pool after this time.
SETTLE = Wait(0.5, lambda _: False)

# A new connection is replaced if the server has accepted a newer login meanwhile. The limit ends this for a server that
# accepts and refuses the same login alternately.
REPLACED_AT_MOST = 3

P = TypeVar("P")
Probe = TypeVar("Probe", bound=Callable[[Login], Any])


class _OverError(Exception):
    """The round has ended: there is nothing to renew, or a newer round has begun."""


class _Renewal(ABC, Generic[P, Probe]):
    """Renews the connections of one pool with the newest login.

    It has no lock, because a forked child could inherit it locked. Only the latest round counts.

    Args:
        pool: The pool. It is held weakly.
        logins: The logins of the pool.
        drop: Drops the idle connections of the pool at once, and the busy ones when they are returned.
        in_use: Returns whether the pool may have connections, because it was not closed.
    """

    _probe: Probe

    def __init__(self, pool: P, logins: Logins, drop: Callable[[P], Any], in_use: Callable[[P], bool]) -> None:
        self._pool = weakref.ref(pool)
        self._logins = logins
        self._drop = drop
        self._in_use = in_use
        self._process = 0
        self._missed = True  # there was a change, and nothing to renew
        self._failure: Exception | None = None  # why the last round failed
        self._reporting = False
        self.round: object = None
        self._subscription: Any = None
        self._subscribe()
        weakref.finalize(pool, self._cancel).atexit = False

    def connected(self, login: Login, probe: Probe) -> None:
        """Record that the pool has opened a connection, and how to try a login with one more."""
        self._probe, self._process = probe, os.getpid()
        missed, self._missed = self._missed, False
        if missed and login != self._logins.newest():
            self._begin()

    def renewable(self) -> P | None:
        """Return the pool, unless it is closed or collected, or this is a forked child without connections."""
        pool = self._pool() if self._process == os.getpid() else None
        return pool if pool is not None and self._in_use(pool) else None

    def watched(self) -> bool:
        """Whether the settings watch their volume."""
        return bool(self._logins.live.status().watcher != "off")

    def ended(self, renewed: Login | None, failure: Exception | None) -> None:
        """Show the failure of a finished round in the status, or remove the one that is shown there.

        Args:
            renewed: The login with which the round has renewed the connections; None if it failed.
            failure: Why it failed.
        """
        before, self._failure = self._failure, failure
        if (before is None) != (failure is None):
            self._reporting = failure is not None
            self._subscribe(initial=self._reporting)  # calls `_renew`, which raises the failure, before it returns
            self._reporting = False
            if failure is None and renewed != self._logins.newest():  # it came before this subscription
                self._begin()

    def _subscribe(self, *, initial: bool = False) -> None:
        self._cancel()
        self._subscription = self._logins.live.subscribe(self._logins.read, self._renew, initial=initial)
        if self._pool() is None:  # it was deleted while this subscribed
            self._cancel()

    def _cancel(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.cancel()

    def _renew(self, _change: Any) -> None:
        """Begin a round, or raise the failure of the last one. This is the subscriber."""
        if self.renewable() is None:
            self._missed, self._failure = True, None
            return
        if not self._reporting:
            self._begin()
        if (failure := self._failure) is not None:
            raise failure.with_traceback(None)

    @abstractmethod
    def _begin(self) -> None:
        """Begin a round."""


class _Round(Generic[P]):
    """One renewal. It ends when there is nothing to renew, a newer one has begun, or the settings were closed."""

    def __init__(self, renewal: _Renewal[P, Any]) -> None:
        self._renewal = renewal
        self._watched = renewal.watched()
        self._name = renewal.round = object()
        self.renewed: Login | None = None
        self.report: Callable[[], None] = lambda: None

    def pool(self) -> P:
        """Return the pool, if this round should continue."""
        pool = self._renewal.renewable()
        if pool is None or not self._counts() or (self._watched and not self._renewal.watched()):
            raise _OverError
        return pool

    def _counts(self) -> bool:
        return self._renewal.round is self._name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False
        if self._counts() and not isinstance(error, _OverError):
            self.report = partial(self._renewal.ended, self.renewed, error and without_secrets(error))
        return True


class Renewal(_Renewal[P, Callable[[Login], None]]):
    """A renewal whose rounds run on a separate thread."""

    def connect(self, make: Callable[[Login], Any]) -> Any:
        """A new connection of the pool, with a login that the server accepts.

        Args:
            make: Connects with one login; what it returns has ``close``.

        Raises:
            Exception: The client's own error, if the server accepts no login within the patience.
        """

        def attempt(login: Login) -> tuple[Login, Any]:
            return login, make(login)

        login, connection = self._logins.connect(attempt)
        self.connected(login, lambda login: make(login).close())
        for _ in range(REPLACED_AT_MOST):
            if not self._logins.superseded(login):  # meanwhile: the pool would keep it, because it is new
                break
            connection.close()
            login, connection = self._logins.connect(attempt)
        return connection

    def _begin(self) -> None:
        threading.Thread(target=self._work, name="liveconfig-renewal", daemon=True).start()

    def _work(self) -> None:
        with _Round(self) as this:

            def attempt(login: Login) -> Login:
                this.pool()
                with accepted_despite_limits():
                    self._probe(login)
                return login

            this.renewed = self._logins.prove(attempt)
            SETTLE.plain(self._logins.live)
            self._drop(this.pool())
        this.report()


class AsyncRenewal(_Renewal[P, Callable[[Login], Awaitable[None]]]):
    """A renewal whose rounds are tasks on the event loop of the pool."""

    _loop: asyncio.AbstractEventLoop | None = None
    _task: asyncio.Task[None] | None = None  # the loop refers to its tasks only weakly

    async def connect(self, make: Callable[[Login], Awaitable[Any]]) -> Any:
        """As the renewal with threads does; ``make`` and ``close`` are awaited."""

        async def attempt(login: Login) -> tuple[Login, Any]:
            return login, await make(login)

        async def probe(login: Login) -> None:
            await (await make(login)).close()

        login, connection = await self._logins.aconnect(attempt)
        self.connected(login, probe)
        for _ in range(REPLACED_AT_MOST):
            if not self._logins.superseded(login):
                break
            await connection.close()
            login, connection = await self._logins.aconnect(attempt)
        return connection

    def connected(self, login: Login, probe: Callable[[Login], Awaitable[None]]) -> None:
        self._loop = asyncio.get_running_loop()
        super().connected(login, probe)

    def renewable(self) -> P | None:
        """As for any pool. The connections of a closed event loop are gone."""
        return None if self._loop is None or self._loop.is_closed() else super().renewable()

    def _begin(self) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # it was closed meanwhile
            self._loop.call_soon_threadsafe(self._begin_here)

    def _begin_here(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        with _Round(self) as this:

            async def attempt(login: Login) -> Login:
                this.pool()
                with accepted_despite_limits():
                    await self._probe(login)
                return login

            this.renewed = await self._logins.aprove(attempt)
            await SETTLE.awaitable(self._logins.live)
            await self._drop(this.pool())
        await asyncio.to_thread(this.report)  # waits until the subscriber was called
