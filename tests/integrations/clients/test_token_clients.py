"""`TokenAuth` of aiohttp, httpx and requests: the same rules, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations import aiohttp as live_aiohttp
from liveconfig.integrations import httpx as live_httpx
from liveconfig.integrations import requests as live_requests
from liveconfig.testing import KubeletVolume

Paths = dict[str, str]


class TokenSettings(Settings):
    api_token: SecretStr


class Requests:
    """requests with a session."""

    stream = io.BytesIO

    def __init__(self, settings: Settings, **auth: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = live_requests.TokenAuth(settings, "api_token", **auth)

    def send(self, *urls: str, data: Any = None, **how: Any) -> list[int]:
        """Send one request after the other: their statuses."""
        method = "GET" if data is None else "POST"
        return [self._session.request(method, url, data=data, **how).status_code for url in urls]

    def close(self) -> None:
        self._session.close()


class Httpx:
    """httpx with a client."""

    stream = io.BytesIO

    def __init__(self, settings: Settings, **auth: str) -> None:
        token = live_httpx.TokenAuth(settings, "api_token", **auth)
        self._client = httpx.Client(auth=token, follow_redirects=True, trust_env=False, verify=False)

    def send(self, *urls: str, data: Any = None) -> list[int]:
        method = "GET" if data is None else "POST"
        return [self._client.request(method, url, content=data).status_code for url in urls]

    def close(self) -> None:
        self._client.close()


class AsyncHttpx:
    """httpx with an asynchronous client."""

    async def stream(self, data: bytes) -> AsyncIterator[bytes]:
        yield data

    def __init__(self, settings: Settings, **auth: str) -> None:
        self._token = live_httpx.TokenAuth(settings, "api_token", **auth)

    def send(self, *urls: str, data: Any = None) -> list[int]:
        return asyncio.run(self.asend(*urls, data=data))

    async def asend(self, *urls: str, data: Any = None) -> list[int]:
        method = "GET" if data is None else "POST"
        async with httpx.AsyncClient(auth=self._token, follow_redirects=True, trust_env=False, verify=False) as client:
            return [(await client.request(method, url, content=data)).status_code for url in urls]

    def close(self) -> None:
        pass


class Aiohttp:
    """aiohttp with a session."""

    stream = io.BytesIO

    def __init__(self, settings: Settings, **auth: str) -> None:
        self._token = live_aiohttp.TokenAuth(settings, "api_token", **auth)

    def send(self, *urls: str, data: Any = None) -> list[int]:
        return asyncio.run(self.asend(*urls, data=data))

    async def asend(self, *urls: str, data: Any = None) -> list[int]:
        method = "GET" if data is None else "POST"
        statuses = []
        async with aiohttp.ClientSession(middlewares=(self._token,)) as session:
            for url in urls:
                async with session.request(method, url, data=data) as response:
                    statuses.append(response.status)
        return statuses

    def close(self) -> None:
        pass


CLIENTS = [Requests, Httpx, AsyncHttpx, Aiohttp]


@pytest.fixture(params=CLIENTS, ids=[kind.__name__ for kind in CLIENTS])
def connect(request: pytest.FixtureRequest, token_settings: Settings) -> Iterator[Callable[..., Any]]:
    """Make a client of each kind."""
    clients = []

    def connect(**auth: str) -> Any:
        clients.append(request.param(token_settings, **auth))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


# Requests


def test_each_request_carries_the_newest_token(
    connect: Callable[..., Any], site: Any, token_settings: Settings, kubelet_volume: KubeletVolume
) -> None:
    """A request carries the token of the newest snapshot, never of a pinned one."""
    client = connect()
    with token_settings.live.pinned():
        assert client.send(site.url + "/") == [200]
        kubelet_volume.write({"api-token": "two"})
        site.accepted = "Bearer two"
        token_settings.live.reload()
        assert client.send(site.url + "/") == [200]
    assert site.seen == [("/", "Bearer one"), ("/", "Bearer two")]


def test_on_a_401_the_volume_is_read_and_the_request_repeated(
    connect: Callable[..., Any], site: Any, kubelet_volume: KubeletVolume
) -> None:
    """The server is ahead: on its 401 the volume is read, and the request is repeated with its body."""
    kubelet_volume.write({"api-token": "two"})
    site.accepted = "Bearer two"
    assert connect().send(site.url + "/", data=b"order") == [200]
    assert site.seen == [("/", "Bearer one"), ("/", "Bearer two")]
    assert site.bodies == [b"order", b"order"]


def test_a_request_is_repeated_once(connect: Callable[..., Any], site: Any, kubelet_volume: KubeletVolume) -> None:
    """A second 401 stands, even if the volume has yet another token by then."""
    tokens = iter(["two", "three", "four"])
    site.before = lambda: kubelet_volume.write({"api-token": next(tokens)})
    site.accepted = "nobody's"
    assert connect().send(site.url + "/") == [401]
    assert [token for _, token in site.seen] == ["Bearer one", "Bearer two"]


def test_with_the_same_token_a_401_stands(connect: Callable[..., Any], site: Any) -> None:
    """A request whose token is still the newest is not repeated."""
    site.accepted = "Bearer two"
    assert connect().send(site.url + "/") == [401]
    assert site.seen == [("/", "Bearer one")]


@pytest.mark.usefixtures("long_pauses")
def test_a_401_calls_no_verifier_again(
    connect: Callable[..., Any], site: Any, token_settings: Settings, kubelet_volume: KubeletVolume
) -> None:
    """However often a server answers 401, content that a verifier has rejected waits for its next attempt."""
    calls: list[Any] = []
    token_settings.live.add_verifier(lambda candidate: calls.append(candidate) or False, on="api_token")
    kubelet_volume.write({"api-token": "two"})
    assert not token_settings.live.reload()
    calls.clear()
    site.accepted = "nobody's"
    assert connect().send(*[site.url + "/"] * 5) == [401] * 5
    assert not token_settings.live.reload(retry=False)  # waits for a verifier that runs
    assert calls == []


def test_a_body_that_can_be_read_once_is_not_repeated(
    connect: Callable[..., Any], site: Any, kubelet_volume: KubeletVolume
) -> None:
    """The 401 of a request with a streamed body is returned."""
    kubelet_volume.write({"api-token": "two"})
    site.accepted = "Bearer two"
    client = connect()
    assert client.send(site.url + "/", data=client.stream(b"order")) == [401]
    assert site.seen == [("/", "Bearer one")]


def test_other_headers_and_schemes(connect: Callable[..., Any], site: Any) -> None:
    """The header and the word before the token can be chosen."""
    site.header, site.accepted = "X-Api-Key", "one"
    assert connect(header="X-Api-Key", scheme="").send(site.url + "/") == [200]


def test_without_a_token_no_header_is_sent(
    connect: Callable[..., Any], site: Any, token_settings: Settings, kubelet_volume: KubeletVolume
) -> None:
    """While the field is None the request carries no header."""
    kubelet_volume.write({"other": ""})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(token_settings.model_config, "missing_key", "fallback")
        token_settings.live.reload()
    assert connect().send(site.url + "/") == [401]
    assert site.seen == [("/", None)]


@pytest.mark.parametrize("token", ["{} ", "{}\nsecond line", "{}\x7f", "{}€"])
def test_a_token_that_no_header_can_hold_is_not_shown(
    connect: Callable[..., Any],
    site: Any,
    token_settings: Settings,
    kubelet_volume: KubeletVolume,
    canary: str,
    token: str,
) -> None:
    """F51: a token that cannot be sent in a header is an error that names its field, and does not show it."""
    kubelet_volume.write({"api-token": token.format(canary)})
    token_settings.live.reload()
    with pytest.raises(LiveConfigError, match="`api_token` cannot be sent in a header") as caught:
        connect().send(site.url + "/")
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if frame.filename != __file__]
    assert canary not in str(caught.value) + "".join(str(frame.locals) for frame in ours)
    assert caught.value.__context__ is None
    assert site.seen == []


def fetch_with_requests(token: Any, url: str) -> None:
    requests.get(url, auth=token, timeout=10).raise_for_status()


def fetch_with_httpx(token: Any, url: str) -> None:
    httpx.get(url, auth=token, trust_env=False).raise_for_status()


def fetch_with_aiohttp(token: Any, url: str) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(middlewares=(token,), raise_for_status=True) as session:
            await session.get(url)

    asyncio.run(run())


FETCH = [
    (live_requests, fetch_with_requests, requests.HTTPError),
    (live_httpx, fetch_with_httpx, httpx.HTTPStatusError),
    (live_aiohttp, fetch_with_aiohttp, aiohttp.ClientResponseError),
]


@pytest.mark.parametrize(("module", "fetch", "error"), FETCH)
def test_the_error_of_a_wrong_token_does_not_show_it(
    module: Any, fetch: Any, error: Any, token_settings: Settings, site: Any, kubelet_volume: KubeletVolume, canary: str
) -> None:
    """A refused token gives the client's own error, once, in whose text and attributes it cannot be read."""
    kubelet_volume.write({"api-token": canary})
    token_settings.live.reload()
    with pytest.raises(error) as caught:
        fetch(module.TokenAuth(token_settings, "api_token"), site.url)
    assert site.seen == [("/", f"Bearer {canary}")]
    assert canary not in f"{caught.value!r}{caught.value}{vars(caught.value)}"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


class Load:
    """Eight threads, each with a client of its own, that send one request after the other."""

    def __init__(self, kind: Any, settings: Settings, url: str) -> None:
        self.statuses: list[list[int]] = [[] for _ in range(8)]  # of each thread
        self._kind, self._settings, self._url = kind, settings, url
        self._more, self._end = threading.Condition(), threading.Event()
        self._threads = ThreadPoolExecutor(8)
        self._running = [self._threads.submit(self._run, each) for each in self.statuses]

    def _run(self, statuses: list[int]) -> None:
        with contextlib.closing(self._kind(self._settings)) as client:
            while not self._end.is_set():
                answers = client.send(self._url)
                with self._more:
                    statuses += answers
                    self._more.notify_all()
                self._end.wait(0.01)  # lets the others go on

    def go_on(self) -> None:
        """Wait until each thread has sent a whole request from now on."""
        with self._more:
            goals = [len(each) + 2 for each in self.statuses]

            def reached() -> bool:
                return all(len(each) >= goal for each, goal in zip(self.statuses, goals, strict=True))

            assert self._more.wait_for(reached, 60), "the load came to a halt"

    def stop(self) -> None:
        self._end.set()
        for each in self._running:
            each.result(30)
        self._threads.shutdown()


@pytest.mark.parametrize("kind", CLIENTS)
def test_no_request_is_lost_in_ten_rotations(kind: Any, site: Any, kubelet_volume: KubeletVolume) -> None:
    """Under load from eight threads no request fails, if the old token is revoked later, or as the volume is swapped."""
    kubelet_volume.write({"api-token": "one"})
    settings = TokenSettings.load(_volumes=kubelet_volume.path)
    with settings.live:
        load = Load(kind, settings, f"{site.url}/")
        for number in range(10):
            load.go_on()
            site.accepted, site.still_accepted = f"Bearer {number}", site.accepted
            load.go_on()
            kubelet_volume.write({"api-token": str(number)})
            if number % 2:  # else the old one is revoked before anybody has read the volume
                settings.live.wait(lambda newest, now=str(number): newest.api_token.get_secret_value() == now, 10)
                load.go_on()
            site.still_accepted = None
            load.go_on()
        newest = [token for _, token in site.seen[-8:]]
        load.stop()
    assert {status for each in load.statuses for status in each} == {200}
    assert set(newest) == {"Bearer 9"}


# Redirects

HEADERS = [{}, {"header": "X-Api-Key", "scheme": ""}]


@pytest.fixture(params=HEADERS, ids=["Authorization", "X-Api-Key"])
def auth(request: pytest.FixtureRequest, site: Any, other: Any) -> dict[str, str]:
    """The standard header, and one that the clients do not know."""
    for one in (site, other):
        one.header = request.param.get("header", "Authorization")
        one.accepted = "one" if request.param else "Bearer one"
    return dict(request.param)


def test_a_redirect_to_the_same_host_carries_the_token(
    connect: Callable[..., Any], site: Any, auth: dict[str, str]
) -> None:
    """The header goes along with redirects to the same host, relative or not."""
    site.redirects = {"/a": "/b", "/b": f"{site.url}/c"}
    assert connect(**auth).send(f"{site.url}/a") == [200]
    assert site.seen == [("/a", site.accepted), ("/b", site.accepted), ("/c", site.accepted)]


@pytest.mark.parametrize("path", ["/move", "/keep"])
def test_a_redirect_to_another_host_does_not_carry_the_token(
    connect: Callable[..., Any], site: Any, other: Any, auth: dict[str, str], path: str
) -> None:
    """The header does not go to another host, with 302 nor with 307, and not on from there."""
    site.redirects = {path: f"{other.url}/keep"}
    other.redirects = {"/keep": f"{other.url}/end"}
    assert connect(**auth).send(site.url + path, data=b"order") == [401]
    assert site.seen == [(path, site.accepted)]
    assert other.seen == [("/keep", None), ("/end", None)]


def test_another_name_of_the_same_machine_is_another_host(
    connect: Callable[..., Any], site: Any, auth: dict[str, str]
) -> None:
    """``localhost`` is another host than ``127.0.0.1``."""
    site.redirects = {"/a": site.url.replace("127.0.0.1", "localhost") + "/b"}
    assert connect(**auth).send(f"{site.url}/a") == [401]
    assert site.seen == [("/a", site.accepted), ("/b", None)]


ODD_LOCATIONS = [
    "//{other}/b",
    "///{other}/b",
    "http:{other}/b",
    "http:/{other}/b",
    "http:///{other}/b",
    "HTTP://{other}/b",
    "http:\\\\{other}\\b",
    "\\\\{other}/b",
    "http://{site}@{other}/b",
    "http://{other}#@{site}/b",
    "http://{other}?@{site}/b",
    "http://{other}\\@{site}/b",
    "http://{site}\\@{other}/b",
    "http://{other};@{site}/b",
    "http://{site}:80@{other}/b",
    "http://{other}%2f@{site}/b",
    "http://{other}:{site}/b",
    "https://{site}/b",
    "ftp://{site}/b",
    "http://{site}0/b",
]


def test_a_redirect_is_read_as_the_client_reads_it(
    connect: Callable[..., Any], site: Any, other: Any, auth: dict[str, str]
) -> None:
    """However a redirect spells another host, that host gets no token."""
    client = connect(**auth)
    places = {"site": site.url.removeprefix("http://"), "other": other.url.removeprefix("http://")}
    for location in ODD_LOCATIONS:
        site.redirects = {"/a": location.format(**places)}
        with contextlib.suppress(Exception):  # the client may refuse the URL
            client.send(f"{site.url}/a")
        assert site.accepted not in {token for _, token in other.seen}, location
    assert len(site.seen) >= len(ODD_LOCATIONS)
    assert other.seen


def test_a_way_back_does_not_carry_the_token(
    connect: Callable[..., Any], site: Any, other: Any, auth: dict[str, str]
) -> None:
    """Another host that redirects back does not get a request with the token made, however often they redirect."""
    site.redirects = {"/a": f"{other.url}/b", "/c": f"{other.url}/d", "/e": "/f"}
    other.redirects = {"/b": f"{site.url}/c", "/d": f"{site.url}/e"}
    assert connect(**auth).send(f"{site.url}/a") == [401]
    assert site.seen == [("/a", site.accepted), ("/c", None), ("/e", None), ("/f", None)]
    assert other.seen == [("/b", None), ("/d", None)]


@pytest.mark.parametrize("back", [False, True])
def test_the_401_of_another_host_is_not_answered_with_a_newer_token(
    connect: Callable[..., Any],
    site: Any,
    other: Any,
    auth: dict[str, str],
    kubelet_volume: KubeletVolume,
    back: bool,
) -> None:
    """After a redirect to another host, no 401 makes the client send the newer token, there or back at the first host."""
    site.redirects = {"/a": f"{other.url}/b"}
    other.redirects = {"/b": f"{site.url}/c"} if back else {}
    other.before = lambda: kubelet_volume.write({"api-token": "two"})
    assert connect(**auth).send(f"{site.url}/a") == [401]
    assert site.seen == [("/a", site.accepted)] + [("/c", None)] * back
    assert other.seen == [("/b", None)]


def test_a_request_after_a_redirect_that_failed(
    connect: Callable[..., Any], site: Any, other: Any, auth: dict[str, str]
) -> None:
    """A redirect that fails in the middle leaves the program's own request to that host its token."""
    site.redirects = {"/a": f"{other.url}/b"}
    other.before = lambda: other.breaks.add("/b")
    client = connect(**auth)

    with pytest.raises((requests.ConnectionError, httpx.RemoteProtocolError, aiohttp.ClientError)):
        client.send(f"{site.url}/a")
    assert client.send(f"{other.url}/own") == [200]
    assert {token for path, token in other.seen if path == "/b"} == {None}
    assert other.seen[-1] == ("/own", other.accepted)


def test_the_other_host_gets_its_own_requests(
    connect: Callable[..., Any], site: Any, other: Any, auth: dict[str, str]
) -> None:
    """After a redirect, a request that the program itself sends to that host carries the token."""
    site.redirects = {"/a": f"{other.url}/b"}
    assert connect(**auth).send(f"{site.url}/a", f"{other.url}/own", f"{site.url}/own") == [401, 200, 200]
    assert other.seen == [("/b", None), ("/own", other.accepted)]


def test_a_redirect_after_a_repeated_request(
    connect: Callable[..., Any], site: Any, other: Any, auth: dict[str, str], kubelet_volume: KubeletVolume
) -> None:
    """A redirect that answers the repeated request does not carry the token to another host either."""
    new = site.accepted.replace("one", "two")
    kubelet_volume.write({"api-token": "two"})
    answer = site._answer

    def first_401(path: str, token: str | None, body: bytes) -> tuple[int, str]:
        status, location = answer(path, token, body)
        return (status, location) if token == new else (401, "")

    site._answer = first_401
    site.redirects = {"/a": f"{other.url}/b"}
    assert connect(**auth).send(f"{site.url}/a") == [401]
    assert [token for _, token in site.seen] == [site.accepted, new]
    assert other.seen == [("/b", None)]


# What the clients do by hand


def test_httpx_step_by_step(token_settings: Settings, site: Any, other: Any, auth: dict[str, str]) -> None:
    """A program that follows the redirects of httpx by itself takes no token to another host, nor back from there."""
    site.redirects = {"/a": f"{site.url}/b", "/b": f"{other.url}/c"}
    other.redirects = {"/c": f"{site.url}/d"}
    token = live_httpx.TokenAuth(token_settings, "api_token", **auth)
    with httpx.Client(auth=token, trust_env=False) as client:
        response = client.get(f"{site.url}/a")
        while response.next_request is not None:
            response = client.send(response.next_request)
    assert site.seen == [("/a", site.accepted), ("/b", site.accepted), ("/d", None)]
    assert other.seen == [("/c", None)]


def test_requests_step_by_step(token_settings: Settings, site: Any, other: Any, auth: dict[str, str]) -> None:
    """A program that follows the redirects of requests by itself takes no token to another host, nor back from there."""
    site.redirects = {"/a": f"{other.url}/b"}
    other.redirects = {"/b": f"{site.url}/c"}
    with requests.Session() as session:
        session.auth = live_requests.TokenAuth(token_settings, "api_token", **auth)
        response = session.get(f"{site.url}/a", allow_redirects=False)
        while response.next is not None:
            response = session.send(response.next, allow_redirects=False)
    assert site.seen == [("/a", site.accepted), ("/c", None)]
    assert other.seen == [("/b", None)]


@pytest.mark.parametrize("back", [False, True])
def test_requests_with_a_netrc(
    token_settings: Settings, site: Any, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    """A login that requests takes from ``.netrc`` for a redirect is not replaced by the token when it is refused."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login app password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    login = "Basic YXBwOnNlY3JldA=="
    site.redirects = {"/a": f"{other.url}/b"}
    other.redirects = {"/b": f"{site.url}/c"} if back else {}
    with requests.Session() as session:
        session.auth = live_requests.TokenAuth(token_settings, "api_token")
        assert session.get(f"{site.url}/a").status_code == 401
    assert site.seen == [("/a", "Bearer one")] + [("/c", login)] * back
    assert other.seen == [("/b", login)]


def test_requests_calls_the_other_hooks_of_a_redirect(token_settings: Settings, site: Any, other: Any) -> None:
    """A program's own hooks are called for each answer, also behind a redirect to another host."""
    site.redirects = {"/a": f"{other.url}/b"}
    statuses: list[int] = []
    with requests.Session() as session:
        session.trust_env = False
        session.auth = live_requests.TokenAuth(token_settings, "api_token")
        session.hooks["response"].append(lambda response, **_: statuses.append(response.status_code))
        session.get(f"{site.url}/a")
    assert statuses == [302, 401]


@pytest.mark.parametrize("kind", [AsyncHttpx, Aiohttp])
async def test_the_event_loop_goes_on_while_the_volume_is_read(
    kind: Any, token_settings: Settings, site: Any, kubelet_volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the volume is read for one request, others on the event loop go on."""
    reading, gone_on = asyncio.Event(), asyncio.Event()
    loop, reload = asyncio.get_running_loop(), token_settings.live.reload

    def slow_reload(wait: bool = True, *, retry: bool = True) -> bool:
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(gone_on.wait(), loop).result(10)
        return reload(wait, retry=retry)

    async def other_task() -> None:
        await reading.wait()
        gone_on.set()

    monkeypatch.setattr(token_settings.live, "reload", slow_reload)
    kubelet_volume.write({"api-token": "two"})
    site.accepted = "Bearer two"
    statuses, _ = await asyncio.gather(kind(token_settings).asend(site.url), other_task())
    assert statuses == [200]
