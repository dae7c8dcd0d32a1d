"""The application reads its volume when it is imported, so these fixtures create the volume first."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from liveconfig.testing import KubeletVolume

DATA = {"message": "hello world", "checkout-enabled": "true", "admin-password": "correct horse"}


@pytest.fixture(scope="session")
def volume(tmp_path_factory: pytest.TempPathFactory) -> KubeletVolume:
    return KubeletVolume(tmp_path_factory.mktemp("greeter"))


@pytest.fixture
def client(volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("LIVECONFIG_VOLUMES", str(volume.path))
    volume.write(DATA)
    from app import app, settings

    settings.live.reload()
    with TestClient(app) as client:
        yield client


@pytest.fixture
def edit(client: TestClient, volume: KubeletVolume) -> Callable[..., None]:
    """A function that does what `kubectl edit` and the kubelet do."""
    from app import settings

    def edit(**data: str) -> None:
        volume.update({key.replace("_", "-"): value for key, value in data.items()})
        settings.live.reload()

    return edit
