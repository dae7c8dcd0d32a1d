"""A client whose token expires every two seconds, and is rotated in a Secret while the client uses it.

Usage: python expiring_token.py [SECONDS]
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import hs256
import httpx
from pydantic import SecretStr

from liveconfig import Settings
from liveconfig.integrations.httpx import TokenAuth
from liveconfig.testing import KubeletVolume

LIFETIME = 2.0  # seconds for which a token is valid
RENEWED_AFTER = 1.5  # seconds until the next token is in the Secret


class ClientSettings(Settings):
    api_token: SecretStr


class Service:
    """Answers requests with a valid token, and counts all requests."""

    def __init__(self, key: bytes) -> None:
        self.served = self.refused = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status = service.check(key, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def check(self, key: bytes, header: str) -> int:
        try:
            hs256.claims(key, header.removeprefix("Bearer "))
        except ValueError:
            self.refused += 1
            return 401
        self.served += 1
        return 200

    @contextmanager
    def open(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        yield
        self._server.shutdown()
        thread.join()
        self._server.server_close()


class Issuer:
    """Writes a new token to the Secret before the old one expires, as an operator in a cluster does."""

    def __init__(self, key: bytes, secret: KubeletVolume) -> None:
        self.issued = 0
        self._key, self._secret = key, secret
        self._ended = threading.Event()
        self.issue()

    def issue(self) -> None:
        self._secret.write({"api-token": hs256.issue(self._key, "shop", LIFETIME)})
        self.issued += 1

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED_AFTER):
            self.issue()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._renew)
        thread.start()
        yield
        self._ended.set()
        thread.join()


def run(directory: Path, seconds: float, *, watch: bool = True) -> tuple[Service, int]:
    """Run the client, with or without events. Return the service and the number of failed requests."""
    key = secrets.token_bytes(32)
    service, issuer = Service(key), Issuer(key, KubeletVolume(directory))
    settings = ClientSettings.load(_volumes=directory, _watch=watch)
    failed, began, next_line, pause = 0, monotonic(), 1.0, threading.Event()
    print(f"{'second':>6}{'tokens':>10}{'served':>10}{'refused':>10}{'failed':>10}")
    with service.open(), issuer.running(), httpx.Client(auth=TokenAuth(settings, "api_token")) as client:
        while (now := monotonic() - began) < seconds:
            failed += client.get(service.url).status_code != httpx.codes.OK
            if now >= next_line:
                print(f"{now:6.1f}{issuer.issued:10}{service.served:10}{service.refused:10}{failed:10}", flush=True)
                next_line += 1
            pause.wait(0.01)
    settings.live.close()
    return service, failed


def main(seconds: float = 10.0) -> int:
    with TemporaryDirectory() as directory:
        return run(Path(directory), seconds)[1]


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])) > 0)
