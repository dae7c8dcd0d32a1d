"""The readiness probe and the status page."""

from __future__ import annotations

from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from liveconfig.integrations._status_page import readiness
from liveconfig.integrations.django._configuration import configuration

__all__ = ["ready", "status"]


@non_atomic_requests  # the probe must not need a database
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """Whether this process may be sent requests: for the kubelet's probe."""
    configured = configuration()
    answer = readiness(configured.settings, fail_when_unhealthy=configured.fail_when_unhealthy)
    return JsonResponse(answer.model_dump(), status=answer.status_code)


@non_atomic_requests
@never_cache
@require_safe
def status(_request: HttpRequest) -> JsonResponse:
    """Where each value comes from and what is wrong, without any value; 404 unless ``LIVECONFIG["STATUS"]`` is true."""
    configured = configuration()
    if not configured.status:
        raise Http404('LIVECONFIG["STATUS"] is not true')
    return JsonResponse(configured.settings.live.status().as_dict())
