"""Starlette and every other ASGI application: live as long as the application runs, one snapshot per request.

It needs no package: `lifespan` is called as Starlette calls one, `PinnedMiddleware` is plain ASGI.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from liveconfig import Settings

__all__ = ["PinnedMiddleware", "lifespan"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]


def lifespan(settings: Settings, inner: Lifespan | None = None) -> Lifespan:
    """Deliver to coroutine subscribers on the application's loop, and close the settings when the application ends.

    Several applications, or one that is entered twice, may share the settings: the last exit closes.

    Args:
        settings: The live settings.
        inner: The application's own lifespan. It is entered after the settings are live and left before they are
            closed; its state is the application's.

    Returns:
        What ``FastAPI(lifespan=...)`` and ``Starlette(lifespan=...)`` take.

    Raises:
        LiveConfigError: The settings are a snapshot.
    """
    live = settings.live

    @asynccontextmanager
    async def served(app: Any) -> AsyncIterator[Any]:
        async with live:
            if inner is None:
                yield
            else:
                async with inner(app) as state:
                    yield state

    return served


class PinnedMiddleware:
    """Pins one snapshot for each HTTP request: ``settings.live.snapshot()`` gives the same one all through it.

    It holds until the application has sent the whole response, streamed ones too, and has run its background tasks.
    A websocket is not pinned: it can live for days, and each ``snapshot()`` in it is the newest.

    Args:
        app: The application inside.
        settings: The live settings.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._live = settings.live

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI calls an application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._live.pinned():
            await self._app(scope, receive, send)
