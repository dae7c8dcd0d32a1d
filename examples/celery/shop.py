"""A shop that takes orders in the background: the login of its broker comes from a Secret, and is rotated.

Usage: QUEUE=queue:6379 celery --app shop worker
"""

from __future__ import annotations

import os

from celery import Celery
from pydantic import BaseModel, SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.celery import bind


class Broker(BaseModel):
    user: str
    password: SecretStr


class ShopSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/shop"])
    broker: Broker
    price: int = 10


settings = ShopSettings.load()
where = os.environ.get("QUEUE", "queue:6379")
app = Celery("shop", broker=f"redis://{where}/0", backend=f"redis://{where}/1")
login = {"user": "broker.user", "password": "broker.password"}
bind(app, settings, **login, **{f"result_{name}": field for name, field in login.items()})


@app.task
def sell(items: int) -> int:
    """The sum of an order: the price is the same from the beginning to the end of the task."""
    return items * settings.live.snapshot().price
