"""Forked children: subscribers, locks, second deliveries and verifiers work there too, and harm no parent (P6)."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from multiprocessing import forkserver, resource_tracker

import pytest
from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings, SettingsConfigDict, signals
from liveconfig._watching.fork import is_ending, renew_at_end, renew_in_child, start_thread
from liveconfig.testing import override

PATIENCE = 30.0


class App(Settings):
    model_config = SettingsConfigDict(resync=0.5)
    message: str = ""
    count: int = 0
    password: SecretStr = SecretStr("x")


UNWATCHED = """
import os, signal, sys, threading
from liveconfig import Settings
from liveconfig.testing import KubeletVolume

volume, start = KubeletVolume(sys.argv[1]), threading.Thread.start
starting, go = threading.Event(), threading.Event()

class App(Settings):
    message: str

def slow(thread):
    if thread.name == "liveconfig":
        starting.set()
        go.wait(30)
    start(thread)

settings = App.load(_volumes=volume.path, _watch=False)
threading.Thread.start = slow
volume.write({"message": "two"})
threading.Thread(target=settings.live.reload).start()
assert starting.wait(30)
child = os.fork()
if not child:
    signal.alarm(30)
    threading.Thread.start = start
    for _ in range(4):  # they take the identities of the parent's threads, which may own locks
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    volume.write({"message": "three"})
    settings.live.reload()
    os._exit(settings.message != "three")
print(os.waitpid(child, 0)[1])
go.set()
"""


class Events(Settings):
    """Followed by events alone: no re-check comes in time."""

    model_config = SettingsConfigDict(resync=3600.0)
    message: str = ""


@pytest.fixture
def volume(kubelet_volume):
    kubelet_volume.write({"message": "one"})
    return kubelet_volume


@pytest.fixture
def settings(volume):
    settings = App.load(_volumes=volume.path)
    yield settings
    settings.live.close()


class Child:
    """A forked child that runs a function; what that returns comes back as JSON."""

    def __init__(self, function):
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.write(write, json.dumps(self._answer(function)).encode())
            finally:
                os._exit(0)
        os.close(write)

    @staticmethod
    def _answer(function):
        try:
            return {"result": function()}
        except BaseException:
            return {"error": traceback.format_exc()}

    def result(self):
        """What it returned; fails if it hangs or raises."""
        try:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, "the child hangs"
            answer = json.loads(os.read(self._read, 65536) or b'{"error": "it died"}')
        finally:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._read)
        assert "error" not in answer, answer["error"]
        return answer["result"]


class Recorder:
    """A callback that keeps what it is given."""

    def __init__(self, act=lambda _: None):
        self.events = []
        self._act = act
        self.renew()

    def renew(self):
        self._news = threading.Condition()

    def __call__(self, event):
        with self._news:
            self.events.append(event)
            self._news.notify_all()
        self._act(event)

    def wait(self, count=1):
        with self._news:
            assert self._news.wait_for(lambda: len(self.events) >= count, PATIENCE), self.events
        return self.events

    @property
    def news(self):
        return [event.new for event in self.events]


def swap(settings, volume, **values):
    volume.update({name: str(value) for name, value in values.items()})
    return settings.live.reload()


class TestSubscribers:
    def test_once_per_process(self, settings, volume):
        """E11: subscriptions are inherited, and called once in each process."""
        changes = Recorder()
        settings.live.on_change("message")(changes)

        def child():
            swap(settings, volume, message="two")
            return changes.news

        forked = Child(child)
        assert forked.result() == ["two"]
        settings.live.wait(lambda s: s.message == "two", PATIENCE)
        settings.live.reload()
        assert changes.news == ["two"]

    def test_cancelled_in_the_child(self, settings, volume):
        """E126: what a child unsubscribes stays subscribed in its parent."""
        changes = Recorder()
        subscription = settings.live.subscribe("message", changes)

        def child():
            subscription.cancel()
            swap(settings, volume, message="two")
            return changes.news

        assert Child(child).result() == []
        settings.live.reload()
        assert changes.news == ["two"]

    def test_closed_in_the_child(self, volume):
        """E127: a child that closes takes no watch from its parent: that follows by events."""
        settings = Events.load(_volumes=volume.path)
        if settings.live.status().watcher != "inotify":
            settings.live.close()
            pytest.skip("no inotify to be had on this machine now")
        assert Child(lambda: settings.live.close() or settings.live.status().watcher).result() == "off"
        volume.update({"message": "two"})
        assert settings.live.wait(lambda s: s.message == "two", PATIENCE)
        settings.live.close()

    def test_inside_a_call(self, settings, volume):
        """E128: a child that is forked while another thread is inside a call delivers that change itself."""
        inside, release = threading.Event(), threading.Event()

        def act(_):
            inside.set()
            if os.getpid() == parent:
                release.wait(PATIENCE)

        parent = os.getpid()
        changes = Recorder(act)
        settings.live.on_change("message")(changes)
        after = Recorder()
        settings.live.on_change("message")(after)
        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        assert inside.wait(PATIENCE)

        def child():
            settings.live.reload()
            return [(change.old, change.new) for change in changes.events[1:]], after.news

        try:
            assert Child(child).result() == [[["one", "two"]], ["two"]]
        finally:
            release.set()
        settings.live.reload()
        assert changes.news == after.news == ["two"]

    def test_left_to_its_thread(self, settings, volume):
        """E129: a child of a process with a hanging subscriber reloads, delivers and closes without a hang."""
        release = threading.Event()
        parent = os.getpid()
        settings.live.on_change("message")(lambda _: os.getpid() == parent and release.wait(PATIENCE))
        after = Recorder()
        settings.live.on_change("message")(after)
        swap(settings, volume, message="two")

        def child():
            swap(settings, volume, message="three")
            settings.live.close()
            return after.news

        try:
            assert Child(child).result() == ["two", "three"]
        finally:
            release.set()

    def test_failing(self, settings, volume, until):
        """E130: what fails in the parent is tried again in the child on its own account."""
        ill = [True]

        def act(_):
            if ill[0]:
                raise ConnectionError

        changes = Recorder(act)
        settings.live.on_change("message")(changes)
        swap(settings, volume, message="two")

        def child():
            ill[0] = False
            until(lambda: settings.live.status().healthy)  # it has returned
            return [(change.old, change.new) for change in changes.events[-1:]], told < len(changes.events)

        told = len(changes.events)
        assert Child(child).result() == [[["one", "two"]], True]
        assert not settings.live.status().healthy
        ill[0] = False
        changes.wait(2)

    def test_signals(self, settings, volume):
        """E131: receivers of signals are called in the child too, also those that were behind at the fork."""
        inside, release = threading.Event(), threading.Event()
        parent, seen = os.getpid(), Recorder()

        def receive(_, event):
            inside.set()
            if os.getpid() == parent:
                release.wait(PATIENCE)
            seen(event)

        signals.reloaded.connect(receive, sender=settings)
        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        assert inside.wait(PATIENCE)

        def child():
            first = [event.version for event in seen.wait(1)]
            swap(settings, volume, message="three")
            return first, [event.version for event in seen.events]

        try:
            assert Child(child).result() == [[2], [2, 3]]
        finally:
            release.set()
            signals.reloaded.disconnect(receive, sender=settings)

    def test_coroutine(self, settings, volume):
        """E132: a coroutine of the parent's loop runs in the child on a loop that the child gives it."""
        seen = []

        async def receive(change):
            seen.append((os.getpid(), change.new))

        def child():
            async def main():
                async with settings.live:
                    swap(settings, volume, message="two")
                    while not seen:
                        await asyncio.sleep(0)

            asyncio.run(main())
            return seen == [(os.getpid(), "two")]

        async def main():
            settings.live.on_change("message")(receive)
            forked = await asyncio.to_thread(lambda: Child(child).result())
            async with asyncio.timeout(PATIENCE):
                while not seen:
                    await asyncio.sleep(0)
            return forked

        assert asyncio.run(main())
        assert seen == [(os.getpid(), "two")]

    def test_stream(self, settings, volume):
        """E133: a stream that the parent reads is not woken by the child, and can be read there too."""

        async def main():
            stream = settings.live.changes("message")
            reader = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)

            def child():
                swap(settings, volume, message="two")

                async def read():
                    async with asyncio.timeout(PATIENCE):
                        return (await anext(stream)).new

                return asyncio.run(read())

            forked = await asyncio.to_thread(lambda: Child(child).result())
            async with asyncio.timeout(PATIENCE):
                return forked, (await reader).new

        assert asyncio.run(main()) == ("two", "two")

    def test_waiting(self, settings, volume):
        """E134: a thread that waits in the parent goes on waiting, and the child can wait itself."""
        found = Recorder()
        waiting = threading.Thread(target=lambda: found(settings.live.wait(lambda s: s.count == 2, PATIENCE)))
        waiting.start()

        def child():
            volume.update({"count": "2"})
            return settings.live.wait(lambda s: s.count == 2, PATIENCE).count

        assert Child(child).result() == 2
        assert found.wait(1)[0].count == 2
        waiting.join(PATIENCE)


class TestForksInside:
    """A child that user code forks inside a call is not called again, and does not fork again."""

    @pytest.fixture
    def forking(self, settings, volume):
        """A function that forks once and keeps what the child said: whether it follows, and what it was told."""
        results, parent = Recorder(), os.getpid()
        told = Recorder()
        settings.live.on_change("message")(told)

        def fork(event=None):
            if os.getpid() != parent:
                told("again")
                return
            if results.events:
                return

            def child():
                told.renew()
                volume.update({"message": "from the child"})
                settings.live.reload(wait=False)
                settings.live.wait(lambda s: s.message == "from the child", PATIENCE)
                while not any(getattr(each, "new", None) == "from the child" for each in told.events):
                    told.wait(len(told.events) + 1)
                return settings.message, [each for each in told.events if each == "again"]

            results(Child(child).result())

        fork.results = results
        return fork

    def check(self, settings, volume, forking):
        assert forking.results.wait(1) == [["from the child", []]]
        assert settings.live.wait(lambda s: s.message == "from the child", PATIENCE)
        assert swap(settings, volume, message="last")
        assert settings.message == "last"

    def test_subscriber(self, settings, volume, forking):
        """E135: a fork inside a subscriber."""
        settings.live.on_change("count")(forking)
        volume.update({"count": "2"})
        settings.live.reload(wait=False)
        self.check(settings, volume, forking)

    def test_receiver(self, settings, volume, forking):
        """E136: a fork inside a receiver of a signal."""

        def receive(_, event):
            if event.new.count == 2 and event.old.count != 2:
                forking()

        with signals.reloaded.connected_to(receive, sender=settings):
            volume.update({"count": "2"})
            settings.live.reload(wait=False)
            self.check(settings, volume, forking)

    def test_selector(self, settings, volume, forking):
        """E137: a fork inside a selector, at a change."""

        def select(snapshot):
            if snapshot.count == 2 and not forking.results.events:
                forking()
            return snapshot.count

        settings.live.on_change(select)(lambda _: None)
        volume.update({"count": "2"})
        settings.live.reload(wait=False)
        assert forking.results.wait(1)[0][0] == "from the child"
        assert swap(settings, volume, message="last")

    def test_verifier(self, settings, volume, forking):
        """E138: a fork inside a verifier."""
        settings.live.verify(on="count")(forking)
        volume.update({"count": "2"})
        settings.live.reload(wait=False)
        assert forking.results.wait(1)[0][0] == "from the child"
        assert settings.live.wait(lambda s: s.count == 2, PATIENCE)

    def test_coroutine(self, settings, volume, forking):
        """E139: a fork inside a coroutine subscriber."""

        async def receive(_):
            forking()

        async def main():
            settings.live.on_change("count")(receive)
            volume.update({"count": "2"})
            await asyncio.to_thread(settings.live.reload)
            await asyncio.to_thread(forking.results.wait, 1)

        asyncio.run(main())
        self.check(settings, volume, forking)

    def test_validator(self, volume):
        """E140: a fork inside a validator, in the middle of a turn."""
        results, parent = Recorder(), os.getpid()

        class Forking(Settings):
            model_config = SettingsConfigDict(resync=0.5)
            message: str = ""

            def model_post_init(self, _):
                if self.message == "fork" and os.getpid() == parent and not results.events:
                    results(Child(child).result())

        settings = Forking.load(_volumes=volume.path)

        def child():
            volume.update({"message": "from the child"})
            settings.live.wait(lambda s: s.message == "from the child", PATIENCE)
            return settings.message, settings.live.reload()

        volume.update({"message": "fork"})
        settings.live.reload()
        assert results.wait(1) == [["from the child", True]]
        assert settings.live.wait(lambda s: s.message == "from the child", PATIENCE)
        settings.live.close()

    def test_log_handler(self, settings, volume):
        """E141: a fork inside a log handler."""
        results, parent = Recorder(), os.getpid()

        def child():
            volume.update({"message": "from the child", "count": "1"})
            settings.live.wait(lambda s: s.message == "from the child", PATIENCE)
            return settings.message

        class Handler(logging.Handler):
            def emit(self, _):
                if os.getpid() == parent and not results.events:
                    results(Child(child).result())

        handler = Handler()
        logging.getLogger("liveconfig").addHandler(handler)
        try:
            volume.update({"count": "many"})
            settings.live.reload(wait=False)
            assert results.wait(1) == ["from the child"]
        finally:
            logging.getLogger("liveconfig").removeHandler(handler)
        assert settings.live.reload()


class TestVerifiers:
    def test_hanging(self, settings, volume):
        """E142: a verifier that hangs in the parent is asked afresh in the child."""
        inside, release, parent = threading.Event(), threading.Event(), os.getpid()

        @settings.live.verify(timeout=60)
        def check(_):
            inside.set()
            if os.getpid() == parent:
                release.wait(PATIENCE)

        volume.update({"message": "two"})
        settings.live.reload(wait=False)
        assert inside.wait(PATIENCE)

        def child():
            return settings.live.wait(lambda s: s.message == "two", PATIENCE).message

        try:
            assert Child(child).result() == "two"
            assert settings.message == "one"
        finally:
            release.set()
        assert settings.live.wait(lambda s: s.message == "two", PATIENCE)

    def test_refusing(self, settings, volume):
        """E143: a candidate that is refused in the parent is tried again by the child, with its own verdict."""
        parent = os.getpid()
        settings.live.verify()(lambda _: os.getpid() != parent)
        assert not swap(settings, volume, message="two")

        def child():
            return settings.live.wait(lambda s: s.message == "two", PATIENCE).message, settings.live.status().healthy

        assert Child(child).result() == ["two", True]
        assert not settings.live.status().healthy

    def test_refusing_in_the_child(self, settings, volume):
        """E144: what a child refuses, its parent takes."""
        parent = os.getpid()
        settings.live.verify()(lambda _: os.getpid() == parent)

        def child():
            return swap(settings, volume, message="two"), settings.message

        assert Child(child).result() == [False, "one"]
        assert settings.live.reload()
        assert settings.message == "two"


class TestState:
    def test_locks(self, settings, volume):
        """E145: children forked while other threads hold whatever they hold do not hang."""
        stop = threading.Event()

        def work(call):
            while not stop.is_set():
                call()

        calls = [
            settings.live.reload,
            settings.live.status,
            lambda: settings.live.subscribe("message", lambda _: None).cancel(),
            lambda: volume.update({"message": os.urandom(4).hex()}),
        ]
        threads = [threading.Thread(target=work, args=(call,)) for call in calls]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        for thread in threads:
            thread.start()

        def child():
            changes = Recorder()
            settings.live.on_change("count")(changes)
            settings.live.reload()
            settings.live.status()
            settings.live.close()
            return settings.message == settings.live.latest().message

        try:
            for _ in range(25):
                assert Child(child).result()
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
            sys.setswitchinterval(interval)

    def test_settings_that_are_not_watched(self, volume):
        """E145: a child forked while unwatched settings start the thread of their timers can reload."""
        ran = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", UNWATCHED, volume.path],  # of os.fork()
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0\n", "")

    def test_first_use(self, volume):
        """E145: a child forked while another thread uses a class for the first time does not hang."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for number in range(30):
                cls = type(f"First{number}", (App,), {"__module__": __name__})
                settings = cls.load(_volumes=volume.path, _watch=False)

                def use(settings=settings):
                    settings.live.on_change("message")(print)
                    settings.live.close()
                    return True

                user = threading.Thread(target=use)
                user.start()
                assert Child(use).result()
                user.join(PATIENCE)
        finally:
            sys.setswitchinterval(interval)

    def test_versions_in_the_child(self, settings, volume):
        """E146: children forked in the middle of swaps miss no version: attributes, latest() and subscribers agree."""
        stop = threading.Event()

        def swaps():
            count = 1
            while not stop.is_set():
                count += 1
                volume.update({"count": str(count)})
                settings.live.reload()

        heard = []  # no lock of the test's own: one that the parent holds while it forks is held for ever in the child
        settings.live.on_change("count")(lambda change: heard.append(change.new))
        swapping = threading.Thread(target=swaps)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        swapping.start()

        def child():
            stop.set()
            settings.live.close()  # the parent goes on swapping: only what is looked at by hand stands still
            settings.live.reload()
            told = heard[-1] if heard else 0
            return told, settings.live.latest().count, settings.count

        try:
            for _ in range(40):
                told, latest, attribute = Child(child).result()
                assert latest == attribute
                assert told in (latest, 0)
        finally:
            stop.set()
            swapping.join(PATIENCE)
            sys.setswitchinterval(interval)

    def test_pinned(self, settings, volume):
        """E147: a pin that holds at the fork holds in the child, until it is left there."""

        def child():
            swap(settings, volume, message="two")
            return settings.live.snapshot().message, settings.message

        with settings.live.pinned():
            assert Child(child).result() == ["one", "two"]

    def test_override(self, settings, volume):
        """E148: an override that holds at the fork holds in the child, and can be undone there alone."""

        def child():
            before = settings.message
            context.__exit__(None, None, None)
            return before, settings.message

        context = override(settings, message="overridden")
        context.__enter__()
        assert Child(child).result() == ["overridden", "one"]
        assert settings.message == "overridden"
        context.__exit__(None, None, None)
        assert settings.message == "one"

    def test_closed(self, settings, volume):
        """E149: the child of a closed one has no thread either, and reloads by hand."""
        settings.live.close()

        def child():
            swap(settings, volume, message="two")
            others = set(threading.enumerate()) - {threading.current_thread()}
            for thread in others:  # those that called subscribers, and their timers
                thread.join(PATIENCE)
            return settings.message, threading.active_count()

        assert Child(child).result() == ["two", 1]

    def test_grandchildren(self, settings, volume):
        """E150: children of children follow, each of its own accord."""

        def grandchild():
            volume.update({"message": "two"})
            return settings.live.wait(lambda s: s.message == "two", PATIENCE).message

        def child():
            below = Child(grandchild).result()
            return below, settings.live.wait(lambda s: s.message == "two", PATIENCE).message

        assert Child(child).result() == ["two", "two"]
        assert settings.live.wait(lambda s: s.message == "two", PATIENCE)

    def test_let_go_in_the_child(self, volume):
        """E151: what the child lets go, the parent still follows."""
        holder = [Events.load(_volumes=volume.path)]
        if holder[0].live.status().watcher != "inotify":
            holder[0].live.close()
            pytest.skip("no inotify to be had on this machine now")

        def child():
            holder.clear()
            gc.collect()
            for thread in threading.enumerate():
                if thread is not threading.current_thread():
                    thread.join(0.2)
            return True

        assert Child(child).result()
        volume.update({"message": "two"})
        assert holder[0].live.wait(lambda s: s.message == "two", PATIENCE)
        holder[0].live.close()

    def test_status(self, settings):
        """The status() of the child has its pid and its watcher."""
        told = Child(lambda: [settings.live.status().pid == os.getpid(), settings.live.status().watcher != "off"])
        assert told.result() == [True, True]

    def test_logged_once(self, settings, volume, tmp_path):
        """E152: each applied version is logged once in each process, and none of the parent's again in the child."""
        lines, parent = tmp_path / "log", os.getpid()

        class Handler(logging.Handler):
            def emit(self, record):
                with lines.open("a") as file:
                    file.write(f"{'parent' if os.getpid() == parent else 'child'} {record.getMessage()}\n")

        logger, handler = logging.getLogger("liveconfig"), Handler(logging.INFO)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            volume.update({"message": "two"})
            settings.live.reload(wait=False)
            Child(lambda: settings.live.reload()).result()
            settings.live.reload()
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        said = lines.read_text().splitlines()
        assert len([line for line in said if "parent App: version 2 applied" in line]) == 1
        assert len([line for line in said if "child App: version 2 applied" in line]) <= 1

    @pytest.mark.usefixtures("inotify")
    def test_descriptors(self, volume, inotify_descriptors):
        """E198: a forked child, and a child of that child, hold no inotify descriptor of their ancestors."""
        settings = Events.load(_volumes=volume.path)
        held = inotify_descriptors()
        assert held

        def child(below=None):
            own = len(inotify_descriptors())
            deeper = Child(below).result() if below else []
            settings.live.close()
            return [own, len(inotify_descriptors()), *deeper]

        assert Child(lambda: child(child)).result() == [len(held), 0] * 2
        assert inotify_descriptors() == held
        settings.live.close()


class TestShortage:
    """Children that get no thread."""

    @pytest.fixture
    def shortage(self, monkeypatch):
        """Has no thread started in a child while it is set, by what a function gives to raise for a thread."""
        parent, start, why = os.getpid(), threading.Thread.start, []

        def scarce(thread):
            if os.getpid() != parent and why and (error := why[0](thread)):
                raise error
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", scarce)
        return why

    @pytest.mark.parametrize("again", ["status", "reload"])
    def test_no_thread_for_a_while(self, settings, volume, shortage, again):
        """E199: a child that gets no thread at the fork is not healthy and says so, and follows again from a status() or reload() on."""
        shortage.append(lambda _: RuntimeError("can't start new thread"))

        def child():
            before = settings.live.status()
            shortage.clear()
            getattr(settings.live, again)()
            volume.update({"message": "two"})
            settings.live.wait(lambda s: s.message == "two", PATIENCE)
            after = settings.live.status()
            return before.healthy, any("watcher" in each for each in before.problems), after.healthy

        assert Child(child).result() == [False, True, True]

    def test_one_that_cannot_go_on(self, settings, volume, shortage, caplog):
        """E200: settings that cannot go on in a child are named in its log, and keep no others from going on there."""
        others = App.load(_volumes=volume.path)
        inside, release, parent = [threading.Event(), threading.Event()], threading.Event(), os.getpid()
        told = [Recorder(), Recorder()]

        def subscribe(live, entered, tell):
            @live.on_change("message")
            def hear(change):
                entered.set()
                if os.getpid() == parent:
                    release.wait(PATIENCE)
                else:
                    tell(change)

        for each, *rest in zip((settings, others), inside, told, strict=True):
            subscribe(each.live, *rest)
        volume.update({"message": "two"})
        for each, entered in zip((settings, others), inside, strict=True):
            each.live.reload(wait=False)
            assert entered.wait(PATIENCE)
        errors = [MemoryError()]
        shortage.append(lambda thread: errors.pop() if errors and "delivery" in thread.name else None)

        def child():
            told[1].wait()
            return told[1].news, "could not restart" in caplog.text

        try:
            assert Child(child).result() == [["two"], True]
        finally:
            release.set()
            others.live.close()


class TestFinalizing:
    """An interpreter that is finalizing: all other threads have stopped, with whatever locks they held."""

    def test_objects_are_renewed_once(self, monkeypatch, holds_in_child):
        """G03: the first late call renews the objects that own locks, and the later ones do not."""

        class Member:
            renewed = 0

            def renew(self):
                self.renewed += 1

            def resume(self):
                pass

        member = Member()
        renew_in_child(member)

        def late():
            with monkeypatch.context() as end:
                end.setattr(sys, "is_finalizing", lambda: True)
                for _ in range(2):
                    renew_at_end()
                return is_ending() and member.renewed == 2  # in the child, and at the end

        assert holds_in_child(late)
        assert member.renewed == 0
        renew_at_end()
        assert member.renewed == 0

    def test_no_thread_is_started(self, monkeypatch):
        """G03: no thread is started, because `start` would wait for ever."""
        thread = threading.Thread(target=print)
        with monkeypatch.context() as end:
            end.setattr(sys, "is_finalizing", lambda: True)
            with pytest.raises(RuntimeError, match="the interpreter is ending"):
                start_thread(thread)
        assert thread.ident is None

    def test_reload(self, settings, volume, monkeypatch, holds_in_child):
        """G03: `reload()` reads nothing, and returns whether the last content is applied."""

        def late():
            volume.write({"message": "two"})
            with monkeypatch.context() as end:
                end.setattr(sys, "is_finalizing", lambda: True)
                return settings.live.reload() and settings.message == "one"

        settings.live.close()
        assert holds_in_child(late)

    def test_close(self, settings, monkeypatch, holds_in_child):
        """G03: `close()` does not wait for the threads, which have stopped."""

        def late():
            with monkeypatch.context() as end:
                end.setattr(sys, "is_finalizing", lambda: True)
                settings.live.close()
                return settings.live.status().watcher == "off"

        assert holds_in_child(late)


def _spawned(settings, connection):
    try:
        settings.live.status()
    except LiveConfigError:
        connection.send((settings.message, "snapshot"))
    else:
        connection.send((settings.message, "live"))


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_argument(settings, method):
    """E21: an argument of a spawned process arrives as a snapshot; a forked one is the live object itself."""
    context = multiprocessing.get_context(method)
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_spawned, args=(settings, sending))
    process.start()
    assert receiving.poll(PATIENCE)
    assert receiving.recv() == ("one", "live" if method == "fork" else "snapshot")
    process.join(PATIENCE)
    assert process.exitcode == 0
    process.close()
    receiving.close()
    sending.close()
    forkserver._forkserver._stop()  # what multiprocessing leaves running
    resource_tracker._resource_tracker._stop()
