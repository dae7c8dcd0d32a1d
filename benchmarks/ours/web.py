"""What pinning adds to a request, in process, the same application beside itself: DIRECTORY ROUNDS.

Prints the median processor time of a request of each application, and the medians of what it took more than another
one in the same round: on a machine that others use as well, a difference of medians says less.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from flask import Flask
from werkzeug.test import EnvironBuilder

from benchmarks._stats import median
from benchmarks._volumes import Volume
from benchmarks.contenders.liveconfig import Adapter
from liveconfig import Settings
from liveconfig.integrations.fastapi import PinnedMiddleware, pinned
from liveconfig.integrations.flask import LiveConfig

REQUESTS = 50  # of one application, before it is the turn of the next

Times = dict[str, list[float]]


def main() -> None:
    volume = Volume(Path(sys.argv[1]) / "web", "keys", 10)
    adapter = Adapter(volume.path, volume.names)
    adapter.load()
    with adapter.settings.live:
        fastapi = asyncio.run(asgi(adapter.settings, int(sys.argv[2])))
        flask = wsgi(adapter.settings, int(sys.argv[2]))
    found = {"fastapi": {name: median(times) for name, times in fastapi.items()}}
    found["flask"] = {name: median(times) for name, times in flask.items()}
    found["added"] = {
        "cached": _added(fastapi, "cached", "alone"),
        "empty": _added(fastapi, "empty", "alone"),
        "nothing": _added(fastapi, "nothing", "alone"),
        "pinned": _added(fastapi, "pinned", "alone"),
        "pin": _added(fastapi, "pinned", "nothing"),
        "middleware": _added(fastapi, "middleware", "alone"),
        "extension": _added(flask, "extension", "alone"),
    }
    print(json.dumps(found))


def _added(times: Times, name: str, base: str) -> float:
    return median([one - other for one, other in zip(times[name], times[base], strict=True)])


async def asgi(settings: Any, rounds: int) -> Times:
    """A FastAPI application without a dependency, with those that its users have, and with ours."""

    @cache
    def get_settings() -> Settings:
        return settings

    async def empty() -> Settings:
        return settings

    async def nothing() -> AsyncIterator[Settings]:
        yield settings

    apps: dict[str, Any] = {
        "alone": _fastapi(lambda: settings, None),
        "cached": _fastapi(lambda: settings, get_settings),
        "empty": _fastapi(lambda: settings, empty),
        "nothing": _fastapi(lambda: settings, nothing),
        "pinned": _fastapi(lambda: settings, pinned(settings)),
        "middleware": PinnedMiddleware(_fastapi(settings.live.snapshot, None), settings),
    }
    for app in apps.values():
        await app({**_SCOPE}, _receive, _only_good)
    times: Times = {name: [] for name in apps}
    for _ in range(rounds):
        for name in _shuffled(apps):
            times[name].append(await _requests(apps[name]))
    return times


def _fastapi(current: Callable[[], Any], dependency: Callable[..., Any] | None) -> FastAPI:
    app = FastAPI()

    async def alone() -> dict[str, str]:
        return {"value": current().key_00000}

    # Not in an annotation, which is a text in this module: FastAPI does not find the name of a local in there.
    depends = Depends(dependency)

    async def given(snapshot: Any = depends) -> dict[str, str]:
        return {"value": snapshot.key_00000}

    app.get("/")(alone if dependency is None else given)
    return app


async def _requests(app: Callable[..., Awaitable[None]]) -> float:
    start = time.process_time_ns()
    for _ in range(REQUESTS):
        await app({**_SCOPE}, _receive, _send)
    return (time.process_time_ns() - start) / REQUESTS


_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_message: Any) -> None:
    pass


async def _only_good(message: Any) -> None:
    assert message.get("status", 200) == 200, message


def wsgi(settings: Any, rounds: int) -> Times:
    """A Flask application without the extension and with it."""
    live = LiveConfig[Any](settings)
    alone, extended = Flask("alone"), Flask("extended")
    live.init_app(extended)
    alone.get("/")(lambda: settings.key_00000)
    extended.get("/")(lambda: live.snapshot.key_00000)
    environ = EnvironBuilder().get_environ()
    apps = {"alone": alone, "extension": extended}
    for app in apps.values():
        assert app.test_client().get("/").status_code == 200
    times: Times = {name: [] for name in apps}
    for _ in range(rounds):
        for name in _shuffled(apps):
            start = time.process_time_ns()
            for _ in range(REQUESTS):
                b"".join(apps[name].wsgi_app({**environ}, _start_response))
            times[name].append((time.process_time_ns() - start) / REQUESTS)
    return times


def _start_response(*_: Any) -> Callable[[bytes], object]:
    return len


def _shuffled(names: Iterable[str]) -> list[str]:
    return random.sample(list(names), len(list(names)))


if __name__ == "__main__":
    main()
