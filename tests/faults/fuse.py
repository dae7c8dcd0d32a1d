"""A file system that shows a directory, and that stops to answer, or answers short, when it is told to.

It speaks the protocol of /dev/fuse (linux/fuse.h) itself, as much of it as reading needs. Started as a program, it takes
orders from standard input, one a line: ``hang`` (no call is answered any more), ``answer`` (all are, the old ones too),
``short`` (each read gives seven bytes at most).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator

FORGET, INTERRUPT, BATCH_FORGET = 2, 36, 42  # never answered
LOOKUP, GETATTR, READLINK, OPEN, READ, RELEASE = 1, 3, 5, 14, 15, 18
INIT, OPENDIR, READDIR, RELEASEDIR = 26, 27, 28, 29
DIRECT_IO = 1


class Mirror:
    """Serves what is below ``source``, read-only."""

    def __init__(self, source: str, target: str) -> None:
        self._fuse = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"mirror", os.fsencode(target), b"fuse.mirror", 0, options):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._paths = {1: source}
        self._nodes = {source: 1}
        self._kept: list[bytes] = []
        self._hangs = self._short = False

    def serve(self) -> None:
        """Until standard input ends."""
        os.set_blocking(self._fuse, False)
        while True:
            ready, _, _ = select.select([self._fuse, 0], [], [])
            if 0 in ready:
                order = sys.stdin.readline().strip()
                if not order:
                    return
                self._obey(order)
                print("done", flush=True)
            else:
                self._take()

    def _take(self) -> None:
        try:
            request = os.read(self._fuse, 1 << 20)
        except OSError:  # it was unmounted, or the caller was killed
            return
        if self._hangs:
            self._kept.append(request)
        else:
            self._answer(request)

    def _obey(self, order: str) -> None:
        self._hangs = order == "hang"
        self._short = order == "short"
        while self._kept and not self._hangs:
            self._answer(self._kept.pop(0))

    def _answer(self, request: bytes) -> None:
        _, operation, unique, node = struct.unpack_from("<IIQQ", request)
        if operation in (FORGET, INTERRUPT, BATCH_FORGET):
            return
        try:
            data, error = self._do(operation, self._paths.get(node, ""), request[40:]), 0
        except OSError as problem:
            data, error = b"", problem.errno or errno.EIO
        with contextlib.suppress(OSError):  # the caller was killed
            os.write(self._fuse, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)

    def _do(self, operation: int, path: str, body: bytes) -> bytes:
        if operation == INIT:
            return struct.pack("<IIIIHHI", 7, 31, 65536, 0, 12, 10, 65536).ljust(64, b"\0")
        if operation == LOOKUP:
            return self._entry(f"{path}/{os.fsdecode(body[:-1])}")
        if operation == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self._attributes(path)
        if operation == READLINK:
            return os.fsencode(os.readlink(path))
        if operation in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, DIRECT_IO, 0)
        if operation in (RELEASE, RELEASEDIR):
            return b""
        if operation == READDIR:
            return b"".join(self._names(path, *struct.unpack_from("<8xQI", body)))
        if operation == READ:
            offset, size = struct.unpack_from("<8xQI", body)
            with open(path, "rb") as file:
                file.seek(offset)
                return file.read(min(size, 7) if self._short else size)
        raise OSError(errno.ENOSYS, "not needed")

    def _entry(self, path: str) -> bytes:
        attributes = self._attributes(path)
        node = self._nodes.setdefault(path, len(self._nodes) + 1)
        self._paths[node] = path
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + attributes

    def _attributes(self, path: str) -> bytes:
        it = os.lstat(path)
        times, nanoseconds = [it.st_atime_ns, it.st_mtime_ns, it.st_ctime_ns], 10**9
        return struct.pack(
            "<QQQQQQIIIIIIIIII",
            *(it.st_ino, it.st_size, it.st_blocks),
            *(each // nanoseconds for each in times),
            *(each % nanoseconds for each in times),
            *(it.st_mode, it.st_nlink, it.st_uid, it.st_gid, 0, 4096, 0),
        )

    def _names(self, path: str, offset: int, size: int) -> Iterator[bytes]:
        left = size
        for number, name in enumerate(sorted(os.listdir(path)), 1):
            encoded = os.fsencode(name)
            it = os.lstat(f"{path}/{name}")
            entry = struct.pack("<QQII", it.st_ino, number, len(encoded), stat.S_IFMT(it.st_mode) >> 12) + encoded
            entry = entry.ljust((len(entry) + 7) // 8 * 8, b"\0")
            left -= len(entry)
            if number > offset and left >= 0:
                yield entry


class Mounted:
    """A mirror that runs in a process of its own; the caller has a mount namespace of its own."""

    def __init__(self, source: str, target: str) -> None:
        os.mkdir(target)
        command = [sys.executable, __file__, source, target]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def order(self, order: str) -> None:
        """Have it obey, and wait until it does."""
        assert self._process.stdin is not None
        print(order, file=self._process.stdin, flush=True)
        self._answer()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "done\n"

    def end(self) -> None:
        """Let it end: what still waits for it fails."""
        self._process.communicate(timeout=10)


if __name__ == "__main__":
    mirror = Mirror(*sys.argv[1:])
    print("done", flush=True)
    mirror.serve()
