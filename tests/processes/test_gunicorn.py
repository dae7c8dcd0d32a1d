"""gunicorn as a user starts it: every worker has every new value, with and without --preload."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

FLASK, FASTAPI = "flask_app:app", "fastapi_app:app"
SYNC = ("sync", FLASK)
THREADS = ("gthread", FLASK)
UVICORN = ("uvicorn_worker.UvicornWorker", FASTAPI)
DJANGO_WSGI = ("gthread", "django_app:wsgi")
DJANGO_ASGI = ("uvicorn_worker.UvicornWorker", "django_app:asgi")
KINDS = {"sync": SYNC, "gthread": THREADS, "uvicorn": UVICORN, "Django, WSGI": DJANGO_WSGI, "Django, ASGI": DJANGO_ASGI}

Answer = dict[str, Any]
Gunicorn = Callable[..., Any]
Swap = Callable[[str], None]


@pytest.fixture
def gunicorn(serve: Callable[..., Any]) -> Gunicorn:
    return lambda kind, app, *options: serve(
        "gunicorn", app, "--worker-class", kind, "--bind", "127.0.0.1:0", *options, workers=2
    )


def follows(text: str) -> Callable[[Answer], bool]:
    """Whether a worker serves this text and its subscriber has heard of it."""
    return lambda answer: answer["left"] == text and answer["heard"] == [text]


@pytest.mark.parametrize("options", [["--preload"], []], ids=["preload", "own"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_worker_follows(gunicorn: Gunicorn, swap: Swap, kind: tuple[str, str], options: list[str]) -> None:
    """E13: Every worker of gunicorn serves each new value, and its subscribers have heard it."""
    server = gunicorn(*kind, *options)
    workers = set(server.until_all(lambda answer: answer["left"] == "one"))
    for text in ("two", "three"):
        swap(text)
        assert set(server.until_all(follows(text))) == workers


@pytest.mark.parametrize("kind", [SYNC, UVICORN], ids=["sync", "uvicorn"])
def test_the_successor_of_a_killed_worker_follows(gunicorn: Gunicorn, swap: Swap, kind: tuple[str, str]) -> None:
    """E13: A worker forked later from a preloaded application has the newest value at once, and follows."""
    server = gunicorn(*kind, "--preload")
    workers = set(server.until_all(lambda answer: True))
    swap("two")
    server.until_all(follows("two"))
    killed = min(workers)
    os.kill(killed, signal.SIGKILL)

    def has_it_at_once(answer: Answer) -> bool:
        assert answer["left"] == answer["right"] == "two"
        return answer["pid"] != killed

    assert server.until_all(has_it_at_once).keys() - workers
    swap("three")
    server.until_all(follows("three"))


def test_a_reload_of_the_workers_in_the_middle_of_swaps(gunicorn: Gunicorn, swap: Swap) -> None:
    """E19: gunicorn replaces its workers on SIGHUP and ends on SIGTERM, with exit code 0, in the middle of swaps."""
    server = gunicorn(*THREADS)
    before = set(server.until_all(lambda answer: True))
    swap("two")
    server.send(signal.SIGHUP)
    swap("three")
    server.until_all(lambda answer: answer["pid"] not in before and answer["left"] == "three")
    swap("four")
    assert server.stop() == 0
