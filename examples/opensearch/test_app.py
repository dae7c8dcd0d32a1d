"""No search fails while the password is rotated in both orders, with a server that stands in for OpenSearch."""

from __future__ import annotations

import base64
import importlib.util
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from liveconfig.testing import KubeletVolume

spec = importlib.util.spec_from_file_location("opensearch_app", Path(__file__).parent / "app.py")
assert spec is not None
assert spec.loader is not None
app = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(app)

ANSWER = b'{"hits": {"total": {"value": 1}}}'


class Server(ThreadingHTTPServer):
    """Takes one password."""

    password = "one"
    refused = 0

    def takes(self, header: str | None) -> bool:
        expected = "Basic " + base64.b64encode(f"shop:{self.password}".encode()).decode()
        self.refused += header != expected
        return header == expected


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Server)
        self.send_response(200 if self.server.takes(self.headers["Authorization"]) else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("order", ["server first", "volume first"])
@pytest.mark.parametrize("watch", [True, False])
def test_no_search_fails(server: Server, kubelet_volume: KubeletVolume, order: str, watch: bool) -> None:
    """The refused request is tried again; without events of the Secret, too."""

    def write(password: str) -> None:
        kubelet_volume.write({"search.user": "shop", "search.password": password})

    write("one")
    settings = app.SearchSettings.load(_volumes=kubelet_volume.path, _watch=watch)
    with settings.live:
        shop = app.Shop(settings, f"http://127.0.0.1:{server.server_port}")
        for password in ("one", "two", "three"):
            later = threading.Timer(0.4, lambda password=password: setattr(server, "password", password))
            if order == "server first":
                server.password = password
                later = threading.Timer(0.4, write, [password])
            else:
                write(password)
            later.start()
            assert shop.search("red shoes")["hits"]["total"]["value"] == 1
            later.join()
        assert shop.search("red shoes")["hits"]["total"]["value"] == 1
        shop.close()
