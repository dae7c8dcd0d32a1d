"""``liveconfig ps --expect``: compares the disk of this container with the cluster, by keyed digests.

The document is JSON::

    {"version": 1, "key": HEX, "volumes": {PATH: {NAME: HEX} | null}, "beside": {PATH: [NAME] | null},
     "files": {PATH: HEX | "" | null}, "environment": {NAME: HEX | "" | null}}

Each digest is HMAC-SHA-256 of a value under the key, which the sender makes anew for each call; "" stands for what
should not be there, and null for what the sender may not read. The files ``beside`` those of a volume, as a token, are
not compared; null: any file may be there. No value travels, and nothing is written.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar

from liveconfig._processes.records import Expected
from liveconfig._record import record
from liveconfig._volumes import Revision, VolumeBusy, VolumeReader

VERSION = 1
PATIENCE = 2.0
"""Seconds that a volume which is being written may take to come to rest."""

LONGEST = 5.0
"""Seconds that all volumes and files may take together."""

LONGEST_LINKS = 1.0
"""Seconds that the links of all paths to the volumes may take together."""


class BadExpectation(Exception):  # noqa: N818 - shown to the user as one line
    """This version cannot read the document."""


@record
class Compared:
    """One thing on the disk or in the environment of the container, compared with the document.

    Attributes:
        path: The mount point, the file, or the name of the variable.
        kind: Which of them.
        expected: Whether it holds what the document says.
        generation: The generation on disk, for a volume.
        since: When the kubelet wrote it.
        followed_as: The other paths by which processes name the volume: links to it, and folders of it.
    """

    path: str
    kind: Literal["volume", "file", "variable"]
    expected: Expected
    generation: str | None = None
    since: datetime | None = None
    followed_as: tuple[str, ...] = ()


class Expectation:
    """A document for ``--expect``.

    Raises:
        BadExpectation: It is not one.
    """

    def __init__(self, document: bytes) -> None:
        data = _loaded(document)
        self._silent: frozenset[str] = frozenset()  # the volumes that did not answer
        try:
            self._key = bytes.fromhex(data["key"])
            self._volumes = _digests_by_path(data["volumes"])
            self._files = _digests(data.get("files", {}))
            self._variables = _digests(data.get("environment", {}))
            self._beside = {_name(path): _names(names) for path, names in data.get("beside", {}).items()}
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
        compared = _in_time((look() for _, look in looks), LONGEST)
        unanswered = [unknown for unknown, _ in looks[len(compared) :]]
        self._silent = frozenset(each.path for each in unanswered if each.kind == "volume")
        variables = (self._variable(name, digest) for name, digest in self._variables.items())
        return (*compared, *unanswered, *variables)

    def mounts_of(self, paths: Iterable[str]) -> dict[str, str]:
        """The mount point of the document that each path leads to, through symbolic links too.

        Volumes that did not answer `compare` are left out: they would not answer again.

        Args:
            paths: Volumes, as processes name them.
        """

        def found() -> Iterator[tuple[str, str]]:
            real = {os.path.realpath(path): path for path in self._volumes if path not in self._silent}
            for path in paths:
                if _around(path, self._silent):
                    continue
                around = _around(os.path.realpath(path), real)
                if around:
                    yield path, real[max(around, key=len)]

        return dict(_in_time(found(), LONGEST_LINKS))

    def _volume(self, path: str, digests: Mapping[str, str] | None) -> Compared:
        revision = _read(path)
        if revision is None:
            return Compared(path, "volume", "unknown")
        expected: Expected = "unknown"
        if digests is not None:
            files = self._compared_files(path, revision.files, digests)
            same = files == digests.keys() and all(self._is(revision.files[name], digests[name]) for name in files)
            expected = "equal" if same else "different"
        return Compared(path, "volume", expected, revision.generation, revision.written_at)

    def _compared_files(self, path: str, files: Mapping[str, bytes], digests: Mapping[str, str]) -> AbstractSet[str]:
        """Return the files on disk that come from ConfigMaps and Secrets, as far as the document shows it."""
        beside = self._beside.get(path, frozenset())
        return digests.keys() & files.keys() if beside is None else files.keys() - (beside - digests.keys())

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
        content = os.environb.get(os.fsencode(name))
        if digest == ABSENT and content is not None:  # the image may set it, which is unknown here
            return Compared(name, "variable", "unknown")
        return Compared(name, "variable", self._judged(content, digest))

    def _judged(self, content: bytes | None, digest: str | None) -> Expected:
        if digest is None:
            return "unknown"
        same = digest == ABSENT if content is None else self._is(content, digest)
        return "equal" if same else "different"

    def _is(self, content: bytes, digest: str) -> bool:
        return hmac.compare_digest(digest_of(self._key, content), digest)


T = TypeVar("T")


def _in_time(looks: Iterable[T], seconds: float) -> tuple[T, ...]:
    """Collect the results of looks at the disk, for so many seconds at most, because a mount can hang."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.extend(looks), daemon=True)
    thread.start()
    thread.join(seconds)
    return tuple(found)


def _around(path: str, mounts: Iterable[str]) -> list[str]:
    """Return the mount points that are the path, or directories around it."""
    return [mount for mount in mounts if path == mount or path.startswith(f"{mount.rstrip('/')}/")]


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


def _names(value: Any) -> frozenset[str] | None:
    if value is not None and not isinstance(value, list):
        raise TypeError
    return None if value is None else frozenset(map(_name, value))


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
