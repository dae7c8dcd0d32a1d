"""Ask for a price with requests.

Usage: PRICES_URL=https://prices/ python with_requests.py
"""

from __future__ import annotations

import os

import requests
from price_settings import PriceSettings

from liveconfig.integrations.requests import TokenAuth


def ask(settings: PriceSettings, url: str, times: int) -> list[int]:
    with requests.Session() as session:
        session.auth = TokenAuth(settings, "prices.token", header="X-Api-Key", scheme="")
        return [session.get(url).status_code for _ in range(times)]


if __name__ == "__main__":
    print(ask(PriceSettings.load(), os.environ["PRICES_URL"], 3))
