"""A worker with an asyncpg pool. Its database login comes from a Secret, and is rotated while it works.

Usage: DATABASE_HOST=db python app.py
"""

from __future__ import annotations

import asyncio
import os

import asyncpg
from pydantic import BaseModel, SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.asyncpg import bind


class Db(BaseModel):
    user: str
    password: SecretStr


class WorkerSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/secrets"])
    db: Db


class Worker:
    """Eight tasks that use one pool."""

    def __init__(self, settings: WorkerSettings, host: str) -> None:
        self.done = 0
        self._settings, self._host = settings, host
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        pool = asyncpg.create_pool(host=self._host, database="postgres", min_size=8)
        bind(pool, self._settings)
        async with pool, asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(self._work(pool))

    async def _work(self, pool: asyncpg.Pool) -> None:
        while not self._stopped.is_set():
            await pool.execute("SELECT 'one job'")
            self.done += 1
            await asyncio.sleep(0.01)


async def main() -> None:
    settings = WorkerSettings.load()
    async with settings.live:
        await Worker(settings, os.environ["DATABASE_HOST"]).run()


if __name__ == "__main__":
    asyncio.run(main())
