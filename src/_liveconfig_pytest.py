"""The pytest plugin that ships with liveconfig.

It is a top-level module, because pytest loads it in every session where liveconfig is installed. It imports liveconfig
only when a fixture is used.
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
    """Return a function that creates a volume: its name below ``tmp_path``, and the arguments of `KubeletVolume`.

    The function raises ValueError for a name that leads out of ``tmp_path``.
    """
    from liveconfig.testing import KubeletVolume  # noqa: PLC0415 - see above

    def make(name: str, *, legacy: bool = False) -> KubeletVolume:
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(
                f"the volume {name!r} would not be below tmp_path: use a name such as {path.name or 'config'!r}. The "
                "settings get its path when they are loaded: AppSettings.load(_volumes=[volume.path])"
            )
        return KubeletVolume(tmp_path / path, legacy=legacy)

    return make


@pytest.fixture
def kubelet_volume(make_kubelet_volume: Callable[..., KubeletVolume]) -> KubeletVolume:
    """Return an empty volume below ``tmp_path``, which is written as the kubelet writes a volume."""
    return make_kubelet_volume("kubelet-volume")
