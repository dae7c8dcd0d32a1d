"""/proc/self/mountinfo: mounts that the kubelet never updates.

The kubelet bind-mounts a subPath from inside one generation, so the mount's root (4th field of proc_pid_mountinfo(5))
names the generation; once the kubelet has removed that generation, the kernel appends ``//deleted``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from liveconfig._volumes.file_calls import file_calls

MOUNTINFO = "/proc/self/mountinfo"
_GENERATION = re.compile(r"/\.\.\d{4}_")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_DELETED = "//deleted"


@dataclass(frozen=True, slots=True)
class Frozen:
    """A mount that the kubelet does not update.

    Attributes:
        reason: ``"subpath"`` for a subPath mount, ``"stale-mount"`` for a volume whose directory is gone.
        stale: Whether the volume is known to have moved on meanwhile.
    """

    reason: Literal["subpath", "stale-mount"]
    stale: bool


def _unescape(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), field) if "\\" in field else field


def read_mounts() -> list[tuple[str, str]]:
    """The (mount point, root) of every mount that this process sees; none where there is no /proc."""
    try:
        with open(MOUNTINFO, "rb", buffering=0) as file:
            text = os.fsdecode(file.read())
    except OSError:
        return []
    fields = [line.split(" ", 5) for line in text.split("\n") if line]
    return [(_unescape(point), _unescape(root)) for _, _, _, root, point, _ in fields]


def _judge(mount_point: str, root: str) -> Frozen | None:
    gone = root.endswith(_DELETED) or _unlinked(mount_point)
    if _GENERATION.search(root):
        return Frozen("subpath", stale=gone)
    return Frozen("stale-mount", stale=True) if gone else None


def _unlinked(path: str) -> bool:
    try:
        return os.stat(path).st_nlink == 0
    except OSError:
        return False


def is_subpath(path: str) -> bool:
    """Whether the directory at ``path`` is part of some volume's generation, mounted there by itself."""
    path = os.path.realpath(path)
    return any(point == path and _GENERATION.search(root) for point, root in read_mounts())


def frozen_parts(path: str, all_mounts: Iterable[tuple[str, str]]) -> dict[str, Frozen]:
    """The parts of the volume at ``path`` that can never change: ``""`` for the whole, else by key.

    Raises:
        Unresponsive: File calls on the volume do not return.
    """
    return file_calls.run(path, lambda: _frozen_parts(os.path.realpath(path), all_mounts))


def _frozen_parts(path: str, all_mounts: Iterable[tuple[str, str]]) -> dict[str, Frozen]:
    inside = path.rstrip("/") + "/"
    holder = ("", "")
    parts: dict[str, Frozen] = {}
    for mount_point, root in all_mounts:
        # Later ones lie above earlier ones, and hide what was mounted at or below their mount point.
        if path == mount_point or inside.startswith(mount_point.rstrip("/") + "/"):
            holder, parts = (mount_point, root), {}
        elif mount_point.startswith(inside):
            part = mount_point[len(inside) :]
            parts = {name: old for name, old in parts.items() if not f"{name}/".startswith(f"{part}/")}
            if frozen := _judge(mount_point, root):
                parts[part] = frozen
    # The root directory's own mount says nothing of a volume: an overlay's root can look like anything.
    if holder[0] not in ("", "/") and (frozen := _judge(*holder)):
        parts[""] = frozen
    return parts
