"""What the standard library does not tell of a lock."""

from __future__ import annotations

import threading


def is_held_here(lock: threading.RLock) -> bool:
    """Whether the calling thread holds a lock.

    The answer does not change meanwhile, because no other thread can acquire or release it for this one.
    """
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001 - as threading.Condition asks it
