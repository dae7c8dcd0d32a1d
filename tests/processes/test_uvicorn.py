"""uvicorn with two workers, as a user starts it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def uvicorn(serve: Callable[..., Any]) -> Any:
    return serve("uvicorn", "fastapi_app:app", "--port", "0", workers=2)


def test_every_worker_follows(uvicorn: Any, swap: Callable[[str], None]) -> None:
    """E13: Each worker of uvicorn serves each new value and calls its coroutine; the successor of a killed one has it."""
    workers = set(uvicorn.until_all(lambda answer: answer["left"] == "one"))
    for text in ("two", "three"):
        swap(text)
        heard = uvicorn.until_all(lambda answer, text=text: answer["left"] == text and answer["heard"] == [text])
        assert set(heard) == workers

    killed = min(workers)
    os.kill(killed, signal.SIGKILL)
    after = uvicorn.until_all(lambda answer: answer["pid"] != killed)
    assert {answer["left"] for answer in after.values()} == {"three"}
    swap("four")
    uvicorn.until_all(lambda answer: answer["left"] == "four")
