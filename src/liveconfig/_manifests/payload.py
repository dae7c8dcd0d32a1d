"""The content of a ConfigMap, a Secret and a volume: valid keys and their bytes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeAlias, TypeVar

from liveconfig._manifests.scalars import TruthKey

P = ParamSpec("P")
R = TypeVar("R")
Payload: TypeAlias = Mapping[str, str | bytes]

SECTIONS = {
    "ConfigMap": (("data", False), ("binaryData", True)),
    "Secret": (("data", True), ("stringData", False)),
}
"""The sections that hold the content, by kind; on a key that both hold, the later one wins. True: it is base64."""

_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def without_frames(function: Callable[P, R]) -> Callable[P, R]:
    """Remove the frames from the errors of a function, because its arguments may be secrets."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        problem: Exception
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError, ModuleNotFoundError) as error:
            problem = error.with_traceback(None)
        del args, kwargs
        raise problem

    return call


def content_of(value: object, *, encoded: bool) -> tuple[bytes | None, str]:
    """Return the bytes that a volume holds for a value in a manifest, or None and why an API server rejects it.

    Args:
        value: The value in the manifest.
        encoded: It is base64.
    """
    if not isinstance(value, str):
        return None, problem_of_type(value)
    content = _decoded(value) if encoded else utf8(value)
    expected = "base64" if encoded else "text that can be written as UTF-8"
    return content, "" if content is not None else f"is not {expected}"


def problem_of_type(value: object) -> str:
    """Return why an API server refuses a value that must be text; empty for text."""
    return "" if isinstance(value, str) else f"is of type {type_of(value)}, not text: put it in quotes"


def type_of(value: object) -> str:
    """Return the name of the type of a value, for messages."""
    if isinstance(value, TruthKey):
        return "bool"
    return "list" if isinstance(value, list) else "mapping" if isinstance(value, Mapping) else type(value).__name__


def in_words(value: object) -> str:
    """Return what a value is, for messages about a field of another type."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    return "text" if isinstance(value, str) else "empty" if value is None else f"a {type_of(value)}"


def _decoded(text: str) -> bytes | None:
    """Decode base64 as Go does: line ends are skipped, padding is required, everything else is refused."""
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def utf8(text: str) -> bytes | None:
    """Text as UTF-8; None where there is none for it (half a surrogate pair): the error would hold the text."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def checked(payload: Payload) -> dict[str, bytes]:
    """The payload with every value as bytes.

    Raises:
        ValueError: A key that the kubelet rejects, or that is both a file and a folder; text that has no UTF-8 form.
        TypeError: It is no mapping, or has a value that is neither text nor bytes.
    """
    if not isinstance(payload, Mapping):
        raise TypeError(f"expected a mapping from keys to text or bytes, found {type(payload).__name__}")
    for key in payload:
        check_key(key)
    _check_folders(payload)
    return {key: _bytes(key, value) for key, value in payload.items()}


def problem_of_key(key: str) -> str:
    """Why an API server refuses a key of a ConfigMap or Secret; empty if it does not (kubernetes, IsConfigMapKey)."""
    if _NAME.fullmatch(key) and key != "." and not key.startswith(".."):
        return ""
    return "is no name of a key: it takes letters, digits, '-', '_' and '.', and does not begin with '..'"


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


def folders_that_are_keys(payload: Payload) -> list[str]:
    """The paths that are a key and the folder of another key at once, which no volume can hold."""
    folders = {"/".join(parts[:end]) for key in payload for parts in [key.split("/")] for end in range(1, len(parts))}
    return sorted(folders & payload.keys())


def _check_folders(payload: Payload) -> None:
    if both := folders_that_are_keys(payload):
        raise ValueError(f"{both[0]!r} cannot be a key and the folder of another key at once")


def _bytes(key: str, value: str | bytes) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"the value of {key!r} is of type {type(value).__name__}, not str or bytes")
    content = utf8(value) if isinstance(value, str) else value
    if content is None:
        raise ValueError(f"the value of {key!r} holds half a surrogate pair, which cannot be written as UTF-8")
    return content
