"""httpx: requests, sync and async, that carry the newest token."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator
from functools import partial
from http import HTTPStatus

from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._fields import secret_reader

with extra_of(__name__):
    import anyio.to_thread  # httpx's own bridge between asyncio and trio
    import httpx

__all__ = ["TokenAuth"]

HEADER_VALUE = re.compile(r"([!-~]+([ \t]+[!-~]+)*)?")  # RFC 9110 5.5, of which httpx sends ASCII


class TokenAuth(httpx.Auth):
    """Gives each request the token of the newest snapshot: ``httpx.Client(auth=TokenAuth(settings, "api_token"))``.

    On a 401 the volume is read now, and if the token is another then, the request is repeated once. A request whose
    body can be read only once (a generator) is not repeated, nor one that was redirected before the 401.

    Args:
        settings: Live settings.
        token: The dotted name of the field that holds the token. While the field is None no header is sent.
        header: The header that carries it.
        scheme: The word before the token; an empty one: the token alone.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or, when a request is made: the token
            cannot be sent in a header.
    """

    def __init__(
        self,
        settings: Settings,
        token: str = "token",  # noqa: S107 - the name of a field
        *,
        header: str = "Authorization",
        scheme: str = "Bearer",
    ) -> None:
        self._live = settings.live
        self._field = token
        self._read = secret_reader(settings, token)
        self._header = header
        self._prefix = f"{scheme} " if scheme else ""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """What `httpx.Client` runs for each request."""
        token = self._put(request)
        response = yield request
        if _worth_another(request, response):
            self._live.reload(wait=False)
            if self._put(request) != token:
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """What `httpx.AsyncClient` runs for each request: the volume is read beside the event loop."""
        token = self._put(request)
        response = yield request
        if _worth_another(request, response):
            await anyio.to_thread.run_sync(partial(self._live.reload, wait=False))
            if self._put(request) != token:
                yield request

    def _put(self, request: httpx.Request) -> SecretStr | None:
        """Put the newest token into the request."""
        token = self._read(self._live.latest())
        if token is not None:
            if not HEADER_VALUE.fullmatch(self._prefix + token.get_secret_value()):  # httpx's own error would show it
                why = "it has a blank at its end, a line break, or a letter that is not ASCII"
                raise LiveConfigError(f"{self._field} cannot be sent in a header: {why}")
            request.headers[self._header] = self._prefix + token.get_secret_value()
        return token


def _worth_another(request: httpx.Request, response: httpx.Response) -> bool:
    if response.status_code != HTTPStatus.UNAUTHORIZED or response.request is not request:  # it was redirected
        return False
    try:
        return request.content is not None
    except httpx.RequestNotRead:  # a stream, and it is used up
        return False
