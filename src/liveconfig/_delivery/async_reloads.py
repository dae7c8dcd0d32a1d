"""`areload()`: a look on a separate thread, and the coroutine subscribers that it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from liveconfig._delivery.loops import needed_loop
from liveconfig._delivery.publisher import Publisher
from liveconfig._delivery.subscribers import SLOW
from liveconfig._watching import call_user_code, start_thread

R = TypeVar("R")


async def call_in_thread(function: Callable[[], R]) -> R:
    """Call a function on a separate thread without blocking the loop."""
    loop = needed_loop()
    result: asyncio.Future[R] = loop.create_future()

    def finish(value: R | None, error: BaseException | None) -> None:
        if result.cancelled():
            return
        if error is None:
            result.set_result(value)  # type: ignore[arg-type]
        else:
            result.set_exception(error)

    def run() -> None:
        value, failure = None, None
        try:
            value = call_user_code(function)
        except BaseException as error:  # noqa: BLE001 - it is raised in the coroutine
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits there
            loop.call_soon_threadsafe(finish, value, failure)

    start_thread(threading.Thread(target=run, name="liveconfig-reload", daemon=True))
    return await result


async def coroutines_finished(publisher: Publisher) -> None:
    """Wait for the coroutine subscribers that run on this loop, except those that have run for over a second.

    It waits twice, because one that was busy with an older version is called again.
    """
    for _ in range(2):
        for subscriber in publisher.running_on(needed_loop()):
            task, left = subscriber.task, SLOW - subscriber.ran()
            if task is not None and task is not asyncio.current_task() and left > 0:
                await asyncio.wait({task}, timeout=left)
        await call_in_thread(publisher.barrier)
