"""How often a volume is checked where inotify is not available."""

from __future__ import annotations

POLLING = 2.0
"""Seconds between the checks of a volume that inotify does not watch."""


def check_period(resync: float, *, is_polling: bool) -> float:
    """Return the seconds between two checks of a volume.

    Args:
        resync: The period of the re-checks, from ``model_config``.
        is_polling: Whether inotify does not watch the volume.
    """
    return min(resync, POLLING) if is_polling else resync
