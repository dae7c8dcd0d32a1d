"""An update that the kubelet began and did not finish: a newer generation beside the one that ``..data`` names.

It is the only sign, inside a container, of an orphaned Secret or projected volume: the kubelet failed to update the
volume, removed it and made another one, which the container does not see (kubernetes ``secret.go``, ``SetUpAt``).
"""

from __future__ import annotations

import os
import re
from stat import S_ISDIR

from liveconfig import _clock
from liveconfig._volumes.file_calls import file_calls
from liveconfig._volumes.fingerprint import Fingerprint

GRACE = 2.0
"""Seconds that an update may take: the kubelet needs milliseconds."""

_KUBELETS_NAME = r"\.\.\d{4}(_\d\d){5}\.\d+"
_NO_OTHER_FOLDER = 3
"""Links to a volume with no folder but the generation in use, where the file system counts them: to list all of its
keys takes longer."""
_TIME = len("..2026_11_28_08_30_00")


class Updates:
    """Looks for an unfinished update of one volume, where its directory has changed since the last look.

    Args:
        path: The volume.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._modified: int | None = None
        self._newer: str | None = None
        self._since = 0.0

    def unfinished(self, place: Fingerprint | None) -> str | None:
        """Return a newer generation that has existed for longer than an update takes; None if there is none.

        Args:
            place: What stands at the path now.
        """
        if place is None or place.link is None:
            return None
        if self._newer is not None or place.modified != self._modified:
            link = place.link
            try:
                newer = file_calls.run(self._path, lambda: newer_generation(self._path, link))
            except OSError:  # the next check tries it again
                return None
            if newer != self._newer:
                self._newer, self._since = newer, _clock.monotonic()
            self._modified = place.modified
        return self._newer if self._newer and _clock.monotonic() - self._since >= GRACE else None


def newer_generation(path: str, link: str) -> str | None:
    """The newest folder that the kubelet began to write after the generation in use; None if there is none.

    Both its name and its time of modification must be newer: a clock that is set makes one of them lie.
    """
    written = os.stat(f"{path}/{link}").st_mtime_ns
    if os.stat(path).st_nlink == _NO_OTHER_FOLDER:
        return None
    others = [name for name in os.listdir(path) if name.startswith("..") and name != link]  # a volume has many keys
    later = (name for name in others if re.fullmatch(_KUBELETS_NAME, name) and name[:_TIME] >= link[:_TIME])
    begun = ((name, os.lstat(f"{path}/{name}")) for name in later)
    return max(
        (name for name, status in begun if S_ISDIR(status.st_mode) and status.st_mtime_ns > written), default=None
    )
