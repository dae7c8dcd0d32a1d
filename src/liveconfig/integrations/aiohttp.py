"""aiohttp: requests of a client session that carry the newest token."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._token import Place, TokenOptions

with extra_of(__name__):
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
    from aiohttp.payload import BytesPayload
    from yarl import URL

__all__ = ["TokenAuth"]

REDIRECTS = {301, 302, 303, 307, 308}


class TokenAuth(TokenOptions):
    """A client middleware that adds the token of the newest snapshot to each request.

    ::

        ClientSession(middlewares=(TokenAuth(settings, "api_token"),))

    On a 401 the volume is read, and if the token is another then, the request is repeated once. A request whose body
    can be read only once (a file, a generator) is not repeated.

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
        # By task: the host to which its next request goes without a token. aiohttp calls a middleware for each hop of a
        # redirect, in the task of the request, without a sign that it is a hop.
        self._withheld: WeakKeyDictionary[asyncio.Task[object], URL] = WeakKeyDictionary()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Add the token and send; aiohttp calls this for each request and for each hop of a redirect."""
        task = asyncio.current_task()
        assert task is not None
        trusted = self._withheld.get(task) != request.url.origin()
        if not trusted:
            del self._withheld[task]
        response = await (self._send(request, handler) if trusted else handler(request))
        target = _target(response)
        if target is not None and not (trusted and _place(request.url).same_host(_place(target))):
            self._withheld[task] = target.origin()
        return response

    async def _send(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        sent = self._token.put(request.headers)
        try:
            return await self._send_with(sent, request, handler)
        finally:
            request.headers.pop(self._token.header, None)  # aiohttp's errors show the headers of the request

    async def _send_with(
        self, sent: SecretStr | None, request: ClientRequest, handler: ClientHandlerType
    ) -> ClientResponse:
        response = await handler(request)
        if sent is None or response.status != HTTPStatus.UNAUTHORIZED or not _can_be_repeated(request):
            return response
        await asyncio.to_thread(self._token.read_volume)
        if self._token.put_newer(request.headers, sent):
            response.release()
            response = await handler(request)
        return response


def _target(response: ClientResponse) -> URL | None:
    """Return the target of a redirect, as aiohttp reads it."""
    location = response.headers.get("Location") or response.headers.get("URI")
    if response.status not in REDIRECTS or location is None:
        return None
    try:
        target = response.url.join(URL(location))
        target.origin()
    except ValueError:  # aiohttp itself raises
        return None
    return target


def _place(url: URL) -> Place:
    return Place(url.scheme, url.host, url.port)


def _can_be_repeated(request: ClientRequest) -> bool:
    return not request.body or isinstance(request.body, bytes | BytesPayload)
