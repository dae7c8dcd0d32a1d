"""The readiness probe and the status page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from liveconfig.integrations._pages import answer
from liveconfig.integrations._status_page import readiness
from liveconfig.integrations.django._configuration import configuration

__all__ = ["ready", "status"]

V = TypeVar("V", bound=Callable[..., HttpResponse])


class _AllDatabases(set[str]):
    """The aliases of all databases, also of those that a project adds later."""

    def __contains__(self, _alias: object) -> bool:
        return True


def _without_database(view: V) -> V:
    """Mark a view as Django's ``non_atomic_requests`` does, which exempts one alias: the probe needs no database."""
    view._non_atomic_requests = _AllDatabases()  # type: ignore[attr-defined]  # noqa: SLF001
    return view


@_without_database
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Whether this process may be sent requests: for the kubelet's probe."""
    configured = configuration()
    state = readiness(configured.settings, fail_when_unhealthy=configured.fail_when_unhealthy)
    return JsonResponse(state.model_dump(), status=state.status_code)


@_without_database
@never_cache
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show where each value comes from, what is wrong, and all processes of the container, without values.

    JSON, or a page for people where the client prefers HTML. 404 unless ``LIVECONFIG["STATUS"]`` is true.
    """
    configured = configuration()
    if not configured.status:
        raise Http404('LIVECONFIG["STATUS"] is not true')
    page = answer(configured.settings, request.META.get("HTTP_ACCEPT"))
    return HttpResponse(page.body.encode(), content_type=page.media_type, headers=dict(page.headers))
