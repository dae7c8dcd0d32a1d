"""Kubernetes objects in manifests: used by the command line and the test kit.

- `manifest`: A ConfigMap or Secret manifest -> the payload that the kubelet writes.
- `payload`: The content of a volume: valid keys and their bytes.
"""

from liveconfig._manifests.manifest import Manifest, payload_of
from liveconfig._manifests.payload import Payload, checked, without_frames

__all__ = [
    "Manifest",
    "Payload",
    "checked",
    "payload_of",
    "without_frames",
]
