"""What tests of the watching share: waiting for a condition, a gate for calls, and the open inotify descriptors."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

PATIENCE = 30.0


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """A function that waits for a condition that has no event."""

    def until(holds: Callable[[], object]) -> None:
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while not holds():
            assert time.monotonic() < deadline
            pause.wait(0.01)

    return until


@pytest.fixture(autouse=True)
def tracing_restored() -> Iterator[None]:
    """Restore the trace function of a measurement of coverage, which tests replace to act between two instructions."""
    present, of_new_threads = sys.gettrace(), threading.gettrace()
    yield
    if sys.gettrace() is not present:
        sys.settrace(present)
    if threading.gettrace() is not of_new_threads:
        threading.settrace(of_new_threads)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event at which user code can be held; it is set when the test ends."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def inotify_descriptors() -> Callable[[], set[str]]:
    """A function that returns the inotify descriptors of the calling process, from /proc."""

    def inotify_descriptors() -> set[str]:
        found = set()
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that listed the folder is closed by now
                if "inotify" in os.readlink(f"/proc/self/fd/{name}"):
                    found.add(name)
        return found

    return inotify_descriptors
