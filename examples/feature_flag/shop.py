"""A shop whose checkout can be turned off, or opened for some of the users, while it runs."""

from __future__ import annotations

import logging
import zlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, Field

from liveconfig import Change, Settings, SettingsConfigDict


class Flag(BaseModel):
    enabled: bool = False
    percent: int = Field(default=100, ge=0, le=100)

    def is_on_for(self, user: str) -> bool:
        """Whether the flag is on for this user; always the same answer for one percentage."""
        return self.enabled and zlib.crc32(user.encode()) % 100 < self.percent


class Flags(BaseModel):
    checkout: Flag = Flag()
    gift_wrap: Flag = Flag()


class ShopSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config"], documents=["flags.json"])
    flags: Flags = Flags()


def order(settings: ShopSettings, user: str) -> tuple[HTTPStatus, str]:
    """Handle one request. Both flags come from one snapshot, even if the volume changes meanwhile."""
    with settings.live.pinned() as now:
        if not now.flags.checkout.is_on_for(user):
            return HTTPStatus.SERVICE_UNAVAILABLE, "the checkout is closed"
        return HTTPStatus.OK, "paid" + wrapping(settings, user)


def wrapping(settings: ShopSettings, user: str) -> str:
    """Return the wrapping of an order. `snapshot()` returns the snapshot that the request pinned."""
    return ", gift-wrapped" if settings.live.snapshot().flags.gift_wrap.is_on_for(user) else ""


def serve(settings: ShopSettings, port: int) -> ThreadingHTTPServer:
    class Shop(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            user = parse_qs(urlsplit(self.path).query).get("user", ["anonymous"])[0]
            status, text = order(settings, user)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f"{text}\n".encode())

    return ThreadingHTTPServer(("127.0.0.1", port), Shop)


def announce(change: Change[Flag]) -> None:
    print(f"checkout: {'on' if change.new.enabled else 'off'} for {change.new.percent} % of the users", flush=True)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    settings = ShopSettings.load()
    settings.live.subscribe(lambda s: s.flags.checkout, announce, initial=True)
    with settings.live, serve(settings, 8000) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
