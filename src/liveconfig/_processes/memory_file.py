"""One sealed anonymous memory file, replaced as a whole under the same descriptor number (memfd_create(2))."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fcntl
else:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        fcntl = None

NAME = "liveconfig"
LINK = f"/memfd:{NAME} (deleted)"
"""The text of the link in /proc/PID/fd that leads to such a file (proc_pid_fd(5))."""


def is_supported() -> bool:
    """Whether this platform has sealed memory files. Only Linux does."""
    return hasattr(os, "memfd_create") and hasattr(fcntl, "F_ADD_SEALS")


class MemoryFile:
    """The file that this process shows to others. It has no name in any file system and ends with the process."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._identities: tuple[tuple[int, int], ...] = ()  # several if a signal handler raised in `replace`
        self._replacing = False

    def replace(self, content: bytes) -> None:
        """Show other content. A reader sees the old or the new one, at every moment.

        Raises:
            OSError: No such file can be made: no descriptor is left, or the kernel does not allow it.
        """
        if self._replacing:  # a signal handler raised in the call before
            self._close_others()
        self._replacing = True
        new = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            _write(new, content)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(new, fcntl.F_ADD_SEALS, seals)
            identity = _identity(new)
            if self.is_there():
                assert self._descriptor is not None
                self._identities = (*self._identities, identity)  # first: a handler may raise right after the next call
                os.dup2(new, self._descriptor, inheritable=False)
            else:  # the first one, or other code has closed it: the old number may be another file by now
                self._identities = (*self._identities, identity)
                self._descriptor, new = new, -1
            self._identities = (identity,)
        finally:
            if new >= 0:
                os.close(new)
        self._replacing = False

    def _close_others(self) -> None:
        """Close the files whose descriptors an interrupted `replace` has lost: nothing else makes such files."""
        for number in map(int, os.listdir("/proc/self/fd")):
            with contextlib.suppress(OSError):
                if number != self._descriptor and os.readlink(f"/proc/self/fd/{number}") == LINK:
                    os.close(number)

    def is_there(self) -> bool:
        """Whether the descriptor is open and still leads to the file that was shown last."""
        if self._descriptor is None:
            return False
        try:
            return _identity(self._descriptor) in self._identities
        except OSError as error:
            if error.errno == errno.EBADF:
                return False
            raise  # a signal handler raised it


def is_complete(descriptor: int) -> bool:
    """Whether a memory file has its content: it is sealed after the last byte. True if the kernel does not tell."""
    try:
        return bool(fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
    except OSError:
        return True


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
