"""The state of a mount point in two system calls, without opening a file."""

from __future__ import annotations

import os
from typing import NamedTuple

from liveconfig._volumes.file_calls import file_calls


class Fingerprint(NamedTuple):
    """The directory at a path, and the generation that it shows.

    Attributes:
        link: The text of ``..data``; None if there is no such link.
        device: Together with `inode`, the identity of the directory.
        inode: The same.
        deleted: Whether it was deleted on the node and exists only in a mount.
        modified: When an entry of it was last made, renamed or removed, in nanoseconds.
    """

    link: str | None
    device: int
    inode: int
    deleted: bool
    modified: int

    @property
    def token(self) -> tuple[str | None, int, int]:
        """The identity of this generation at this place, as in a `Revision`."""
        return self[:3]

    @property
    def directory(self) -> tuple[int, int, bool]:
        """The identity of the directory, whatever generation it shows."""
        return self[1:4]


def take_fingerprint(path: str) -> Fingerprint | None:
    """Return the fingerprint; None if there is nothing, no permission, or if file calls do not return."""
    try:
        return file_calls.run(path, lambda: _fingerprint(path))
    except OSError:
        return None


def _fingerprint(path: str) -> Fingerprint:
    status = os.stat(path)
    return Fingerprint(generation_at(path), status.st_dev, status.st_ino, not status.st_nlink, status.st_mtime_ns)


def generation_at(path: str) -> str | None:
    """Return the name in ``..data``; None if there is no such link."""
    try:
        return os.readlink(f"{path}/..data")
    except OSError:
        return None


def follow_links(path: str, root: str = "") -> tuple[str, list[str]]:
    """Follow the links on the way to a path; git-sync, for one, turns such a link to make a change.

    Args:
        path: An absolute path, as a process with that root directory sees it.
        root: The root directory, to which absolute links lead: empty for our own, else ``/proc/PID/root``.

    Returns:
        The place without links, and each link on the way.
    """
    place, left = "", path.split("/")[::-1]
    links: list[str] = []
    while left:
        step = left.pop()
        target = _target_of(f"{root}{place}/{step}") if step and len(links) < _MOST_LINKS else None
        if target is not None:
            links.append(f"{root}{place}/{step}")
            place = "" if target.startswith("/") else place
            left += target.split("/")[::-1]
        elif step == "..":
            place = place.rpartition("/")[0]
        elif step not in ("", "."):
            place += f"/{step}"
    return root + place, links


def _target_of(place: str) -> str | None:
    try:
        return os.readlink(place)
    except OSError:  # no link, or nothing
        return None


_MOST_LINKS = 40
"""As many as the kernel follows (path_resolution(7))."""
