"""For the tests of applications: a volume written as the kubelet writes it, overrides, a record of events."""

from __future__ import annotations

from liveconfig.testing._double import override, recorded
from liveconfig.testing._kubelet import KubeletVolume, Step
from liveconfig.testing._manifest import Manifest

__all__ = ["KubeletVolume", "Manifest", "Step", "override", "recorded"]
