"""One volume on disk -> one immutable revision.

- `file_calls`: The running file calls of each volume: if one does not return, no other thread begins another.
- `fingerprint`: The state of a mount point in two system calls, without opening a file.
- `limits`: The limits of one volume: bytes, and the depth of its folders.
- `mounts`: /proc/self/mountinfo: mounts that the kubelet never updates.
- `tree`: Reading of one directory tree into bytes by key: the only module that opens files of a volume.
- `unfinished_updates`: An update that the kubelet began and did not finish: a newer generation beside the one that
  ``..data`` names.
- `volume`: The reader of one volume, which makes immutable revisions.
"""

from liveconfig._volumes.file_calls import Unresponsive, file_calls
from liveconfig._volumes.fingerprint import Fingerprint, follow_links, generation_at, take_fingerprint
from liveconfig._volumes.limits import TreeError
from liveconfig._volumes.mounts import Frozen, Mount, VolumeMounts, frozen_parts, read_mounts
from liveconfig._volumes.tree import folders, newest_change, signature
from liveconfig._volumes.unfinished_updates import Updates
from liveconfig._volumes.volume import Revision, Volume, VolumeBusy, VolumeReader, VolumeUnreadable

__all__ = [
    "Fingerprint",
    "Frozen",
    "Mount",
    "Revision",
    "TreeError",
    "Unresponsive",
    "Updates",
    "Volume",
    "VolumeBusy",
    "VolumeMounts",
    "VolumeReader",
    "VolumeUnreadable",
    "file_calls",
    "folders",
    "follow_links",
    "frozen_parts",
    "generation_at",
    "newest_change",
    "read_mounts",
    "signature",
    "take_fingerprint",
]
