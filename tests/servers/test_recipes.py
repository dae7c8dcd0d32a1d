"""The recipes of docs/credentials/recipes.md that have a server here, as they stand there."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kombu.pools
from pydantic import BaseModel, SecretStr

from liveconfig import Settings
from liveconfig.testing import KubeletVolume

PAGE = (Path(__file__).parents[2] / "docs" / "credentials" / "recipes.md").read_text("utf-8")


def recipe(heading: str, places: Mapping[str, str], **names: Any) -> dict[str, Any]:
    """Run the Python of one section, with other places in it and with these names in its module."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    for shown, real in places.items():
        assert shown in code
        code = code.replace(shown, real)
    exec(compile(code, f"<{heading}>", "exec"), names)
    return names


class Broker(BaseModel):
    user: str
    password: SecretStr


class BrokerSettings(Settings):
    broker: Broker


def test_celery_publishes_after_its_connections_were_lost(redis_server: Any, kubelet_volume: KubeletVolume) -> None:
    """Celery's connections are cut after a rotation, and come back with the newest login."""
    rotate(redis_server, kubelet_volume)
    settings = BrokerSettings.load(_volumes=kubelet_volume.path)
    where = "{host}:{port}".format(**redis_server.where)
    with settings.live:
        app = recipe("Celery's broker", {"broker:6379": where}, settings=settings)["app"]
        app.send_task("shop.sell")
        rotate(redis_server, kubelet_volume)
        settings.live.reload()
        redis_server.cut()
        app.send_task("shop.sell")
        assert redis_server.length("celery") == 2
        app.close()
        kombu.pools.reset()


def rotate(server: Any, volume: KubeletVolume) -> None:
    password = f"CANARY-{uuid.uuid4()}"
    server.set_password(password)
    volume.write({"broker.user": server.user, "broker.password": password})
