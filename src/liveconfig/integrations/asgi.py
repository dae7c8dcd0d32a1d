"""Starlette and other ASGI applications: a lifespan, one snapshot for each request, and a status page.

It needs no package: `lifespan` is called as Starlette calls one, `PinnedMiddleware` and `status_app` are plain ASGI.
With the extra ``[asgi]``, which installs Jinja2, the status page is also available as HTML.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from liveconfig import Settings
from liveconfig.integrations._pages import answer
from liveconfig.integrations._status_page import readiness
from liveconfig.settings import live_of

__all__ = ["PinnedMiddleware", "lifespan", "status_app"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]


def lifespan(settings: Settings, inner: Lifespan | None = None) -> Lifespan:
    """Deliver to coroutine subscribers on the application's loop, and close the settings when the application ends.

    Several applications, or one that is entered twice, can share the settings: the last exit closes them.

    Args:
        settings: The live settings.
        inner: The application's own lifespan. It is entered after the settings are live and left before they are
            closed; its state is the application's.

    Returns:
        A lifespan for ``FastAPI(lifespan=...)`` and ``Starlette(lifespan=...)``.

    Raises:
        LiveConfigError: The settings are a snapshot.
        TypeError: They are a settings class, or something else.
    """
    live = live_of(settings)

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
    """Pins one snapshot for each HTTP request: ``settings.live.snapshot()`` returns the same one during the request.

    The pin lasts until the application has sent the whole response, including a streamed one, and has run its
    background tasks. A websocket is not pinned, because it can last for days: each ``snapshot()`` in it is the newest.

    Args:
        app: The application inside.
        settings: The live settings.

    Raises:
        LiveConfigError: The settings are a snapshot.
        TypeError: They are a settings class, or something else.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._live = live_of(settings)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI calls an application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._live.pinned():
            await self._app(scope, receive, send)


def status_app(settings: Settings, *, status: bool = False, fail_when_unhealthy: bool = False) -> ASGIApp:
    """Return an application with ``GET /ready`` for the kubelet's probe and, with ``status=True``, ``GET /status``.

    ::

        app.mount("/liveconfig", status_app(settings, status=True))  # Starlette

    Args:
        settings: The live settings.
        status: Serve the status, too. It contains names of fields and paths, but no value.
        fail_when_unhealthy: Answer 503 to the probe while the settings are not healthy. Off by default, because one
            invalid ConfigMap would take every pod out of the Service, although the last good configuration is in use.

    Raises:
        LiveConfigError: The settings are a snapshot.
        TypeError: They are a settings class, or something else.
    """
    live_of(settings)  # raises here, not at the first request

    async def serve(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] not in ("GET", "HEAD"):
            await _send(send, 405, "text/plain", "method not allowed")
        elif path == "/ready":
            # on a thread: of settings that nothing watches, it looks at the volumes
            state = await asyncio.to_thread(readiness, settings, fail_when_unhealthy=fail_when_unhealthy)
            await _send(send, state.status_code, "application/json", state.model_dump_json())
        elif path == "/status" and status:
            page = await asyncio.to_thread(answer, settings, _header(scope, b"accept"))  # it reads /proc
            await _send(send, 200, page.media_type, page.body, page.headers)
        else:
            await _send(send, 404, "text/plain", "not found")

    return serve


def _header(scope: Message, name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return b",".join(found).decode("latin-1") if found else None


async def _send(send: Send, code: int, media_type: str, body: str, headers: Mapping[str, str] | None = None) -> None:
    """Send a complete answer; the server drops the body of a HEAD request."""
    content = body.encode()
    every = {**(headers or {}), "Content-Type": f"{media_type}; charset=utf-8", "Content-Length": str(len(content))}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in every.items()]
    await send({"type": "http.response.start", "status": code, "headers": pairs})
    await send({"type": "http.response.body", "body": content})
