"""The status page of every web framework: JSON for programs, HTML for people."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.asgi import status_app
from liveconfig.integrations.fastapi import router
from liveconfig.integrations.flask import LiveConfig

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class PageSettings(Settings):
    model_config = SettingsConfigDict()
    message: str = "unset"
    port: int = 1
    password: SecretStr
    quoted: str = ""


@pytest.fixture
def settings(kubelet_volume: Any, load: Any, canary: str) -> PageSettings:
    kubelet_volume.write({"message": canary, "password": canary, "quoted": canary, "mesage": canary})
    return load(PageSettings, _volumes=kubelet_volume.path)


def fastapi(settings: Settings) -> Any:
    app = FastAPI()
    app.include_router(router(settings, status=True))
    return httpx.ASGITransport(app), "/liveconfig/status"


def asgi(settings: Settings) -> Any:
    return httpx.ASGITransport(status_app(settings, status=True)), "/status"


def flask(settings: Settings) -> Any:
    app = Flask(__name__)
    LiveConfig(settings, status=True).init_app(app)
    return httpx.WSGITransport(app), "/liveconfig/status"


Ask = Callable[..., Any]


@pytest.fixture(params=[fastapi, asgi, flask], ids=lambda each: each.__name__)
def ask(request: pytest.FixtureRequest, settings: PageSettings) -> Ask:
    transport, path = request.param(settings)

    async def ask(accept: str | None, method: str = "GET") -> httpx.Response:
        headers = {"Accept": accept} if accept else {}
        if isinstance(transport, httpx.AsyncBaseTransport):
            async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
                return await client.request(method, path, headers=headers)
        with httpx.Client(transport=transport, base_url="http://pod") as client:
            return client.request(method, path, headers=headers)

    return ask


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (BROWSER, "text/html"),
        ("text/html", "text/html"),
        ("text/*;q=0.8, application/json;q=0.5", "text/html"),
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html;q=0.1, application/json", "application/json"),
        ("text/html;q=x", "application/json"),
        ("", "application/json"),
    ],
)
async def test_what_the_client_prefers(ask: Ask, accept: str | None, media_type: str) -> None:
    """The page is HTML where the client prefers HTML to JSON, and JSON everywhere else."""
    answer = await ask(accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["cache-control"] == "no-store"


async def test_json(ask: Ask, settings: PageSettings, canary: str) -> None:
    """The JSON is the status of this process with the reports of all processes, without any value."""
    data = (await ask("application/json")).json()
    assert data.keys() == {*settings.live.status().as_dict(), "processes"}
    assert os.getpid() in [each["pid"] for each in data["processes"]]
    assert canary not in json.dumps(data)


async def test_html(ask: Ask, kubelet_volume: Any, canary: str) -> None:
    """The HTML shows this process, its volume, its fields and unused keys with suggestions, without any value."""
    html = (await ask(BROWSER)).text
    assert html.startswith("<!doctype html>")
    assert str(os.getpid()) in html
    assert kubelet_volume.generation in html
    assert "<code>password</code>" in html
    assert "the nearest field is <code>message</code>" in html
    assert canary not in html


async def test_a_default_can_change(ask: Ask, kubelet_volume: Any, settings: PageSettings) -> None:
    """A field with its default changes as soon as a volume gets its key, and the page says so."""
    assert (await ask("text/html")).text.count("when a volume gets its key") == 1
    kubelet_volume.update({"port": "2"})
    assert settings.live.reload()
    assert "when a volume gets its key" not in (await ask("text/html")).text


async def test_no_script_and_nothing_from_outside(ask: Ask) -> None:
    """The policy of the page forbids scripts and everything from outside, and the page has neither."""
    answer = await ask(BROWSER)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for word in ("<script", "src=", "href=", "url(", "@import", " style=", "onclick"):
        assert word not in answer.text


async def test_a_rejection_is_on_top(ask: Ask, kubelet_volume: Any, settings: PageSettings) -> None:
    """While a configuration is rejected, the page begins with that, and names the field."""
    kubelet_volume.update({"port": "<b>x</b>"})
    settings.live.reload()
    html = (await ask(BROWSER)).text
    assert "<h1>Not healthy</h1>" in html
    assert html.index("port") < html.index("<h2>Processes</h2>")
    assert "<b>x</b>" not in html


async def test_the_plain_probe(settings: PageSettings) -> None:
    """The ASGI application answers the probe, and 404 and 405 elsewhere; the status only where it is asked for."""
    transport = httpx.ASGITransport(status_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        assert (await client.get("/ready")).json() == {"ready": True, "healthy": True, "version": 1}
        assert (await client.get("/status")).status_code == 404
        assert (await client.post("/ready")).status_code == 405
