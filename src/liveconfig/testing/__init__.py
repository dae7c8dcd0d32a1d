"""The test kit for applications: a volume that is written as the kubelet writes it, overrides, recorded events."""

from __future__ import annotations

from liveconfig._manifests import Manifest
from liveconfig.testing._kubelet_volume import KubeletVolume, Step
from liveconfig.testing._manifests import check_manifests
from liveconfig.testing._override import override
from liveconfig.testing._recorded import recorded

__all__ = ["KubeletVolume", "Manifest", "Step", "check_manifests", "override", "recorded"]
