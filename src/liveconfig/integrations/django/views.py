"""The readiness probe and the status page."""

from __future__ import annotations

from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from liveconfig.integrations._pages import answer
from liveconfig.integrations._status_page import readiness
from liveconfig.integrations.django._configuration import configuration

__all__ = ["ready", "status"]


@non_atomic_requests  # the probe must not need a database
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Whether this process may be sent requests: for the kubelet's probe."""
    configured = configuration()
    state = readiness(configured.settings, fail_when_unhealthy=configured.fail_when_unhealthy)
    return JsonResponse(state.model_dump(), status=state.status_code)


@non_atomic_requests
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
