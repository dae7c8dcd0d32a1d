"""Tests that only `TokenAuth` of httpx needs; `test_token_clients.py` has those for all clients."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.httpx import TokenAuth
from liveconfig.testing import KubeletVolume


class TokenSettings(Settings):
    api_token: SecretStr | None = None


class Server:
    """Takes one token, and keeps what it was sent."""

    def __init__(self) -> None:
        self.token = "one"
        self.seen: list[str | None] = []
        self.bodies: list[bytes] = []
        self.before: Callable[[], object] = lambda: None
        self.redirects: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.headers.get("authorization"))
        self.bodies.append(request.content)
        self.before()
        if (target := self.redirects.get(request.method)) is not None:
            return httpx.Response(303, headers={"Location": target})
        return httpx.Response(200 if self.seen[-1] == f"Bearer {self.token}" else 401)


@pytest.fixture
def settings(kubelet_volume: KubeletVolume) -> TokenSettings:
    """Unwatched settings: the newest token is found only by a read of the volume."""
    kubelet_volume.write({"api-token": "one"})
    return TokenSettings.load(_volumes=kubelet_volume.path, _watch=False)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(params=["plain", "awaitable"])
def post(request: pytest.FixtureRequest, settings: TokenSettings, server: Server) -> Callable[..., int]:
    """Post with a client of either kind: the status of the answer."""

    def plain(**how: object) -> int:
        with httpx.Client(auth=TokenAuth(settings, "api_token"), transport=httpx.MockTransport(server)) as client:
            return client.post("http://shop/", **how).status_code  # type: ignore[arg-type]

    def awaitable(**how: object) -> int:
        async def run() -> int:
            auth, transport = TokenAuth(settings, "api_token"), httpx.MockTransport(server)
            async with httpx.AsyncClient(auth=auth, transport=transport) as client:
                return (await client.post("http://shop/", **how)).status_code  # type: ignore[arg-type]

        return asyncio.run(run())

    return plain if request.param == "plain" else awaitable


def test_a_request_that_was_redirected_is_not_repeated(
    post: Callable[..., int], server: Server, kubelet_volume: KubeletVolume
) -> None:
    """The 401 of another page, to which the answer to a POST led, does not have the POST sent twice."""
    server.redirects = {"POST": "http://shop/thanks"}
    kubelet_volume.write({"api-token": "two"})
    server.token = "two"
    assert post(content=b"order", follow_redirects=True) == 401
    assert server.bodies == [b"order", b""]


SCHEMES = {"http://shop/a": "https://shop/b", "https://shop/b": "http://shop/c"}


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
@pytest.mark.parametrize("follow", [True, False])
def test_a_way_back_from_https_does_not_carry_the_token(settings: TokenSettings, header: str, follow: bool) -> None:
    """The token goes along from ``http`` to ``https`` at the same host, and not back to ``http``."""
    seen: list[tuple[str, str | None]] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers.get(header)))
        target = SCHEMES.get(str(request.url))
        return httpx.Response(200) if target is None else httpx.Response(302, headers={"Location": target})

    auth = TokenAuth(settings, "api_token", header=header, scheme="")
    with httpx.Client(auth=auth, transport=httpx.MockTransport(serve), follow_redirects=follow) as client:
        response = client.get("http://shop/a")
        while response.next_request is not None:
            response = client.send(response.next_request)
    assert seen == [("http://shop/a", "one"), ("https://shop/b", "one"), ("http://shop/c", None)]


ON_TRIO = """
import sys, httpx, trio
from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.httpx import TokenAuth

class TokenSettings(Settings):
    api_token: str

settings = TokenSettings.load(_volumes=sys.argv[1], _watch=False)
input("loaded")

def serve(request):
    return httpx.Response(200 if request.headers["authorization"] == "Bearer two" else 401)

async def run():
    auth = TokenAuth(settings, "api_token")
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(serve)) as client:
        return (await client.get("http://shop/")).status_code

print(trio.run(run))
"""


def test_a_client_on_trio_reads_the_volume_as_well(kubelet_volume: KubeletVolume) -> None:
    """On trio, where httpx runs too, a 401 has the volume read beside the event loop (trio keeps its threads for long)."""
    pytest.importorskip("trio", reason="needs trio: it is in the group of packages called clients")
    kubelet_volume.write({"api-token": "one"})
    command = [sys.executable, "-c", ON_TRIO, str(kubelet_volume.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.read(6) == "loaded"
        kubelet_volume.write({"api-token": "two"})
        assert program.communicate("\n", timeout=30)[0] == "200\n"


def test_an_httpx_without_the_place_to_guard_redirects(
    settings: TokenSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If httpx has no place where a header of one's own can be kept from redirects, such a header is refused."""
    monkeypatch.setattr(httpx.Client, "_redirect_headers", None)
    TokenAuth(settings, "api_token")
    with pytest.raises(LiveConfigError, match="cannot keep a custom header from redirects with httpx"):
        TokenAuth(settings, "api_token", header="X-Api-Key")
