"""The order of deliveries, and the isolation of subscribers from each other (P5)."""

from __future__ import annotations

import contextvars
import gc
import logging
import sys
import threading
import weakref
from datetime import UTC, datetime, timedelta

import pytest

from liveconfig import Change, LiveConfigError, Rejected, Reloaded, Settings, SettingsConfigDict
from liveconfig._delivery import Publisher, Version
from liveconfig._processes import process_report
from liveconfig._watching import Scheduler

PATIENCE = 60.0


def swap(settings, volume, **values):
    """Write, and return after all subscribers were called."""
    volume.update({name.replace("__", "."): str(value) for name, value in values.items()})
    assert settings.live.reload()


@pytest.fixture
def silent(monkeypatch):
    """The errors of threads that ended with an exception; there must be none."""
    died = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    yield
    assert not died


class TestOrder:
    def test_order_of_subscription(self, settings, volume):
        """Subscribers are called in the order of their subscription, whatever their subject."""
        told = []
        settings.live.on_change(lambda s: s.message)(lambda _: told.append("first"))
        settings.live.on_reload(lambda _: told.append("second"))
        settings.live.subscribe("message", lambda _: told.append("third"))
        swap(settings, volume, message="two")
        assert told == ["first", "second", "third"]

    def test_chain_of_values(self, settings, volume, recorder):
        """E08: versions grow, and each old value is the new one before."""
        changes = recorder()
        settings.live.on_change("message")(changes)
        for value in ("two", "three", "four"):
            swap(settings, volume, message=value)
        assert [(c.old, c.new) for c in changes.events] == [("one", "two"), ("two", "three"), ("three", "four")]
        assert [c.version for c in changes.events] == [2, 3, 4]

    def test_no_subscriber_waits_for_the_report(self, settings, volume, recorder, monkeypatch):
        """The thread that calls subscribers does not make the report of the process."""
        changes, reporting = recorder(), []
        settings.live.on_change("message")(changes)
        monkeypatch.setattr(process_report, "update", lambda _: reporting.append(threading.current_thread()))
        swap(settings, volume, message="two")
        assert reporting
        assert changes.threads[0] not in reporting

    def test_versions_from_several_threads(self, settings, volume, recorder):
        """E30: with several threads that reload at once, versions still come in order and none comes twice."""
        changes, reloads = recorder(), recorder()
        settings.live.on_change("count")(changes)
        settings.live.on_reload(reloads)
        stop = threading.Event()

        def reload():
            while not stop.is_set():
                settings.live.reload()

        threads = [threading.Thread(target=reload) for _ in range(4)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for count in range(2, 120):
                volume.update({"count": str(count)})
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
            sys.setswitchinterval(interval)
        settings.live.reload()
        assert changes.events[-1].new == settings.count == 119
        for told in (changes.events, reloads.events):
            versions = [event.version for event in told]
            assert versions == sorted(set(versions))
            assert all(before.new == after.old for before, after in zip(told, told[1:], strict=False))


class TestIsolation:
    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_first_raises(self, settings, volume, recorder, silent, error):
        """E01: the first of three raises: the other two are called, now and next time."""

        def fail(_):
            raise error

        second, third = recorder(), recorder()
        for callback in (fail, second, third):
            settings.live.on_change("message")(callback)
        swap(settings, volume, message="two")
        swap(settings, volume, message="three")
        assert second.news == third.news == ["two", "three"]

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
    def test_selector_raises_later(self, settings, volume, recorder, silent, caplog, error):
        """E31: a selector that raises later, even SystemExit, is logged, counts as no change and does not affect others."""

        def select(s):
            if s.message == "two":
                raise error
            return s.message

        chosen, other = recorder(), recorder()
        settings.live.on_change(select)(chosen)
        settings.live.on_change("message")(other)
        swap(settings, volume, message="two")
        assert other.news == ["two"]
        assert not chosen.events
        (record,) = [r for r in caplog.records if "selector" in r.message]
        assert record.levelno == logging.ERROR
        said = (
            f"App: the selector of subscriber Recorder raised {error.__name__}; this version counts as no change (its"
        )
        assert record.message.startswith(said)
        swap(settings, volume, message="three")
        assert [(c.old, c.new) for c in chosen.events] == [("one", "three")]

    def test_selector_raises_at_subscription(self, settings):
        """An exception of a selector at the subscription is raised there."""
        with pytest.raises(ZeroDivisionError):
            settings.live.subscribe(lambda s: s.count / 0, print)
        assert not settings.live.status().subscribers

    @pytest.mark.parametrize("error", [ValueError, SystemExit])
    def test_comparison_raises(self, settings, volume, recorder, silent, error):
        """E32: a selected value that raises in a comparison counts as different and does not affect others."""

        class Odd:
            def __eq__(self, other):
                raise error

            __hash__ = None

        odd, other = recorder(), recorder()
        settings.live.on_change(lambda _: Odd())(odd)
        settings.live.on_change("message")(other)
        swap(settings, volume, message="two")
        swap(settings, volume, message="three")
        assert other.news == ["two", "three"]

    def test_log_filter_raises(self, settings, volume, recorder, silent):
        """E33: a filter on the logger that raises does not end the delivery."""

        def refuse(_):
            raise RuntimeError

        def fail(_):
            raise ValueError

        after = recorder()
        settings.live.on_change("message", retry=False)(fail)
        settings.live.on_change("message")(after)
        logger = logging.getLogger("liveconfig")
        logger.addFilter(refuse)
        try:
            volume.update({"message": "two"})
            settings.live.reload(wait=False)
            after.wait(1)
            volume.update({"message": "three"})
            settings.live.reload(wait=False)
            after.wait(2)
        finally:
            logger.removeFilter(refuse)
        assert after.news == ["two", "three"]

    def test_told_again_after_a_log_filter_raised(self, settings, volume, recorder, silent, caplog):
        """After a log filter raised, subscribers and the log get the next change."""

        def refuse(_):
            raise RuntimeError

        def fail(_):
            raise ValueError

        failing, rejected = recorder(fail), recorder()
        settings.live.on_change("message", retry=False)(failing)
        settings.live.on_reject(rejected)
        logger = logging.getLogger("liveconfig")
        logger.addFilter(refuse)
        try:
            volume.update({"message": "two"})
            settings.live.reload()
            volume.update({"count": "many"})
            settings.live.reload()
        finally:
            logger.removeFilter(refuse)
        swap(settings, volume, message="three", count=3)
        assert failing.news == ["two", "three"]
        assert [each.running_since for each in settings.live.status().subscribers] == [None, None]
        volume.update({"count": "more"})
        assert not settings.live.reload()
        assert len(rejected.events) == 2
        assert [r.levelno for r in caplog.records if "rejected at stage" in r.getMessage()] == [logging.ERROR]

    def test_no_thread_to_be_had(self, settings, volume, recorder):
        """E34: if no thread can be started for a while, the change is delivered as soon as one can."""
        changes = recorder()
        settings.live.on_change("message")(changes)
        start = threading.Thread.start

        def refuse(thread):
            if "delivery" in thread.name:
                raise RuntimeError("can't start new thread")
            start(thread)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            volume.update({"message": "two"})
            settings.live.reload(wait=False)
            assert settings.message == "two"
        volume.update({"message": "three"})
        settings.live.reload(wait=False)
        changes.wait_until(lambda change: change.new == "three")


class TestInside:
    def test_reads_settings(self, settings, volume, recorder):
        """E03: a subscriber that reads the settings sees the new value, everywhere it looks."""
        seen = recorder()

        @settings.live.on_change("message")
        def look(change):
            seen((change.new, settings.message, settings.live.latest().message, settings.live.snapshot().message))

        swap(settings, volume, message="two")
        assert seen.events == [("two",) * 4]

    def test_reloads(self, settings, volume, recorder):
        """E04: reload() inside a subscriber neither deadlocks nor recurses; the other subscriber gets every change."""
        depth, deepest, results = [0], [0], []

        @settings.live.on_change("count")
        def again(change):
            depth[0] += 1
            deepest[0] = max(deepest[0], depth[0])
            if change.new < 6:
                volume.update({"count": str(change.new + 1)})
            results.append(settings.live.reload())
            depth[0] -= 1

        other = recorder()
        settings.live.on_change("count")(other)
        swap(settings, volume, count=2)
        other.wait_until(lambda change: change.new == 6)
        assert deepest == [1]
        assert all(results)
        assert settings.count == 6

    def test_two_settings_reload_each_other(self, open_settings, volume, recorder):
        """E35: two settings objects that reload each other inside their subscribers do not deadlock."""
        one, other = open_settings(), open_settings()
        told = recorder()
        one.live.on_change("message")(lambda _: other.live.reload())
        other.live.on_change("message")(lambda _: one.live.reload())
        one.live.on_change("message")(told)
        other.live.on_change("message")(told)
        volume.update({"message": "two"})
        callers = [threading.Thread(target=each.live.reload) for each in (one, other)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE)
            assert not caller.is_alive()
        assert [change.new for change in told.wait(2)] == ["two", "two"]

    def test_unsubscribes_another(self, settings, volume, recorder):
        """E36: a subscriber that is cancelled during a delivery is not called any more."""
        later = recorder()
        settings.live.on_change("message")(lambda _: subscription.cancel())
        subscription = settings.live.subscribe("message", later)
        last = recorder()
        settings.live.on_change("message")(last)
        swap(settings, volume, message="two")
        assert not later.events
        assert last.news == ["two"]

    def test_unsubscribes_itself(self, settings, volume, recorder):
        """A subscriber can cancel itself, twice, and is not called again."""
        told = recorder(lambda _: (subscription.cancel(), subscription.cancel()))
        subscription = settings.live.subscribe("message", told)
        swap(settings, volume, message="two")
        swap(settings, volume, message="three")
        assert told.news == ["two"]
        assert not settings.live.status().subscribers

    def test_subscribes_another(self, settings, volume, recorder):
        """A function that is subscribed inside a subscriber gets the next change, not the present one."""
        inner = recorder()
        done = []

        @settings.live.on_change("message")
        def subscribe(_):
            if not done:
                done.append(settings.live.subscribe("message", inner))

        swap(settings, volume, message="two")
        assert not inner.events
        swap(settings, volume, message="three")
        assert [(c.old, c.new) for c in inner.events] == [("two", "three")]

    def test_initial_inside(self, settings, volume, recorder):
        """E37: initial=True inside a subscriber does not deadlock; it is called once, with old equal to new."""
        inner = recorder()
        done = []

        @settings.live.on_change("message")
        def subscribe(_):
            if not done:
                done.append(settings.live.subscribe("message", inner, initial=True))

        swap(settings, volume, message="two")
        (change,) = inner.wait(1)
        assert (change.old, change.new, change.version) == ("two", "two", 2)

    def test_closes(self, settings, volume, recorder):
        """E06: close() inside a subscriber returns, and twice."""
        closed = recorder(lambda _: (settings.live.close(), settings.live.close()))
        settings.live.on_change("message")(closed)
        swap(settings, volume, message="two")
        closed.wait(1)
        assert settings.live.status().watcher == "off"

    def test_empty_context(self, settings, volume):
        """Plain callbacks run in an empty context, on a thread of liveconfig's own."""
        variable = contextvars.ContextVar("request", default="none")
        variable.set("of the one who reloads")
        seen = []
        settings.live.on_change("message")(lambda _: seen.append((variable.get(), threading.current_thread())))
        swap(settings, volume, message="two")
        assert seen[0][0] == "none"
        assert seen[0][1] is not threading.current_thread()

    def test_context_is_new_each_time(self, settings, volume):
        """A context variable that a callback sets is not set at its next call."""
        variable = contextvars.ContextVar("call", default=0)
        seen = []

        @settings.live.on_change("message")
        def count(_):
            seen.append(variable.get())
            variable.set(1)

        swap(settings, volume, message="two")
        swap(settings, volume, message="three")
        assert seen == [0, 0]

    def test_never_under_a_lock(self, settings, volume, recorder):
        """While a subscriber runs, every method of `live` returns in another thread."""
        answers = recorder()

        def ask():
            live = settings.live
            answers(
                (
                    live.status().version,
                    live.latest().message,
                    live.version,
                    live.origins()["message"].kind,
                    live.reload(wait=False),
                    live.subscribe("count", print).cancel(),
                    live.wait(lambda s: s.message == "two", PATIENCE).message,
                )
            )

        @settings.live.on_change("message")
        def hold(_):
            threading.Thread(target=ask).start()
            answers.wait(1)

        swap(settings, volume, message="two")
        assert answers.wait(1) == [(2, "two", 2, "volume", True, None, "two")]


class TestReferences:
    def test_strong(self, settings, volume):
        """E07: a lambda, a closure and a bound method are still called after a garbage collection."""
        told = []

        class Pool:
            def use(self, change):
                told.append(("method", change.new))

        def subscribe():
            word = "closure"

            def closure(change):
                told.append((word, change.new))

            settings.live.on_change("message")(lambda change: told.append(("lambda", change.new)))
            settings.live.on_change("message")(closure)
            settings.live.on_change("message")(Pool().use)

        subscribe()
        gc.collect()
        swap(settings, volume, message="two")
        assert told == [("lambda", "two"), ("closure", "two"), ("method", "two")]

    def test_settings_with_subscribers_live_on(self, volume, recorder):
        """Unreferenced settings with a subscriber are watched until it is cancelled."""

        class Short(Settings):
            model_config = SettingsConfigDict(resync=0.2)
            message: str = ""

        changes = recorder()
        subscription = Short.load(_volumes=volume.path).live.subscribe("message", changes)
        gc.collect()
        volume.update({"message": "two"})
        assert changes.wait(1)[0].new == "two"
        subscription.cancel()

    def test_let_go_when_cancelled(self, settings, volume, monkeypatch):
        """A callback that raised and is cancelled is released at once, not at the time of its retry."""
        monkeypatch.setattr("liveconfig._delivery.subscribers.FIRST_RETRY", 3600.0)

        class Pool:
            def use(self, change):
                raise ConnectionError

        pool = Pool()
        gone = weakref.ref(pool)
        subscription = settings.live.subscribe("message", pool.use)
        swap(settings, volume, message="two")
        subscription.cancel()
        settings.live.reload()
        del pool, subscription
        gc.collect()
        assert gone() is None


class TestWhat:
    def test_selector(self, settings, volume, recorder):
        """A subscriber with a selector is called only if the selected value differs."""
        pair = recorder()
        settings.live.on_change(lambda s: (s.db.user, s.db.port))(pair)
        swap(settings, volume, message="two")
        assert not pair.events
        swap(settings, volume, db__user="admin")
        (change,) = pair.events
        assert (change.field, change.old, change.new) == (None, ("web", 5432), ("admin", 5432))

    def test_dotted_field(self, settings, volume, recorder):
        """A dotted name selects a leaf; the name of a model selects every leaf below and gives the models."""
        leaf, model = recorder(), recorder()
        settings.live.on_change("db.port")(leaf)
        settings.live.on_change("db")(model)
        swap(settings, volume, db__user="admin")
        swap(settings, volume, db__port=1)
        assert [(c.field, c.old, c.new) for c in leaf.events] == [("db.port", 5432, 1)]
        assert [(c.field, c.old.user, c.new.user) for c in model.events] == [
            ("db", "web", "admin"),
            ("db", "admin", "admin"),
        ]

    @pytest.mark.parametrize(
        ("wrong", "right"), [("mesage", "message"), ("db.pasword", "db.password"), ("cuont", "count")]
    )
    def test_unknown_field(self, settings, wrong, right):
        """A field that does not exist is an error at subscription, which names the nearest."""
        for ask in (settings.live.on_change, settings.live.changes, settings.live.origin):
            with pytest.raises(LiveConfigError, match=f"{wrong!r}.*{right!r}"):
                ask(wrong)(print)
        with pytest.raises(LiveConfigError, match=right):
            settings.live.verify(on=wrong)
        with pytest.raises(LiveConfigError, match=r"^App has no field 'xyz'$"):  # near to none
            settings.live.on_change("xyz")(print)

    def test_initial(self, settings, recorder):
        """Initial delivers once at subscription, before it returns; old is new."""
        change = recorder()
        settings.live.on_change("message", initial=True)(change)
        assert [(c.old, c.new, c.version) for c in change.events] == [("one", "one", 1)]

    def test_initial_of_a_rejection_that_is_being_published(self, open_settings, volume, recorder, monkeypatch):
        """A rejection that is published in the middle of an initial delivery is delivered once, and so is the next."""
        settings, rejected, reject = open_settings(_watch=False), recorder(), Publisher.reject

        def subscribe_first(publisher, event):
            monkeypatch.undo()
            settings.live.subscribe(Rejected, rejected, initial=True)
            reject(publisher, event)

        monkeypatch.setattr(Publisher, "reject", subscribe_first)
        for content, count in (("many", 1), ("more", 2)):
            volume.update({"count": content})
            assert not settings.live.reload()
            assert len(rejected.events) == count

    def test_initial_of_a_rejection_that_was_tried_again(self, open_settings, volume, recorder):
        """An initial delivery of a rejection has the present count of attempts."""
        settings = open_settings(_watch=False)
        volume.update({"count": "many"})
        for _ in range(3):
            assert not settings.live.reload()
        rejected = recorder()
        settings.live.subscribe(Rejected, rejected, initial=True)
        assert [each.attempt for each in rejected.events] == [3]

    def test_initial_of_the_whole(self, settings, recorder, caplog):
        """Initial of Reloaded gives the present state with no changes; of Rejected it gives nothing."""
        reloaded, rejected = recorder(), recorder()
        settings.live.subscribe(Reloaded, reloaded, initial=True)
        settings.live.subscribe(Rejected, rejected, initial=True)
        (event,) = reloaded.events
        assert event.old is event.new
        assert event.changes == ()
        assert not rejected.events
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_a_selector_that_cancels(self, settings, volume, recorder):
        """A subscriber whose selector cancels the subscription does not get that change."""
        inbox, asked = recorder(), []

        def select(s):
            asked.append(s.message)
            if s.message == "two":
                subscription.cancel()
            return s.message

        subscription = settings.live.subscribe(select, inbox)
        swap(settings, volume, message="two")
        assert "two" in asked
        swap(settings, volume, message="three")
        assert not inbox.events

    def test_returned_unchanged(self, settings):
        """Each decorator returns the function as it is."""

        def callback(_):
            pass

        live = settings.live
        assert live.on_change("message")(callback) is callback
        assert live.on_reload(callback) is live.on_reject(callback) is live.on_stale(callback) is callback
        assert live.verify()(callback) is callback

    def test_no_change_no_event(self, settings, volume, recorder):
        """Bytes that differ where no field does: no version, no event."""
        changes, reloads = recorder(), recorder()
        settings.live.on_change("message")(changes)
        settings.live.on_reload(reloads)
        swap(settings, volume, unknown="x")
        swap(settings, volume, message="one\n")
        assert not changes.events
        assert not reloads.events
        assert settings.live.version == 1

    def test_there_and_back(self, settings, volume, recorder):
        """Two versions that are taken together and end where they began are no change of the value."""
        changes = recorder()
        hold, held = threading.Event(), threading.Event()
        settings.live.on_change("count")(lambda _: (held.set(), hold.wait(PATIENCE)))
        settings.live.on_change("message")(changes)
        volume.update({"count": "2"})
        settings.live.reload(wait=False)
        assert held.wait(PATIENCE)
        for message in ("two", "one"):
            volume.update({"message": message})
            settings.live.reload(wait=False)
        hold.set()
        settings.live.reload()
        assert not changes.events
        assert settings.live.version == 4


class TestNotices:
    def test_each_rejection(self, settings, volume, recorder):
        """E38: several rejections in a row are delivered one by one, before the next barrier returns."""
        hold, held = threading.Event(), threading.Event()
        rejections = recorder()
        settings.live.on_change("message")(lambda _: (held.set(), hold.wait(PATIENCE)))
        settings.live.on_reject(rejections)
        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        assert held.wait(PATIENCE)
        for bad in ("a", "b", "c"):
            volume.update({"count": bad})
            settings.live.reload(wait=False)
        hold.set()
        settings.live.reload()
        assert len(rejections.events) == 3

    def test_each_stale_field(self, open_settings, volume, recorder):
        """E39: fields that become stale together are delivered one by one."""
        settings = open_settings()
        stale = recorder()
        settings.live.on_stale(stale)
        volume.update({"flag": "true", "db.user": "x", "db.port": "1"})
        settings.live.reload()
        volume.write({"message": "two"})
        settings.live.reload()
        stale.wait(4)
        assert sorted(event.field for event in stale.events) == ["count", "db.port", "db.user", "flag"]


def test_events_are_records(settings, volume, recorder):
    """Each kind of subscription is given its own record."""
    change, reloaded, rejected = recorder(), recorder(), recorder()
    settings.live.on_change("message")(change)
    settings.live.on_reload(reloaded)
    settings.live.on_reject(rejected)
    swap(settings, volume, message="two")
    volume.update({"count": "many"})
    assert not settings.live.reload()
    assert [type(each.events[0]) for each in (change, reloaded, rejected)] == [Change, Reloaded, Rejected]


def test_who_was_told_nothing_is_up_to_date(settings, volume, recorder):
    """A subscriber to a field that did not change is brought to the new version all the same; the status says so."""
    settings.live.subscribe("count", recorder())
    volume.update({"message": "two"})
    assert settings.live.reload()
    assert [each.version for each in settings.live.status().subscribers] == [settings.live.version] == [2]


def test_a_version_that_comes_late():
    """A version that is published after a newer one is ignored: subscribers and the log go forward only."""
    app = type("App", (Settings,), {"__module__": __name__})(_volumes=(), _watch=False)
    now = datetime.now(UTC)
    first, second, third = (Version(app.live.latest(), number, {}, None, now, timedelta(0)) for number in (1, 2, 3))
    logged = []
    publisher = Publisher("App", first, Scheduler(), logged.append, lambda _: (), lambda: None, lambda _: True)
    for version in (third, second):
        publisher.publish(version)
    publisher.deliver()
    publisher.barrier()
    assert publisher.newest is third
    assert logged == [(first, third)]
    publisher.close()
