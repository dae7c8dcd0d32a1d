"""aiohttp: requests of a client session that carry the newest token."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from pydantic import SecretStr

from liveconfig import LiveConfigError
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._token import Place, TokenOptions

with extra_of(__name__):
    import aiohttp
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
    from aiohttp.payload import BytesPayload
    from yarl import URL

__all__ = ["TokenAuth"]


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
        _mark_calls()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Add the token and send; aiohttp calls this for each request and for each hop of a redirect."""
        call = _current_call.get(None)
        if call is None:
            raise LiveConfigError(
                "TokenAuth does not know the host of this request: send it with aiohttp.ClientSession, and create "
                "TokenAuth before you send it"
            )
        return await (self._send(request, handler) if call.may_show_token(request.url) else handler(request))

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


class _Call:
    """One request of a program, with all its redirects and repetitions."""

    _place: Place | None = None
    _left = False

    def may_show_token(self, url: URL) -> bool:
        """Whether all of its URLs up to this one are at the host to which the program sent it."""
        place = Place(url.scheme, url.raw_host, url.port)
        self._left = self._left or not (self._place or place).same_host(place)
        self._place = place
        return not self._left


_current_call: ContextVar[_Call] = ContextVar("liveconfig.aiohttp.call")


def _mark_calls() -> None:
    """Make aiohttp say which request of a program a hop belongs to.

    aiohttp calls the middlewares for each hop, and again when it or another middleware repeats one. Nothing in the
    request tells a hop from a new request to the same host.

    Raises:
        LiveConfigError: This version of aiohttp does not support it.
    """
    request = getattr(aiohttp.ClientSession, "_request", None)
    if request is None:
        raise LiveConfigError(f"TokenAuth cannot keep a token from redirects with aiohttp {aiohttp.__version__}")
    if request.__module__ == __name__:
        return

    async def in_a_call(session: Any, *args: Any, **how: Any) -> ClientResponse:
        outer = _current_call.set(_Call())
        try:
            response: ClientResponse = await request(session, *args, **how)
        finally:
            with suppress(ValueError):  # a coroutine that was never finished is closed in another context
                _current_call.reset(outer)
        return response

    aiohttp.ClientSession._request = in_a_call  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _can_be_repeated(request: ClientRequest) -> bool:
    return not request.body or isinstance(request.body, bytes | BytesPayload)
