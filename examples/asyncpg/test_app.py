"""The worker loses no job while its login is rotated in both orders, with a real PostgreSQL."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from liveconfig.testing import KubeletVolume

HERE = Path(__file__).parent


def module(path: Path, name: str) -> ModuleType:
    """Load a module of the examples under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


app = module(HERE / "app.py", "asyncpg_app")


@pytest.fixture
def server() -> Iterator[Any]:
    one = module(HERE.parent / "password_rotation" / "rotated_postgres.py", "asyncpg_server").PostgreSQL()
    yield one
    one.stop()


def test_no_job_is_lost(server: Any, kubelet_volume: KubeletVolume) -> None:
    """No job fails during two rotations, and all connections are new at the end."""

    def in_volume(password: str) -> None:
        kubelet_volume.write({"db.user": server.user, "db.password": password})

    async def story() -> None:
        server.set_password("one")
        in_volume("one")
        settings = app.WorkerSettings.load(_volumes=kubelet_volume.path)
        async with settings.live:
            worker = app.Worker(settings, server.host)
            running = asyncio.create_task(worker.run())
            await jobs(worker, 8)
            old = server.sessions()
            for password, steps in (
                ("two", [server.set_password, in_volume]),
                ("three", [in_volume, server.set_password]),
            ):
                for step in steps:
                    step(password)
                    await jobs(worker, 100)
            async with asyncio.timeout(10):
                while server.sessions() & old:
                    await asyncio.sleep(0.05)
            worker.stop()
            await running  # raises the first error of a job

    asyncio.run(story())


async def jobs(worker: Any, more: int) -> None:
    """Wait for some more jobs."""
    goal = worker.done + more
    async with asyncio.timeout(30):
        while worker.done < goal:
            await asyncio.sleep(0.02)
