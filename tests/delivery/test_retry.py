"""One that raises is given the change again, and until it has taken it everybody can see that (P5)."""

from __future__ import annotations

import logging
import threading

import pytest

from liveconfig import Refusal, Reloaded, Settings
from liveconfig._watching import Timers

PATIENCE = 60.0


@pytest.fixture
def later(settings, volume, move_clock):
    """A function that moves the monotonic clock on, and has whatever is due by then done."""
    turn = [0]
    done = threading.Event()
    settings.live.on_change("db.user")(lambda _: done.set())

    def move(seconds):
        move_clock(seconds)
        turn[0] += 1
        done.clear()
        volume.update({"db.user": str(turn[0])})  # a change wakes whatever waits for the clock
        assert settings.live.reload()
        assert done.wait(PATIENCE)

    return move


@pytest.fixture
def failing(recorder):
    """A callback that raises while ``failing.ill`` is set."""

    def act(_):
        if failing.ill:
            raise ConnectionError("refused")

    failing = recorder(act)
    failing.ill = True
    return failing


def swap(settings, volume, **values):
    volume.update({name.replace("__", "."): str(value) for name, value in values.items()})
    assert settings.live.reload()


def errors(settings):
    return [each.error for each in settings.live.status().subscribers]


class Once(Settings):
    message: str = "unset"


def test_closed_when_the_retry_is_scheduled(volume, failing, monkeypatch):
    """P9: close() at the moment at which a retry is scheduled leaves neither a timer nor the thread that waits for it."""
    settings = Once.load(_volumes=volume.path)  # closed once: a second time would cancel what the first has left
    schedule, closing = Timers.later, threading.Thread(target=settings.live.close)
    scheduled = threading.Event()

    def close_first(timers, delay, call):
        if failing.threads != [threading.current_thread()] or closing.ident is not None:
            return schedule(timers, delay, call)
        closing.start()  # the subscriber has raised
        closing.join(PATIENCE)
        timer = schedule(timers, 1e6, call)
        scheduled.set()
        return timer

    monkeypatch.setattr(Timers, "later", close_first)
    settings.live.on_change("message")(failing)
    volume.update({"message": "two"})
    assert scheduled.wait(PATIENCE)


class TestAgain:
    def test_until_it_succeeds(self, settings, volume, failing):
        """A subscriber that raises gets the same change again after 1 s, and is listed in status() until it succeeds."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        status = settings.live.status()
        assert errors(settings) == ["ConnectionError"]
        assert not status.healthy
        assert any("ConnectionError" in problem for problem in status.problems)
        failing.ill = False
        again = failing.wait(2)[1]
        assert (again.old, again.new, again.version) == ("one", "two", 2)
        settings.live.reload()
        assert errors(settings) == [None]
        assert settings.live.status().healthy

    def test_merged_with_a_newer_change(self, settings, volume, failing):
        """A newer change is delivered at once, merged with the one that it raised at."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        failing.ill = False
        swap(settings, volume, message="three")
        assert [(c.old, c.new) for c in failing.events] == [("one", "two"), ("one", "three")]
        assert settings.live.status().healthy

    def test_back_to_where_it_was(self, settings, volume, failing):
        """A subscriber that raised is also called when the value goes back, so that it can undo its half-done work."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        failing.ill = False
        swap(settings, volume, message="one")
        assert [(c.old, c.new) for c in failing.events] == [("one", "two"), ("one", "one")]

    def test_of_reload(self, settings, volume, failing):
        """The same holds for a whole Reloaded."""
        settings.live.on_reload(failing)
        swap(settings, volume, message="two")
        failing.ill = False
        swap(settings, volume, count=5)
        assert [[c.field for c in event.changes] for event in failing.events] == [["message"], ["message", "count"]]

    def test_initial(self, settings, failing):
        """One that raises at its initial delivery is given it again."""
        settings.live.on_change("message", initial=True)(failing)
        assert errors(settings) == ["ConnectionError"]
        failing.ill = False
        assert [event.new for event in failing.wait(2)] == ["one", "one"]

    def test_not_with_retry_false(self, settings, volume, failing, caplog):
        """retry=False: no second delivery; the next change starts from the one that it raised at."""
        settings.live.on_change("message", retry=False)(failing)
        swap(settings, volume, message="two")
        assert "Recorder raised ConnectionError; not retrying" in caplog.text
        swap(settings, volume, count=7)
        failing.ill = False
        swap(settings, volume, message="three")
        assert [(c.old, c.new) for c in failing.events] == [("one", "two"), ("two", "three")]
        assert settings.live.status().healthy

    def test_not_a_reload_with_retry_false(self, settings, volume, failing):
        """retry=False of a whole Reloaded: the next one starts from the version that it raised at."""
        settings.live.subscribe(Reloaded, failing, retry=False)
        swap(settings, volume, message="two")
        failing.ill = False
        swap(settings, volume, message="three")
        assert [(e.old.message, e.new.message) for e in failing.events] == [("one", "two"), ("two", "three")]

    def test_of_an_unrelated_change(self, settings, volume, failing):
        """E47: a change of other fields does not bring the second delivery forward."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        for count in range(2, 7):
            swap(settings, volume, count=count)
        assert len(failing.events) <= 2  # a second may have gone by


class TestBackOff:
    def test_doubles(self, settings, volume, failing, later, caplog):
        """E48: the pauses double from 1 s to 60 s, whatever else is going on."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        pauses = []
        for count in range(2, 10):
            later(60)
            failing.wait(count)
            settings.live.reload()  # the log has it by then
            line = next(r.getMessage() for r in reversed(caplog.records) if "raised" in r.getMessage())
            pauses.append(line.split("retrying in ")[1].split(" s")[0])
        assert pauses == ["2", "4", "8", "16", "32", "60", "60", "60"]

    def test_begins_anew(self, settings, volume, failing, later, caplog):
        """One that succeeded, and raises at a later change, is called again after 1 s as at first."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        later(60)
        failing.wait(2)
        failing.ill = False
        swap(settings, volume, message="three")
        caplog.clear()
        failing.ill = True
        swap(settings, volume, message="four")
        assert "retrying in 1 s" in caplog.text

    def test_one_timer(self, settings, volume, failing, later):
        """E49: changes that come while it waits do not add further second deliveries."""
        settings.live.on_change("message")(failing)
        for number in range(5):
            swap(settings, volume, message=f"number {number}")
        assert len(failing.events) == 5
        later(1.5)  # the first four would be due if their pauses still ran: the fifth has one of 16 s
        later(0)
        assert len(failing.events) == 5

    def test_rejections_too(self, open_settings, volume, failing):
        """E50: a subscriber that raises at a Rejected waits as long, although other events are delivered meanwhile."""
        settings = open_settings(_watch=False)
        settings.live.on_reject(failing)
        volume.update({"count": "many"})
        settings.live.reload()
        assert len(failing.wait(1)) == 1
        for number in range(5):
            volume.update({"count": "many", "message": f"number {number}"})
            volume.update({"count": "1", "message": f"number {number}"})
            settings.live.reload()
        assert len(failing.events) == 1
        failing.ill = False
        first, again = failing.wait(2)
        assert first is again

    def test_a_new_rejection_is_told_at_once(self, settings, volume, recorder, monkeypatch):
        """A subscriber that raised at a rejection gets the next one at once, before its pause has ended."""
        monkeypatch.setattr("liveconfig._delivery.subscribers.FIRST_RETRY", 3600.0)

        def fail(event):
            raise ValueError

        inbox = recorder(fail)
        settings.live.on_reject(inbox)
        for number in range(3):
            volume.update({"count": f"bad-{number}"})
            assert not settings.live.reload()
            assert len(inbox.wait(number + 1)) == number + 1

    def test_slow_and_raising_rejection(self, settings, volume, recorder):
        """E51: one that takes more than a second and then raises at a Rejected is not called in a loop."""
        release = threading.Semaphore(0)

        def act(_):
            assert release.acquire(timeout=PATIENCE)
            raise ValueError

        slow = recorder(act)
        settings.live.on_reject(slow)
        volume.update({"count": "many"})
        settings.live.reload()  # returns after the second
        for _ in range(100):
            release.release()
        slow.threads[0].join(0.5)
        assert len(slow.events) == 1

    def test_cancelled(self, settings, volume, failing, later):
        """E52: one that raised and is cancelled is not called again, and is out of status()."""
        subscription = settings.live.subscribe("message", failing)
        swap(settings, volume, message="two")
        subscription.cancel()
        later(100)
        later(100)
        assert len(failing.events) == 1
        assert settings.live.status().healthy

    def test_one_that_cancels_itself(self, settings, volume):
        """E52: one that cancels itself and then raises is not called again, and is out of status()."""
        called = []

        def once(event):
            called.append(event.new)
            subscription.cancel()
            raise ConnectionError

        subscription = settings.live.subscribe("message", once)
        swap(settings, volume, message="two")
        assert called == ["two"]
        assert settings.live.status().healthy

    def test_closed(self, settings, volume, failing, later):
        """E53: close() ends the second deliveries; started again, it is given what it has not taken."""
        settings.live.on_change("message")(failing)
        swap(settings, volume, message="two")
        settings.live.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("liveconfig")]
        failing.ill = False
        with settings.live:
            again = failing.wait(2)[1]
        assert (again.old, again.new) == ("one", "two")

    def test_raises_after_close(self, settings, volume, recorder, gate):
        """E54: one that is inside its call at close() and raises afterwards leaves no thread that waits."""
        there = threading.Event()

        def act(_):
            there.set()
            gate.wait(PATIENCE)
            raise ValueError

        slow = recorder(act)
        settings.live.on_change("message")(slow)
        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        assert there.wait(PATIENCE)
        settings.live.close()
        gate.set()
        slow.threads[0].join(PATIENCE)
        left = [thread for thread in threading.enumerate() if thread.name.startswith("liveconfig")]
        for thread in left:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in left)


class TestLog:
    def test_withheld(self, settings, volume, canary, caplog):
        """F20: of what a subscriber raised the log shows type and frames, no message, argument or local."""

        def use(change):
            secret = f"{canary} of {change.new}"
            raise RuntimeError(f"login with {secret}", {"password": secret}) from KeyError(secret)

        settings.live.on_change("message")(use)
        swap(settings, volume, message="two")
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert "RuntimeError" in record.getMessage()
        assert "in use" in record.getMessage()
        assert record.exc_info is None

    def test_note_withheld(self, settings, volume, canary, caplog):
        """F21: notes on an exception and the members of a group are withheld too."""

        def use(_):
            error = ExceptionGroup(canary, [ValueError(canary)])
            error.add_note(canary)
            raise error

        settings.live.on_change("message")(use)
        swap(settings, volume, message="two")
        assert "ExceptionGroup" in caplog.text

    def test_refusal_is_shown(self, settings, volume, caplog):
        """A Refusal is shown, one of a class derived from it too."""

        class Declined(Refusal):
            pass

        def refuse(_):
            raise Declined("login refused by db-1")

        settings.live.on_change("message")(refuse)
        swap(settings, volume, message="two")
        assert "login refused by db-1" in caplog.text

    def test_odd_exception(self, settings, volume, recorder, caplog):
        """E55: an exception that cannot be printed or compared does not affect others."""

        class Odd(Exception):
            def __str__(self):
                raise SystemExit

            __repr__ = __str__

            def __eq__(self, other):
                raise SystemExit

            __hash__ = None

        def fail(_):
            raise Odd

        after = recorder()
        settings.live.on_change("message")(fail)
        settings.live.on_change("message")(after)
        swap(settings, volume, message="two")
        assert after.news == ["two"]
        assert "Odd" in caplog.text
