"""Ask for a price with httpx.

Usage: PRICES_URL=https://prices/ python with_httpx.py
"""

from __future__ import annotations

import os

import httpx
from price_settings import PriceSettings

from liveconfig.integrations.httpx import TokenAuth


def ask(settings: PriceSettings, url: str, times: int) -> list[int]:
    auth = TokenAuth(settings, "prices.token", header="X-Api-Key", scheme="")
    with httpx.Client(auth=auth, follow_redirects=True) as client:
        return [client.get(url).status_code for _ in range(times)]


if __name__ == "__main__":
    print(ask(PriceSettings.load(), os.environ["PRICES_URL"], 3))
