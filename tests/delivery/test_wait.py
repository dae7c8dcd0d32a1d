"""`wait` and `wait_for`: until a snapshot is what was asked for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from liveconfig import LiveConfigError

PATIENCE = 60.0


def swap(settings, volume, **values):
    volume.update({name: str(value) for name, value in values.items()})
    assert settings.live.reload()


class TestWait:
    def test_at_once(self, settings):
        """A condition that is true already returns at once."""
        assert settings.live.wait(lambda s: s.message == "one", 0) is settings.live.latest()

    def test_blocks(self, settings, volume):
        """It blocks until a swap makes it true."""
        found = []
        waiting = threading.Thread(target=lambda: found.append(settings.live.wait(lambda s: s.count == 2, PATIENCE)))
        waiting.start()
        swap(settings, volume, message="two")
        swap(settings, volume, count=2)
        waiting.join(PATIENCE)
        assert found[0].count == 2

    def test_without_an_end(self, settings, volume):
        """Without a time-out it waits for as long as it takes."""
        found = []
        waiting = threading.Thread(target=lambda: found.append(settings.live.wait(lambda s: s.count == 2)))
        waiting.start()
        swap(settings, volume, count=2)
        waiting.join(PATIENCE)
        assert found[0].count == 2

    def test_time_out(self, settings):
        """TimeoutError when it did not come, which says so."""
        with pytest.raises(TimeoutError, match=r"did not fulfil the condition within 0\.01 s"):
            settings.live.wait(lambda s: s.count == 2, 0.01)
        with pytest.raises(TimeoutError):
            settings.live.wait(lambda s: s.count == 2, -1)

    @pytest.mark.parametrize("timeout", [float("inf"), 1e12, 1e300])
    def test_a_time_out_without_bounds(self, settings, volume, timeout):
        """I10: a time-out that is longer than the platform can wait for is one that does not come."""
        found = []
        waiting = threading.Thread(target=lambda: found.append(settings.live.wait(lambda s: s.count == 2, timeout)))
        waiting.start()
        swap(settings, volume, count=2)
        waiting.join(PATIENCE)
        assert found[0].count == 2

    async def test_a_time_out_that_is_no_number(self, settings):
        """NaN is an error: a wait with it would never be over, and never rest."""
        with pytest.raises(LiveConfigError, match="`timeout` must be a number of seconds, or None"):
            settings.live.wait(lambda s: s.count == 2, float("nan"))
        with pytest.raises(LiveConfigError, match="`timeout` must be a number of seconds, or None"):
            await settings.live.wait_for(lambda s: s.count == 2, float("nan"))

    def test_predicate_raises(self, settings):
        """An exception of the predicate is raised."""
        with pytest.raises(ZeroDivisionError):
            settings.live.wait(lambda s: s.count / 0, 1)

    def test_not_held_up_by_subscribers(self, settings, volume, gate, monkeypatch):
        """E72: it returns at once, however long subscribers take."""
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", 3600.0)  # so long nobody goes round a subscriber
        there = threading.Event()
        settings.live.on_change("message")(lambda _: (there.set(), gate.wait(PATIENCE)))
        found = threading.Event()

        def wait():
            settings.live.wait(lambda s: s.message == "two", PATIENCE)
            found.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        assert there.wait(PATIENCE)
        assert found.wait(PATIENCE)
        gate.set()
        waiting.join(PATIENCE)

    def test_inside_a_subscriber(self, settings, volume, recorder):
        """E73: a subscriber can wait for a later version."""
        found = recorder()
        settings.live.on_change("message")(lambda _: found(settings.live.wait(lambda s: s.count == 2, PATIENCE)))
        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        swap(settings, volume, count=2)
        assert found.wait(1)[0].count == 2

    def test_closed(self, settings, volume):
        """E74: of a closed one it still ends, by hand or by its time-out."""
        settings.live.close()
        with pytest.raises(TimeoutError):
            settings.live.wait(lambda s: s.count == 2, 0.01)
        swap(settings, volume, count=2)
        assert settings.live.wait(lambda s: s.count == 2, 0).count == 2

    def test_inside_the_predicate(self, settings):
        """The predicate may use everything: it is not called under a lock."""
        done = threading.Event()

        def look(_):
            other = threading.Thread(target=lambda: (settings.live.status(), settings.live.reload(), done.set()))
            other.start()
            other.join(PATIENCE)
            return True

        settings.live.wait(look, PATIENCE)
        assert done.is_set()


class TestWaitFor:
    async def test_at_once(self, settings):
        """A condition that is true already returns at once."""
        assert (await settings.live.wait_for(lambda s: s.message == "one", 1)) is settings.live.latest()

    async def test_later(self, settings, volume):
        """It waits without blocking the loop."""
        waiting = asyncio.create_task(settings.live.wait_for(lambda s: s.count == 2, PATIENCE))
        await asyncio.sleep(0)
        await asyncio.to_thread(swap, settings, volume, message="two")
        await asyncio.to_thread(swap, settings, volume, count=2)
        assert (await waiting).count == 2

    async def test_time_out(self, settings):
        """TimeoutError when it did not come, which says so; the predicate's own is raised as it is."""

        def late(_):
            raise TimeoutError("the predicate's own")

        with pytest.raises(TimeoutError, match=r"did not fulfil the condition within 0\.01 s"):
            await settings.live.wait_for(lambda s: s.count == 2, 0.01)
        with pytest.raises(TimeoutError, match="the predicate's own"):
            await settings.live.wait_for(late, PATIENCE)

    async def test_predicate_raises(self, settings):
        """An exception of the predicate is raised."""
        with pytest.raises(ZeroDivisionError):
            await settings.live.wait_for(lambda s: s.count / 0, 1)

    async def test_cancelled(self, settings, volume):
        """A cancelled wait leaves nothing behind."""
        waiting = asyncio.create_task(settings.live.wait_for(lambda s: s.count == 2))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        swap(settings, volume, count=2)

    async def test_closed(self, open_settings, volume):
        """E75: of settings that are not watched it waits for what reload() finds."""
        settings = open_settings(_watch=False)

        waiting = asyncio.create_task(settings.live.wait_for(lambda s: s.count == 2, PATIENCE))
        await asyncio.sleep(0)
        await asyncio.to_thread(swap, settings, volume, count=2)
        assert (await waiting).count == 2

    @pytest.mark.parametrize("timeout", [float("inf"), 1e12, 1e300])
    async def test_a_time_out_without_bounds(self, settings, volume, timeout):
        """I10: the same for coroutines."""
        waiting = asyncio.create_task(settings.live.wait_for(lambda s: s.count == 2, timeout))
        await asyncio.sleep(0)
        await asyncio.to_thread(swap, settings, volume, count=2)
        assert (await waiting).count == 2
