"""A Flask application with a status page and metrics, for several workers of gunicorn."""

from __future__ import annotations

import os

from flask import Flask
from prometheus_client import CollectorRegistry, make_wsgi_app, multiprocess
from pydantic import SecretStr
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.flask import LiveConfig
from liveconfig.integrations.prometheus import LiveConfigCollector


class PageSettings(Settings):
    model_config = SettingsConfigDict(volumes=os.environ["APP_VOLUME"])
    left: str
    right: str
    password: SecretStr
    port: int = 1


settings = PageSettings.load()
app = Flask(__name__)
LiveConfig(settings, status=True).init_app(app)


@app.get("/")
def root() -> dict[str, object]:
    return {"pid": os.getpid(), "left": settings.left, "right": settings.right}


registry = CollectorRegistry()
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    multiprocess.MultiProcessCollector(registry)
LiveConfigCollector(registry)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app(registry)})  # type: ignore[method-assign]
