"""httpx: sync and async requests with the newest token."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic import SecretStr

from liveconfig import LiveConfigError
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._token import Place, TokenOptions

with extra_of(__name__):
    import anyio.to_thread  # httpx's own bridge between asyncio and trio
    import httpx

__all__ = ["TokenAuth"]


class TokenAuth(TokenOptions, httpx.Auth):
    """Adds the token of the newest snapshot to each request: ``httpx.Client(auth=TokenAuth(settings, "api_token"))``.

    On a 401 the volume is read, and if the token is another then, the request is repeated once. A request whose body
    can be read only once (a generator) is not repeated, nor one that was redirected before the 401.

    The header never follows a redirect to another host, whatever its name is.

    Args:
        settings: Live settings.
        token: The dotted name of the field that holds the token. While the field is None no header is sent.
        header: The header that carries it.
        scheme: The scheme before the token, such as ``Bearer``; empty for the token alone.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or, when a request is made: the token
            cannot be sent in a header.
    """

    def _prepare(self) -> None:
        if self._token.header.lower() != "authorization":
            _guard_redirects()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token, and repeat a refused request once. `httpx.Client` calls this for each request."""
        sent = self._put(request)
        response = yield request
        if sent is not None and _worth_another(request, response):
            self._token.read_volume()
            if self._token.put_newer(request.headers, sent):
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same for `httpx.AsyncClient`, without blocking the event loop."""
        sent = self._put(request)
        response = yield request
        if sent is not None and _worth_another(request, response):
            await anyio.to_thread.run_sync(self._token.read_volume)
            if self._token.put_newer(request.headers, sent):
                yield request

    def _put(self, request: httpx.Request) -> SecretStr | None:
        """Set the newest token in the request, unless redirects led it to another host, if only in between."""
        place = _place(request.url)
        before = request.extensions.get(_EXTENSION) or _Sent(self._token.header, place)
        left = before.place is None or not before.place.same_host(place)
        sent = _Sent(self._token.header, None if left else place)
        request.extensions = {**request.extensions, _EXTENSION: sent}
        return None if left else self._token.put(request.headers)


class _Sent(NamedTuple):
    """The target of a token, None once it is withheld; httpx passes this on to redirected requests."""

    header: str
    place: Place | None


_EXTENSION = "liveconfig.token"


def _guard_redirects() -> None:
    """Make httpx remove the token's header from a request that is redirected to another host.

    httpx itself removes only ``Authorization`` there, and calls none of its hooks.

    Raises:
        LiveConfigError: This version of httpx does not support it.
    """
    redirect_headers = getattr(httpx.Client, "_redirect_headers", None)
    if redirect_headers is None:
        raise LiveConfigError(f"TokenAuth cannot keep a custom header from redirects with httpx {httpx.__version__}")
    if redirect_headers.__module__ == __name__:
        return

    def without_token(client: Any, request: httpx.Request, url: httpx.URL, method: str) -> httpx.Headers:
        headers: httpx.Headers = redirect_headers(client, request, url, method)
        sent = request.extensions.get(_EXTENSION)
        if sent is not None and not _place(request.url).same_host(_place(url)):
            headers.pop(sent.header, None)
        return headers

    for kind in (httpx.Client, httpx.AsyncClient):
        kind._redirect_headers = without_token  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _place(url: httpx.URL) -> Place:
    return Place(url.scheme, url.raw_host.decode("ascii"), url.port)


def _worth_another(request: httpx.Request, response: httpx.Response) -> bool:
    if response.status_code != HTTPStatus.UNAUTHORIZED or response.request is not request:  # it was redirected
        return False
    try:
        return request.content is not None
    except httpx.RequestNotRead:  # a stream, and it is used up
        return False
