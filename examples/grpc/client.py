"""A gRPC client whose token comes from a Secret.

Usage: python client.py HOST:PORT
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
from pydantic import BaseModel, SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.grpc import TokenAuth


class Orders(BaseModel):
    token: SecretStr
    ca: str


class ClientSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/secrets/client"])
    orders: Orders


def open_channel(settings: ClientSettings, address: str) -> grpc.Channel:
    token = grpc.metadata_call_credentials(TokenAuth(settings, "orders.token"))
    authorities = grpc.ssl_channel_credentials(settings.orders.ca.encode())
    return grpc.secure_channel(address, grpc.composite_channel_credentials(authorities, token))


def get_order(channel: grpc.Channel) -> bytes:
    return channel.unary_unary("/shop.Orders/Get")(b"", timeout=10)


if __name__ == "__main__":
    print(Path(sys.argv[0]).name, "asks", sys.argv[1])
    settings = ClientSettings.load()
    with settings.live, open_channel(settings, sys.argv[1]) as channel:
        print(get_order(channel))
