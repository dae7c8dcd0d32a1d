"""S08: each extra alone brings what its integration needs, to be imported and bound.

A new process can import only what an installation of ``kube-liveconfig[EXTRA]`` would have: the files of the
distributions that the metadata of the installed packages lead to.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from liveconfig.testing import KubeletVolume

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

BEGINNING = """
import asyncio, json, sys
from importlib.machinery import PathFinder

class Installed:
    def __init__(self, site, files):
        self.site, self.files = site, set(files)

    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or not spec.origin.startswith(self.site):
            return None
        if spec.origin not in self.files:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec

sys.meta_path.insert(0, Installed(**json.load(sys.stdin)))
from pydantic import BaseModel, SecretStr
from liveconfig import Settings, SettingsConfigDict

class Db(BaseModel):
    user: str
    password: SecretStr

class App(Settings):
    model_config = SettingsConfigDict(volumes=[sys.argv[1]])
    db: Db
    token: str

settings = App.load(_watch=False)
"""
BIND = {
    "aiohttp": "from liveconfig.integrations.aiohttp import TokenAuth; TokenAuth(settings)",
    "asgi": "from liveconfig.integrations.asgi import status_app; status_app(settings); import jinja2",
    "asyncpg": """
        import asyncpg
        from liveconfig.integrations.asyncpg import bind
        async def run(): bind(asyncpg.create_pool(host="db"), settings)
        asyncio.run(run())""",
    "celery": """
        from celery import Celery
        from liveconfig.integrations.celery import bind
        bind(Celery(broker="amqp://broker//"), settings, "db.user", "db.password")
        both = ("db.user", "db.password") * 2
        bind(Celery(broker="redis://broker", backend="redis://results"), settings, *both)""",
    "django": """
        import django
        from django.conf import settings as django_settings
        django_settings.configure(
            INSTALLED_APPS=["liveconfig.integrations.django"],
            LIVECONFIG={"SETTINGS": settings, "MIRROR": {"SECRET_KEY": "token"}, "STATUS": True},
        )
        django.setup()
        assert django_settings.SECRET_KEY == "one"
        import liveconfig.integrations.django.urls, jinja2""",
    "fastapi": """
        from fastapi import FastAPI
        from liveconfig.integrations.fastapi import pinned, router
        FastAPI().include_router(router(settings)); pinned(settings); import jinja2""",
    "flask": """
        from flask import Flask
        from liveconfig.integrations.flask import LiveConfig
        LiveConfig(settings, mirror={"SECRET_KEY": "token"}).init_app(Flask("shop"))""",
    "grpc": "from liveconfig.integrations.grpc import TokenAuth; TokenAuth(settings)",
    "httpx": "from liveconfig.integrations.httpx import TokenAuth; import httpx; httpx.Client(auth=TokenAuth(settings))",
    "openfeature": """
        from liveconfig.integrations.openfeature import LiveConfigProvider
        provider = LiveConfigProvider(settings)
        assert provider.resolve_string_details("token", "").value == 'one'""",
    "opentelemetry": "from liveconfig.integrations.opentelemetry import instrument; instrument()",
    "prometheus": """
        from prometheus_client import CollectorRegistry
        from liveconfig.integrations.prometheus import LiveConfigCollector
        list(LiveConfigCollector(CollectorRegistry()).collect())""",
    "psycopg": """
        import ctypes.util
        ctypes.util.find_library = lambda _: None  # as in an image without the system's libpq
        from psycopg_pool import AsyncConnectionPool, ConnectionPool
        from liveconfig.integrations.psycopg import bind
        bind(ConnectionPool(open=False), settings)
        async def run(): bind(AsyncConnectionPool(open=False), settings)
        asyncio.run(run())""",
    "redis": """
        import redis
        from liveconfig.integrations.redis import bind
        bind(redis.Redis(), settings); bind(redis.asyncio.Redis(), settings)""",
    "requests": "from liveconfig.integrations.requests import TokenAuth; TokenAuth(settings)",
    "sqlalchemy": """
        from types import SimpleNamespace
        from sqlalchemy import create_engine
        from sqlalchemy.util import greenlet_spawn
        from liveconfig.integrations.sqlalchemy import bind
        driver = SimpleNamespace(paramstyle="pyformat", Error=Exception)
        bind(create_engine("mysql+pymysql://db/shop", module=driver), settings)
        asyncio.run(greenlet_spawn(int))""",
    "yaml": "import yaml",
}


def needed(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[Distribution]:
    """The distribution that a requirement is for, and those that it requires in turn."""
    found = distribution(requirement.name)
    yield found
    for extra in ("", *requirement.extras):
        if (key := (canonicalize_name(requirement.name), extra)) in seen:
            continue
        seen.add(key)
        for each in map(Requirement, found.requires or ()):
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                yield from needed(each, seen)


def files_of(extra: str) -> list[str]:
    """The files of an installation with one extra."""
    seen: set[tuple[str, str]] = set()
    try:
        wanted = [
            each for text in [*PROJECT["dependencies"], *EXTRAS[extra]] for each in needed(Requirement(text), seen)
        ]
    except PackageNotFoundError as error:
        pytest.fail(f"the extra {extra} needs {error.name}, which the tests do not install")
    return [str(each.locate_file(file)) for each in wanted for file in each.files or ()]


def test_each_extra_is_here() -> None:
    """Each extra has a program that uses it."""
    assert set(BIND) == set(EXTRAS)


@pytest.mark.parametrize("extra", BIND)
def test_an_extra_alone_is_enough(extra: str, kubelet_volume: KubeletVolume, tmp_path: Path) -> None:
    """S08: with what one extra brings, and nothing else, its integration is imported and bound."""
    kubelet_volume.write({"db.user": "app", "db.password": "one", "token": "one"})
    lines = BIND[extra].strip("\n").splitlines()
    program = BEGINNING + "\n".join(line.removeprefix(" " * 8) for line in lines)
    site = str(distribution("pydantic").locate_file(""))
    ran = subprocess.run(
        [sys.executable, "-c", program, str(kubelet_volume.path)],
        input=json.dumps({"site": site, "files": files_of(extra)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
