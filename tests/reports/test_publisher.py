"""Who updates the report of a process."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import liveconfig
from liveconfig._processes.memory_file import LINK
from liveconfig._processes.publisher import ReportPublisher

PATIENCE = 60.0
OURS = os.path.dirname(liveconfig.__file__) + os.sep, contextlib.__file__


class Source:
    """An object with an entry in the report."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key: object | None = None
        self.made = 0

    def report_key(self) -> object | None:
        return self.key

    def report(self) -> dict[str, Any]:
        self.made += 1
        return {"name": self.name, "healthy": True, "history": ()}


class Blocking(Source):
    """An object whose entry takes its time: the thread was interrupted by a signal handler, for example."""

    def __init__(self) -> None:
        super().__init__("blocking")
        self.inside, self.free = threading.Event(), threading.Event()

    def report(self) -> dict[str, Any]:
        self.inside.set()
        assert self.free.wait(PATIENCE)
        return super().report()


@pytest.fixture
def publisher() -> Any:
    before = set(shown())
    yield ReportPublisher()
    for number in set(shown()) - before:
        os.close(number)


def shown() -> dict[int, bytes]:
    """The content of each memory file of liveconfig in this process, by descriptor."""
    links = ((int(name), f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    numbers = [number for number, path in links if os.path.lexists(path) and os.readlink(path) == LINK]
    return {number: os.pread(number, 100_000, 0) for number in numbers}


def interrupted(at: int, call: Callable[[], object]) -> bool:
    """Call something in which a signal handler raises at the n-th place. Returns whether it came so far."""
    left = [at]

    def profile(frame: Any, event: str, called: Any) -> None:
        # Python gives no way to keep the number of a descriptor that a call has just returned.
        if event == "c_call" or called is os.memfd_create or not frame.f_code.co_filename.startswith(OURS):
            return
        left[0] -= 1
        if left[0] == 0:
            sys.setprofile(None)
            raise TimeoutError

    with contextlib.suppress(TimeoutError):  # which is an OSError, too
        try:
            sys.setprofile(profile)
            call()
        finally:
            sys.setprofile(None)
    return left[0] <= 0


def test_nobody_waits_for_an_update_that_takes_long(publisher: ReportPublisher) -> None:
    """A thread that updates the report waits only briefly for another one, which then updates for both."""
    before = set(shown())
    blocking, other = Blocking(), Source("other")
    busy = threading.Thread(target=publisher.update, args=(blocking,))
    busy.start()
    assert blocking.inside.wait(PATIENCE)
    publisher.update(other)  # returns
    assert set(shown()) == before
    blocking.free.set()
    busy.join(PATIENCE)
    [content] = [text for number, text in shown().items() if number not in before]
    assert b'"name":"blocking"' in content
    assert b'"name":"other"' in content


def test_an_entry_is_made_for_each_new_key(publisher: ReportPublisher) -> None:
    """An entry is made again where what it depends on has changed or is not known, and only there."""
    source = Source("source")
    made = []
    for key in ("first", "first", "second", None, None, "second"):
        source.key = key
        publisher.update(source)
        made.append(source.made)
    assert made == [1, 1, 2, 3, 4, 5]


def test_an_update_inside_an_update(publisher: ReportPublisher) -> None:
    """A signal handler that updates the report inside an update is served by the interrupted one."""

    class Interrupted(Source):
        def report(self) -> dict[str, Any]:
            publisher.update(other)
            assert set(shown()) == before  # not in the middle of another update
            return super().report()

    before = set(shown())
    interrupted, other = Interrupted("interrupted"), Source("other")
    publisher.update(interrupted)
    [content] = [text for number, text in shown().items() if number not in before]
    assert b'"name":"interrupted"' in content
    assert b'"name":"other"' in content


@pytest.mark.parametrize("has_key", [False, True])
def test_an_interrupted_update(publisher: ReportPublisher, has_key: bool) -> None:
    """G08: an update of the report in which a handler raises, at any place, is completed by the next one, in one file."""
    before = set(shown())
    source = Source("first")
    publisher.update(source)
    for at in itertools.count(1):
        source.name, source.key = f"name {at}", at if has_key else None
        raised = interrupted(at, partial(publisher.update, source))
        publisher.update(source)
        [content] = [text for number, text in shown().items() if number not in before]
        assert [each["name"] for each in json.loads(content)["settings"]] == [source.name]
        if not raised:
            break
    assert at > 1, "no call was interrupted"


def test_a_collected_source(publisher: ReportPublisher) -> None:
    """An object that was collected leaves the report at the next update of any other, even of an unchanged one."""
    before = set(shown())
    kept, gone = Source("kept"), Source("gone")
    publisher.update(kept)
    publisher.update(gone)
    del gone
    gc.collect()
    publisher.update(kept)
    [content] = [text for number, text in shown().items() if number not in before]
    assert [each["name"] for each in json.loads(content)["settings"]] == ["kept"]


def test_dropping_collected_sources(publisher: ReportPublisher) -> None:
    """Nothing is published where nothing was collected, and the last object leaves an empty report."""
    before = set(shown())
    publisher.drop_collected()
    assert set(shown()) == before
    gone = Source("gone")
    publisher.update(gone)
    del gone
    gc.collect()
    publisher.drop_collected()
    [content] = [text for number, text in shown().items() if number not in before]
    assert json.loads(content)["settings"] == []
