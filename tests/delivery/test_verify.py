"""Verifiers: user code that looks at a candidate before anybody else sees it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import operator
import threading

import pytest

from liveconfig import LiveConfigError, Refusal

PATIENCE = 60.0


@pytest.fixture
def settings(open_settings):
    """Settings that are read only at `reload`, so that each one calls the verifiers once."""
    return open_settings(_watch=False)


@pytest.fixture
def watched(open_settings):
    """Settings that look, and ask again, by themselves."""
    return open_settings()


class Check:
    """A verifier that records its candidates and gives a prepared answer."""

    def __init__(self, act=lambda _: None):
        self.act = act
        self.seen = []
        self.threads = []
        self._news = threading.Condition()

    def __call__(self, candidate):
        with self._news:
            self.seen.append(candidate)
            self.threads.append(threading.current_thread())
            self._news.notify_all()
        return self.act(candidate)

    def wait(self, count):
        with self._news:
            assert self._news.wait_for(lambda: len(self.seen) >= count, PATIENCE)


def write(volume, **values):
    volume.update({name.replace("__", "."): str(value) for name, value in values.items()})


def swap(settings, volume, **values):
    write(volume, **values)
    return settings.live.reload()


def refuse(_):
    raise ConnectionError("no login")


class TestBefore:
    def test_sees_the_candidate_first(self, settings, volume):
        """A verifier is given the candidate snapshot while everybody else still sees the version before."""
        seen = []
        settings.live.verify()(lambda candidate: seen.append((candidate.message, settings.message)))
        assert swap(settings, volume, message="two")
        assert seen == [("two", "one")]
        assert settings.message == "two"

    def test_only_when_its_subject_differs(self, settings, volume):
        """With a subject it is asked only when that differs, so a flag is turned off while the database is down."""
        check = Check(refuse)
        settings.live.verify(on=lambda s: s.db.password)(check)
        settings.live.verify(on="db.user")(check)
        assert swap(settings, volume, flag=True)
        assert settings.flag
        assert not check.seen

    def test_not_at_the_first_load(self, open_settings):
        """It is not called for the first load."""
        check = Check()
        open_settings().live.verify()(check)
        assert not check.seen

    def test_not_for_no_change(self, settings, volume):
        """It is not called where no field differs."""
        check = Check()
        settings.live.verify()(check)
        assert swap(settings, volume, unknown="x")
        assert not check.seen

    @pytest.mark.parametrize("verdict", [None, True, 0, "", []])
    def test_only_false_refuses(self, settings, volume, verdict):
        """Only False refuses: a function that returns nothing lets pass, and so does whatever else is falsy."""
        settings.live.verify()(lambda _: verdict)
        assert swap(settings, volume, message="two")

    def test_coroutine(self, settings, volume):
        """A coroutine runs on a loop of its own, on the verifier's thread."""
        seen = []

        @settings.live.verify()
        async def check(candidate):
            await asyncio.sleep(0)
            seen.append((candidate.message, threading.current_thread()))
            return candidate.message != "bad"

        assert swap(settings, volume, message="two")
        assert not swap(settings, volume, message="bad")
        assert [message for message, _ in seen] == ["two", "bad"]
        assert threading.current_thread() not in {thread for _, thread in seen}

    def test_plain_function_that_returns_a_coroutine(self, settings, volume):
        """E84: a plain function that returns a coroutine is awaited: nothing passes unverified."""

        async def check(candidate):
            return candidate.message != "bad"

        settings.live.verify()(lambda candidate: check(candidate))
        assert not swap(settings, volume, message="bad")
        assert swap(settings, volume, message="two")

    def test_a_coroutine_that_returns_another_one(self, settings, volume):
        """E84: a forgotten `await` in a verifier lets nothing pass."""

        async def check(candidate):
            return candidate.message != "bad"

        async def outer(candidate):
            return check(candidate)

        settings.live.verify()(outer)
        assert not swap(settings, volume, message="bad")
        assert swap(settings, volume, message="two")

    def test_a_generator(self, settings, volume):
        """E84: what returns a generator, whose body nothing would run, accepts nothing."""

        def check(candidate):
            yield candidate

        async def check_later(candidate):
            yield candidate

        for each in (check, check_later, functools.partial(check)):
            with pytest.raises(TypeError, match="generator function: nothing would run its body"):
                settings.live.verify()(each)
            cancel = settings.live.add_verifier(lambda candidate, each=each: each(candidate)).cancel
            assert not swap(settings, volume, message="two")
            assert "it returned a generator" in settings.live.status().last_rejected.reason
            cancel()

    async def test_from_a_running_loop(self, settings, volume):
        """E85: a reload() on a running event loop asks a coroutine verifier all the same."""

        async def check(candidate):
            return candidate.message != "bad"

        settings.live.verify()(check)
        assert not swap(settings, volume, message="bad")
        assert swap(settings, volume, message="two")

    def test_empty_context(self, settings, volume):
        """It runs in an empty context."""
        variable = contextvars.ContextVar("request", default="none")
        variable.set("of the one who reloads")
        seen = []
        settings.live.verify()(lambda _: seen.append(variable.get()))
        assert swap(settings, volume, message="two")
        assert seen == ["none"]

    def test_unknown_field(self, settings):
        """A field that does not exist is an error, which names the nearest."""
        with pytest.raises(LiveConfigError, match="message"):
            settings.live.verify(on="mesage")

    def test_selector_raises(self, settings, volume):
        """E86: a selector that raises lets nothing slip by: its verifier is asked."""
        check = Check()
        settings.live.verify(on=lambda s: s.count / (s.count - 2))(check)
        assert swap(settings, volume, count=2)
        assert len(check.seen) == 1


class TestRegistering:
    def test_bare(self, settings, volume):
        """K29: `@live.verify` without parentheses registers the function, and gives it back unchanged."""
        check = Check(lambda candidate: candidate.message != "bad")
        assert settings.live.verify(check) is check
        assert not swap(settings, volume, message="bad")
        assert settings.message == "one"
        assert len(check.seen) == 1

    def test_bare_coroutine(self, settings, volume):
        """K29: a coroutine function works without parentheses too."""

        @settings.live.verify
        async def check(candidate):
            return candidate.message != "bad"

        assert not swap(settings, volume, message="bad")
        assert asyncio.iscoroutinefunction(check)

    def test_options(self, settings, volume):
        """K29: `verify(on=..., timeout=...)` gives a decorator that registers the function and gives it back."""
        check = Check(lambda _: False)
        assert settings.live.verify(on="message", timeout=5)(check) is check
        assert swap(settings, volume, count=2)
        assert not check.seen
        assert not swap(settings, volume, message="two")

    @pytest.mark.parametrize(
        "given",
        [
            "db.password",
            b"db",
            5,
            lambda s: s.db,
            operator.attrgetter("db.password"),
            operator.itemgetter("db"),
            lambda: True,
            {"db": 1},
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_no_function(self, settings, volume, given):
        """K29: what is no function to decorate is a TypeError at once that says what to write; nothing is verified."""
        with pytest.raises(TypeError, match=r"write `verify\(on=\.\.\.\)`"):
            settings.live.verify(given)
        assert swap(settings, volume, message="two", db__password="other")

    @pytest.mark.parametrize("arguments", [0, 2])
    def test_wrong_number_of_arguments(self, settings, volume, arguments):
        """K29: a function that cannot be called with one argument is a TypeError, however it is registered."""

        def nothing(): ...

        def two(candidate, other): ...

        check = two if arguments else nothing
        for register in (settings.live.verify, settings.live.verify(on="db"), settings.live.add_verifier):
            with pytest.raises(TypeError, match="one argument"):
                register(check)
        assert swap(settings, volume, message="two")

    @pytest.mark.parametrize(
        "check", [print, functools.partial(operator.is_not, None), bool], ids=["print", "partial", "bool"]
    )
    def test_other_callables(self, settings, volume, check):
        """Whatever can be called with one argument may be a verifier, with a readable signature or without one."""
        settings.live.verify(check)
        assert swap(settings, volume, flag=True)

    @pytest.mark.parametrize("on", [5, b"db", lambda: 1, ("db", "message")])
    def test_on_something_else(self, settings, on):
        """K29: an `on` that is neither a selector nor the name of a field is a TypeError."""
        with pytest.raises(TypeError, match="`on` must be"):
            settings.live.verify(on=on)

    def test_no_value_in_the_error(self, settings, canary):
        """K29: the error shows no value of what was given."""
        with pytest.raises(TypeError) as caught:
            settings.live.verify(canary)
        assert canary not in repr(caught.value)

    def test_add_verifier(self, settings, volume):
        """`add_verifier` takes a lambda too, and can be cancelled."""
        subscription = settings.live.add_verifier(lambda candidate: candidate.count != 2, on="count", timeout=5)
        assert not swap(settings, volume, count=2)
        subscription.cancel()
        subscription.cancel()
        assert settings.live.reload()
        assert settings.count == 2

    def test_add_verifier_for_a_wrong_field(self, settings):
        """`add_verifier` names the nearest field, and refuses a time-out that is not positive."""
        with pytest.raises(LiveConfigError, match="message"):
            settings.live.add_verifier(print, on="mesage")
        with pytest.raises(LiveConfigError, match="`timeout` must be a positive number"):
            settings.live.add_verifier(print, timeout=0)


class TestRefused:
    @pytest.mark.parametrize("error", [ConnectionError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
    def test_raises(self, settings, volume, recorder, error):
        """One that raises, whatever it is, keeps the last good and publishes Rejected at stage verify."""
        rejections = recorder()
        settings.live.on_reject(rejections)

        @settings.live.verify()
        def check(_):
            raise error

        assert not swap(settings, volume, message="two")
        assert settings.message == "one"
        settings.live.reload()
        (event,) = rejections.events
        assert (event.stage, event.fields, event.attempt) == ("verify", ("message",), 1)
        assert error.__name__ in event.reason

    def test_held(self, settings, volume, recorder, caplog):
        """The rejection, the log and status() name the good changes that wait with it."""
        rejections = recorder()
        settings.live.on_reject(rejections)
        settings.live.verify(on="message")(lambda _: False)
        assert not swap(settings, volume, message="two", flag=True)
        settings.live.reload(wait=False)
        status = settings.live.status()
        assert status.candidate.held == ("flag",)
        assert status.candidate.attempt >= 1
        assert list(status.candidate.generations.values()) == [volume.generation]
        assert "returned False" in status.candidate.reason
        assert not status.healthy
        assert rejections.events[0].held == ("flag",)
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert "flag" in record.getMessage()

    def test_held_inside_a_model(self, settings, volume, recorder):
        """Of the changes inside a model, only those that the verifier watches are at fault; the others are held."""
        rejections = recorder()
        settings.live.on_reject(rejections)
        settings.live.verify(on=lambda s: (s.db.password, s.db.port % 2))(refuse)
        assert not swap(settings, volume, db__password="two", db__user="other", db__port=5434, message="two")
        [event] = rejections.wait()
        assert event.fields == ("db.password",)
        assert sorted(event.held) == ["db.port", "db.user", "message"]

    def test_refusal(self, settings, volume, caplog):
        """A Refusal carries a message that is shown, in the rejection, the status and the log."""

        @settings.live.verify()
        def check(_):
            raise Refusal("login refused by db-1")

        assert not swap(settings, volume, message="two")
        assert "login refused by db-1" in settings.live.status().last_rejected.reason
        assert "login refused by db-1" in caplog.text

    def test_refusal_on_one_line(self, settings, volume, caplog):
        """The message of a Refusal is one line of printable characters, so that it forges no line of the log."""

        @settings.live.verify()
        def check(_):
            raise Refusal("login refused\r\nERROR:\tforged \x1b[31m\udcff")

        assert not swap(settings, volume, message="two")
        shown = "login refused ERROR: forged ?[31m?"
        assert settings.live.status().last_rejected.reason.endswith(f": {shown}")
        assert shown in caplog.text

    @pytest.mark.parametrize("length", [1000, 1001, 10_000_000])
    def test_long_refusal(self, settings, volume, length, caplog):
        """A message of a Refusal that is longer than 1,000 characters is cut, and ends with dots."""

        @settings.live.verify()
        def check(_):
            raise Refusal("x" * length)

        assert not swap(settings, volume, message="two")
        shown = ": " + "x" * 1000 + "..." * (length > 1000)
        assert settings.live.status().last_rejected.reason.endswith(shown)
        assert len(caplog.text) < 5000

    def test_withheld(self, settings, volume, canary, caplog):
        """F23: of any other exception type and frames are shown, never message, arguments or locals."""

        @settings.live.verify()
        def check(candidate):
            secret = f"{canary}{candidate.message}"
            raise ValueError(secret, {"password": secret}) from KeyError(secret)

        assert not swap(settings, volume, message="two")
        assert canary not in repr(settings.live.status())
        assert "ValueError" in settings.live.status().last_rejected.reason

    def test_again_with_back_off(self, watched, volume):
        """It is asked again after 1 s while the same content stays on disk: a database that was not ready yet."""
        check = Check(refuse)
        watched.live.verify()(check)
        assert not swap(watched, volume, message="two")
        check.act = lambda _: None
        watched.live.wait(lambda s: s.message == "two", PATIENCE)
        assert len(check.seen) >= 2
        assert watched.live.reload()
        assert watched.live.status().candidate is None

    def test_published_once(self, watched, volume, recorder):
        """A standing rejection is tried again by reload(), and not published again."""
        rejections = recorder()
        watched.live.on_reject(rejections)
        check = Check(refuse)
        watched.live.verify()(check)
        assert not swap(watched, volume, message="two")
        assert not watched.live.reload()
        assert not watched.live.reload()
        assert len(rejections.events) == 1
        assert len(check.seen) >= 3
        assert watched.live.status().candidate.attempt >= 3

    def test_new_content_at_once(self, watched, volume):
        """New content is taken at once, whatever back-off was running."""
        check = Check(lambda candidate: candidate.message != "two")
        watched.live.verify()(check)
        assert not swap(watched, volume, message="two")
        for _ in range(5):
            watched.live.reload()  # the pause is 32 s by now
        assert swap(watched, volume, message="three")
        assert watched.message == "three"

    def test_back_to_the_applied(self, settings, volume):
        """Content that goes back to what is applied needs no verifier, and ends the candidate."""
        check = Check(refuse)
        settings.live.verify()(check)
        assert not swap(settings, volume, message="two")
        seen = len(check.seen)
        assert swap(settings, volume, message="one")
        assert len(check.seen) == seen
        assert settings.live.status().healthy
        assert settings.live.version == 1

    def test_invalid_after_refused(self, settings, volume, recorder):
        """Invalid content that arrives while a candidate waits replaces it, and is published."""
        rejections = recorder()
        settings.live.on_reject(rejections)
        settings.live.verify()(lambda _: False)
        assert not swap(settings, volume, message="two")
        assert not swap(settings, volume, count="many")
        settings.live.reload()
        assert [event.stage for event in rejections.events] == ["verify", "validate"]
        assert "count" in settings.live.status().candidate.reason

    def test_no_thread_to_be_had(self, watched, volume, monkeypatch):
        """E100: where no thread can be started for it, nothing passes unverified, and it is tried again."""
        check, start = Check(), threading.Thread.start

        def refuse_verifiers(thread):
            if "verify" in thread.name:
                raise RuntimeError("can't start new thread")
            start(thread)

        watched.live.verify()(check)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse_verifiers)
            assert not swap(watched, volume, message="two")
            assert "no thread" in watched.live.status().candidate.reason
        watched.live.wait(lambda s: s.message == "two", PATIENCE)
        assert check.seen

    def test_several(self, settings, volume):
        """They are asked in their order, and the first refusal is the verdict."""
        asked = []
        settings.live.verify()(lambda _: asked.append("first"))
        settings.live.verify()(lambda _: asked.append("second") or False)
        settings.live.verify()(lambda _: asked.append("third"))
        assert not swap(settings, volume, message="two")
        assert asked == ["first", "second"]


class TestSlow:
    def test_time_out(self, settings, volume, gate):
        """One that takes longer than its time-out refuses."""
        settings.live.verify(timeout=0.05)(lambda _: gate.wait(PATIENCE))
        assert not swap(settings, volume, message="two")
        assert "longer than 0.05 s" in settings.live.status().candidate.reason
        assert settings.message == "one"

    def test_delays_only_its_own(self, open_settings, volume, gate):
        """A slow verifier delays only its own settings' candidate."""
        slow, other = open_settings(), open_settings()
        check = Check(lambda _: gate.wait(PATIENCE))
        slow.live.verify()(check)
        write(volume, message="two")
        slow.live.reload(wait=False)
        check.wait(1)
        assert other.live.reload()
        assert other.message == "two"
        assert slow.message == "one"
        status = slow.live.status()
        assert (status.candidate.attempt, status.candidate.reason) == (1, None)
        assert any("waiting for its verifiers" in text for text in (*status.notes, *status.problems))

    def test_new_content_while_it_hangs(self, settings, volume, gate, recorder):
        """E87: new content is verified at once though the call on the old one hangs, and is not held for refused."""
        check, rejections = Check(lambda candidate: candidate.message != "two" or gate.wait(PATIENCE)), recorder()
        settings.live.on_reject(rejections)
        settings.live.verify()(check)
        write(volume, message="two")
        settings.live.reload(wait=False)
        check.wait(1)
        assert swap(settings, volume, message="three")
        assert settings.message == "three"
        assert not rejections.events

    def test_late_verdict_is_dropped(self, settings, volume, gate):
        """E88: the verdict on content that is no longer on disk is dropped, good or bad."""
        check = Check(lambda candidate: candidate.message != "two" or gate.wait(PATIENCE))
        settings.live.verify()(check)
        write(volume, message="two")
        settings.live.reload(wait=False)
        check.wait(1)
        assert swap(settings, volume, message="three")
        gate.set()
        check.threads[0].join(PATIENCE)
        assert settings.message == "three"
        assert settings.live.version == 2
        assert settings.live.status().healthy

    def test_late_verdict_on_applied_content(self, settings, volume, gate):
        """E89: a good verdict that comes after the content went back to what is applied changes nothing."""
        check = Check(lambda _: gate.wait(PATIENCE))
        settings.live.verify()(check)
        write(volume, message="two")
        settings.live.reload(wait=False)
        check.wait(1)
        assert swap(settings, volume, message="one")
        gate.set()
        check.threads[0].join(PATIENCE)
        assert (settings.message, settings.live.version) == ("one", 1)

    def test_hanging_is_not_called_again(self, settings, volume, gate):
        """E90: one that hangs is not called again for the same content until its call has returned."""
        check = Check(lambda _: gate.wait(PATIENCE))
        settings.live.verify(timeout=0.05)(check)
        assert not swap(settings, volume, message="two")
        assert not settings.live.reload()
        assert not settings.live.reload()
        assert len(check.seen) == 1
        gate.set()
        check.threads[0].join(PATIENCE)
        assert settings.live.reload()

    def test_ten_seconds(self, settings):
        """The default timeout of a verifier is ten seconds."""
        assert inspect.signature(settings.live.verify).parameters["timeout"].default == 10.0

    def test_hanging_for_many_contents(self, settings, volume, gate):
        """E91: one that hangs for each new content does not pile up threads without end."""
        check = Check(lambda _: gate.wait(PATIENCE))
        settings.live.verify(timeout=0.01)(check)
        for number in range(30):
            assert not swap(settings, volume, message=f"number {number}")
        assert sum(thread.is_alive() for thread in check.threads) <= 16

    def test_waiting_for_dropped_content(self, settings, volume, gate):
        """E92: a reload() that waits for a verdict returns when the content it waits for is replaced."""
        check = Check(lambda candidate: candidate.message != "two" or gate.wait(PATIENCE))
        settings.live.verify(timeout=60)(check)
        write(volume, message="two")
        waiting = threading.Thread(target=settings.live.reload)
        waiting.start()
        check.wait(1)
        assert swap(settings, volume, message="three")
        waiting.join(PATIENCE)
        assert not waiting.is_alive()


class TestInside:
    def test_reload(self, settings, volume):
        """E93: a verifier that calls reload() inside neither deadlocks nor recurses."""
        check = Check(lambda _: settings.live.reload() or True)
        settings.live.verify()(check)
        assert swap(settings, volume, message="two")
        assert len(check.seen) == 1

    def test_waits_for_subscribers(self, settings, volume, recorder):
        """reload(wait=True) returns after the verifiers have decided and each subscriber was called."""
        changes = recorder()
        settings.live.verify()(lambda _: True)
        settings.live.on_change("message")(changes)
        assert swap(settings, volume, message="two")
        assert changes.news == ["two"]

    def test_subscriber_reloads(self, settings, volume, recorder):
        """E94: a subscriber whose reload() asks a verifier does not deadlock."""
        results = recorder()
        settings.live.verify(on="count")(lambda _: True)

        @settings.live.on_change("message")
        def again(_):
            write(volume, count=2)
            results(settings.live.reload())

        assert swap(settings, volume, message="two")
        assert results.wait(1) == [True]
        assert settings.count == 2

    def test_verifier_of_two_settings(self, open_settings, volume):
        """E95: two settings whose verifiers reload each other do not deadlock."""
        one, other = open_settings(), open_settings()
        first = [one, other]  # each reloads the other at its first call only: the second must find its way

        def reload_the_other(mine, others):
            def check(_):
                if mine in first:
                    first.remove(mine)
                    others.live.reload()

            return check

        one.live.verify(timeout=1)(reload_the_other(one, other))
        other.live.verify(timeout=1)(reload_the_other(other, one))
        write(volume, message="two")
        callers = [threading.Thread(target=each.live.reload) for each in (one, other)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE)
            assert not caller.is_alive()
        one.live.wait(lambda s: s.message == "two", PATIENCE)
        other.live.wait(lambda s: s.message == "two", PATIENCE)

    def test_closes(self, watched, volume):
        """E96: a verifier that closes the settings inside returns."""
        watched.live.verify()(lambda _: watched.live.close())
        write(volume, message="two")
        watched.live.reload()
        assert watched.live.status().watcher == "off"


class TestClose:
    def test_hanging(self, watched, volume, gate):
        """E97: close() while a verifier hangs returns, and leaves no thread but the verifier's."""
        check = Check(lambda _: gate.wait(PATIENCE))
        watched.live.verify(timeout=60)(check)
        write(volume, message="two")
        watched.live.reload(wait=False)
        check.wait(1)
        watched.live.close()
        left = [thread for thread in threading.enumerate() if thread.name.startswith("liveconfig")]
        assert left == check.threads

    def test_refused(self, watched, volume, until_ended):
        """E98: close() ends the back-off of a candidate: no thread is left to wait for it."""
        watched.live.verify()(refuse)
        assert not swap(watched, volume, message="two")
        watched.live.close()
        until_ended("liveconfig")  # the verifier's thread may be about to end

    def test_started_again(self, watched, volume):
        """E99: closed while a candidate stood and started again, the candidate is tried again."""
        check = Check(refuse)
        watched.live.verify()(check)
        assert not swap(watched, volume, message="two")
        watched.live.close()
        check.act = lambda _: None
        with watched.live:
            watched.live.wait(lambda s: s.message == "two", PATIENCE)
