"""Settings on a volume, and a way to swap them under a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume


class WebSettings(Settings):
    model_config = SettingsConfigDict()
    message: str = "hello"
    enabled: bool = False
    key: SecretStr


@pytest.fixture
def settings(kubelet_volume: KubeletVolume, canary: str) -> Iterator[WebSettings]:
    kubelet_volume.write({"message": "one", "key": canary})
    settings = WebSettings.load(_volumes=[kubelet_volume.path])
    yield settings
    settings.live.close()


@pytest.fixture
def swap(kubelet_volume: KubeletVolume, settings: WebSettings) -> Callable[..., bool]:
    """Change keys in one swap, and return when they are applied and delivered; False if they were rejected."""

    def swap(**keys: str) -> bool:
        kubelet_volume.update(keys)
        return settings.live.reload()

    return swap
