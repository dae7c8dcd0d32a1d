"""A gRPC server whose certificate and accepted tokens come from a Secret.

Usage: python server.py PORT
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.grpc import server_credentials


class ServerSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/secrets/server"])
    tls_crt: str
    tls_key: SecretStr
    accepted: list[SecretStr]  # tokens, the newest first


def start(settings: ServerSettings, port: int) -> tuple[grpc.Server, int]:
    """Start the server: it, and the port that it listens on."""

    def get(_request: bytes, context: grpc.ServicerContext) -> bytes:
        sent = dict(context.invocation_metadata()).get("authorization")
        if sent not in [f"Bearer {token.get_secret_value()}" for token in settings.accepted]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown token")
        return b"one order"

    server = grpc.server(ThreadPoolExecutor(8))
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(get)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", handlers),))
    port = server.add_secure_port(f"127.0.0.1:{port}", server_credentials(settings))
    server.start()
    return server, port


if __name__ == "__main__":
    with (settings := ServerSettings.load()).live:
        start(settings, int(sys.argv[1]))[0].wait_for_termination()
