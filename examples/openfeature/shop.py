"""A shop whose checkout is a feature flag in a ConfigMap, read through OpenFeature.

Usage: python shop.py
"""

from __future__ import annotations

import threading

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.event import EventDetails, ProviderEvent
from pydantic import BaseModel, Field

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.openfeature import LiveConfigProvider


class Flags(BaseModel):
    checkout: bool = False
    max_items: int = Field(default=10, ge=1)


class ShopSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/shop"])
    flags: Flags = Flags()


class Shop:
    """It knows OpenFeature only: which provider serves the flags is decided where the program starts."""

    def __init__(self, flags: OpenFeatureClient) -> None:
        self._flags = flags

    def order(self, items: int) -> str:
        if not self._flags.get_boolean_value("checkout", False):
            return "checkout is closed"
        most = self._flags.get_integer_value("max_items", 1)
        return "accepted" if items <= most else f"at most {most} items"


def report(details: EventDetails) -> None:
    print("changed:", *(details.flags_changed or ()), flush=True)


def main() -> None:
    settings = ShopSettings.load()
    api.set_provider(LiveConfigProvider(settings, prefix="flags"))
    api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, report)
    shop, pause = Shop(api.get_client()), threading.Event()
    while not pause.wait(1):
        print("an order of 12 items:", shop.order(12), flush=True)


if __name__ == "__main__":
    main()
