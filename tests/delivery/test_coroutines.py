"""Coroutine subscribers run on the right loop, and lose nothing when that goes (P5)."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import threading
import weakref

import pytest

PATIENCE = 60.0


def swap(settings, volume, **values):
    volume.update({name: str(value) for name, value in values.items()})
    assert settings.live.reload()


async def aswap(settings, volume, **values):
    await asyncio.to_thread(swap, settings, volume, **values)


class Inbox:
    """A coroutine callback that keeps what it is given; ``act`` is what it awaits besides."""

    def __init__(self, act=None):
        self.events = []
        self.loops = []
        self._act = act
        self._news = threading.Condition()

    async def __call__(self, event):
        with self._news:
            self.events.append(event)
            self.loops.append(asyncio.get_running_loop())
            self._news.notify_all()
        if self._act is not None:
            await self._act(event)

    async def wait(self, count):
        await asyncio.to_thread(self.wait_here, count)
        return self.events

    def wait_here(self, count):
        with self._news:
            assert self._news.wait_for(lambda: len(self.events) >= count, PATIENCE), self.events

    @property
    def news(self):
        return [event.new for event in self.events]


@pytest.fixture
def other_loop():
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


def run(loop, coroutine):
    """The result of a coroutine that runs on a loop in another thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)


class TestLoops:
    def test_where_it_was_subscribed(self, settings, volume, other_loop):
        """A coroutine runs on the loop that was running when it was subscribed, whichever thread reloads."""
        inbox = Inbox()

        async def subscribe():
            settings.live.on_change("message")(inbox)

        run(other_loop, subscribe())
        swap(settings, volume, message="two")
        inbox.wait_here(1)
        assert inbox.loops == [other_loop]

    @pytest.mark.parametrize("form", ["function", "method", "partial", "object"])
    async def test_forms(self, settings, volume, form):
        """Functions, methods, partials and objects are known as coroutines."""
        inbox = Inbox()

        class Service:
            async def method(self, event):
                await inbox(event)

        async def function(event):
            await inbox(event)

        async def more(_, event):
            await inbox(event)

        forms = {
            "function": function,
            "method": Service().method,
            "partial": functools.partial(more, 1),
            "object": inbox,
        }

        settings.live.on_change("message")(forms[form])
        await aswap(settings, volume, message="two")
        await inbox.wait(1)
        assert inbox.news == ["two"]

    def test_before_any_loop(self, settings, volume, caplog):
        """One subscribed before any loop runs waits for `async with`, gets one merged change, and is warned of once."""
        inbox = Inbox()
        settings.live.on_change("message")(inbox)
        assert not caplog.records
        swap(settings, volume, message="two")
        swap(settings, volume, message="three")
        assert [r.levelno for r in caplog.records if "coroutine" in r.getMessage()] == [logging.WARNING]

        async def main():
            async with settings.live:
                await inbox.wait(1)
                await aswap(settings, volume, message="four")
                await inbox.wait(2)

        asyncio.run(main())
        assert [(c.old, c.new) for c in inbox.events] == [("one", "three"), ("three", "four")]

    def test_closed_loop(self, settings, volume, recorder, caplog):
        """E15: after its loop was closed, a swap gives one warning, the others are called, and the next loop gets the missed change."""
        inbox, plain = Inbox(), recorder()

        async def first():
            settings.live.on_change("message")(inbox)
            settings.live.on_change("message")(plain)
            await aswap(settings, volume, message="two")
            await inbox.wait(1)

        asyncio.run(first())
        swap(settings, volume, message="three")
        swap(settings, volume, message="four")
        assert [r.levelno for r in caplog.records if "coroutine" in r.getMessage()] == [logging.WARNING]
        assert plain.news == ["two", "three", "four"]
        assert settings.live.status().watcher != "off"

        async def second():
            async with settings.live:
                await inbox.wait(2)

        asyncio.run(second())
        assert [(c.old, c.new) for c in inbox.events] == [("one", "two"), ("two", "four")]

    def test_loop_ends_with_a_task_pending(self, settings, volume, caplog):
        """E56: a change whose call is running when the loop ends is delivered again on the next loop."""

        async def forever(_):
            await asyncio.Event().wait()

        inbox = Inbox(forever)

        async def first():
            settings.live.on_change("message")(inbox)
            await aswap(settings, volume, message="two")
            await inbox.wait(1)

        asyncio.run(first())  # cancels it
        inbox._act = None
        swap(settings, volume, count=2)

        async def second():
            async with settings.live:
                await inbox.wait(2)

        asyncio.run(second())
        assert [(c.old, c.new) for c in inbox.events] == [("one", "two"), ("one", "two")]

    def test_loop_closed_without_a_word(self, settings, volume, caplog):
        """E57: a loop that is closed without cancelling its tasks gives one warning, and the change is delivered on the next loop."""

        async def forever(_):
            await asyncio.get_running_loop().create_future()

        inbox = Inbox(forever)
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending" is asyncio's own word

        async def first():
            settings.live.on_change("message")(inbox)
            volume.update({"message": "two"})
            settings.live.reload()
            while not inbox.events:
                await asyncio.sleep(0)

        loop.run_until_complete(first())
        loop.close()
        inbox._act = None
        swap(settings, volume, message="three")
        assert len([r for r in caplog.records if "async with" in r.getMessage()]) == 1

        async def second():
            async with settings.live:
                await inbox.wait(2)

        asyncio.run(second())
        assert [(c.old, c.new) for c in inbox.events] == [("one", "two"), ("one", "three")]

    def test_loop_ends_before_the_task_begins(self, settings, volume):
        """A coroutine whose task is cancelled with its loop before the first step gives no warning of Python."""
        inbox = Inbox()

        async def main():
            settings.live.on_change("message")(inbox)
            swap(settings, volume, message="two")  # blocks the loop, which ends with the next step

        asyncio.run(main())
        gc.collect()  # a warning that a coroutine was never awaited would fail the test
        assert not inbox.events

    def test_loop_stops_before_it_starts(self, settings, volume):
        """E58: a change that was scheduled on a loop which ends before the call is delivered on the next loop."""
        inbox = Inbox()
        loop = asyncio.new_event_loop()

        async def first():
            settings.live.on_change("message")(inbox)

        loop.run_until_complete(first())
        swap(settings, volume, message="two")  # handed over; nobody runs the loop
        loop.close()
        swap(settings, volume, message="three")

        async def second():
            async with settings.live:
                await inbox.wait(1)

        asyncio.run(second())
        assert [(c.old, c.new) for c in inbox.events] == [("one", "three")]

    async def test_initial(self, settings):
        """initial=True calls a coroutine on its loop, and subscribing does not wait for it."""
        inbox = Inbox()

        settings.live.on_change("message", initial=True)(inbox)
        await inbox.wait(1)
        assert [(c.old, c.new) for c in inbox.events] == [("one", "one")]

    async def test_empty_context(self, settings, volume):
        """E59: a coroutine runs in an empty context, not in that of its subscription."""
        variable = contextvars.ContextVar("request", default="none")
        seen = []

        async def look(_):
            seen.append(variable.get())

        inbox = Inbox(look)

        variable.set("of the subscriber")
        settings.live.on_change("message")(inbox)
        await aswap(settings, volume, message="two")
        await inbox.wait(1)
        assert seen == ["none"]


class TestSlow:
    async def test_merged(self, settings, volume):
        """A slow coroutine gets its changes merged, one call at a time."""
        gate = []

        async def hold(_):
            gate.append(asyncio.get_running_loop().create_future())
            await gate[-1]

        inbox = Inbox(hold)

        settings.live.on_change("count")(inbox)
        await aswap(settings, volume, count=2)
        await inbox.wait(1)
        for count in range(3, 10):
            await aswap(settings, volume, count=count)
        assert len(inbox.events) == 1
        gate[0].set_result(None)
        await inbox.wait(2)
        gate[1].set_result(None)
        assert [(c.old, c.new) for c in inbox.events] == [(1, 2), (2, 9)]

    async def test_barrier_excepts_it(self, settings, volume, recorder):
        """reload() on the loop itself does not wait for a coroutine that the same loop must run."""
        inbox, plain = Inbox(), recorder()

        settings.live.on_change("message")(inbox)
        settings.live.on_change("message")(plain)
        volume.update({"message": "two"})
        assert settings.live.reload()
        assert plain.news == ["two"]
        await inbox.wait(1)

    async def test_reload_inside(self, settings, volume):
        """A coroutine that reloads inside neither deadlocks nor loses its own next change."""
        inbox = Inbox()

        async def again(change):
            if change.new < 5:
                volume.update({"count": str(change.new + 1)})
                settings.live.reload()

        inbox._act = again

        settings.live.on_change("count")(inbox)
        await aswap(settings, volume, count=2)
        await inbox.wait(4)
        assert inbox.news == [2, 3, 4, 5]

    async def test_kept_from_the_collector(self, settings, volume):
        """E60: a coroutine that waits for an otherwise unreferenced object is not collected."""
        waiting = []

        async def hold(_):
            future = asyncio.get_running_loop().create_future()
            waiting.append(weakref.ref(future))
            await future

        inbox = Inbox(hold)

        settings.live.on_change("message")(inbox)
        await aswap(settings, volume, message="two")
        await inbox.wait(1)
        await asyncio.sleep(0)
        gc.collect()
        future = waiting[0]()
        assert future is not None
        future.set_result(None)


class TestFailing:
    async def test_again(self, settings, volume):
        """A coroutine that raises is listed in status() and called again after 1 s."""
        ill = [True]

        async def fail(_):
            if ill[0]:
                raise ValueError

        inbox = Inbox(fail)

        settings.live.on_change("message")(inbox)
        await aswap(settings, volume, message="two")
        await inbox.wait(1)
        while settings.live.status().healthy:
            await asyncio.sleep(0)
        assert [each.error for each in settings.live.status().subscribers] == ["ValueError"]
        ill[0] = False
        await inbox.wait(2)
        assert [(c.old, c.new) for c in inbox.events] == [("one", "two")] * 2

    async def test_wrong_signature(self, settings, volume, caplog):
        """E61: a coroutine function that cannot be called with one event is logged and listed in status()."""

        async def wrong():
            pass

        settings.live.on_change("message")(wrong)
        await aswap(settings, volume, message="two")
        async with asyncio.timeout(PATIENCE):
            while settings.live.status().healthy:
                await asyncio.sleep(0)
        assert settings.live.status().subscribers[0].error == "TypeError"
        assert {record.name for record in caplog.records} == {"liveconfig"}

    async def test_told_again_after_a_log_filter_raised(self, settings, volume):
        """A coroutine that raised gets the next change, even if a log filter raised at its log line."""

        def refuse(_):
            raise RuntimeError

        async def fail(_):
            raise ValueError

        inbox, logger = Inbox(fail), logging.getLogger("liveconfig")

        refused = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: refused.set())
        settings.live.on_change("message", retry=False)(inbox)
        logger.addFilter(refuse)
        try:
            await aswap(settings, volume, message="two")
            async with asyncio.timeout(PATIENCE):
                await refused.wait()
        finally:
            logger.removeFilter(refuse)
        await aswap(settings, volume, message="three")
        await inbox.wait(2)
        assert inbox.news == ["two", "three"]

    async def test_cancelled_by_somebody(self, settings, volume):
        """E62: a call that is cancelled while its loop runs is repeated on that loop."""
        first = [True]

        async def cancelled(_):
            if first[0]:
                first[0] = False
                raise asyncio.CancelledError

        inbox = Inbox(cancelled)
        errors = []

        settings.live.on_change("message")(inbox)
        await aswap(settings, volume, message="two")
        while not errors or errors[-1] is None:  # the pause before the second call is a second
            errors.append(settings.live.status().subscribers[0].error)
            await asyncio.sleep(0.001)
        await inbox.wait(2)
        assert [(c.old, c.new) for c in inbox.events] == [("one", "two")] * 2
        assert errors[-1] == "CancelledError"

    @pytest.mark.parametrize("retry", [True, False])
    async def test_cancelled_before_a_restart(self, settings, volume, retry):
        """One whose call was cancelled gets the changes after a restart at once, on the same loop."""

        async def cancelled(change):
            if change.new == "two":
                raise asyncio.CancelledError

        inbox = Inbox(cancelled)

        async with settings.live:
            settings.live.subscribe("message", inbox, retry=retry)
            await aswap(settings, volume, message="two")
            await inbox.wait(1)
            async with asyncio.timeout(PATIENCE):
                while settings.live.status().subscribers[0].error is None:
                    await asyncio.sleep(0)
        volume.update({"message": "three"})
        async with settings.live:
            await inbox.wait(2)
        assert inbox.news[-1] == "three"

    async def test_cancelled_when_closed(self, settings, volume):
        """One whose call is cancelled while the settings are closed gets the changes after a restart."""
        gate, over = asyncio.Event(), []

        async def cancelled(change):
            if change.new == "two":
                try:
                    await gate.wait()
                finally:
                    over.append(change)
                raise asyncio.CancelledError

        inbox = Inbox(cancelled)

        async with settings.live:
            settings.live.on_change("message")(inbox)
            await aswap(settings, volume, message="two")
            await inbox.wait(1)
        gate.set()
        async with asyncio.timeout(PATIENCE):
            while settings.live.status().subscribers[0].error is None:
                await asyncio.sleep(0)
        assert over
        volume.update({"message": "three"})
        async with settings.live:
            await inbox.wait(2)
        assert inbox.news[-1] == "three"

    async def test_unsubscribed_on_the_loop(self, settings, volume):
        """E63: a coroutine that is cancelled before its loop gets to it is not called."""
        inbox = Inbox()

        subscription = settings.live.subscribe("message", inbox)
        volume.update({"message": "two"})
        settings.live.reload()  # on the loop: the call is handed over, and cannot have begun
        subscription.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not inbox.events

    async def test_task_factory(self, settings, volume):
        """E64: a loop whose task factory takes no context still runs the coroutine."""
        inbox = Inbox()

        asyncio.get_running_loop().set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))
        settings.live.on_change("message")(inbox)
        await aswap(settings, volume, message="two")
        await inbox.wait(1)
        assert inbox.news == ["two"]

    def test_debug_mode(self, settings, volume, canary, caplog):
        """F22: asyncio's own debug log of slow callbacks shows no value of ours."""
        inbox = Inbox()

        async def main():
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = 0
            settings.live.on_change("message")(inbox)
            settings.live.on_reload(Inbox())
            await aswap(settings, volume, message=canary)
            await inbox.wait(1)

        asyncio.run(main(), debug=True)
        assert not [record for record in caplog.records if canary[:12] in record.getMessage()]


async def test_several_loops(settings, volume, other_loop):
    """E65: coroutines of two loops each run on their own."""
    here, there = Inbox(), Inbox()

    async def subscribe():
        settings.live.on_change("message")(there)

    await asyncio.to_thread(run, other_loop, subscribe())
    settings.live.on_change("message")(here)
    await aswap(settings, volume, message="two")
    await here.wait(1)
    await there.wait(1)
    assert here.loops == [asyncio.get_running_loop()]
    assert there.loops == [other_loop]


async def test_async_with_counts(settings):
    """`async with` counts its entries: the last exit closes, and a closed one is started again."""
    async with settings.live:
        async with settings.live as live:
            assert live is settings.live
        assert settings.live.status().watcher != "off"
    assert settings.live.status().watcher == "off"
    async with settings.live:
        assert settings.live.status().watcher != "off"
    assert settings.live.status().watcher == "off"
