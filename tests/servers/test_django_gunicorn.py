"""A Django project under gunicorn, on a real PostgreSQL: its login is rotated while it serves requests."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

APPS = Path(__file__).parents[1] / "processes" / "apps"
PERSISTENT = {"CONN_MAX_AGE": None}
POOL = {"OPTIONS": {"pool": {"min_size": 1, "max_size": 9}}}


@contextmanager
def gunicorn(rotation: Any, kind: str, app: str, how: Any, log: Path) -> Iterator[int]:
    """Two preloaded workers, on the port that this yields."""
    database = {"ENGINE": "liveconfig.integrations.django.postgresql", "HOST": rotation.server.host, "NAME": "postgres"}
    variables = {"APP_VOLUME": str(rotation.volume.path), "APP_DATABASES": json.dumps({"default": database | how})}
    command = [sys.executable, "-m", "gunicorn", app, "--worker-class", kind, "--preload", "--workers", "2"]
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*command, "--threads", "5", "--bind", "127.0.0.1:0"],
            cwd=APPS,
            env=os.environ | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield port_in(log)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert "CANARY" not in log.read_text()


def port_in(log: Path) -> int:
    """Wait until gunicorn says where it listens."""
    deadline = monotonic() + 30
    while (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
        assert monotonic() < deadline, log.read_text()
        threading.Event().wait(0.05)
    return int(found[1])


def get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (response.status, body[:500])
        return json.loads(body)
    finally:
        connection.close()


@pytest.mark.parametrize("on", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "app", "how"),
    [
        pytest.param("gthread", "django_app:wsgi", PERSISTENT, id="WSGI, persistent"),
        pytest.param("gthread", "django_app:wsgi", POOL, id="WSGI, pool"),
        pytest.param("uvicorn_worker.UvicornWorker", "django_app:asgi", {}, id="ASGI"),
        pytest.param("uvicorn_worker.UvicornWorker", "django_app:asgi", POOL, id="ASGI, pool"),
    ],
)
def test_no_request_fails(
    rotation: Any,
    kind: str,
    app: str,
    how: Any,
    make_load: Any,
    tell: Callable[..., None],
    tmp_path: Path,
) -> None:
    """No request fails while the password is rotated ten times in both orders, under WSGI and ASGI, preloaded."""
    flags = iter(range(100))
    with gunicorn(rotation, kind, app, how, tmp_path / "log") as port:

        def hold(held: threading.Event, release: threading.Event) -> tuple[Any, Any]:
            flag = tmp_path / str(next(flags))
            with ThreadPoolExecutor(1) as executor:
                answer = executor.submit(get, port, f"/busy?flag={flag}")
                while not flag.exists() and not answer.done():
                    release.wait(0.01)
                held.set()
                release.wait(30)
                flag.unlink(missing_ok=True)
                return answer.result()["before"], answer.result()["after"]

        tell(rotation, make_load(lambda: get(port, "/work"), hold), 0.2)
