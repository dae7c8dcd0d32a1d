"""`changes()` and `reloads()`: the same events, read by `async for`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
import weakref

import pytest

from liveconfig import Change, LiveConfigError, Reloaded

PATIENCE = 60.0


def swap(settings, volume, **values):
    volume.update({name.replace("__", "."): str(value) for name, value in values.items()})
    assert settings.live.reload()


async def aswap(settings, volume, **values):
    await asyncio.to_thread(swap, settings, volume, **values)


async def following(stream):
    """The next event."""
    async with asyncio.timeout(PATIENCE):
        return await anext(stream)


async def test_subscribed_at_the_call(settings, volume):
    """A stream holds the changes since the call, even before it is read."""
    stream = settings.live.changes("message")
    swap(settings, volume, message="two")

    change = await following(stream)
    assert isinstance(change, Change)
    assert (change.field, change.old, change.new, change.version) == ("message", "one", "two", 2)


async def test_in_order(settings, volume):
    """Versions grow, and each old value is the new one before."""
    stream, seen = settings.live.changes(lambda s: s.message), []
    for value in ("two", "three"):
        await aswap(settings, volume, message=value)
        seen.append(await following(stream))
    assert [(c.old, c.new) for c in seen] == [("one", "two"), ("two", "three")]


async def test_reloads_in_order(settings, volume):
    """Each reload begins with the settings that the one before it ended with."""
    stream, seen = settings.live.reloads(), []
    for value in ("two", "three"):
        await aswap(settings, volume, message=value)
        seen.append(await following(stream))
    first, second = seen
    assert [change.new for change in first.changes] == ["two"]
    assert second.old is first.new
    assert [(change.old, change.new) for change in second.changes] == [("two", "three")]


async def test_wakes_a_waiting_consumer(settings, volume):
    """A consumer that waits is woken by a swap, from whichever thread."""
    stream = settings.live.reloads()
    waiting = asyncio.create_task(following(stream))
    await asyncio.sleep(0)
    await aswap(settings, volume, message="two")
    event = await waiting
    assert isinstance(event, Reloaded)
    assert [change.field for change in event.changes] == ["message"]


async def test_slow_consumer(settings, volume):
    """A slow consumer gets merged changes: first old, last new."""
    stream = settings.live.changes("count")
    for count in (2, 3, 4):
        swap(settings, volume, count=count)

    change = await following(stream)
    assert (change.old, change.new, change.version) == (1, 4, 4)


async def test_two_streams(settings, volume):
    """Two consumers get each change, independent of each other."""
    streams = [settings.live.changes("message") for _ in range(2)]
    await aswap(settings, volume, message="two")
    assert [(await following(stream)).new for stream in streams] == ["two", "two"]


async def test_two_readers_of_one_stream(settings, volume):
    """E66: two tasks that read one stream both wake up: each change goes to one of them."""
    stream = settings.live.changes("message")
    readers = [asyncio.create_task(following(stream)) for _ in range(2)]
    await asyncio.sleep(0)
    await aswap(settings, volume, message="two")
    first, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    assert [task.result().new for task in first] == ["two"]
    await aswap(settings, volume, message="three")
    async with asyncio.timeout(PATIENCE):
        found = [change.new for change in await asyncio.gather(*readers)]
    assert sorted(found) == ["three", "two"]


async def test_cancelled(settings, volume):
    """A consumer that is cancelled loses nothing, and leaves nothing behind."""
    stream = settings.live.changes("message")
    reader = asyncio.create_task(following(stream))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await aswap(settings, volume, message="two")
    change = await following(stream)
    reference = weakref.ref(stream)
    del stream
    gc.collect()
    assert reference() is None
    assert change.new == "two"
    swap(settings, volume, message="three")


async def test_ends_with_close(settings, volume):
    """close() ends the stream, after the last pending change."""
    stream, seen = settings.live.changes("message"), []
    await aswap(settings, volume, message="two")

    async def read():
        async for change in stream:
            seen.append(change.new)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.to_thread(settings.live.close)
    async with asyncio.timeout(PATIENCE):
        await reader
    assert seen == ["two"]


async def test_not_watched(open_settings, volume):
    """E67: with watch=False too a stream waits for what reload() finds; it does not end at once."""
    settings = open_settings(_watch=False)

    stream = settings.live.changes("message")
    reader = asyncio.create_task(following(stream))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reader.done()
    await aswap(settings, volume, message="two")
    assert (await reader).new == "two"


async def test_started_again(settings, volume):
    """E68: a stream continues after the settings were closed and started again."""
    settings.live.close()
    async with settings.live:
        stream = settings.live.changes("message")
        await aswap(settings, volume, message="two")
        assert (await following(stream)).new == "two"


def test_on_a_later_loop(settings, volume):
    """E69: a stream that was read on a closed loop continues on the next one."""
    stream = settings.live.changes("message")

    async def main(value):
        reader = asyncio.create_task(following(stream))
        await asyncio.sleep(0)
        await aswap(settings, volume, message=value)
        return await reader

    assert asyncio.run(main("two")).new == "two"
    swap(settings, volume, message="nobody reads")
    assert asyncio.run(main("three")).new in ("nobody reads", "three")


@pytest.mark.parametrize("error", [ValueError, KeyError])
async def test_selector_raises_later(settings, volume, caplog, error):
    """E70: a selector that raises later is logged and counts as no change: the stream continues."""

    def select(s):
        if s.message == "two":
            raise error
        return s.message

    stream = settings.live.changes(select)
    reader = asyncio.create_task(following(stream))
    await asyncio.sleep(0)
    await aswap(settings, volume, message="two")
    await aswap(settings, volume, message="three")
    change = await reader
    assert (change.old, change.new) == ("one", "three")
    assert [r.levelno for r in caplog.records if "selector" in r.getMessage()] == [logging.ERROR]


def test_unknown_field(settings):
    """A field that does not exist is an error at the call, which names the nearest."""
    with pytest.raises(LiveConfigError, match="message"):
        settings.live.changes("mesage")


def test_from_another_thread(settings, volume):
    """E71: a stream can be made in one thread and read on the loop of another."""
    stream, result = settings.live.changes("message"), []

    async def main():
        result.append(await following(stream))

    reader = threading.Thread(target=asyncio.run, args=(main(),))
    reader.start()
    swap(settings, volume, message="two")
    reader.join(PATIENCE)
    assert result[0].new == "two"


def test_slow_consumer_memory(settings, volume):
    """An unread stream holds one old value, not one for each swap."""

    def alive():
        gc.collect()
        return sum(type(each) is type(settings) for each in gc.get_objects())

    stream, before = settings.live.changes("count"), alive()
    for count in range(2, 202):
        swap(settings, volume, count=count)
    assert alive() - before < 10
    assert stream is not None


def test_read_on_two_loops(settings, volume):
    """I03: one stream that is read on two loops gives each event to one of them, and neither hangs."""
    stream = settings.live.changes("message")
    found, ready = [], threading.Barrier(3, timeout=PATIENCE)

    def read():
        async def one():
            waiting = asyncio.ensure_future(following(stream))
            await asyncio.sleep(0)  # it waits by now
            ready.wait()
            return await waiting

        found.append(asyncio.run(one()).new)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    ready.wait()
    for count, text in enumerate(("two", "three"), 1):
        swap(settings, volume, message=text)
        deadline = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < deadline:
            time.sleep(0.001)
    for reader in readers:
        reader.join(PATIENCE)
    assert found == ["two", "three"]


async def test_two_readers_on_one_loop(settings, volume):
    """I03: two tasks that read one stream on one loop share its events."""
    stream = settings.live.reloads()
    readers = [asyncio.create_task(following(stream)) for _ in range(2)]
    await asyncio.sleep(0)
    await aswap(settings, volume, message="two")
    done, _ = await asyncio.wait(readers, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    await aswap(settings, volume, message="three")
    assert sorted([event.new.message for event in await asyncio.gather(*readers)]) == ["three", "two"]


async def test_closing(settings, volume):
    """I10: `aclose()` ends a stream, also for code that waits on it, as `contextlib.aclosing` expects."""
    async with contextlib.aclosing(settings.live.changes("message")) as stream:
        await aswap(settings, volume, message="two")
        assert (await following(stream)).new == "two"
        waiting = asyncio.create_task(following(stream))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await waiting
    await aswap(settings, volume, message="three")
    with pytest.raises(StopAsyncIteration):
        await following(stream)


async def test_a_version_without_a_change_of_the_value(settings, volume):
    """A version in which only another field differs gives a stream that waits no event."""
    stream = settings.live.changes("message")
    waiting = asyncio.create_task(following(stream))
    await asyncio.sleep(0)
    await aswap(settings, volume, count=5)
    await aswap(settings, volume, message="three")
    change = await waiting
    assert (change.old, change.new) == ("one", "three")


async def test_nothing_is_kept_of_calls_that_have_returned(settings, volume):
    """A stream keeps nothing of the calls that have returned, however many they were."""

    def events():
        gc.collect()
        return [each for each in gc.get_objects() if type(each) is asyncio.Event]

    before, stream = events(), settings.live.changes("message")
    for number in range(3):
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await aswap(settings, volume, message=number)
        assert (await waiting).new == str(number)
    del waiting
    assert len(events()) == len(before)
