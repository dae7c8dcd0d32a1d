"""What a worker of Celery and its clients run: the login of the broker and of the results is rotated."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery
from pydantic import BaseModel, SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.celery import bind


class Db(BaseModel):
    user: str
    password: SecretStr


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=[os.environ["APP_VOLUME"]])
    db: Db
    results: Db | None = None


settings = AppSettings.load()
app = Celery("shop", broker=os.environ["APP_BROKER"], backend=os.environ["APP_RESULTS"], set_as_current=False)
app.conf.update(worker_hijack_root_logger=False, worker_send_task_events=True, result_expires=60)
if "APP_BEAT" in os.environ:
    app.conf.beat_schedule = {"tick": {"task": "shop.tick", "schedule": 0.2, "args": [os.environ["APP_BEAT"]]}}
if "APP_START" in os.environ:
    app.conf.worker_pool_start_method = os.environ["APP_START"]
model = "db" if settings.results is None else "results"
results = {f"result_{name}": f"{model}.{name}" for name in ("user", "password")}
results = {} if app.conf.result_backend == "rpc://" else results
bind(app, settings, "db.user", "db.password", **results)


@app.task(shared=False, name="shop.add")
def add(one: int, other: int) -> int:
    return one + other


@app.task(shared=False, name="shop.hold")
def hold(flag: str) -> list[int]:
    """Run for as long as a file is there: the process before and after."""
    before = os.getpid()
    Path(flag).touch()
    while os.path.exists(flag):
        time.sleep(0.01)
    return [before, os.getpid()]


@app.task(shared=False, name="shop.tick")
def tick(log: str) -> None:
    with open(log, "a") as file:
        file.write(".")


@app.task(shared=False, name="shop.pinned")
def pinned(flag: str) -> list[bool]:
    """Wait for a swap: whether the snapshot of the task stays, and whether the newest one is another."""
    snapshot = settings.live.snapshot()
    Path(flag).touch()
    settings.live.wait(lambda newest: newest is not snapshot, 20)
    return [settings.live.snapshot() is snapshot, settings.live.latest() is not snapshot]
