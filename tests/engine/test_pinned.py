"""Pinned snapshots: one for the length of a request, wherever the request goes."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from liveconfig import Settings

PATIENCE = 60.0


class App(Settings):
    message: str = ""


@pytest.fixture
def volume(kubelet_volume):
    kubelet_volume.write({"message": "one"})
    return kubelet_volume


@pytest.fixture
def settings(volume):
    settings = App.load(_volumes=volume.path, _watch=False)
    yield settings
    settings.live.close()


@pytest.fixture
def swap(settings, volume):
    """A function that applies another message."""

    def swap(message):
        volume.write({"message": message})
        assert settings.live.reload()

    return swap


def test_for_its_length(settings, swap):
    """Inside, snapshot() is the pinned one; latest() and the attributes are the newest."""
    with settings.live.pinned() as pinned:
        swap("two")
        assert settings.live.snapshot() is pinned
        assert (pinned.message, settings.message, settings.live.latest().message) == ("one", "two", "two")
    assert settings.live.snapshot() is settings.live.latest()


def test_nested(settings, swap):
    """Nested ones keep the outer."""
    with settings.live.pinned() as outer:
        swap("two")
        with settings.live.pinned() as inner:
            assert inner is outer
        assert settings.live.snapshot() is outer


def test_two_settings(settings, volume, swap):
    """A pin of one settings object is none of another."""
    other = App.load(_volumes=volume.path, _watch=False)
    with settings.live.pinned():
        swap("two")
        other.live.reload()
        assert other.live.snapshot().message == "two"
        with other.live.pinned():
            assert (settings.live.snapshot().message, other.live.snapshot().message) == ("one", "two")


def test_left_by_an_exception(settings, swap):
    """A request that fails leaves no pin behind."""
    with pytest.raises(ValueError, match="x"), settings.live.pinned():
        raise ValueError("x")
    swap("two")
    assert settings.live.snapshot().message == "two"


def test_other_threads(settings, swap):
    """A plain thread started inside is not pinned; one that runs in a copy of the context is."""
    with settings.live.pinned(), ThreadPoolExecutor(1) as pool:
        swap("two")
        look = settings.live.snapshot
        assert pool.submit(look).result(PATIENCE).message == "two"
        assert pool.submit(contextvars.copy_context().run, look).result(PATIENCE).message == "one"


async def test_to_thread(settings, swap):
    """asyncio.to_thread takes the pin along."""
    with settings.live.pinned():
        swap("two")
        assert (await asyncio.to_thread(settings.live.snapshot)).message == "one"


async def test_task_that_outlives_it(settings, swap):
    """A task started inside sees the pinned one, and the newest again once the `with` is left."""
    left = asyncio.Event()

    async def work():
        seen = [settings.live.snapshot().message]
        await left.wait()
        return [*seen, settings.live.snapshot().message]

    with settings.live.pinned():
        swap("two")
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
    left.set()
    assert (await task) == ["one", "two"]


async def test_pin_of_a_task_inside_a_pin(settings, swap):
    """E101: a task that pins inside a pin keeps its snapshot until its own `with` is left, though the outer is."""
    outer_left, seen = asyncio.Event(), []

    async def work():
        with settings.live.pinned() as pinned:
            await outer_left.wait()
            seen.append((pinned.message, settings.live.snapshot().message))
        seen.append(settings.live.snapshot().message)

    with settings.live.pinned():
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        swap("two")
    outer_left.set()
    await task
    assert seen == [("one", "one"), "two"]


async def test_tasks_beside_each_other(settings, swap):
    """Two tasks pin each their own."""

    async def request(before, after):
        with settings.live.pinned() as pinned:
            before.set()
            await after.wait()
            assert settings.live.snapshot() is pinned
            return pinned.message

    first, second = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(request(first, second))
    await first.wait()
    swap("two")
    two = asyncio.create_task(request(second, second))
    assert (await asyncio.gather(one, two)) == ["one", "two"]


def test_left_in_another_context(settings, swap):
    """E102: a pin that is left in another context than it was entered in is left, and nothing is raised."""
    pin = settings.live.pinned()
    entered = contextvars.copy_context()
    entered.run(pin.__enter__)
    swap("two")
    assert entered.run(settings.live.snapshot).message == "one"
    contextvars.copy_context().run(pin.__exit__, None, None, None)
    assert entered.run(settings.live.snapshot).message == "two"


async def test_async_generator(settings, swap):
    """E103: a pin in an async generator that is closed by another task is left."""

    async def stream():
        with settings.live.pinned() as pinned:
            while True:
                yield pinned.message

    generator = stream()
    assert await anext(generator) == "one"
    swap("two")
    assert await asyncio.create_task(anext(generator)) == "one"
    await asyncio.create_task(generator.aclose())
    assert (settings.live.snapshot().message) == "two"


def test_generator_collected(settings, swap):
    """E104: a generator that is dropped half way leaves its pin."""

    def stream():
        with settings.live.pinned() as pinned:
            yield pinned.message

    generator = stream()
    assert next(generator) == "one"
    swap("two")
    del generator
    assert settings.live.snapshot().message == "two"


def test_one_entered_twice(settings, swap):
    """E105: one and the same pin, entered twice, holds until it is left twice."""
    pin = settings.live.pinned()
    with pin as outer:
        swap("two")
        with pin as inner:
            assert inner is outer
        assert settings.live.snapshot() is outer
    assert settings.live.snapshot().message == "two"
    with pin as again:
        assert again.message == "two"


def test_left_in_any_order(settings, swap):
    """E106: pins of one request that are left in the order in which they were entered hold until the last is left."""
    one, other = settings.live.pinned(), settings.live.pinned()
    one.__enter__()
    swap("two")
    other.__enter__()
    one.__exit__(None, None, None)
    assert settings.live.snapshot().message == "one"
    other.__exit__(None, None, None)
    assert settings.live.snapshot().message == "two"


def test_never_pinned(settings, swap):
    """Selectors, subscribers and waits inside a pin see the newest."""
    seen = []
    with settings.live.pinned():
        settings.live.on_change(lambda s: s.message)(
            lambda change: seen.append((change.new, settings.live.snapshot().message))
        )
        swap("two")
        assert settings.live.wait(lambda s: s.message == "two", PATIENCE).message == "two"
    assert seen == [("two", "two")]


def test_subscribed_inside(settings, swap):
    """E107: one that subscribes inside a pin starts from the newest version, not from the pinned one."""
    changes = []
    with settings.live.pinned():
        swap("two")
        settings.live.on_change("message")(changes.append)
    swap("three")
    assert [(change.old, change.new) for change in changes] == [("two", "three")]


def test_threads(settings, swap):
    """Threads that pin while others swap each see one value for the length of their pin."""
    stop, torn = threading.Event(), []

    def request():
        while not stop.is_set():
            with settings.live.pinned() as pinned:
                torn.extend([()] if any(settings.live.snapshot() is not pinned for _ in range(20)) else [])

    with ExitStack() as stack:
        threads = [threading.Thread(target=request) for _ in range(4)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join, PATIENCE)
        stack.callback(stop.set)
        for count in range(20):
            swap(str(count))
    assert not torn


def test_closed(settings, swap):
    """Pins work on closed settings too."""
    settings.live.close()
    with settings.live.pinned() as pinned:
        swap("two")
        assert settings.live.snapshot() is pinned


def test_snapshots_as_keys(kubelet_volume, load):
    """A snapshot is a key of a dict by its values: an equal one finds it, one of other values or another class does not."""

    class Key(Settings):
        message: str = "one"

    class Other(Settings):
        message: str = "one"

    kubelet_volume.write({"message": "one"})
    settings, other = (load(cls, _volumes=kubelet_volume.path, _watch=False) for cls in (Key, Other))
    first, another = settings.live.latest(), other.live.latest()
    kubelet_volume.write({"message": "two"})
    settings.live.reload()
    kubelet_volume.write({"message": "one"})
    second = settings.live.latest()
    settings.live.reload()
    third = settings.live.latest()
    assert {first: "first"}[third] == "first"
    assert len({hash(each) for each in (first, second, third)}) == 2
    assert hash(first) != hash(another)


def test_one_object_in_two_threads(settings, swap):
    """I03: one `pinned()` object that two threads enter holds the snapshot of each, until that thread leaves."""
    pin = settings.live.pinned()
    entered, left, seen = threading.Event(), threading.Event(), []

    def other():
        with pin as pinned:
            entered.set()
            left.wait(PATIENCE)
            seen.append((pinned.message, settings.live.snapshot().message))
        seen.append(settings.live.snapshot().message)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(PATIENCE)
    swap("two")
    with pin as pinned:
        swap("three")
        assert (pinned.message, settings.live.snapshot().message) == ("two", "two")
    assert settings.live.snapshot().message == "three"
    left.set()
    thread.join(PATIENCE)
    assert seen == [("one", "one"), "three"]
