"""A question about a lock for which the standard library has no public call."""

from __future__ import annotations

import threading


def is_held_here(lock: threading.RLock) -> bool:
    """Whether the calling thread holds a lock.

    The answer stays true: only this thread can acquire or release the lock for itself.
    """
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001 - as threading.Condition asks it
