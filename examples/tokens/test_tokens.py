"""The token is rotated while the programs ask, and never goes to another host."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from liveconfig.testing import KubeletVolume

HERE = Path(__file__).parent


class Service(ThreadingHTTPServer):
    """Takes the newest token, and redirects ``/moved`` to another host."""

    token = "one"
    other: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        self.seen: list[str | None] = []
        self.on_request: Callable[[int], None] = lambda _: None
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        service: Any = self.server
        service.seen.append(self.headers["X-Api-Key"])
        service.on_request(len(service.seen))
        status = 302 if service.other else 200 if service.seen[-1] == service.token else 401
        self.send_response(status)
        if service.other:
            self.send_header("Location", service.other)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def make_service() -> Iterator[Callable[[], Service]]:
    running: list[tuple[Service, threading.Thread]] = []

    def make() -> Service:
        service = Service()
        thread = threading.Thread(target=service.serve_forever, args=(0.02,))
        thread.start()
        running.append((service, thread))
        return service

    yield make
    for service, thread in running:
        service.shutdown()
        thread.join()
        service.server_close()


@pytest.fixture(params=["with_aiohttp", "with_httpx", "with_requests"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each of the programs, loaded as its own directory would."""
    monkeypatch.syspath_prepend(str(HERE))
    spec = importlib.util.spec_from_file_location(request.param, HERE / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("price_settings", None)


def test_no_request_fails_while_the_token_is_rotated(
    program: Any, make_service: Callable[[], Service], kubelet_volume: KubeletVolume
) -> None:
    """The token is rotated every five requests, and each request is served in the end."""
    service = make_service()
    numbers = itertools.count(2)

    def rotate(requests: int) -> None:
        if requests % 5 == 0:
            service.token = f"token-{next(numbers)}"
            kubelet_volume.write({"prices.token": service.token})

    kubelet_volume.write({"prices.token": "one"})
    settings = program.PriceSettings.load(_volumes=kubelet_volume.path)
    service.on_request = rotate
    with settings.live:
        assert program.ask(settings, service.url, 30) == [200] * 30


def test_the_token_does_not_go_to_another_host(
    program: Any, make_service: Callable[[], Service], kubelet_volume: KubeletVolume
) -> None:
    """A redirect to another host is followed without the token."""
    service, other = make_service(), make_service()
    service.other = other.url
    kubelet_volume.write({"prices.token": "one"})
    settings = program.PriceSettings.load(_volumes=kubelet_volume.path)
    with settings.live:
        assert program.ask(settings, service.url, 1) == [401]
    assert (service.seen, other.seen) == (["one"], [None])
