"""/proc/self/mountinfo: mounts that the kubelet never updates.

The kubelet bind-mounts a subPath from inside one generation, so the mount's root (4th field of proc_pid_mountinfo(5))
names the generation; once the kubelet has removed that generation, the kernel appends ``//deleted``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from liveconfig._volumes.file_calls import file_calls

MOUNTINFO = "/proc/self/mountinfo"
_GENERATION = r"/\.\.\d{4}_"
_ESCAPE = r"\\([0-7]{3})"
"""Patterns. `re` compiles them at their first use, because few processes have a mount that needs one."""
_DELETED = "//deleted"

Mount = tuple[str, str]
"""Mount point and root."""


class Frozen(NamedTuple):
    """A mount that the kubelet does not update.

    Attributes:
        reason: ``"subpath"`` for a subPath mount, ``"stale-mount"`` for a volume whose directory is gone.
        stale: Whether the volume is known to have moved on meanwhile.
        newer: The generation that the kubelet began to write and never finished, if that is the sign.
    """

    reason: Literal["subpath", "stale-mount"]
    stale: bool
    newer: str | None = None


def _unescape(field: str) -> str:
    return re.sub(_ESCAPE, lambda match: chr(int(match[1], 8)), field)


def read_mounts() -> list[Mount]:
    """Return the (mount point, root) of every mount that this process sees; none without /proc."""
    try:
        with open(MOUNTINFO, "rb", buffering=0) as file:
            text = os.fsdecode(file.read())
    except OSError:
        return []
    fields = [line.split(" ", 5) for line in text.split("\n") if line]
    decoded = _unescape if "\\" in text else str
    return [(decoded(point), decoded(root)) for _, _, _, root, point, _ in fields]


def _judge(mount_point: str, root: str) -> Frozen | None:
    gone = root.endswith(_DELETED) or _unlinked(mount_point)
    if re.search(_GENERATION, root):
        return Frozen("subpath", stale=gone)
    return Frozen("stale-mount", stale=True) if gone else None


def _unlinked(path: str) -> bool:
    try:
        return os.stat(path).st_nlink == 0
    except OSError:
        return False


def is_subpath(path: str) -> bool:
    """Whether the directory at ``path`` is a mounted part of a generation of a volume."""
    path = os.path.realpath(path)
    return any(point == path and re.search(_GENERATION, root) for point, root in read_mounts())


def frozen_parts(path: str, all_mounts: Iterable[Mount]) -> dict[str, Frozen]:
    """Return the parts of the volume at ``path`` that can never change: ``""`` for the whole, else by key.

    Raises:
        Unresponsive: File calls on the volume do not return.
    """
    return VolumeMounts(path).frozen_parts(all_mounts)


class VolumeMounts:
    """The mounts at one volume and below it.

    A file that is mounted by itself turns stale when it is replaced on the node: it is deleted there, or, by an editor
    that keeps a copy, renamed. The mount shows the old file in both cases.

    Args:
        path: The volume.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._inside: dict[str, tuple[str, int, int]] = {}  # the root and the file of each mount point, as first seen

    def frozen_parts(self, all_mounts: Iterable[Mount]) -> dict[str, Frozen]:
        """The same as the function."""
        return file_calls.run(self._path, lambda: self._frozen_parts(os.path.realpath(self._path), all_mounts))

    def states(self) -> tuple[object, ...]:
        """Return the stat data of the files mounted below the volume: while it is equal, none has become stale."""
        points = list(self._inside)
        return file_calls.run(self._path, lambda: tuple(map(_state, points))) if points else ()

    def _frozen_parts(self, path: str, all_mounts: Iterable[Mount]) -> dict[str, Frozen]:
        holder, inside = _mounts_of(path, all_mounts)
        first = self._inside = {point: self._first_seen(point, root) for point, root in inside}
        parts = {
            point[len(path.rstrip("/")) + 1 :]: _judge_file(point, root, first[point][0]) for point, root in inside
        }
        # The mount of the root directory means nothing for a volume: the root of an overlay can be any path.
        if holder[0] not in ("", "/"):
            parts[""] = _judge(*holder)
        return {part: frozen for part, frozen in parts.items() if frozen}

    def _first_seen(self, point: str, root: str) -> tuple[str, int, int]:
        known, (device, inode, *_) = self._inside.get(point), _state(point)
        return known if known is not None and known[1:] == (device, inode) else (root, device, inode)


def _judge_file(point: str, root: str, first_root: str) -> Frozen | None:
    renamed = first_root != root and not os.path.isdir(point)
    return _judge(point, root) or (Frozen("stale-mount", stale=True) if renamed else None)


def _mounts_of(path: str, all_mounts: Iterable[Mount]) -> tuple[Mount, list[Mount]]:
    """The mount that holds a directory, and those that are visible below it."""
    inside = path.rstrip("/") + "/"
    holder = ("", "")
    below: dict[str, str] = {}
    for point, root in all_mounts:
        # Later mounts hide earlier ones at or below their mount point.
        if path == point or inside.startswith(point.rstrip("/") + "/"):
            holder, below = (point, root), {}
        elif point.startswith(inside):
            below = {old: its for old, its in below.items() if not f"{old}/".startswith(f"{point}/")}
            below[point] = root
    return holder, list(below.items())


def _state(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError as error:
        return 0, 0, error.errno or 0
    return status.st_dev, status.st_ino, status.st_nlink, status.st_ctime_ns
