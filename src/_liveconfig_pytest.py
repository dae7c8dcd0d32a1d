"""The pytest plugin that ships with liveconfig.

A top-level module on purpose: pytest loads it in every session of whoever has liveconfig installed, and it must
import nothing of liveconfig until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from liveconfig.testing import KubeletVolume

__all__ = ["kubelet_volume", "make_kubelet_volume"]


@pytest.fixture
def make_kubelet_volume(tmp_path: Path) -> Callable[..., KubeletVolume]:
    """A function that makes a volume: its name below ``tmp_path``, and the arguments of `KubeletVolume`."""
    from liveconfig.testing import KubeletVolume  # noqa: PLC0415 - see above

    def make(name: str, *, legacy: bool = False) -> KubeletVolume:
        return KubeletVolume(tmp_path / name, legacy=legacy)

    return make


@pytest.fixture
def kubelet_volume(make_kubelet_volume: Callable[..., KubeletVolume]) -> KubeletVolume:
    """An empty directory below ``tmp_path`` that is written as the kubelet writes a volume."""
    return make_kubelet_volume("kubelet-volume")
