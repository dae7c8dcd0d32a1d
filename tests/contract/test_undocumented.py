"""What we lean on in other libraries without their word for it: one test each, also run with the lowest releases."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource
from watchdog.events import FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, EventEmitter


class Model(BaseModel, frozen=True):
    number: int


class Environment(BaseSettings):
    first: str = ""
    second: str = ""


def test_validator_fills_a_given_instance() -> None:
    """Pydantic's validator fills the instance that it is given, without the class's own constructor."""
    instance = Model.__new__(Model)
    instance.__pydantic_validator__.validate_python({"number": "3"}, self_instance=instance)
    assert instance == Model(number=3)


def test_instance_dictionary_can_be_replaced() -> None:
    """The instance dictionary of a frozen model can be replaced as a whole, and is what attributes are read from."""
    model = Model(number=1)
    object.__setattr__(model, "__dict__", {"number": 2})
    assert model.number == 2


def test_source_asks_the_fields_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment source reads just the fields of the class that it holds, which may be a stand-in with fewer."""
    monkeypatch.setenv("FIRST", "1")
    monkeypatch.setenv("SECOND", "2")
    source: Any = EnvSettingsSource(Environment)
    source.settings_cls = SimpleNamespace(model_fields={"first": Environment.model_fields["first"]})
    assert source() == {"first": "1"}


def test_observer_takes_another_emitter(tmp_path: Path) -> None:
    """A base behind watchdog's observer can hand it a narrower emitter, whose ``queue_event`` hears each event."""
    heard: list[FileSystemEvent] = []
    arrived = threading.Event()

    class Inject(BaseObserver):
        def __init__(self, emitter_class: type[EventEmitter], **options: Any) -> None:
            class Emitter(emitter_class):  # type: ignore[misc, valid-type]
                def queue_event(self, event: FileSystemEvent) -> None:
                    heard.append(event)
                    arrived.set()

                def get_event_mask_from_filter(self) -> int:
                    mask: int = super().get_event_mask_from_filter()
                    return mask & ~0x40

            super().__init__(Emitter, **options)

    class Narrow(Observer, Inject):  # type: ignore[misc, valid-type]
        pass

    observer = Narrow()
    observer.start()
    try:
        observer.schedule(FileSystemEventHandler(), str(tmp_path), event_filter=[FileMovedEvent])
        (tmp_path / "..data_tmp").touch()
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
        assert arrived.wait(10)
        assert str(heard[0].dest_path or heard[0].src_path).endswith("..data")
    finally:
        observer.stop()
        observer.join()
