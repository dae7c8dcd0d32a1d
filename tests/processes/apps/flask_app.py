"""What a worker of gunicorn runs."""

from __future__ import annotations

import os

from flask import Flask
from pydantic import SecretStr

from liveconfig import Change, Settings, SettingsConfigDict
from liveconfig.integrations.flask import LiveConfig


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=[os.environ["APP_VOLUME"]])
    left: str
    right: str
    password: SecretStr


settings = AppSettings.load()
live = LiveConfig(settings, mirror={"PASSWORD": "password", "LEFT": "left"})
app = Flask(__name__)
live.init_app(app)
heard: list[str] = []


@live.on_change(lambda s: s.left)
def hear(change: Change[str]) -> None:
    heard.append(change.new)


@app.get("/")
def answer() -> dict[str, object]:
    left = live.snapshot.left
    os.sched_yield()
    return {
        "pid": os.getpid(),
        "left": left,
        "right": live.snapshot.right,
        "version": live.snapshot is live.snapshot,
        "heard": heard[-1:],
        "mirrored": app.config["LEFT"],
        "password": app.config["PASSWORD"] == live.snapshot.password.get_secret_value(),
    }
