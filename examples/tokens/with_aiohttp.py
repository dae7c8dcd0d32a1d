"""Ask for a price with aiohttp.

Usage: PRICES_URL=https://prices/ python with_aiohttp.py
"""

from __future__ import annotations

import asyncio
import os

import aiohttp
from price_settings import PriceSettings

from liveconfig.integrations.aiohttp import TokenAuth


async def ask_here(settings: PriceSettings, url: str, times: int) -> list[int]:
    auth = TokenAuth(settings, "prices.token", header="X-Api-Key", scheme="")
    statuses = []
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:
        for _ in range(times):
            async with session.get(url) as response:
                statuses.append(response.status)
    return statuses


def ask(settings: PriceSettings, url: str, times: int) -> list[int]:
    return asyncio.run(ask_here(settings, url, times))


if __name__ == "__main__":
    print(ask(PriceSettings.load(), os.environ["PRICES_URL"], 3))
