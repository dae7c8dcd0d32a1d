"""What a worker of uvicorn runs, on its own or under gunicorn."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import SecretStr

from liveconfig import Change, Settings, SettingsConfigDict
from liveconfig.integrations.fastapi import lifespan, pinned, router


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=[os.environ["APP_VOLUME"]])
    left: str
    right: str
    password: SecretStr


settings = AppSettings.load()
app = FastAPI(lifespan=lifespan(settings))
app.include_router(router(settings, status=True))
heard: list[str] = []


@settings.live.on_change(lambda s: s.left)
async def hear(change: Change[str]) -> None:
    heard.append(change.new)


async def right() -> str:
    return settings.live.snapshot().right


@app.get("/")
async def answer(current: Annotated[AppSettings, Depends(pinned(settings))]) -> dict[str, object]:
    await asyncio.to_thread(os.sched_yield)
    return {
        "pid": os.getpid(),
        "left": current.left,
        "right": await right(),
        "heard": heard[-1:],
    }
