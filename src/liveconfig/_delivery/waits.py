"""`wait()` and `wait_for()`: wait until a snapshot fulfils a condition."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from liveconfig._delivery.publisher import Publisher
from liveconfig._delivery.streams import Stream
from liveconfig.exceptions import LiveConfigError


class _Versions:
    """The subject of `wait_for`: every snapshot, including the current one, and several under one number."""

    seen = 0
    several: ClassVar[bool] = False
    _taken: Any = None

    def has_event(self, target: Any) -> bool:
        return target is not self._taken

    def take(self, target: Any, *, again: bool) -> Any:  # noqa: ARG002
        self._taken = target
        return target.snapshot

    def settle(self, target: Any, event: Any) -> None:
        pass

    tried = settle


async def wait_for(publisher: Publisher, predicate: Callable[[Any], bool], timeout: float | None) -> Any:
    """Return the first snapshot for which the predicate is true.

    Raises:
        LiveConfigError: ``timeout`` is not a number.
        TimeoutError: There was none within ``timeout`` seconds.
    """
    _check(timeout)
    stream: Stream[Any] = Stream(publisher, _Versions(), lambda: False)
    snapshot = await anext(stream)  # the current one, at once
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            while not predicate(snapshot):
                snapshot = await anext(stream)
    except TimeoutError:
        if limit.expired():  # else the predicate raised it
            raise _missed(publisher, timeout) from None
        raise
    return snapshot


def wait(
    publisher: Publisher, predicate: Callable[[Any], bool], timeout: float | None, clock: Callable[[], float]
) -> Any:
    """Return the first snapshot for which the predicate is true; blocks the thread.

    Raises:
        LiveConfigError: ``timeout`` is not a number.
        TimeoutError: There was none within ``timeout`` seconds.
    """
    _check(timeout)
    deadline = None if timeout is None else clock() + timeout
    while True:
        version = publisher.newest
        if predicate(version.snapshot):
            return version.snapshot
        left = None if deadline is None else min(deadline - clock(), threading.TIMEOUT_MAX)
        with publisher.lock:
            if not publisher.moved.wait_for(lambda version=version: publisher.newest is not version, left):  # type: ignore[misc]
                raise _missed(publisher, timeout)


def _check(timeout: float | None) -> None:
    if timeout is not None and math.isnan(timeout):  # it would never be over
        raise LiveConfigError(f"`timeout` must be a number of seconds, or None for no limit, not {timeout}")


def _missed(publisher: Publisher, timeout: float | None) -> TimeoutError:
    return TimeoutError(
        f"{publisher.settings}: the settings did not fulfil the condition within {timeout} s; their version is "
        f"{publisher.newest.number}"
    )
