"""A thread for whose end code can wait that a signal handler may interrupt."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class WaitableThread(threading.Thread):
    """A daemon thread with `wait` in place of `join`, and an `is_alive` of its own.

    If a signal handler raises inside these two of `threading.Thread`, CPython 3.11 and 3.12 take a running thread for
    one that has ended (`Thread._wait_for_tstate_lock`). Its work would then be done a second time.

    Args:
        work: The function that it calls.
        name: Its name.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self._ending = threading.Lock()
        self._ending.acquire()
        self._ended = False
        self._process = os.getpid()

    def run(self) -> None:
        """Call the function."""
        try:
            super().run()
        finally:
            self._ended = True
            self._ending.release()

    def is_alive(self) -> bool:
        """Whether its work has begun and is not done. In a forked child, only the thread that forked is there."""
        is_here = self._process == os.getpid() or self is threading.main_thread()
        return self.ident is not None and not self._ended and is_here

    def wait(self, seconds: float) -> None:
        """Wait until it ends, for some seconds at most."""
        if self._ending.acquire(timeout=seconds):
            self._ending.release()
            self.join(seconds)  # its work is done: nothing is done twice if this is interrupted
