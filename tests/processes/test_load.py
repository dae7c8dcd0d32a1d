"""200 requests a second while the volume is swapped 100 times."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

SERVERS = {
    "gthread": ["gunicorn", "flask_app:app", "--worker-class", "gthread", "--preload", "--bind", "127.0.0.1:0"],
    "uvicorn": ["uvicorn", "fastapi_app:app", "--port", "0"],
}
ASKERS, RATE, SWAPS = 4, 200, 100


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.usefixtures("inotify")
def test_no_request_fails_or_mixes_two_versions(
    serve: Callable[..., Any], swap: Callable[[str], None], name: str
) -> None:
    """At 200 requests a second during 100 swaps no request fails and none sees two versions; all workers end with the last."""
    server = serve(*SERVERS[name], workers=2)
    server.until_all(lambda answer: True)
    over = threading.Event()

    def ask() -> list[dict[str, Any]]:
        answers = []
        while not over.wait(ASKERS / RATE):
            answers.append(server.ask())
        return answers

    with ThreadPoolExecutor(ASKERS) as pool:
        asked = [pool.submit(ask) for _ in range(ASKERS)]
        for number in range(SWAPS):
            swap(str(number))
            assert not any(each.done() for each in asked)
            over.wait(0.03)
        over.set()
        answers = [answer for each in asked for answer in each.result()]

    assert len({answer["pid"] for answer in answers}) == 2
    assert len({answer["left"] for answer in answers}) > 10
    assert [answer for answer in answers if answer["left"] != answer["right"]] == []
    server.until_all(lambda answer: answer["left"] == str(SWAPS - 1))
