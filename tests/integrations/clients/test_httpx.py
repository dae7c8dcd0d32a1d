"""What `TokenAuth` puts into a request, and when it repeats one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator

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
    """Settings that nobody watches: whoever wants the newest token has to look."""
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


def test_each_request_carries_the_newest_token(
    post: Callable[..., int], server: Server, settings: TokenSettings, kubelet_volume: KubeletVolume
) -> None:
    """A request carries the token of the newest snapshot, of a pinned one never."""
    with settings.live.pinned():
        assert post() == 200
        kubelet_volume.write({"api-token": "two"})
        server.token = "two"
        settings.live.reload()
        assert post() == 200
    assert server.seen == ["Bearer one", "Bearer two"]


def test_on_a_401_the_volume_is_read_and_the_request_repeated(
    post: Callable[..., int], server: Server, kubelet_volume: KubeletVolume
) -> None:
    """The server is ahead: on its 401 the volume is read now, and the request is repeated with its body."""
    kubelet_volume.write({"api-token": "two"})
    server.token = "two"
    assert post(content=b"order") == 200
    assert server.seen == ["Bearer one", "Bearer two"]
    assert server.bodies == [b"order", b"order"]


def test_a_request_is_repeated_once_at_most(
    post: Callable[..., int], server: Server, kubelet_volume: KubeletVolume
) -> None:
    """A second 401 stands, even if the volume has yet another token by then."""
    tokens = iter(["two", "three", "four"])
    server.before = lambda: kubelet_volume.write({"api-token": next(tokens)})
    server.token = "nobody's"
    assert post() == 401
    assert server.seen == ["Bearer one", "Bearer two"]


def test_with_the_same_token_a_401_stands(post: Callable[..., int], server: Server) -> None:
    """A request whose token is still the newest is not repeated."""
    server.token = "two"
    assert post() == 401
    assert server.seen == ["Bearer one"]


def test_a_body_that_can_be_sent_once_is_not_repeated(settings: TokenSettings, kubelet_volume: KubeletVolume) -> None:
    """The 401 of a request whose body was a generator is handed on."""

    class Wire(httpx.BaseTransport):
        sent = b""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.SyncByteStream)
            self.sent += b"".join(request.stream)
            return httpx.Response(401)

    def parts() -> Iterator[bytes]:
        yield b"order"

    kubelet_volume.write({"api-token": "two"})
    with httpx.Client(auth=TokenAuth(settings, "api_token"), transport=(wire := Wire())) as client:
        assert client.post("http://shop/", content=parts()).status_code == 401
    assert wire.sent == b"order"


def test_a_request_that_was_redirected_is_not_repeated(
    post: Callable[..., int], server: Server, kubelet_volume: KubeletVolume
) -> None:
    """The 401 of another page, to which the answer to a POST led, does not have the POST sent twice."""
    server.redirects = {"POST": "http://shop/thanks"}
    kubelet_volume.write({"api-token": "two"})
    server.token = "two"
    assert post(content=b"order", follow_redirects=True) == 401
    assert server.bodies == [b"order", b""]


@pytest.mark.parametrize("what", ["{} ", "{}\nsecond line", "{}\x7f", "{}€"])
def test_a_token_that_no_header_can_hold_is_not_shown(
    post: Callable[..., int],
    server: Server,
    settings: TokenSettings,
    kubelet_volume: KubeletVolume,
    canary: str,
    what: str,
) -> None:
    """F51: a token with a blank at an end, a line break or a letter that is not ASCII is an error that names its field."""
    kubelet_volume.write({"api-token": what.format(canary)})
    settings.live.reload()
    with pytest.raises(LiveConfigError, match="api_token cannot be sent in a header") as caught:
        post()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert canary not in "".join(str(frame.locals) for frame in frames if frame.filename != __file__)
    assert canary not in str(caught.value)
    assert caught.value.__context__ is None
    assert server.seen == []


def test_the_event_loop_is_not_held_up(settings: TokenSettings, server: Server, kubelet_volume: KubeletVolume) -> None:
    """While the volume is read for one request, others on the event loop go on."""

    async def run() -> int:
        reading, gone_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        reload = settings.live.reload

        def slow_reload(wait: bool = True) -> bool:
            loop.call_soon_threadsafe(reading.set)
            asyncio.run_coroutine_threadsafe(gone_on.wait(), loop).result(10)
            return reload(wait)

        async def other() -> None:
            await reading.wait()
            gone_on.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings.live, "reload", slow_reload)
            async with httpx.AsyncClient(
                auth=TokenAuth(settings, "api_token"), transport=httpx.MockTransport(server)
            ) as client:
                response, _ = await asyncio.gather(client.get("http://shop/"), other())
                return response.status_code

    kubelet_volume.write({"api-token": "two"})
    server.token = "two"
    assert asyncio.run(run()) == 200


ON_TRIO = """
import sys, httpx, trio
from liveconfig import Settings
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


def test_other_headers_and_schemes(settings: TokenSettings, server: Server) -> None:
    """The header and the word before the token can be chosen."""
    auth = TokenAuth(settings, "api_token", header="X-Api-Key", scheme="")
    with httpx.Client(auth=auth, transport=httpx.MockTransport(server)) as client:
        assert client.get("http://shop/").request.headers["x-api-key"] == "one"
    assert server.seen == [None]


def test_without_a_token_no_header_is_sent(
    post: Callable[..., int], server: Server, settings: TokenSettings, kubelet_volume: KubeletVolume
) -> None:
    """While the field is None the request carries no header."""
    kubelet_volume.write({"other": ""})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.model_config, "missing_key", "fallback")
        settings.live.reload()
    assert post() == 401
    assert server.seen == [None]


def test_a_field_that_is_not_there_is_named(settings: TokenSettings) -> None:
    """The name of a field that does not exist is an error at once, that names the nearest."""
    with pytest.raises(LiveConfigError, match="api_token"):
        TokenAuth(settings, "api_tokn")
