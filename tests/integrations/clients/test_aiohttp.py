"""Tests that only `TokenAuth` of aiohttp needs; `test_token_clients.py` has those for all clients."""

from __future__ import annotations

import asyncio
import contextvars
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations.aiohttp import TokenAuth

HEADERS = [{}, {"header": "X-Api-Key", "scheme": ""}]


@pytest.fixture(params=HEADERS, ids=["Authorization", "X-Api-Key"])
def auth(request: pytest.FixtureRequest, token_settings: Settings, site: Any, other: Any) -> TokenAuth:
    """A middleware for the standard header, and one for a header that aiohttp does not know."""
    for one in (site, other):
        one.header = request.param.get("header", "Authorization")
        one.accepted = "one" if request.param else "Bearer one"
    return TokenAuth(token_settings, "api_token", **request.param)


async def get(url: str, *middlewares: Any, **how: Any) -> int:
    """Send one request in a session of its own: its status."""
    async with aiohttp.ClientSession(middlewares=middlewares, **how) as session, session.get(url) as response:
        return response.status


async def test_a_hop_that_aiohttp_repeats(auth: TokenAuth, site: Any, other: Any) -> None:
    """Another host that closes the connection gets no token when aiohttp repeats the hop."""
    site.redirects = {"/a": f"{other.url}/b"}
    other.breaks = {"/b"}
    assert await get(f"{site.url}/a", auth) == 401
    assert other.seen == [("/b", None), ("/b", None)]


async def test_a_first_request_that_aiohttp_repeats(auth: TokenAuth, site: Any) -> None:
    """A request that aiohttp repeats because the connection was closed carries the token again."""
    site.breaks = {"/a"}
    assert await get(f"{site.url}/a", auth) == 200
    assert site.seen == [("/a", site.accepted), ("/a", site.accepted)]


async def repeat(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """A middleware that repeats each request that fails."""
    response = await handler(request)
    if response.status < HTTPStatus.BAD_REQUEST:
        return response
    response.release()
    return await handler(request)


async def test_a_hop_that_another_middleware_repeats(auth: TokenAuth, site: Any, other: Any) -> None:
    """Another host gets no token when a middleware of the program repeats the hop."""
    site.redirects = {"/a": f"{other.url}/b"}
    assert await get(f"{site.url}/a", repeat, auth) == 401
    assert other.seen == [("/b", None), ("/b", None)]


async def in_a_task(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """A middleware that sends in a task of its own, as `asyncio.wait_for` did up to Python 3.11."""

    async def send() -> ClientResponse:
        return await handler(request)

    return await asyncio.create_task(send())


async def test_a_hop_in_another_task(auth: TokenAuth, site: Any, other: Any) -> None:
    """Another host gets no token when a middleware of the program sends each hop in a task of its own."""
    site.redirects = {"/a": f"{other.url}/b"}
    assert await get(f"{site.url}/a", in_a_task, auth) == 401
    assert other.seen == [("/b", None)]


@pytest.mark.parametrize("outside", [True, False])
async def test_a_request_between_two_hops(auth: TokenAuth, site: Any, other: Any, outside: bool) -> None:
    """A middleware's own requests carry the token, and do not change what the hop after them carries."""
    site.redirects = {"/a": f"{other.url}/b"}

    async def ask_first(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        assert await get(f"{other.url}/own", auth) == 200
        return await handler(request)

    middlewares = (ask_first, auth) if outside else (auth, ask_first)
    assert await get(f"{site.url}/a", *middlewares) == 401
    assert other.seen == [("/own", other.accepted), ("/own", other.accepted), ("/b", None)]
    assert site.seen == [("/a", site.accepted)]


async def test_a_target_in_capital_letters(auth: TokenAuth, site: Any, other: Any) -> None:
    """Another host gets no token if aiohttp takes its name from the redirect as it is spelled."""
    site.redirects = {"/a": other.url.replace("127.0.0.1", "LOCALHOST") + "/b"}
    assert await get(f"{site.url}/a", auth, requote_redirect_url=False) == 401
    assert other.seen == [("/b", None)]


async def test_a_netrc(
    token_settings: Settings, site: Any, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that aiohttp takes from ``.netrc`` for a redirect is not replaced by the token when it is refused."""
    (tmp_path / "netrc").write_text("default login app password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    site.redirects = {"/a": f"{other.url}/b"}
    assert await get(f"{site.url}/a", TokenAuth(token_settings, "api_token"), trust_env=True) == 401
    assert site.seen == [("/a", "Bearer one")]
    assert other.seen == [("/b", "Basic YXBwOnNlY3JldA==")]


SCHEMES = {"http://shop/a": "https://shop/b", "https://shop/b": "http://shop/c"}


async def test_a_way_back_from_https_does_not_carry_the_token(auth: TokenAuth, site: Any) -> None:
    """The token goes along from ``http`` to ``https`` at the same host, and not back to ``http``."""
    site.redirects = {URL(url).path: target for url, target in SCHEMES.items()}
    urls = []

    async def to_site(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        urls.append(str(request.url))
        request.url = URL(site.url).with_path(request.url.path)
        return await handler(request)

    assert await get("http://shop/a", auth, to_site) == 401
    assert urls == [*SCHEMES, "http://shop/c"]
    assert site.seen == [("/a", site.accepted), ("/b", site.accepted), ("/c", None)]


async def test_a_url_that_the_program_passes(auth: TokenAuth, site: Any, other: Any) -> None:
    """A program that reads the target of a redirect and requests it addresses that host: the request has the token."""
    site.redirects = {"/a": f"{other.url}/b"}
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:
        async with session.get(f"{site.url}/a", allow_redirects=False) as response:
            target = response.headers["Location"]
        async with session.get(target), session.get(target, middlewares=()):
            pass
    assert other.seen == [("/b", other.accepted), ("/b", None)]


async def test_a_redirect_that_broke(auth: TokenAuth, site: Any, other: Any) -> None:
    """After a redirect whose target closed the connection, the task's own request to that host carries the token."""
    site.redirects = {"/a": f"{other.url}/b"}
    other.before = lambda: other.breaks.add("/b")
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get(f"{site.url}/a")
        async with session.get(f"{other.url}/own") as response:
            assert response.status == 200
    assert other.seen == [("/b", None), ("/b", None), ("/own", other.accepted)]


async def test_too_many_redirects(auth: TokenAuth, site: Any, other: Any) -> None:
    """After a redirect that was given up, the program's own request to its target carries the token."""
    site.redirects = {"/a": f"{other.url}/b"}
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:
        with pytest.raises(aiohttp.TooManyRedirects):
            await session.get(f"{site.url}/a", max_redirects=1)
        async with session.get(f"{other.url}/b") as response:
            assert response.status == 200
    assert other.seen == [("/b", other.accepted)]


async def test_in_many_tasks(auth: TokenAuth, site: Any, other: Any) -> None:
    """Requests of other tasks keep their token while one is redirected to another host."""
    site.redirects = {"/a": f"{other.url}/b"}
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:

        async def status(url: str) -> int:
            async with session.get(url) as response:
                return response.status

        urls = [f"{site.url}/a", f"{other.url}/own", f"{site.url}/own"] * 10
        assert await asyncio.gather(*map(status, urls)) == [401, 200, 200] * 10


async def test_a_request_that_is_given_up_in_another_context(auth: TokenAuth, site: Any) -> None:
    """A request that is never finished, and whose coroutine is closed in another context, raises nothing."""
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:
        request = session.get(site.url)
        contextvars.copy_context().run(request.send, None)
        request.close()
    assert site.seen == []


async def test_a_request_that_no_session_makes(auth: TokenAuth, site: Any) -> None:
    """A request of which nobody knows whether it is a redirect is refused, not sent with a token."""

    async def send(_: ClientRequest) -> ClientResponse:
        raise AssertionError("sent")

    request = ClientRequest("GET", URL(site.url), loop=asyncio.get_running_loop())
    with pytest.raises(LiveConfigError, match="does not know the host of this request"):
        await auth(request, send)


def test_an_aiohttp_without_the_place_to_mark_requests(
    token_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If aiohttp has no place where a request can be told from a redirect, no `TokenAuth` can be made."""
    monkeypatch.setattr(aiohttp.ClientSession, "_request", None)
    with pytest.raises(LiveConfigError, match="cannot keep a token from redirects with aiohttp"):
        TokenAuth(token_settings, "api_token")
