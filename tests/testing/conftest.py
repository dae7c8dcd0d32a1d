"""What the kernel says of a directory, unadorned: the raw sequence of inotify events."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterator

import pytest

_NAMES = {
    0x2: "MODIFY",
    0x4: "ATTRIB",
    0x8: "CLOSE_WRITE",
    0x40: "MOVED_FROM",
    0x80: "MOVED_TO",
    0x100: "CREATE",
    0x200: "DELETE",
}
_ISDIR = 0x40000000
_HEADER = struct.Struct("iIII")

Drain = Callable[[], list[str]]


@pytest.fixture
def raw_events(inotify: None) -> Iterator[Callable[[os.PathLike[str]], Drain]]:
    """A function that watches a directory and returns a function: the events since it was last called.

    The kernel queues an event before the call that causes it returns, so there is nothing to wait for.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptors: list[int] = []

    def watch(path: os.PathLike[str]) -> Drain:
        descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert descriptor >= 0, os.strerror(ctypes.get_errno())
        descriptors.append(descriptor)
        assert libc.inotify_add_watch(descriptor, os.fsencode(path), sum(_NAMES)) >= 0
        return lambda: _drain(descriptor)

    yield watch
    for descriptor in descriptors:
        os.close(descriptor)


def _drain(descriptor: int) -> list[str]:
    events = []
    try:
        while data := os.read(descriptor, 65536):
            events += _parsed(data)
    except BlockingIOError:
        pass
    return events


def _parsed(data: bytes) -> Iterator[str]:
    while data:
        _, mask, _, length = _HEADER.unpack_from(data)
        name = data[_HEADER.size : _HEADER.size + length].rstrip(b"\0").decode()
        yield f"{_NAMES[mask & ~_ISDIR]}{',ISDIR' if mask & _ISDIR else ''} {name}"
        data = data[_HEADER.size + length :]
