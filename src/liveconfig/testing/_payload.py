"""What a volume may hold: keys as the API server allows them, values as bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

Payload: TypeAlias = Mapping[str, str | bytes]

_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def checked(payload: Payload) -> dict[str, bytes]:
    """The payload with every value as bytes.

    Raises:
        ValueError: A key that the kubelet would refuse, or that is both a file and a folder.
        TypeError: A value that is neither text nor bytes.
    """
    for key in payload:
        check_key(key)
    _check_folders(payload)
    return {key: _bytes(key, value) for key, value in payload.items()}


def check_key(key: str) -> None:
    """Raise ValueError for a key (or the path of an item) that cannot be on a volume."""
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r} is of type {type(key).__name__}, not str")
    for part in key.split("/"):
        if not _NAME.fullmatch(part) or part == "." or part.startswith(".."):
            raise ValueError(
                f"no volume can hold the key {key!r}: each part of its path is made of letters, digits, "
                "'-', '_' and '.', 1 to 253 of them, is not '.' and does not begin with '..'"
            )


def _check_folders(payload: Payload) -> None:
    folders = {"/".join(parts[:end]) for key in payload for parts in [key.split("/")] for end in range(1, len(parts))}
    if both := sorted(folders & payload.keys()):
        raise ValueError(f"{both[0]!r} cannot be a key and the folder of another key at once")


def _bytes(key: str, value: str | bytes) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"the value of {key!r} is of type {type(value).__name__}, not str or bytes")
