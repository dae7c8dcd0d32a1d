"""Coroutine subscribers whose loop does not run, and plain callables that return something to await."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading

import pytest

PATIENCE = 60.0


@pytest.fixture
def loop():
    """An event loop that a test runs and stops; it is closed in the end."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(_end_tasks())
    loop.close()


@pytest.fixture
def settings(loop, open_settings):
    """Live settings that are closed before the loop is."""
    return open_settings()


async def _end_tasks():
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Heard:
    """A coroutine function that records its events, and signals when it begins and ends."""

    def __init__(self):
        self.news, self.begun, self.threads = [], threading.Semaphore(0), []
        self.told = threading.Semaphore(0)
        self.hold = None

    async def __call__(self, change):
        self.begun.release()
        if self.hold is not None:
            await self.hold.wait()
        self.news.append(change.new)
        self.threads.append(threading.current_thread())
        self.told.release()


def subscribe(loop, settings, callback):
    """Subscribe on a loop that runs only as long as that takes."""

    async def subscribe():
        settings.live.on_change("message")(callback)

    loop.run_until_complete(subscribe())


def swap(settings, volume, **payload):
    volume.update({key: str(value) for key, value in payload.items()})
    assert settings.live.reload()


async def until(told):
    assert await asyncio.to_thread(told.acquire, timeout=PATIENCE)


class TestStopped:
    def test_parked_and_reported(self, settings, volume, loop, caplog):
        """I01: a coroutine whose loop is stopped and not closed is parked, in the log and in the status."""
        heard = Heard()
        subscribe(loop, settings, heard)
        swap(settings, volume, message="two")
        (record,) = [each for each in caplog.records if "no event loop runs for it" in each.getMessage()]
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith("App: subscriber ")
        assert any("waits for an event loop" in note for note in settings.live.status().notes)
        assert heard.news == []

    def test_its_own_loop_runs_again(self, settings, volume, loop):
        """I01: when its own loop runs again, it gets the missed changes as one, and then each later change."""
        heard = Heard()
        subscribe(loop, settings, heard)
        for text in ("two", "three"):
            swap(settings, volume, message=text)
        loop.run_until_complete(until(heard.told))
        assert heard.news == ["three"]
        assert not any("waits for an event loop" in note for note in settings.live.status().notes)

        async def more():
            await asyncio.to_thread(swap, settings, volume, message="four")
            await until(heard.told)

        loop.run_until_complete(more())
        assert heard.news == ["three", "four"]

    def test_another_loop(self, settings, volume, loop):
        """I01: with the next `async with settings.live`, on any loop, it gets what it missed there."""
        heard = Heard()
        subscribe(loop, settings, heard)
        swap(settings, volume, message="two")

        async def main():
            async with settings.live:
                await until(heard.told)

        asyncio.run(main())
        assert heard.news == ["two"]
        loop.run_until_complete(asyncio.sleep(0))
        assert heard.news == ["two"]

    def test_a_running_one_is_preferred(self, settings, volume, loop):
        """I01: one whose loop is stopped is called on another loop on which the settings are in use."""
        heard = Heard()
        subscribe(loop, settings, heard)

        async def main():
            async with settings.live:
                await asyncio.to_thread(swap, settings, volume, message="two")
                await until(heard.told)

        asyncio.run(main())
        assert heard.news == ["two"]

    def test_stopped_inside_its_call(self, settings, volume, loop):
        """I01: one whose loop stops in the middle of its call ends that call when the loop runs again, once."""
        heard = Heard()

        async def begin():
            heard.hold = asyncio.Event()
            settings.live.on_change("message")(heard)
            await asyncio.to_thread(swap, settings, volume, message="two")
            await until(heard.begun)

        loop.run_until_complete(begin())
        swap(settings, volume, message="three")  # notices that the loop is stopped
        assert heard.news == []

        async def go_on():
            heard.hold.set()
            await until(heard.told)
            await until(heard.told)

        loop.run_until_complete(go_on())
        assert heard.news == ["two", "three"]

    def test_stopped_before_its_call(self, settings, volume, loop, caplog):
        """I01: a subscriber whose loop stops before the scheduled call is parked within a second."""
        heard, posted = Heard(), threading.Event()

        async def blocked():
            settings.live.on_change("message")(heard)
            thread = threading.Thread(target=lambda: (swap(settings, volume, message="two"), posted.set()))
            thread.start()
            assert posted.wait(PATIENCE)  # blocks the loop on purpose
            loop.stop()

        loop.create_task(blocked())
        loop.run_forever()
        settings.live.close()
        settings.live.start()

        async def main():
            async with settings.live:
                await until(heard.told)

        asyncio.run(main())
        assert heard.news == ["two"]


def wrapped(function):
    """A decorator that makes a plain function of a coroutine function."""

    @functools.wraps(function)
    def call(*arguments):
        return function(*arguments)

    return call


class Object:
    """An awaitable that is no coroutine."""

    def __init__(self, inner):
        self._inner = inner

    def __await__(self):
        return self._inner.__await__()


WAYS = {
    "wraps": wrapped,
    "lambda": lambda function: lambda change: function(change),
    "an awaitable object": lambda function: lambda change: Object(function(change)),
    "a partial of a lambda": lambda function: functools.partial(lambda change: function(change)),
}


class TestReturnsAnAwaitable:
    @pytest.mark.parametrize("way", WAYS)
    async def test_it_is_awaited(self, settings, volume, way):
        """I02: what a plain callable returns is awaited on the loop on which it was subscribed, at every change."""
        heard = Heard()
        settings.live.on_change("message")(WAYS[way](heard))
        for text in ("two", "three"):
            await asyncio.to_thread(swap, settings, volume, message=text)
            await until(heard.told)
        assert heard.news == ["two", "three"]
        assert set(heard.threads) == {threading.current_thread()}
        assert settings.live.status().healthy

    async def test_what_it_raises_counts(self, settings, volume, caplog):
        """I02: what it raises when it is awaited counts as any exception of a subscriber."""

        async def fails(_):
            raise ConnectionError

        settings.live.on_change("message")(wrapped(fails))
        volume.update({"message": "two"})
        assert await settings.live.areload()
        assert settings.live.status().subscribers[0].error == "ConnectionError"
        assert "raised ConnectionError; retrying in 1 s" in caplog.text

    def test_without_a_loop(self, settings, volume, caplog, recwarn):
        """I02: without a loop it waits for the next `async with settings.live`, and nothing is left unawaited."""
        heard = Heard()
        settings.live.on_change("message")(wrapped(heard))
        swap(settings, volume, message="two")
        assert "no event loop runs for it" in caplog.text
        assert heard.news == []

        async def main():
            async with settings.live:
                await until(heard.told)

        asyncio.run(main())
        assert heard.news == ["two"]
        assert not recwarn.list

    async def test_only_at_some_changes(self, settings, volume):
        """A plain callable that returns an awaitable at one change and None at the next has received both."""
        heard, plain = Heard(), []
        settings.live.on_change("message")(
            lambda change: heard(change) if change.new == "two" else plain.append(change.new)
        )
        for text in ("two", "three", "two"):
            volume.update({"message": text})
            assert await settings.live.areload()
            assert settings.live.status().subscribers[0].error is None
        assert (heard.news, plain) == (["two", "two"], ["three"])
        assert settings.live.status().subscribers[0].version == settings.live.version

    def test_a_generator(self, settings, volume, caplog):
        """I02: a callable that returns a generator, whose body nothing would run, is named in the log."""

        def generator(change):
            yield change

        async def async_generator(change):
            yield change

        settings.live.on_change("message")(lambda change: generator(change))
        settings.live.on_change("message")(lambda change: async_generator(change))
        swap(settings, volume, message="two")
        lines = [each.getMessage() for each in caplog.records if "returned a generator" in each.getMessage()]
        assert len(lines) == 2
        assert all(line.startswith("App: subscriber ") for line in lines)
