"""The settings of the three programs: where the prices are, and the token for them."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

from liveconfig import Settings, SettingsConfigDict


class Prices(BaseModel):
    token: SecretStr


class PriceSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/secrets"])
    prices: Prices
