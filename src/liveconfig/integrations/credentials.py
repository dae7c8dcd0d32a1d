"""Credentials for clients that take a callable: each call returns the newest value.

::

    pool = await asyncpg.create_pool(password=credential(settings, "db.password").awaitable)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic
from typing import Any, Self

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations._fields import secret_reader
from liveconfig.integrations._global import global_name, global_settings

__all__ = ["Credential", "credential"]

REFRESH_EVERY = 1.0  # seconds: a second call within this time reads the volume, and it is read no more often
LONGEST_WAIT = 0.5  # seconds that a call may wait for the volume


def credential(settings: Settings, field: str) -> Credential:
    """A callable without arguments that returns the newest value of a field as plain text.

    Its attribute ``awaitable`` is a coroutine function that returns the same. Each call returns the newest value, never
    one from a pinned snapshot.

    A client that calls twice within a second may have been refused in between, so the second call reads the volume
    first: at most once a second for each process and object, without waiting for subscribers, and for 0.5 seconds at
    most. Rejected content is not retried early. On an event loop use ``awaitable``, which waits without blocking the
    loop.

    It can be pickled where the settings object is a global variable of a module.

    Args:
        settings: Live settings.
        field: The dotted name of the field.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), it holds several values, or the
            settings are a snapshot.
    """
    return Credential(settings, field)


class Credential:
    """The callable that `credential` returns."""

    def __init__(self, settings: Settings, field: str) -> None:
        self._settings = settings
        self._field = field
        self._read = secret_reader(settings, field)
        self._processes: dict[int, _Refreshes] = {}  # by process id: a forked child must not use its parent's lock

    def __repr__(self) -> str:
        return f"<credential {self._field}>"

    def __call__(self) -> str:
        """The newest value.

        Raises:
            LiveConfigError: The field, or a model above it, is None.
        """
        if (refresh := self._refresh()) is not None:
            wait([refresh.done], refresh.seconds_left())
        return self._newest()

    async def awaitable(self) -> str:
        """The newest value, for clients on an event loop.

        Raises:
            LiveConfigError: The field, or a model above it, is None.
        """
        if (refresh := self._refresh()) is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(refresh.done), refresh.seconds_left())
        return self._newest()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str, str]]:
        return _restore, (*global_name(self._settings), self._field)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self  # clients copy their options

    def _refresh(self) -> _Refresh | None:
        """Return the reading of the volume that this call should wait for."""
        pid = os.getpid()
        refreshes = self._processes.get(pid) or self._processes.setdefault(pid, _Refreshes(self._settings.live))
        return refreshes.for_a_call()

    def _newest(self) -> str:
        value = self._read(self._settings.live.latest())
        if value is None:
            raise LiveConfigError(f"{type(self._settings).__name__}: `{self._field}` is None: there is no credential")
        return value.get_secret_value()


class _Refresh:
    """One reading of the volume, on a separate thread, so that a slow disk does not block the caller.

    Attributes:
        started: When it began.
        done: Set when it is over.
    """

    def __init__(self, live: Any) -> None:
        self._live = live
        self.started = monotonic()
        self.done: Future[None] = Future()
        self.done.set_running_or_notify_cancel()  # a waiter that gives up must not cancel it for the others
        try:
            Thread(target=self._run, name="liveconfig-credential", daemon=True).start()
        except RuntimeError:  # the interpreter is shutting down
            self.done.set_result(None)

    def _run(self) -> None:
        try:
            self._live.reload(wait=False, retry=False)
        finally:
            self.done.set_result(None)

    def seconds_left(self) -> float:
        """Return how long a caller may still wait for it."""
        return max(0.0, self.started + LONGEST_WAIT - monotonic())

    def over(self) -> bool:
        """Whether the volume may be read again."""
        return self.done.done() and monotonic() - self.started >= REFRESH_EVERY


class _Refreshes:
    """The times of the calls in this process, and of the readings of the volume."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._lock = Lock()
        self._called = float("-inf")
        self._newest: _Refresh | None = None

    def for_a_call(self) -> _Refresh | None:
        """Return what a call waits for: nothing, unless it is the second one within a second."""
        with self._lock:
            now = monotonic()
            before, self._called = self._called, now
            if now - before >= REFRESH_EVERY:
                return None
            if self._newest is None or self._newest.over():
                self._newest = _Refresh(self._live)
            return self._newest


def _restore(module: str, name: str, field: str) -> Credential:
    """Restore a credential from its pickle."""
    return credential(global_settings(module, name), field)
