"""The limits of one volume: bytes, and the depth of its folders."""

from __future__ import annotations

MAX_BYTES = 16 * 1024 * 1024
"""The largest number of bytes in one volume. A ConfigMap or Secret holds 1 MiB; a projected volume holds several."""

MAX_DEPTH = 100
"""The largest depth of folders. A ConfigMap or Secret has at most one, from ``items``."""


class TreeError(Exception):
    """Something in a volume must not be read. The message names it and contains no content."""

    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key


def check_depth(prefix: str) -> None:
    """Raise for folders that are deeper than in any configuration.

    Raises:
        TreeError: It is deeper than `MAX_DEPTH`.
    """
    if prefix.count("/") > MAX_DEPTH:
        name = prefix.partition("/")[0]
        raise TreeError(f"{name!r} holds folders more than {MAX_DEPTH} deep", name)
