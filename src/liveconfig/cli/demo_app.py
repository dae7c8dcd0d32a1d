"""The application of ``liveconfig demo``: a greeting, a feature flag and a database login, from mounted volumes.

It is written as a user would write it. It answers ``/``, ``/login`` and ``/liveconfig/status`` with JSON, and ends when
its standard input is closed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from pydantic import SecretStr

from liveconfig import Change, Settings, SettingsConfigDict

__all__ = ["AppSettings", "main"]


class AppSettings(Settings):
    """The content of the ConfigMap ``web-message`` and the Secret ``app-secrets``."""

    model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"])

    message: str
    checkout_enabled: bool
    mysql_host: str
    mysql_root_password: SecretStr


class Database:
    """A replacement for MySQL: it keeps a hash of the right password and the result of the last login."""

    _KNOWN = "b071b17d7b18159dc8410f7a3baaaae2b000ba6d5fc20bc8fc04b0745b0e6493"

    def __init__(self) -> None:
        self.login = "not tried yet"

    def connect(self, host: str, password: SecretStr) -> None:
        """Log in."""
        given = hashlib.sha256(password.get_secret_value().encode()).hexdigest()
        self.login = "works" if host == "mysql" and hmac.compare_digest(given, self._KNOWN) else "refused"


def pages(settings: AppSettings, database: Database) -> Mapping[str, Callable[[], object]]:
    """Return the answers, by path."""

    def greeting() -> object:
        config = settings.live.snapshot()
        return {
            "message": config.message,
            "checkout_enabled": config.checkout_enabled,
            "pid": os.getpid(),
            "version": settings.live.version,
        }

    def login() -> object:
        return {"login": database.login, "pid": os.getpid()}

    return {"/": greeting, "/login": login, "/liveconfig/status": lambda: settings.live.status().as_dict()}


def handler(answers: Mapping[str, Callable[[], object]]) -> type[BaseHTTPRequestHandler]:
    """Return a request handler for these pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = answers.get(self.path)
            body = json.dumps(page() if page else {"error": "no such page"}).encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Log no requests: the log shows only the lines of liveconfig."""

    return Handler


class Server(ThreadingTCPServer):
    """An HTTP server without the base class of http.server, which asks the DNS for the name of this machine."""

    daemon_threads = True


def main() -> None:
    """Serve on a free port of the loopback interface, print its address, and end when standard input is closed."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings = AppSettings.load()
    database = Database()

    @settings.live.on_change(lambda s: (s.mysql_host, s.mysql_root_password), initial=True)
    def reconnect(change: Change[tuple[str, SecretStr]]) -> None:
        database.connect(*change.new)

    with settings.live, Server(("127.0.0.1", 0), handler(pages(settings, database))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
