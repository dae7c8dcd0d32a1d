"""The project, on a volume and with a database of its own."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django
import pytest
from django.db import connections
from django.test import Client

from liveconfig.testing import KubeletVolume

HERE = Path(__file__).parent
PAYLOAD = {"checkout-enabled": "true", "session-key": "first key", "db.user": "app", "db.password": "first password"}


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """A real PostgreSQL, that of the example `password_rotation`."""
    where = HERE.parent / "password_rotation" / "rotated_postgres.py"
    spec = importlib.util.spec_from_file_location("greeter_postgres", where)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one = module.PostgreSQL()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def volume(server: Any) -> Iterator[KubeletVolume]:
    """The volume of the project, which reads it when Django starts."""
    with TemporaryDirectory() as directory:
        volume = KubeletVolume(Path(directory) / "greeter")
        volume.write(PAYLOAD)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="greeter.settings",
            DATABASE_HOST=server.host,
            DATABASE_NAME="postgres",
            LIVECONFIG_VOLUMES=str(volume.path),
        )
        django.setup()
        from greeter.live import settings

        with settings.live:
            yield volume


@pytest.fixture
def edit(volume: KubeletVolume, server: Any) -> Iterator[Callable[..., None]]:
    """What `kubectl edit` does, as soon as the kubelet has brought it."""
    from greeter.live import settings

    def edit(**data: str) -> None:
        volume.update({key.replace("__", ".").replace("_", "-"): value for key, value in data.items()})
        settings.live.reload()

    volume.write(PAYLOAD)
    settings.live.reload()
    server.set_password(PAYLOAD["db.password"])
    yield edit
    connections.close_all()


@pytest.fixture
def client(edit: Callable[..., None]) -> Client:
    return Client()
