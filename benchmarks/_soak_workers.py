"""Worker processes under soak: forked from the application, followed by `liveconfig.processes`, killed and replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

__all__ = ["ForkingSubscriber", "Workers"]

_MOST_FORKS = 500


class Workers:
    """So many forked children, which do nothing but follow their settings.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.pids = [self._start() for _ in range(count)]

    def replace_one(self) -> None:
        """Kill the oldest, and fork another one."""
        self._kill(self.pids.pop(0))
        self.pids.append(self._start())

    def end(self) -> None:
        """Kill all."""
        while self.pids:
            self._kill(self.pids.pop())

    def _start(self) -> int:
        pid = os.fork()
        if pid == 0:
            signal.alarm(3600)  # whatever becomes of the parent
            while True:
                signal.pause()
        return pid

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class ForkingSubscriber:
    """A subscriber that forks inside its call; the child ends there. It never forks in a child.

    Args:
        complain: Called with what must not be.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._home = os.getpid()
        self.forks = 0

    def __call__(self, _event: object) -> None:
        if os.getpid() != self._home or self.forks >= _MOST_FORKS:
            return
        self.forks += 1
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            raise SystemExit(7)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != 7:
            self._complain(f"a child that a subscriber forked ended with {code}")
