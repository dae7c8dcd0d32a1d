"""Settings on a kubelet's volume, and callbacks that a test can wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from liveconfig import Settings

PATIENCE = 60.0  # seconds: the machine that runs the tests may be busy


class Database(BaseModel):
    user: str = "web"
    password: SecretStr = SecretStr("none")
    port: int = 5432


class App(Settings):
    message: str = "hello"
    count: int = 0
    flag: bool = False
    db: Database = Database()


class Recorder:
    """A callback that keeps what it is given; ``act`` is what it does besides."""

    def __init__(self, act: Callable[[Any], Any] = lambda _: None) -> None:
        self.events: list[Any] = []
        self.threads: list[threading.Thread] = []
        self._act = act
        self._news = threading.Condition()

    def __call__(self, event: Any) -> Any:
        with self._news:
            self.events.append(event)
            self.threads.append(threading.current_thread())
            self._news.notify_all()
        return self._act(event)

    def wait(self, count: int = 1) -> list[Any]:
        """The events, as soon as there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.events) >= count, PATIENCE), self.events
        return self.events

    def wait_until(self, holds: Callable[[Any], bool]) -> Any:
        """The newest event, as soon as it is one for which this holds."""
        with self._news:
            assert self._news.wait_for(lambda: self.events and holds(self.events[-1]), PATIENCE), self.events
        return self.events[-1]

    @property
    def news(self) -> list[Any]:
        """The new values, in the order in which they came."""
        return [event.new for event in self.events]


@pytest.fixture
def recorder() -> type[Recorder]:
    """The class of a callback that keeps what it is given."""
    return Recorder


@pytest.fixture
def volume(kubelet_volume: Any) -> Any:
    """A volume that holds the first values."""
    kubelet_volume.write({"message": "one", "count": "1"})
    return kubelet_volume


@pytest.fixture
def open_settings(volume: Any) -> Iterator[Callable[..., Any]]:
    """A function that makes settings of a class on the volume; they are closed in the end."""
    with ExitStack() as stack:

        def make(cls: type[Settings] = App, **options: Any) -> Any:
            settings = cls.load(**{"_volumes": volume.path, **options})
            stack.callback(settings.live.close)
            return settings

        yield make


@pytest.fixture
def settings(open_settings: Callable[..., Any]) -> Any:
    """Live settings on the volume."""
    return open_settings()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event that callbacks can be held at; it is open again when the test ends."""
    event = threading.Event()
    yield event
    event.set()
