"""Undocumented behaviour of other libraries that liveconfig uses: one test each, also with the lowest releases."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor


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


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
def test_composers_tell_where_a_node_begins_and_ends(loader: Any) -> None:
    """Both composers of PyYAML call ``descend_resolver`` before each node, those around it open, and then the other."""
    depths: list[int] = []

    class Loader(loader):  # type: ignore[misc]
        depth = 0

        def descend_resolver(self, current_node: Any, current_index: Any) -> None:
            self.depth += 1
            depths.append(self.depth)

        def ascend_resolver(self) -> None:
            self.depth -= 1

    assert yaml.load("{a: [b, {c: d}]}", Loader) == {"a": ["b", {"c": "d"}]}
    assert depths == [1, 2, 2, 3, 3, 4, 4]


@pytest.mark.usefixtures("inotify")
def test_reader_calls_back(tmp_path: Path) -> None:
    """A reader of watchdog calls back for each event of a directory, without an emitter and without an observer."""
    heard: list[InotifyEvent] = []
    arrived = threading.Event()

    class Callback:
        def on_event(self, event: InotifyEvent) -> None:
            heard.append(event)
            arrived.set()

        def on_watch_deleted(self, wd: WatchDescriptor) -> None: ...

        def on_queue_overflow(self) -> None: ...

    reader, callback = InotifyFD(), Callback()
    reader.start()
    mask = Mask(InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_DELETE_SELF)
    watch = reader.add_callback(os.fsencode(tmp_path), mask, callback, CallbackId(1))
    try:
        (tmp_path / "..data_tmp").touch()
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
        assert arrived.wait(10)
        assert [(event.wd, event.name, event.is_moved_to) for event in heard] == [(watch, b"..data", True)]
    finally:
        reader.remove_callbacks([(watch, CallbackId(1))])
        reader.stop()
        reader.join()


@pytest.mark.usefixtures("inotify")
def test_reader_asks_before_it_reads_and_closes() -> None:
    """Watchdog's reader asks ``_check_inotify_fd`` before each read, and closes its three descriptors in one method."""
    asked, closed, ended = threading.Event(), threading.Event(), threading.Event()

    class Reader(InotifyFD):
        def _check_inotify_fd(self) -> bool:
            asked.set()
            return super()._check_inotify_fd()

        def _close_resources(self) -> None:
            closed.set()
            super()._close_resources()

        def on_thread_stop(self) -> None:
            ended.set()
            super().on_thread_stop()

    reader = Reader()
    descriptors = [reader._inotify_fd, reader._kill_r, reader._kill_w]
    assert not reader._closed
    reader.start()
    assert asked.wait(10)
    reader.stop()
    reader.join(10)
    assert ended.is_set()
    assert closed.is_set()
    assert reader._closed
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_lock_knows_its_owner() -> None:
    """An ``RLock`` says whether the calling thread holds it, as `threading.Condition` uses it."""
    lock = threading.RLock()
    assert not lock._is_owned()  # type: ignore[attr-defined]
    with lock:
        assert lock._is_owned()  # type: ignore[attr-defined]
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(lock._is_owned()))  # type: ignore[attr-defined]
        thread.start()
        thread.join()
        assert seen == [False]
    assert not lock._is_owned()  # type: ignore[attr-defined]
