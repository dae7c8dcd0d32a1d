"""One snapshot for each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from liveconfig.integrations.django._configuration import configuration

__all__ = ["LiveConfigMiddleware"]


class LiveConfigMiddleware:
    """Pins one snapshot for each request: ``settings.live.snapshot()`` returns the same one until the view responds.

    It serves sync and async views. Put it near the top of ``MIDDLEWARE``, so that other middleware is inside. A body
    that is streamed after the view has returned sees the newest settings.

    Args:
        get_response: The next middleware, or the view.

    Raises:
        ImproperlyConfigured: ``LIVECONFIG`` is missing or wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._live = configuration().settings.live
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request, as Django calls a middleware."""
        if self._is_async:
            return self._acall(request)
        with self._live.pinned():
            return self._get_response(request)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with self._live.pinned():
            return await self._get_response(request)
