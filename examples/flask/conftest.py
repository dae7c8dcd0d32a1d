from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from app import AppSettings, create_app
from flask.testing import FlaskClient

from liveconfig.testing import KubeletVolume


@pytest.fixture
def volume(tmp_path: Path) -> KubeletVolume:
    volume = KubeletVolume(tmp_path / "greeter")
    volume.write({"checkout-enabled": "true", "admin-password": "correct horse", "session-key": "first key"})
    return volume


@pytest.fixture
def settings(volume: KubeletVolume) -> Iterator[AppSettings]:
    settings = AppSettings.load(_volumes=[volume.path])
    with settings.live:
        yield settings


@pytest.fixture
def client(settings: AppSettings) -> FlaskClient:
    return create_app(settings).test_client()


@pytest.fixture
def edit(settings: AppSettings, volume: KubeletVolume) -> Callable[..., None]:
    """A function that does what `kubectl edit` and the kubelet do."""

    def edit(**data: str) -> None:
        volume.update({key.replace("_", "-"): value for key, value in data.items()})
        settings.live.reload()

    return edit
