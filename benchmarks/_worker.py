"""One contender in a process of its own: ``python -m benchmarks._worker MODULE``, a JSON object a line in and out.

It imports nothing of ours but the adapter, so that it runs in the virtual environment of the contenders too.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import queue
import sys
import time
import timeit
from collections.abc import Callable
from typing import Any

from benchmarks._serve import serve

_PR_SET_TIMERSLACK = 29
_PRCTL = ctypes.CDLL(None).prctl


class Worker:
    """Answers one operation a line; each method that is public is one."""

    def __init__(self, module: str, answer: Callable[[Any], None]) -> None:
        self._adapter_class = importlib.import_module(f"benchmarks.contenders.{module}").Adapter
        self._answer = answer
        self._adapters: list[Any] = []
        self._heard: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()

    def prepare(self, path: str, names: list[str]) -> None:
        """A new class or schema; what was there before is let go.

        The names are interned, as those in the source of a class are. Python finds a name at once if it is the same
        object as in the code that reads it, and compares the characters otherwise.
        """
        self.close()
        self._adapters = [self._adapter_class(path, list(map(sys.intern, names)))]

    def load(self) -> int:
        return _timed(self._adapters[0].load)

    def start(self, callback: bool = False) -> int:
        elapsed = _timed(self._adapters[0].start)
        if callback:
            self._adapters[0].on_change(lambda value: self._heard.put((time.monotonic_ns(), value)))
        return elapsed

    def reload(self) -> int:
        return _timed(self._adapters[0].reload)

    def read(self) -> str:
        return self._adapters[0].read()

    def time_reads(self, seconds: float) -> float:
        """Nanoseconds of processor time for one evaluation of the adapter's expression."""
        adapter, number = self._adapters[0], 1
        timer = timeit.Timer(adapter.expression, timer=time.thread_time, globals=adapter.namespace())
        while (took := timer.timeit(number)) < seconds:
            number = max(2 * number, int(1.1 * number * seconds / took))
        return took / number * 1e9

    def await_value(self, expected: str, timeout: float) -> int | None:
        """The moment at which a thread that does nothing but look reads the expected value."""
        self._answer("armed")
        _slack(1)
        try:
            return _look(self._adapters[0].read, expected, timeout)
        finally:
            _slack(0)

    def await_callback(self, expected: str, timeout: float) -> int | None:
        """The moment at which the callback was entered with the expected value."""
        deadline = time.monotonic() + timeout
        self._answer("armed")
        while (left := deadline - time.monotonic()) > 0:
            try:
                heard_at, value = self._heard.get(timeout=left)
            except queue.Empty:
                break
            if value == expected:
                return heard_at
        return None

    def heartbeat(self, seconds: float) -> list[tuple[int, int]]:
        """An event loop with a beat every millisecond: when each one was due (monotonic, ns), and how late it came."""
        self._answer("armed")
        _slack(1)
        try:
            return asyncio.run(_beats(seconds))
        finally:
            _slack(0)

    def churn(self, seconds: float) -> dict[str, int]:
        """Read whole configurations while the volume is swapped; every generation holds one value in all fields."""
        adapter = self._adapters[0]
        counts = {"reads": 0, "mixed": 0, "failed": 0}
        values, deadline = set(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            counts["reads"] += 1
            try:
                found = set(adapter.read_all())
            except Exception:
                counts["failed"] += 1
            else:
                counts["mixed"] += len(found) > 1
                values |= found
            time.sleep(0)
        return {**counts, "values": len(values)}

    def grow(self, count: int) -> None:
        """As many settings objects as that, all of them live."""
        while len(self._adapters) < count:
            self._adapters.append(self._adapters[0].another())
            self._adapters[-1].start()
        gc.collect()

    def close(self) -> None:
        for adapter in self._adapters:
            adapter.close()
        self._adapters = []


async def _beats(seconds: float, period: int = 1_000_000) -> list[tuple[int, int]]:
    beats, now = [], time.monotonic_ns()
    end = now + int(seconds * 1e9)
    while now < end:
        due = now + period
        await asyncio.sleep(period / 1e9)
        now = time.monotonic_ns()
        beats.append((due, now - due))
    return beats


def _timed(call: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def _look(read: Callable[[], str], expected: str, timeout: float) -> int | None:
    start = time.monotonic()
    while True:
        seen = _quietly(read)
        now = time.monotonic_ns()
        if seen == expected:
            return now
        waited = now / 1e9 - start
        if waited > timeout:
            return None
        time.sleep(
            50e-6 if waited < 0.1 else 1e-3
        )  # looking without a pause would keep the interpreter lock from others


def _slack(nanoseconds: int) -> None:
    """How late the kernel may wake this thread; 0 is its default, 50 microseconds."""
    _PRCTL(_PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)


def _quietly(read: Callable[[], str]) -> str | None:
    try:
        return read()
    except Exception:  # a file that is gone for a moment: the contender's way of reading, not an end of the run
        return None


if __name__ == "__main__":
    serve(lambda answer: Worker(sys.argv[1], answer))
