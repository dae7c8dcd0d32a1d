"""FastAPI and other ASGI applications on live settings."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated, Any

import httpx
import jsonschema
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from liveconfig import Change, LiveConfigError, Settings
from liveconfig.integrations.fastapi import PinnedMiddleware, lifespan, pinned, router
from liveconfig.testing import override

Swap = Callable[..., bool]


def asked(app: Any, *requests: Callable[[httpx.AsyncClient], Any]) -> list[Any]:
    """Serve requests one after the other in one task: what a request leaves in its context, the next one finds."""

    async def ask() -> list[Any]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await request(client) for request in requests]

    return asyncio.run(ask())


def get(path: str) -> Callable[[httpx.AsyncClient], Any]:
    return lambda client: client.get(path)


# The lifespan


@pytest.mark.usefixtures("inotify")
def test_delivery_lives_as_long_as_the_application(settings: Settings) -> None:
    """The settings are watched while the application runs, and closed when it ends."""
    with TestClient(FastAPI(lifespan=lifespan(settings))):
        assert settings.live.status().watcher == "inotify"
    assert settings.live.status().watcher == "off"


@pytest.mark.usefixtures("inotify")
def test_an_inner_lifespan_runs_while_the_settings_are_live(settings: Settings) -> None:
    """The application's own lifespan is entered after the settings and left before them, and its state is kept."""
    seen = []

    @asynccontextmanager
    async def inner(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        seen.append(settings.live.status().watcher)
        yield {"pool": "open"}
        seen.append(settings.live.status().watcher)

    app = FastAPI(lifespan=lifespan(settings, inner))

    @app.get("/")
    async def state(request: Request) -> str:
        return request.state.pool

    with TestClient(app) as client:
        assert client.get("/").json() == "open"
    assert seen == ["inotify", "inotify"]
    assert settings.live.status().watcher == "off"


@pytest.mark.usefixtures("inotify")
def test_the_last_exit_closes(settings: Settings) -> None:
    """Two applications on one settings object: it is watched until both have ended, and once more when one is entered again."""
    first, second = (FastAPI(lifespan=lifespan(settings)) for _ in range(2))
    with TestClient(first):
        with TestClient(second), TestClient(first):
            pass
        assert settings.live.status().watcher == "inotify"
    assert settings.live.status().watcher == "off"
    with TestClient(first):
        assert settings.live.status().watcher == "inotify"


def test_a_coroutine_of_the_module_hears_on_the_loop_of_the_application(settings: Settings, swap: Swap) -> None:
    """A coroutine function subscribed before any loop ran is called on the application's loop."""
    heard: list[tuple[str, asyncio.AbstractEventLoop]] = []

    @settings.live.on_change(lambda s: s.message)
    async def hear(change: Change[str]) -> None:
        heard.append((change.new, asyncio.get_running_loop()))

    app = FastAPI(lifespan=lifespan(settings))

    @app.get("/")
    async def show() -> bool:
        swap(message="two")
        async with asyncio.timeout(10):
            while not heard:
                await asyncio.to_thread(int)
        return heard[0][1] is asyncio.get_running_loop()

    with TestClient(app) as client:
        assert client.get("/").json() is True
    assert [message for message, _ in heard] == ["two"]


def test_a_coroutine_moves_to_the_application_that_is_left(settings: Settings, swap: Swap) -> None:
    """E201: when the first of two applications ends, a coroutine function goes on on the loop of the second."""
    heard: list[tuple[str, asyncio.AbstractEventLoop]] = []

    @settings.live.on_change(lambda s: s.message)
    async def hear(change: Change[str]) -> None:
        heard.append((change.new, asyncio.get_running_loop()))

    first, second = (FastAPI(lifespan=lifespan(settings)) for _ in range(2))

    @first.get("/{message}")
    @second.get("/{message}")
    async def show(message: str) -> bool:
        await asyncio.to_thread(swap, message=message)
        async with asyncio.timeout(10):
            while message not in dict(heard):
                await asyncio.to_thread(int)
        return dict(heard)[message] is asyncio.get_running_loop()

    with TestClient(second) as left:
        with TestClient(first) as ending:
            assert ending.get("/two").json() is False  # the one that was entered first has it
        assert left.get("/three").json() is True
    with ExitStack() as stack:
        ending = stack.enter_context(TestClient(first))
        with TestClient(second) as left:
            assert ending.get("/four").json() is True
            stack.close()
            assert left.get("/five").json() is True


# The dependency


@pytest.fixture
def app(settings: Any, swap: Swap) -> FastAPI:
    """An application whose every page is overtaken by a swap."""
    app = FastAPI()
    Current = Annotated[Settings, Depends(pinned(settings))]

    def deep() -> str:
        return settings.live.snapshot().message

    def overtaken() -> str:
        swap(message="two")
        return deep()

    @app.get("/async")
    async def handle(current: Current) -> list[str]:
        before = current.message
        await asyncio.to_thread(swap, message="two")
        return [before, current.message, deep(), await asyncio.to_thread(deep), await asyncio.create_task(later())]

    async def later() -> str:
        return deep()

    @app.get("/sync")
    def handle_in_a_thread(current: Current) -> list[str]:
        return [current.message, overtaken(), current.message]

    @app.get("/dependency")
    async def use(current: Current, other: Annotated[str, Depends(overtaken)]) -> list[str]:
        return [current.message, other, deep()]

    @app.get("/stream")
    async def stream(current: Current) -> StreamingResponse:
        def body() -> Iterator[str]:
            yield deep()
            yield " " + overtaken()

        return StreamingResponse(body())

    @app.get("/background")
    async def background(current: Current, tasks: BackgroundTasks) -> str:
        tasks.add_task(lambda: ran.append(overtaken()))
        return current.message

    @app.get("/newest")
    async def newest() -> list[str]:
        return [deep(), settings.message]

    @app.get("/error/{kind}")
    async def fail(current: Current, kind: str) -> None:
        swap(message="two")
        raise HTTPException(404) if kind == "http" else ValueError(kind)

    ran: list[str] = []
    app.state.ran = ran
    return app


@pytest.mark.parametrize("use", [pinned, router, lifespan])
def test_a_snapshot_is_refused_at_once(settings: Any, use: Callable[[Any], Any]) -> None:
    """E202: a snapshot in place of live settings is an error where it is given, and not at the first request."""
    with pytest.raises(LiveConfigError, match="snapshot"):
        use(settings.live.latest())


@pytest.mark.parametrize("path", ["/async", "/sync", "/dependency"])
def test_a_request_sees_one_snapshot(app: FastAPI, path: str) -> None:
    """A handler, plain or coroutine, and all code below it see one snapshot around a swap; the next request sees the new one."""
    answers = asked(app, get(path), get("/newest"))
    assert set(answers[0].json()) == {"one"}
    assert answers[1].json() == ["two", "two"]


def test_a_streamed_body_sees_the_snapshot_of_its_request(app: FastAPI) -> None:
    """A body that is streamed after the handler has returned still sees the snapshot of its request."""
    streamed, newest = asked(app, get("/stream"), get("/newest"))
    assert streamed.text == "one one"
    assert newest.json() == ["two", "two"]


def test_a_background_task_sees_the_snapshot_of_its_request(app: FastAPI) -> None:
    """A background task sees the snapshot of the request that asked for it."""
    answer, newest = asked(app, get("/background"), get("/newest"))
    assert (answer.json(), app.state.ran) == ("one", ["one"])
    assert newest.json() == ["two", "two"]


@pytest.mark.parametrize("kind", ["http", "other"])
def test_a_request_that_fails_leaves_no_pin(app: FastAPI, kind: str) -> None:
    """After a request that raised, the next one in the same task sees the newest."""
    failed, newest = asked(app, get(f"/error/{kind}"), get("/newest"))
    assert failed.status_code in {404, 500}
    assert newest.json() == ["two", "two"]


async def test_requests_at_the_same_time_have_their_own_snapshots(settings: Any, swap: Swap) -> None:
    """Of two requests at the same time, each keeps the snapshot that was the newest when it began."""
    app = FastAPI()
    inside, go_on = asyncio.Event(), asyncio.Event()

    @app.get("/{name}")
    async def handle(name: str, current: Annotated[Any, Depends(pinned(settings))]) -> list[str]:
        if name == "first":
            inside.set()
            await go_on.wait()
        else:
            go_on.set()
        return [current.message, settings.live.snapshot().message]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        first = asyncio.create_task(client.get("/first"))
        await inside.wait()
        await asyncio.to_thread(swap, message="two")
        second = await client.get("/second")
        assert [(await first).json(), second.json()] == [["one", "one"], ["two", "two"]]


def test_the_dependency_of_settings_is_one_function(settings: Settings) -> None:
    """`pinned` returns the same callable for the same settings each time."""
    dependency = pinned(settings)
    assert pinned(settings) is dependency


def test_the_dependency_keeps_nothing_alive(kubelet_volume: Any) -> None:
    """Settings are collected after their dependency."""

    class Short(Settings):
        message: str = "hello"

    settings = Short.load(_volumes=[kubelet_volume.path])
    pinned(settings)
    gone = weakref.ref(settings)
    del settings
    gc.collect()
    assert gone() is None


def test_dependency_overrides_replace_the_snapshot(app: FastAPI, settings: Any) -> None:
    """A test of an application replaces the snapshot by ``app.dependency_overrides``."""
    app.dependency_overrides[pinned(settings)] = lambda: settings.live.latest().model_copy(update={"message": "mine"})
    (answer,) = asked(app, get("/sync"))
    assert answer.json()[0] == "mine"


def test_override_reaches_the_handler(app: FastAPI, settings: Any) -> None:
    """`liveconfig.testing.override` is what a handler and the code below it see."""
    with override(settings, message="mine"):
        (answer,) = asked(app, get("/dependency"))
    assert answer.json() == ["mine"] * 3


# The middleware


@pytest.fixture
def wrapped(app: FastAPI, settings: Any, swap: Swap) -> FastAPI:
    app.add_middleware(PinnedMiddleware, settings=settings)

    @app.get("/plain")
    async def plain() -> list[str]:
        before = settings.live.snapshot().message
        await asyncio.to_thread(swap, message="two")
        return [before, settings.live.snapshot().message]

    @app.websocket("/socket")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(settings.live.snapshot().message)
        await asyncio.to_thread(swap, message="two")
        await socket.send_text(settings.live.snapshot().message)
        await socket.close()

    return app


@pytest.mark.parametrize("path", ["/plain", "/async", "/sync"])
def test_the_middleware_pins_a_request(wrapped: FastAPI, path: str) -> None:
    """Below the middleware a request sees one snapshot, with and without the dependency, and the next one the newest."""
    answers = asked(wrapped, get(path), get("/newest"))
    assert set(answers[0].json()) == {"one"}
    assert answers[1].json()[0] == "two"


def test_the_middleware_pins_a_streamed_body(wrapped: FastAPI) -> None:
    """Below the middleware a streamed body sees the snapshot of its request."""
    assert asked(wrapped, get("/stream"))[0].text == "one one"


def test_the_middleware_does_not_pin_a_websocket(wrapped: FastAPI) -> None:
    """A websocket, which can live for days, sees the newest each time it asks."""
    with TestClient(wrapped) as client, client.websocket_connect("/socket") as socket:
        assert [socket.receive_text(), socket.receive_text()] == ["one", "two"]


def test_starlette_alone(settings: Any, swap: Swap) -> None:
    """The lifespan and the middleware serve a Starlette application without FastAPI."""

    async def handle(request: Request) -> PlainTextResponse:
        await asyncio.to_thread(swap, message="two")
        return PlainTextResponse(settings.live.snapshot().message)

    app = Starlette(
        routes=[Route("/", handle)],
        lifespan=lifespan(settings),
        middleware=[Middleware(PinnedMiddleware, settings=settings)],
    )
    with TestClient(app) as client:
        assert client.get("/").text == "one"
        assert client.get("/").text == "two"


# The pages


def client_of(*routers: Any) -> TestClient:
    app = FastAPI()
    for each in routers:
        app.include_router(each)
    return TestClient(app)


def test_the_probe_stays_ready_when_a_configuration_is_rejected(settings: Settings, swap: Swap) -> None:
    """A bad ConfigMap does not take the pod out of its Service: the probe gets 200, and reads that it is not healthy."""
    client = client_of(router(settings))
    assert client.get("/liveconfig/ready").json() == {"ready": True, "healthy": True, "version": 1}
    assert not swap(enabled="maybe")
    answer = client.get("/liveconfig/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "healthy": False, "version": 1})


def test_the_probe_fails_where_the_user_asked_for_it(settings: Settings, swap: Swap) -> None:
    """With ``fail_when_unhealthy`` the probe gets 503 until the configuration is good again."""
    client = client_of(router(settings, fail_when_unhealthy=True))
    swap(enabled="maybe")
    answer = client.get("/liveconfig/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "healthy": False, "version": 1})
    swap(enabled="true")
    assert client.get("/liveconfig/ready").status_code == 200


def test_there_is_no_status_unless_asked_for(settings: Settings) -> None:
    """Without ``status=True`` there is no status page, neither served nor documented."""
    client = client_of(router(settings))
    assert client.get("/liveconfig/status").status_code == 404
    assert list(client.get("/openapi.json").json()["paths"]) == ["/liveconfig/ready"]


def test_the_status_page_is_guarded_and_the_probe_is_not(settings: Settings) -> None:
    """A dependency of the status guards the status alone."""

    def nobody() -> None:
        raise HTTPException(403)

    client = client_of(router(settings, status=True, status_dependencies=[Depends(nobody)]))
    assert client.get("/liveconfig/status").status_code == 403
    assert client.get("/liveconfig/ready").status_code == 200


def test_the_status_page_is_what_openapi_says(settings: Settings, swap: Swap, canary: str) -> None:
    """The status is `Status.as_dict`, fits the model that OpenAPI shows, and holds no value."""
    swap(message="applied")
    swap(enabled="maybe", typing_error="x")
    client = client_of(router(settings, status=True))
    answer = client.get("/liveconfig/status")
    document = client.get("/openapi.json").json()
    shown = document["paths"]["/liveconfig/status"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**shown, "components": document["components"]})
    assert answer.json().keys() == {*settings.live.status().as_dict(), "processes"}
    assert answer.json()["fields"]["message"]["kind"] == "volume"
    assert canary not in answer.text
