"""The pauses between the attempts of verifiers: 1 s, doubling to 300 s, with jitter."""

from __future__ import annotations

import random

FIRST_RETRY, LONGEST_RETRY, JITTER = 1.0, 300.0, 0.2


def pause_after(attempts: int) -> float:
    """Return the seconds until rejected content is tried again.

    The jitter spreads the attempts of processes that were started together, so that they do not lock an account.
    """
    pause = min(FIRST_RETRY * 2.0 ** min(attempts - 1, 16), LONGEST_RETRY)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
