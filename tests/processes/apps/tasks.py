"""What a worker of Celery runs: the broker is a directory, and a task answers by a datagram."""

from __future__ import annotations

import json
import os
import socket

from celery import Celery
from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=[os.environ["APP_VOLUME"]])
    left: str
    right: str
    password: SecretStr


settings = AppSettings.load()
app = Celery("tasks", broker="filesystem://")
app.conf.task_ignore_result = True
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["QUEUE_IN"],
    "data_folder_out": os.environ["QUEUE_OUT"],
    "control_folder": os.environ["QUEUE_OUT"],
    "polling_interval": 0.02,
}


@app.task
def answer(port: int) -> None:
    body = json.dumps([os.getpid(), settings.left, settings.live.snapshot().right])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.sendto(body.encode(), ("127.0.0.1", port))
