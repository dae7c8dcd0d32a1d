"""A slow subscriber does not affect the others, and gets the newest value in the end (P5)."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import field_validator

from liveconfig import Settings

PATIENCE = 60.0


@pytest.fixture
def hold(gate):
    """A function that blocks its caller until the gate opens, and signals that it was called."""

    def call(_=None):
        call.there.set()
        assert gate.wait(PATIENCE)

    call.there = threading.Event()
    return call


def swap(settings, volume, wait=False, **values):
    volume.update({name.replace("__", "."): str(value) for name, value in values.items()})
    return settings.live.reload(wait=wait)


class TestMerging:
    def test_fifty_swaps(self, settings, volume, recorder, gate, hold):
        """E02: one that is inside its call during 50 swaps gets one merged change in the end; reads are fresh at once."""
        slow, fast = recorder(hold), recorder()
        settings.live.on_change("count")(slow)
        settings.live.on_change("count")(fast)
        for count in range(2, 52):
            swap(settings, volume, count=count)
            assert settings.count == count
            assert hold.there.wait(PATIENCE)
        fast.wait_until(lambda change: change.new == 51)
        gate.set()
        slow.wait(2)
        assert [(c.old, c.new, c.version) for c in slow.events] == [(1, 2, 2), (2, 51, 51)]

    def test_merged_reload(self, settings, volume, recorder, gate, hold):
        """A merged event has the first old, the last new, and the generations and times of the newest."""
        slow = recorder(hold)
        settings.live.on_reload(slow)
        swap(settings, volume, count=2)
        assert hold.there.wait(PATIENCE)
        swap(settings, volume, message="two")
        swap(settings, volume, message="three", count=3)
        newest = volume.generation
        gate.set()
        merged = slow.wait(2)[1]
        assert (merged.old.count, merged.old.message) == (2, "one")
        assert (merged.new.count, merged.new.message) == (3, "three")
        assert [change.field for change in merged.changes] == ["message", "count"]
        assert list(merged.generations.values()) == [newest]
        assert merged.version == 4
        assert merged.applied_at == settings.live.status().applied_at

    def test_memory(self, settings, volume, recorder, gate, hold):
        """E02: while one is inside its call, snapshots do not pile up behind it."""

        def alive():
            gc.collect()
            return sum(type(each) is type(settings) for each in gc.get_objects())

        settings.live.on_change("count")(recorder(hold))
        swap(settings, volume, count=2)
        assert hold.there.wait(PATIENCE)
        before = alive()
        for count in range(3, 203):
            swap(settings, volume, count=count)
        settings.live.reload()
        assert alive() - before < 10

    def test_rejections_are_kept(self, settings, volume, recorder, gate, hold):
        """Rejections are not merged: a slow one gets each, the newest 16 at most, in order."""
        slow = recorder(hold)
        settings.live.on_reject(slow)
        for number in range(30):
            swap(settings, volume, count=f"bad {number}")
            assert hold.there.wait(PATIENCE)
        generations = volume.generation
        gate.set()
        slow.wait(17)
        settings.live.reload()
        assert 16 <= len(slow.events) <= 17
        times = [event.at for event in slow.events]
        assert times == sorted(times)
        assert list(slow.events[-1].generations.values()) == [generations]


class TestThreads:
    def test_others_go_on(self, settings, volume, recorder, hold):
        """A subscriber that hangs gets a thread of its own after a second; those behind it get this change and the next."""
        hung, after = recorder(hold), recorder()
        settings.live.on_change("message")(hung)
        settings.live.on_change("message")(after)
        swap(settings, volume, message="two")
        after.wait(1)
        swap(settings, volume, message="three")
        after.wait(2)
        assert after.news == ["two", "three"]
        assert hung.threads[0] not in after.threads

    def test_after_one_that_took_its_time(self, settings, volume, recorder, hold, move_clock):
        """One that hangs is left to its thread a second after its own start, whatever the one before it took."""

        def long(_):
            move_clock(0.6)
            raise ValueError  # its second call is put off: so the clock is looked at anew

        after = recorder()
        for callback in (long, hold, after):
            settings.live.on_change("message")(callback)
        swap(settings, volume, message="two")
        after.wait(1)
        assert settings.live.status().subscribers[1].running_since is not None

    def test_barrier_does_not_wait_for_it(self, settings, volume, recorder, hold):
        """reload() returns although one hangs, after the others were called."""
        after = recorder()
        settings.live.on_change("message")(hold)
        settings.live.on_change("message")(after)
        assert swap(settings, volume, wait=True, message="two")
        assert after.news == ["two"]
        assert swap(settings, volume, wait=True, message="three")
        assert after.news == ["two", "three"]

    def test_barrier_while_a_validator_holds_up_the_watching(self, open_settings, volume, hold):
        """A subscriber that hangs is left to its thread after a second, though the watching thread is in a validator."""
        inside, go, timely = threading.Event(), threading.Event(), []

        class Slow(Settings):
            message: str = ""
            count: int = 0

            @field_validator("count")
            @classmethod
            def wait(cls, count):
                if count == 2:
                    inside.set()
                    timely.append(go.wait(PATIENCE))
                return count

        settings = open_settings(Slow)
        volume.update({"count": "2"})
        assert inside.wait(PATIENCE)
        settings.live.subscribe("message", hold, initial=True)  # returns although neither of them does
        go.set()
        settings.live.wait(lambda s: s.count == 2, PATIENCE)
        assert timely == [True]

    def test_several_hang(self, settings, volume, recorder, hold):
        """E41: several that hang have a thread each, and the last subscriber is still called."""
        after = recorder()
        for _ in range(4):
            settings.live.on_change("message")(lambda change: hold(change))
        settings.live.on_change("message")(after)
        assert swap(settings, volume, wait=True, message="two")
        assert after.news == ["two"]
        assert sum(each.running_since is not None for each in settings.live.status().subscribers) == 4

    def test_other_settings(self, open_settings, volume, recorder, hold):
        """A subscriber that hangs keeps no new value and no change of other settings from anybody."""
        hung, free = open_settings(), open_settings()
        told = recorder()
        hung.live.on_change("message")(hold)
        free.live.on_change("message")(told)
        swap(hung, volume, message="two")
        assert hold.there.wait(PATIENCE)
        assert swap(free, volume, wait=True, message="three")
        assert free.message == "three"
        assert told.news[-1] == "three"

    def test_status_says_so(self, settings, volume, gate, hold):
        """status() says since when one is inside its call, and no longer when it has returned."""
        settings.live.on_change("message")(hold)
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)
        (subscriber,) = settings.live.status().subscribers
        assert timedelta(0) <= datetime.now(UTC) - subscriber.running_since < timedelta(minutes=1)
        assert subscriber.version == 1
        assert subscriber.name == f"{__name__}.hold.<locals>.call"
        gate.set()
        settings.live.reload()
        (subscriber,) = settings.live.status().subscribers
        assert subscriber.running_since is None
        assert subscriber.version == 2

    def test_no_threads_when_idle(self, settings, volume, recorder):
        """Between changes there is no delivery thread."""
        changes = recorder()
        settings.live.on_change("message")(changes)
        swap(settings, volume, wait=True, message="two")
        changes.threads[0].join(PATIENCE)
        assert not changes.threads[0].is_alive()

    def test_unsubscribed_while_inside(self, settings, volume, recorder, gate, hold):
        """E42: a subscriber that is cancelled inside its call finishes it, and does not get later changes."""
        slow = recorder(hold)
        subscription = settings.live.subscribe("message", slow)
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)
        swap(settings, volume, message="three")
        subscription.cancel()
        gate.set()
        slow.threads[0].join(PATIENCE)
        settings.live.reload()
        assert slow.news == ["two"]


class TestHung:
    @staticmethod
    def named(caplog):
        """The lines about a subscriber: a look that was under way when the clock was moved is named, too."""
        lines = (record.getMessage() for record in caplog.records)
        return [line for line in lines if "subscriber" in line and "has been running" in line]

    def wait_until_named(self, caplog):
        deadline = time.monotonic() + PATIENCE
        while not self.named(caplog) and time.monotonic() < deadline:
            time.sleep(0.01)  # the worker says it, once its timer is due

    def test_named_after_thirty_seconds(self, settings, volume, recorder, hold, move_clock, caplog):
        """E43: one that has run for 30 s is named in the log, once."""
        settings.live.on_change("message")(hold)
        after = recorder()
        settings.live.on_change("message")(after)
        assert swap(settings, volume, wait=True, message="two")
        for seconds in (20, 15, 40):
            move_clock(seconds)
            swap(settings, volume, wait=True, message=f"after {seconds}")
            if seconds == 20:
                assert not self.named(caplog)
        self.wait_until_named(caplog)
        assert len(self.named(caplog)) == 1
        assert "hold.<locals>.call" in self.named(caplog)[0]

    def test_is_a_problem(self, settings, volume, gate, hold, move_clock):
        """One that has run for 30 s has not received the newest version: the settings are unhealthy until it returns."""
        settings.live.on_change("message")(hold)
        assert swap(settings, volume, wait=True, message="two")
        move_clock(20)
        settings.live.reload()  # a look would be due
        assert settings.live.healthy
        move_clock(15)
        settings.live.reload()
        (text,) = settings.live.status().problems
        assert "hold.<locals>.call has been running for 3" in text
        gate.set()
        deadline = time.monotonic() + PATIENCE
        while not settings.live.healthy and time.monotonic() < deadline:
            time.sleep(0.01)
        assert settings.live.healthy

    @pytest.fixture
    def slow(self, settings, recorder):
        """Two semaphores, of one that is inside each of its calls until it may go; there is another one behind it."""
        inside, go = threading.Semaphore(0), threading.Semaphore(0)

        @settings.live.on_change("message")
        def slow(_):
            inside.release()
            assert go.acquire(timeout=PATIENCE)

        settings.live.on_change("message")(recorder())
        return inside, go

    def test_named_at_a_later_call(self, settings, volume, slow, move_clock, caplog):
        """One that has its thread to itself by now is named as well when it hangs at its next call."""
        inside, go = slow
        assert swap(settings, volume, wait=True, message="two")
        assert inside.acquire(timeout=PATIENCE)
        assert swap(settings, volume, wait=True, message="three")
        go.release()
        assert inside.acquire(timeout=PATIENCE)
        move_clock(35)
        assert swap(settings, volume, wait=True, message="four")
        self.wait_until_named(caplog)
        go.release(2)
        settings.live.reload()
        assert len(self.named(caplog)) == 1

    async def test_a_coroutine(self, settings, volume, move_clock, caplog):
        """A coroutine that has been running for 30 s is named as well, and one that ended in time is not."""
        over, begun, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @settings.live.on_change("message")
        async def slow(_):
            begun.set()
            await over.wait()

        @settings.live.on_change("message")
        async def quick(_):
            told.set()

        assert await asyncio.to_thread(swap, settings, volume, message="two")
        await asyncio.wait_for(begun.wait(), PATIENCE)
        await asyncio.wait_for(told.wait(), PATIENCE)
        while settings.live.status().subscribers[1].running_since is not None:
            await asyncio.sleep(0)
        move_clock(35)
        assert await asyncio.to_thread(swap, settings, volume, count=2)  # wakes whoever looks at the clock
        await asyncio.to_thread(self.wait_until_named, caplog)
        over.set()
        (line,) = self.named(caplog)
        assert "slow has been running for 30 s;" in line

    def test_not_named_for_many_calls(self, settings, volume, slow, move_clock, caplog):
        """E44: one that takes its time at each call, but never 30 s, is not named."""
        inside, go = slow
        assert swap(settings, volume, wait=True, message="first")  # after a second, slow has its thread to itself
        for number in range(6):
            assert inside.acquire(timeout=PATIENCE)
            move_clock(10)
            assert swap(settings, volume, wait=True, message=f"number {number}")  # there is more to tell at once
            go.release()
        assert inside.acquire(timeout=PATIENCE)
        go.release()
        settings.live.reload()
        assert not self.named(caplog)


class TestClose:
    def test_bounded(self, settings, volume, recorder, hold):
        """close() returns though a subscriber hangs."""
        settings.live.on_change("message")(hold)
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)
        closer = threading.Thread(target=settings.live.close)
        closer.start()
        closer.join(PATIENCE)
        assert not closer.is_alive()

    def test_waits_for_one_that_ends(self, open_settings, volume, recorder, gate, hold, monkeypatch):
        """close() gives one that is inside its call the time to end, and returns as soon as it has."""
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", PATIENCE)
        settings, ending = open_settings(_watch=False), recorder(hold)
        settings.live.on_change("message")(ending)
        stream = settings.live.changes("count")
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)

        async def open_the_gate():
            async for _ in stream:  # it ends when close() has begun
                pass
            gate.set()

        opener = threading.Thread(target=asyncio.run, args=(open_the_gate(),))
        opener.start()
        settings.live.close()
        assert not ending.threads[0].is_alive()
        opener.join(PATIENCE)

    def test_nobody_is_told_afterwards(self, settings, volume, recorder, gate, hold, monkeypatch):
        """close() does not wait for a subscriber that hangs, and those behind it are not called any more."""
        hung, after = recorder(hold), recorder()
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", PATIENCE)
        settings.live.on_change("message")(hung)
        settings.live.on_change("message")(after)
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)
        monkeypatch.setattr("liveconfig._delivery.threads.SLOW", 0.01)
        settings.live.close()
        gate.set()
        hung.threads[0].join(PATIENCE)
        assert not after.events

    def test_by_hand_afterwards(self, settings, volume, recorder, hold):
        """E45: after a close while one hangs, reload() still returns and calls those behind it."""
        after = recorder()
        settings.live.on_change("message")(hold)
        settings.live.on_change("message")(after)
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)
        settings.live.close()
        volume.update({"message": "three"})
        reloader = threading.Thread(target=settings.live.reload)
        reloader.start()
        reloader.join(PATIENCE)
        assert not reloader.is_alive()
        assert after.wait_until(lambda change: change.new == "three")

    def test_started_again(self, settings, volume, recorder, hold):
        """E46: after a close and a start while one hangs, the others are called again."""
        after = recorder()
        settings.live.on_change("message")(hold)
        settings.live.on_change("message")(after)
        swap(settings, volume, message="two")
        assert hold.there.wait(PATIENCE)
        settings.live.close()
        with settings.live:
            swap(settings, volume, message="three")
            after.wait_until(lambda change: change.new == "three")
