"""``liveconfig ps --expect``: whether the disk of this container holds what the cluster holds, by keyed digests.

The document is JSON::

    {"version": 1, "key": HEX, "volumes": {PATH: {NAME: HEX} | null}, "partial": [PATH],
     "files": {PATH: HEX | "" | null}, "environment": {NAME: HEX | "" | null}}

Each digest is HMAC-SHA-256 of a value under the key, which the sender makes anew for each call; "" stands for what
should not be there, and null for what the sender may not read; a ``partial`` volume may hold other files too. No value
travels, and nothing is written.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from liveconfig._processes.records import Expected
from liveconfig._volumes import Revision, VolumeBusy, VolumeReader

VERSION = 1
PATIENCE = 2.0
"""Seconds that a volume which is being written may take to come to rest."""

LONGEST = 5.0
"""Seconds that all volumes and files may take together."""


class BadExpectation(Exception):  # noqa: N818 - told to the user as one line
    """The document is not one that this version reads."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing on the disk or in the environment of the container, compared with the document.

    Attributes:
        path: The mount point, the file, or the name of the variable.
        kind: Which of them.
        expected: Whether it holds what the document says.
        generation: The generation on disk, for a volume.
        since: When the kubelet wrote it.
    """

    path: str
    kind: Literal["volume", "file", "variable"]
    expected: Expected
    generation: str | None = None
    since: datetime | None = None


class Expectation:
    """A document for ``--expect``.

    Raises:
        BadExpectation: It is not one.
    """

    def __init__(self, document: bytes) -> None:
        data = _loaded(document)
        try:
            self._key = bytes.fromhex(data["key"])
            self._volumes = _digests_by_path(data["volumes"])
            self._files = _digests(data.get("files", {}))
            self._variables = _digests(data.get("environment", {}))
            self._partial = frozenset(_name(path) for path in _listed(data.get("partial", [])))
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # raised below
        else:
            return
        raise BadExpectation("its content is not as documented")

    def compare(self) -> tuple[Compared, ...]:
        """Look at the disk and the environment of this very process, which are those of its container.

        A mount that hangs is ``"unknown"`` after `LONGEST` seconds, with all that is still to be looked at.
        """
        looks: list[tuple[Compared, Callable[[], Compared]]] = [
            (Compared(path, "volume", "unknown"), partial(self._volume, path, digests))
            for path, digests in self._volumes.items()
        ]
        looks += [
            (Compared(path, "file", "unknown"), partial(self._file, path, digest))
            for path, digest in self._files.items()
        ]
        found: list[Compared] = []
        thread = threading.Thread(target=lambda: found.extend(look() for _, look in looks), daemon=True)
        thread.start()
        thread.join(LONGEST)
        compared = tuple(found)
        unanswered = (unknown for unknown, _ in looks[len(compared) :])
        variables = (self._variable(name, digest) for name, digest in self._variables.items())
        return (*compared, *unanswered, *variables)

    def _volume(self, path: str, digests: Mapping[str, str] | None) -> Compared:
        revision = _read(path)
        if revision is None:
            return Compared(path, "volume", "unknown")
        expected: Expected = "unknown"
        if digests is not None:
            expected = "equal" if self._holds(revision.files, digests, path in self._partial) else "different"
        return Compared(path, "volume", expected, revision.generation, revision.written_at)

    def _holds(self, files: Mapping[str, bytes], digests: Mapping[str, str], partial: bool) -> bool:
        same_names = digests.keys() <= files.keys() if partial else digests.keys() == files.keys()
        return same_names and all(self._is(files[name], digest) for name, digest in digests.items())

    def _file(self, path: str, digest: str | None) -> Compared:
        try:
            with open(path, "rb") as file:
                content = file.read(_LARGEST)
        except (FileNotFoundError, IsADirectoryError):
            return Compared(path, "file", "equal" if digest == ABSENT else "unknown")
        except OSError:
            return Compared(path, "file", "unknown")
        return Compared(path, "file", self._judged(content, digest))

    def _variable(self, name: str, digest: str | None) -> Compared:
        return Compared(name, "variable", self._judged(os.environb.get(os.fsencode(name)), digest))

    def _judged(self, content: bytes | None, digest: str | None) -> Expected:
        if digest is None:
            return "unknown"
        same = digest == ABSENT if content is None else self._is(content, digest)
        return "equal" if same else "different"

    def _is(self, content: bytes, digest: str) -> bool:
        return hmac.compare_digest(digest_of(self._key, content), digest)


ABSENT = ""
"""Stands for the digest of what should not be there."""

_HEX = re.compile("[0-9a-f]{64}")
_LARGEST = 16 * 1024 * 1024


def digest_of(key: bytes, content: bytes) -> str:
    """The keyed digest of one value, as a document for ``--expect`` holds it."""
    return hmac.new(key, content, "sha256").hexdigest()


def _loaded(document: bytes) -> Mapping[str, Any]:
    data = None
    with contextlib.suppress(ValueError, RecursionError):  # raised below, so that no content is in the context
        data = json.loads(document)
    if not isinstance(data, dict):
        raise BadExpectation("it is no JSON object")
    if data.get("version") != VERSION:
        raise BadExpectation(f"it is not of version {VERSION}, the one that this liveconfig reads")
    return data


def _digests_by_path(data: Mapping[str, Any]) -> dict[str, dict[str, str] | None]:
    return {_name(path): None if names is None else _known_digests(names) for path, names in data.items()}


def _known_digests(data: Mapping[str, Any]) -> dict[str, str]:
    return {_name(name): _digest(value) for name, value in data.items()}


def _digests(data: Mapping[str, Any]) -> dict[str, str | None]:
    return {_name(name): value if value in (None, ABSENT) else _digest(value) for name, value in data.items()}


def _name(value: Any) -> str:
    """A path or a name that the system can have."""
    if b"\0" in os.fsencode(value) or not isinstance(value, str):
        raise ValueError
    return value


def _digest(value: Any) -> str:
    if not _HEX.fullmatch(value):
        raise ValueError
    return str(value)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _read(path: str) -> Revision | None:
    reader, deadline = VolumeReader(path), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return reader.read(None)
        except VolumeBusy as busy:
            time.sleep(busy.delay)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not known what it holds
            return None
    return None
