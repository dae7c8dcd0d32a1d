"""`areload` and `start`: looking without blocking an event loop, and following again."""

from __future__ import annotations

import asyncio
import threading

import pytest
from pydantic import field_validator

from liveconfig import LiveConfigError, Settings
from liveconfig._delivery.async_reloads import call_in_thread

PATIENCE = 30.0


async def test_it_applies_what_is_on_disk(settings, volume):
    """It returns True when what is on disk is applied, False when it is rejected."""
    volume.update({"message": "two"})
    assert await settings.live.areload()
    assert settings.message == "two"
    volume.update({"count": "many"})
    assert not await settings.live.areload()


async def test_the_loop_goes_on(settings, volume):
    """The loop runs other tasks while a verifier decides."""
    inside, go = threading.Event(), threading.Event()

    @settings.live.verify
    def check(_):
        inside.set()
        return go.wait(PATIENCE)

    volume.update({"message": "two"})
    reload = asyncio.create_task(settings.live.areload())
    await asyncio.to_thread(inside.wait, PATIENCE)
    assert not reload.done()
    go.set()
    assert await reload


async def test_coroutines_of_this_loop_have_finished(settings, volume):
    """Plain subscribers have been called, and coroutine subscribers of this loop have finished."""
    plain, finished = [], []
    settings.live.on_change("message")(lambda change: plain.append(change.new))

    @settings.live.on_change("message")
    async def slow(change):
        for _ in range(10):
            await asyncio.sleep(0.01)
        finished.append(change.new)

    for text in ("two", "three"):
        volume.update({"message": text})
        assert await settings.live.areload()
        assert (plain[-1], finished[-1]) == (text, text)


async def test_one_that_is_busy_with_an_older_version(settings, volume):
    """A coroutine that was inside its call for an older version has finished with the newest, too."""
    begun, finished = asyncio.Event(), []

    @settings.live.on_change("message")
    async def slow(change):
        begun.set()
        await asyncio.sleep(0.1)
        finished.append(change.new)

    volume.update({"message": "two"})
    await asyncio.to_thread(settings.live.reload)
    await asyncio.wait_for(begun.wait(), PATIENCE)
    volume.update({"message": "three"})
    assert await settings.live.areload()
    assert finished == ["two", "three"]


async def test_one_that_runs_for_long(settings, volume):
    """A coroutine that runs for over 1 s is not waited for."""
    go, finished = asyncio.Event(), asyncio.Event()

    @settings.live.on_change("message")
    async def hangs(_):
        await go.wait()
        finished.set()

    volume.update({"message": "two"})
    assert await asyncio.wait_for(settings.live.areload(), PATIENCE)
    go.set()
    await asyncio.wait_for(finished.wait(), PATIENCE)


async def test_inside_a_coroutine_subscriber(settings, volume):
    """Called inside a coroutine subscriber, it does not wait for that one."""
    results = []
    done = asyncio.Event()

    @settings.live.on_change("message")
    async def again(_):
        results.append(await settings.live.areload())
        done.set()

    volume.update({"message": "two"})
    assert await settings.live.areload()
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert results == [True]


def test_inside_a_coroutine_verifier(settings, volume):
    """Called inside a coroutine verifier, it does not wait for that one, and the change is applied."""
    results = []

    async def check(_):
        results.append(await settings.live.areload())

    settings.live.add_verifier(check, timeout=5)
    volume.update({"message": "two"})
    assert settings.live.reload(), settings.live.status().problems
    assert results == [False]  # it is not applied yet
    assert settings.message == "two"


def test_inside_a_validator(volume, open_settings):
    """Called on a loop inside a validator, it does not wait for the look that runs the validator."""
    live, results = [], []

    class Validated(Settings):
        message: str

        @field_validator("message")
        @classmethod
        def look(cls, value: str) -> str:
            results.extend(asyncio.run(each.areload()) for each in live)
            return value

    settings = open_settings(Validated, _watch=False)
    live.append(settings.live)
    volume.update({"message": "two"})
    looking = threading.Thread(target=settings.live.reload, daemon=True)
    looking.start()
    looking.join(PATIENCE)
    assert results
    assert settings.message == "two"


async def test_cancelled(settings, volume):
    """Cancelling it leaves the settings as usable as before."""
    inside, go = threading.Event(), threading.Event()

    @settings.live.verify
    def check(_):
        inside.set()
        return go.wait(PATIENCE)

    volume.update({"message": "two"})
    reload = asyncio.create_task(settings.live.areload())
    await asyncio.to_thread(inside.wait, PATIENCE)
    reload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reload
    go.set()
    await settings.live.wait_for(lambda s: s.message == "two", PATIENCE)


async def test_cancelled_before_the_thread_has_ended():
    """The thread of a look whose caller was cancelled ends without a word on the loop."""
    inside, go, reported = threading.Event(), threading.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def look():
        inside.set()
        return go.wait(PATIENCE)

    waiting = asyncio.create_task(call_in_thread(look))
    await asyncio.to_thread(inside.wait, PATIENCE)
    [thread] = [each for each in threading.enumerate() if each.name == "liveconfig-reload"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    await asyncio.to_thread(thread.join, PATIENCE)
    await asyncio.sleep(0)
    assert reported == []


def test_the_loop_was_closed_before_the_thread_has_ended(monkeypatch):
    """The thread of a look ends without an exception when the loop that waited for it was closed."""
    inside, go, raised, threads = threading.Event(), threading.Event(), [], []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    def look():
        threads.append(threading.current_thread())
        inside.set()
        return go.wait(PATIENCE)

    async def main():
        waiting = asyncio.create_task(call_in_thread(look))
        await asyncio.to_thread(inside.wait, PATIENCE)
        waiting.cancel()

    asyncio.run(main())
    go.set()
    threads[0].join(PATIENCE)
    assert raised == []


async def test_an_exception_on_the_thread():
    """What is raised on the thread of the look is raised in the coroutine."""

    def fail():
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        await asyncio.wait_for(call_in_thread(fail), PATIENCE)


def test_start_after_close(settings, volume):
    """`start()` follows again after `close()`, what was missed included; a second call is harmless."""
    settings.live.close()
    volume.update({"message": "two"})
    settings.live.start()
    settings.live.start()
    settings.live.wait(lambda s: s.message == "two", PATIENCE)
    volume.update({"message": "three"})
    settings.live.wait(lambda s: s.message == "three", PATIENCE)
    assert settings.live.status().watcher != "off"


def test_start_where_nothing_was_followed(open_settings, volume):
    """`start()` follows settings that were loaded with `_watch=False`."""
    settings = open_settings(_watch=False)
    volume.update({"message": "two"})
    assert settings.message == "one"
    settings.live.start()
    settings.live.wait(lambda s: s.message == "two", PATIENCE)


def test_subscribers_stay(settings, volume, recorder):
    """Subscribers stay subscribed across `close()` and `start()`, and get what they missed as one change."""
    heard = recorder()
    settings.live.on_change("message")(heard)
    settings.live.close()
    for text in ("two", "three"):
        volume.update({"message": text})
    settings.live.start()
    assert heard.wait()[0].old == "one"
    assert heard.news == ["three"]


def test_under_trio(settings):
    """I03: `async with settings.live` and `areload()` under trio are a clear error, and count no entry."""
    trio = pytest.importorskip("trio")

    async def enter():
        async with settings.live:
            pass

    for function in (enter, settings.live.areload):
        with pytest.raises(LiveConfigError, match="asyncio"):
            trio.run(function)
    with settings.live:
        pass
    assert settings.live.status().watcher == "off"  # that was the last entry
