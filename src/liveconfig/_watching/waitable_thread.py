"""A thread for whose end code can wait that a signal handler may interrupt."""

from __future__ import annotations

import threading
from collections.abc import Callable


class WaitableThread(threading.Thread):
    """A daemon thread with `wait` in place of `join`.

    If a signal handler raises inside `threading.Thread.join`, CPython 3.11 and 3.12 take a running thread for one that
    has ended (`Thread._wait_for_tstate_lock`). Its work would then be done a second time.

    Args:
        work: The function that it calls.
        name: Its name.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self._ending = threading.Lock()
        self._ending.acquire()

    def run(self) -> None:
        """Call the function."""
        try:
            super().run()
        finally:
            self._ending.release()

    def wait(self, seconds: float) -> None:
        """Wait until it ends, for some seconds at most."""
        if self._ending.acquire(timeout=seconds):
            self._ending.release()
            self.join(seconds)  # its work is done: nothing is done twice if this is interrupted
