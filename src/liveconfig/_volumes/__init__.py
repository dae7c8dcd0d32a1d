"""One volume on disk -> one immutable revision.

- `file_calls`: File calls that are under way on each volume: where one does not return, no other thread begins another.
- `fingerprint`: The state of a mount point in two system calls, without opening a file.
- `mounts`: /proc/self/mountinfo: mounts that the kubelet never updates.
- `tree`: One directory tree -> bytes by key: the only module that opens files of a volume.
- `volume`: One volume on disk -> one immutable `Revision`.
"""

from liveconfig._volumes.file_calls import Unresponsive, file_calls
from liveconfig._volumes.fingerprint import Fingerprint, generation_at, take_fingerprint
from liveconfig._volumes.mounts import Frozen, frozen_parts, read_mounts
from liveconfig._volumes.tree import signature
from liveconfig._volumes.volume import Revision, Volume, VolumeBusy, VolumeReader, VolumeUnreadable

__all__ = [
    "Fingerprint",
    "Frozen",
    "Revision",
    "Unresponsive",
    "Volume",
    "VolumeBusy",
    "VolumeReader",
    "VolumeUnreadable",
    "file_calls",
    "frozen_parts",
    "generation_at",
    "read_mounts",
    "signature",
    "take_fingerprint",
]
