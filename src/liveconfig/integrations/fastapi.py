"""FastAPI: a lifespan, a dependency that pins one snapshot for a request, and a router for the probe.

::

    app = FastAPI(lifespan=lifespan(settings))
    app.include_router(router(settings))

    Current = Annotated[AppSettings, Depends(pinned(settings))]

    @app.get("/")
    async def greet(current: Current) -> dict[str, str]:
        return {"message": current.message}
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from liveconfig import ProcessReport, Settings, Status
from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._pages import answer
from liveconfig.integrations._status_page import Readiness, readiness
from liveconfig.integrations.asgi import PinnedMiddleware, lifespan
from liveconfig.settings import live_of

with extra_of(__name__):
    from fastapi import APIRouter, Request, Response
    from fastapi.params import Depends

__all__ = ["PinnedMiddleware", "Readiness", "lifespan", "pinned", "router"]

S = TypeVar("S", bound=Settings)
Dependency: TypeAlias = Callable[[], AsyncIterator[S]]


@dataclass(frozen=True, config=ConfigDict(ser_json_timedelta="float"))
class _StatusPage(Status):
    """The JSON of the status page, with lengths of time in seconds."""

    processes: tuple[ProcessReport, ...] = ()


# A dependency refers to its settings, so each id here belongs to a living object.
_dependencies: WeakValueDictionary[int, Dependency[Any]] = WeakValueDictionary()


def pinned(settings: S) -> Dependency[S]:
    """Return a dependency that gives a handler one snapshot, and pins it for all code until the end of the request.

    ``settings.live.snapshot()`` gives that same snapshot to other dependencies that come after, to the handler and
    whatever it calls, in the thread pool too, to a streamed body and to background tasks. In a websocket handler it
    holds as long as the connection does.

    Args:
        settings: The live settings.

    Returns:
        The same function for the same settings each time, so that ``app.dependency_overrides`` finds it.

    Raises:
        LiveConfigError: The settings are a snapshot.
        TypeError: They are a settings class, or something else.
    """
    found = _dependencies.get(id(settings))
    return found if found is not None else _dependencies.setdefault(id(settings), _dependency(settings))


def _dependency(settings: S) -> Dependency[S]:
    live = live_of(settings)

    # Asynchronous, because a plain generator would pin in a copy of the context, on a thread of the pool.
    async def snapshot() -> AsyncIterator[S]:
        with live.pinned() as current:
            yield current

    return snapshot


def router(
    settings: Settings,
    status: bool = False,
    *,
    status_dependencies: Sequence[Depends] = (),
    fail_when_unhealthy: bool = False,
) -> APIRouter:
    """Return a router with ``GET /liveconfig/ready`` for the probe and, on request, ``GET /liveconfig/status``.

    Args:
        settings: The live settings.
        status: Serve the status too. It holds no value, but names of fields and paths.
        status_dependencies: Dependencies of the status page only, for example for authentication.
        fail_when_unhealthy: Answer 503 to the probe while the settings are not healthy. Off by default: the last good
            configuration is still served, and one bad ConfigMap must not take every pod out of the Service.

    Returns:
        A router for ``app.include_router()``.

    Raises:
        LiveConfigError: The settings are a snapshot.
        TypeError: They are a settings class, or something else.
    """
    live_of(settings)  # raises here, not at the first request
    api = APIRouter(prefix="/liveconfig", tags=["liveconfig"])

    @api.get("/ready", responses={503: {"model": Readiness}} if fail_when_unhealthy else {})
    def ready(response: Response) -> Readiness:
        """Say whether this process can get requests."""
        state = readiness(settings, fail_when_unhealthy=fail_when_unhealthy)
        response.status_code = state.status_code
        return state

    if status:

        @api.get("/status", response_model=_StatusPage, dependencies=status_dependencies)
        def show(request: Request) -> Response:
            """Show where each value comes from, what is wrong, and all processes of the container, without values.

            JSON, or HTML if the client prefers it.
            """
            page = answer(settings, request.headers.get("accept"))
            return Response(page.body, media_type=page.media_type, headers=dict(page.headers))

    return api
