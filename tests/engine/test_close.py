"""Beginning and ending: close() is bounded, from anywhere, and leaves nothing behind (P9)."""

from __future__ import annotations

import copy
import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from functools import partial

import pytest
from pydantic import SecretStr

from liveconfig import LiveConfigError, Refusal, Settings, SettingsConfigDict, VolumeError
from liveconfig._engine import Core
from liveconfig._engine.engine import Engine
from liveconfig._engine.verifier_calls import Verifier
from liveconfig._locks import is_held_here
from liveconfig._watching import process_watcher

PATIENCE = 20.0


class App(Settings):
    message: str = ""
    count: int = 0
    password: SecretStr = SecretStr("")


class Needy(Settings):
    message: str
    missing: int


@pytest.fixture
def volume(kubelet_volume):
    kubelet_volume.write({"message": "one"})
    return kubelet_volume


@pytest.fixture
def settings(volume):
    settings = App.load(_volumes=volume.path)
    yield settings
    settings.live.close()


OTHERS: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def threads_of_others():
    """The threads of servers that tests of the whole session use are none of ours."""
    OTHERS.clear()
    OTHERS.update(threading.enumerate())


def threads():
    return [thread for thread in threading.enumerate() if thread not in OTHERS]


def gone():
    """Fail unless the threads that may be ending by now have ended."""
    for _ in range(20):
        left = threads()
        for thread in left:
            thread.join(0.2)
        gc.collect()  # a thread may have held what was to be let go
        if not left and not threads():
            return
    assert not threads()


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def in_time(call):
    """Call it in a thread, and fail if it does not return."""
    thread = threading.Thread(target=call, name="caller", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


class TestClose:
    def test_leaves_nothing(self, volume):
        """E17: two hundred starts and closes leave no thread and no descriptor."""
        App.load(_volumes=volume.path).live.close()  # the report of this process keeps its descriptor
        gc.collect()
        before = (len(threads()), len(descriptors()))
        for number in range(200):
            settings = App.load(_volumes=volume.path)
            settings.live.on_change("message")(print)
            if number % 50 == 0:
                volume.write({"message": str(number)})
                settings.live.reload()
            settings.live.close()
        assert (len(threads()), len(descriptors())) == before

    def test_failing_starts(self, volume, tmp_path):
        """E17: two hundred failing starts leave no thread and no descriptor."""
        before = (len(threads()), len(descriptors()))
        for _ in range(100):
            with pytest.raises(ValueError, match="missing"):
                Needy.load(_volumes=volume.path)
            with pytest.raises(LiveConfigError):
                App.load(_volumes=volume.path, count="many")
        assert (len(threads()), len(descriptors())) == before

    def test_twice_and_from_two_threads(self, settings):
        """E06: close() from two threads, twice each, returns."""
        callers = [threading.Thread(target=lambda: (settings.live.close(), settings.live.close())) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE)
            assert not caller.is_alive()
        assert settings.live.status().watcher == "off"

    def test_still_reads(self, settings, volume):
        """Closed settings can still be read and reloaded, and a reload calls the subscribers."""
        changes = []
        settings.live.on_change("message")(changes.append)
        settings.live.close()
        volume.write({"message": "two"})
        assert settings.message == "one"
        assert settings.live.reload()
        assert settings.message == "two"
        assert [change.new for change in changes] == ["two"]
        gone()

    def test_by_hand_leaves_nothing(self, settings, volume):
        """E114: on a closed one, a subscriber that raises and a verifier that refuses leave no thread that waits."""
        settings.live.close()
        settings.live.on_change("message")(lambda _: 1 / 0)
        volume.write({"message": "two"})
        assert settings.live.reload()

        @settings.live.verify(on="count")
        def refuse(_):
            raise Refusal("not now")

        volume.write({"message": "two", "count": "2"})
        assert not settings.live.reload()
        assert not settings.live.status().healthy
        gone()

    def test_with_counts(self, settings):
        """`with settings.live` counts its entries: the last exit closes; a closed one is started again."""
        with settings.live, settings.live:
            with settings.live as live:
                assert live is settings.live
            assert live.status().watcher != "off"
        assert settings.live.status().watcher == "off"
        with settings.live:
            assert settings.live.status().watcher != "off"
        assert settings.live.status().watcher == "off"

    def test_close_inside_with(self, settings, volume):
        """E115: close() inside a `with` closes; leaving it afterwards is harmless."""
        with settings.live:
            settings.live.close()
            assert settings.live.status().watcher == "off"
        assert settings.live.status().watcher == "off"
        with settings.live:
            volume.write({"message": "two"})
            assert settings.live.wait(lambda s: s.message == "two", PATIENCE)

    def test_unwatched_stays_unwatched(self, volume):
        """E116: with watch=False, `with settings.live` does not begin to watch."""
        settings = App.load(_volumes=volume.path, _watch=False)
        with settings.live:
            assert settings.live.status().watcher == "off"
            assert not threads()

    def test_seen_when_started_again(self, settings, volume):
        """A swap while the settings were closed is found and delivered at the start."""
        changes = []
        settings.live.on_change("message")(changes.append)
        settings.live.close()
        volume.write({"message": "two"})
        with settings.live:
            settings.live.reload()
            assert settings.message == "two"
        assert [change.new for change in changes] == ["two"]

    def test_while_a_validator_hangs(self, volume):
        """E117: close() is bounded though a validator hangs in the middle of a look."""
        inside, release = threading.Event(), threading.Event()

        class Slow(Settings):
            message: str

            @classmethod
            def __get_validators__(cls):  # pragma: no cover - pydantic v1's word
                yield cls

            def model_post_init(self, _):
                if self.message == "slow":
                    inside.set()
                    release.wait(PATIENCE * 2)

        settings = Slow.load(_volumes=volume.path)
        volume.write({"message": "slow"})
        looking = threading.Thread(target=settings.live.reload, kwargs={"wait": False})
        looking.start()
        assert inside.wait(PATIENCE)
        try:
            in_time(settings.live.close)
        finally:
            release.set()
            looking.join(PATIENCE)

    def test_from_a_finalizer(self, volume):
        """E118: close() from a finalizer that the garbage collector calls returns."""
        settings = App.load(_volumes=volume.path)

        class Owner:
            def __del__(self):
                settings.live.close()

        owner = Owner()
        owner.me = owner
        del owner
        gc.collect()
        assert settings.live.status().watcher == "off"

    def test_inside_a_log_handler(self, settings, volume):
        """E119: close() and reload() inside a log handler, on whichever thread logs, return."""
        done = threading.Event()

        class Handler(logging.Handler):
            def emit(self, _):
                settings.live.reload()
                settings.live.close()
                done.set()

        handler = Handler()
        logging.getLogger("liveconfig").addHandler(handler)
        try:
            volume.write({"message": "one", "count": "many"})
            in_time(settings.live.reload)
            assert done.wait(PATIENCE)
        finally:
            logging.getLogger("liveconfig").removeHandler(handler)

    def test_others_go_on(self, settings, volume):
        """Closing one leaves others on the same volume watched."""
        other = App.load(_volumes=volume.path)
        settings.live.close()
        volume.write({"message": "two"})
        assert other.live.wait(lambda s: s.message == "two", PATIENCE)
        other.live.close()

    def test_a_hundred(self, volume):
        """E120: a hundred settings objects share one worker and one watch, and all follow."""
        several = [App.load(_volumes=volume.path) for _ in range(100)]
        assert len(threads()) <= 4
        volume.write({"message": "two"})
        for settings in several:
            assert settings.live.wait(lambda s: s.message == "two", PATIENCE)
        for settings in several:
            settings.live.close()
        assert not threads()


class TestLetGo:
    def test_unreferenced(self, volume):
        """An unreferenced live object without subscribers is collected, and no longer watched."""
        settings = App.load(_volumes=volume.path)
        reference = weakref.ref(settings)
        del settings
        gc.collect()
        assert reference() is None
        gone()

    def test_cancelled(self, volume):
        """E121: settings are collected after their last subscriber is cancelled, even if it had failed."""
        settings = App.load(_volumes=volume.path)
        subscription = settings.live.subscribe("message", lambda _: 1 / 0)
        volume.write({"message": "two"})
        settings.live.reload()
        reference = weakref.ref(settings)
        subscription.cancel()
        del settings, subscription
        gc.collect()
        assert reference() is None
        gone()

    def test_many(self, volume):
        """E122: settings that come and go by the hundred, changed meanwhile, leave nothing."""
        for number in range(100):
            settings = App.load(_volumes=volume.path)
            volume.write({"message": str(number)})
            settings.live.reload()
        del settings
        gc.collect()
        gone()

    @pytest.mark.parametrize("closed", [True, False])
    def test_while_no_thread_can_start(self, volume, closed):
        """E153: settings that are collected under the lock that the start of a thread needs do not block.

        The garbage collector may run inside `threading.enumerate`, which holds it.
        """
        settings = App.load(_volumes=volume.path)
        settings.__dict__["me"] = settings  # only the garbage collector finds it
        if closed:
            settings.live.close()
        reference = weakref.ref(settings)
        del settings

        def collect():
            with threading._active_limbo_lock:
                gc.collect()

        in_time(collect)
        assert reference() is None
        gone()

    def test_cancelled_by_a_finalizer(self, volume):
        """E154: a finalizer that cancels a subscription during a delivery does not block."""
        settings = App.load(_volumes=volume.path)
        subscription = settings.live.subscribe("message", lambda _: None)
        lock = settings.live._core.publisher.lock
        held, release = threading.Event(), threading.Event()

        def deliver():
            with lock:
                held.set()
                release.wait(2 * PATIENCE)

        delivering = threading.Thread(target=deliver, name="delivering")
        delivering.start()
        assert held.wait(PATIENCE)
        try:
            in_time(subscription.cancel)
        finally:
            release.set()
            delivering.join()
        assert settings.live.status().subscribers == ()
        reference = weakref.ref(settings)
        del settings, subscription
        gc.collect()
        assert reference() is None
        gone()


class TestCopies:
    def test_pickle(self, settings):
        """E21: pickle of a live object gives a snapshot, of the newest version."""
        copied = pickle.loads(pickle.dumps(settings))
        assert copied == settings.live.latest()
        assert copied.password == settings.password
        with pytest.raises(LiveConfigError):
            copied.live.status()

    @pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda s: s.model_copy()])
    def test_copy(self, settings, volume, how):
        """E21: copies are snapshots, and do not change any more."""
        copied = how(settings)
        volume.write({"message": "two"})
        settings.live.reload()
        assert copied.message == "one"
        with pytest.raises(LiveConfigError):
            copied.live.status()

    def test_snapshot_never_changes(self, settings, volume):
        """E10: a snapshot held over a hundred reloads is unchanged."""
        snapshot = settings.live.latest()
        before = snapshot.model_dump()
        for number in range(100):
            volume.write({"message": str(number)})
            settings.live.reload()
        assert snapshot.model_dump() == before
        assert snapshot.message == "one"

    def test_equality(self, settings):
        """A live object equals only itself; a snapshot equals its copies, and hashes as they do."""
        snapshot = settings.live.latest()
        assert settings != snapshot
        assert snapshot != settings
        assert settings == settings
        assert snapshot == copy.copy(snapshot)
        assert hash(snapshot) == hash(copy.copy(snapshot))
        assert len({settings, snapshot}) == 2


EXITS = {
    "watching": "",
    "inside-a-subscriber": """
        inside = threading.Event()
        @settings.live.on_change("message")
        def hang(_):
            inside.set()
            threading.Event().wait()
        volume.write({"message": "two"})
        assert inside.wait(20)
    """,
    "left-to-its-thread": """
        @settings.live.on_change("message")
        def hang(_):
            threading.Event().wait()
        volume.write({"message": "two"})
        settings.live.reload()
    """,
    "inside-a-verifier": """
        inside = threading.Event()
        @settings.live.verify(timeout=60)
        def hang(_):
            inside.set()
            threading.Event().wait()
        volume.write({"message": "two"})
        assert inside.wait(20)
    """,
    "inside-a-coroutine-verifier": """
        inside = threading.Event()
        @settings.live.verify(timeout=60)
        async def hang(_):
            inside.set()
            await asyncio.Event().wait()
        volume.write({"message": "two"})
        assert inside.wait(20)
    """,
    "failing": """
        @settings.live.on_change("message")
        def fail(_):
            raise ValueError
        logging.disable()
        volume.write({"message": "two"})
        settings.live.reload()
    """,
    "rejected": """
        logging.disable()
        volume.write({"message": "one", "count": "many"})
        assert not settings.live.reload()
    """,
    "pending-coroutine": """
        inside = threading.Event()
        async def hang(_):
            inside.set()
            await asyncio.Event().wait()
        async def main():
            settings.live.on_change("message")(hang)
            volume.write({"message": "two"})
            await asyncio.to_thread(inside.wait, 20)
        asyncio.run(main())
    """,
    "swaps-go-on": """
        def swap():
            for number in range(10**9):
                volume.write({"message": str(number)})
        threading.Thread(target=swap, daemon=True).start()
        settings.live.wait(lambda s: s.message != "one", 20)
    """,
    "waiting-threads": """
        threading.Thread(target=settings.live.wait, args=(lambda s: False,), daemon=True).start()
    """,
    "closed-at-exit": """
        import atexit
        atexit.register(settings.live.close)
    """,
    "reloaded-at-exit": """
        import atexit
        def reload():
            volume.write({"message": "late"})
            assert settings.live.reload()
            assert settings.message == "late"
        settings.live.on_change("message")(lambda _: None)
        atexit.register(reload)
    """,
    "exit-inside-a-with": """
        settings.live.__enter__()
    """,
    "dropped": """
        del settings
    """,
    "sys-exit-in-a-subscriber": """
        done = threading.Event()
        logging.disable()
        @settings.live.on_change("message")
        def leave(_):
            done.set()
            sys.exit(3)
        volume.write({"message": "two"})
        assert done.wait(20)
    """,
}

PROGRAM = """
    import asyncio, logging, sys, threading, time
    from liveconfig import Settings
    from liveconfig.testing import KubeletVolume

    class App(Settings):
        message: str
        count: int = 0

    volume = KubeletVolume(sys.argv[1])
    volume.write({{"message": "one"}})
    settings = App.load(_volumes=volume.path)
{body}
    print(time.monotonic())
"""


class Between:
    """Runs something on another thread at one step of a function that this thread calls.

    Attributes:
        reached: Whether the function has so many steps.
    """

    def __init__(self, function, number, other, is_held=lambda: False):
        self.reached = False
        self._code, self._left, self._other, self._is_held = function.__code__, number, other, is_held

    def __enter__(self):
        self._before = sys.gettrace()  # that of coverage
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)

    def _trace(self, frame, *_):
        if self._code not in (frame.f_code, frame.f_back.f_code):
            return None
        self._left -= not self._is_held()
        if self._left == 0 and not self.reached:
            self.reached = True
            in_time(self._other)
        return self._trace


def test_verifiers_that_two_threads_change(settings):
    """A verifier that is added while another one is removed is asked, whatever comes first."""
    engine, number, reached = settings.live._core.engine, 0, True
    while reached:
        number += 1
        first, second = settings.live.add_verifier(print), Verifier(print, None, 1.0)
        with Between(Engine.remove_verifier, number, partial(engine.add_verifier, second)) as step:
            first.cancel()
        assert engine.verifiers == ((second,) if step.reached else ())
        engine.remove_verifier(second)
        reached = step.reached
    assert number > 1


def test_entered_while_another_thread_leaves(settings, volume):
    """Settings that one thread enters while another one leaves them are followed."""
    core, number, reached = settings.live._core, 0, True
    settings.live.close()
    while reached:
        number += 1
        settings.live.__enter__()
        with Between(Core.leave, number, settings.live.__enter__, lambda: is_held_here(core._lock)) as step:
            settings.live.__exit__(None, None, None)
        assert (settings.live.status().watcher != "off") == step.reached
        if step.reached:
            settings.live.__exit__(None, None, None)
        assert settings.live.status().watcher == "off"
        reached = step.reached
    assert number > 1


def test_a_status_inside_a_status(settings, monkeypatch):
    """A signal handler that asks for the status while the status of closed settings is made gets an answer."""

    def start(thread):
        monkeypatch.undo()
        assert settings.live.status().version == 1
        thread.start()

    settings.live.close()
    monkeypatch.setattr("liveconfig._diagnostics.unwatched_volumes.start_thread", start)
    in_time(settings.live.status)


def test_start_in_the_middle_of_a_close(settings, volume, monkeypatch):
    """P9: settings that another thread starts while close() removes them are followed; the next close() ends that."""
    release = process_watcher.scheduler.release

    def release_after_a_start(owner):
        monkeypatch.undo()
        thread = threading.Thread(target=settings.live.start)
        thread.start()
        thread.join(PATIENCE)
        release(owner)

    monkeypatch.setattr(process_watcher.scheduler, "release", release_after_a_start)
    settings.live.close()
    volume.update({"message": "two"})
    settings.live.wait(lambda snapshot: snapshot.message == "two", PATIENCE)
    assert settings.live.status().watcher != "off"
    settings.live.close()
    assert settings.live.status().watcher == "off"
    gone()


class TestExit:
    @pytest.mark.parametrize("state", EXITS)
    def test_in_each_state(self, tmp_path, state):
        """E18: the interpreter ends in each state within a second, with exit code 0 and nothing on stderr."""
        body = textwrap.indent(textwrap.dedent(EXITS[state]), "    ")
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM.format(body=body)), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdout
        assert process.stderr
        said = process.stdout.readline()
        assert said, process.stderr.read()
        try:
            process.wait(PATIENCE)  # a second, and what a busy machine needs
        finally:
            process.kill()
            errors = process.communicate()[1]
        lines = [line for line in errors.splitlines() if "inotify is unavailable" not in line]
        assert (process.returncode, lines) == (0, [])


HANDLER = """
    import signal, sys, threading
    from pathlib import Path
    from liveconfig import Settings
    from liveconfig.testing import KubeletVolume

    class App(Settings):
        message: str

    what, folder = sys.argv[1:]
    volume = KubeletVolume(Path(folder) / "config")
    volume.write({"message": "one"})
    settings = App.load(_volumes=volume.path)
    finished = threading.Event()
    done = []

    def handle(*_):
        live = settings.live
        if what == "reload":
            live.reload()
        elif what == "status":
            live.status()
        elif what == "close":
            live.close()
        elif what == "subscribe":
            live.subscribe("message", done.append).cancel()
        else:
            live.latest()
        done.append(what)
        if not finished.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0.0007)  # not inside itself

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0007)
    for number in range(60):
        volume.write({"message": str(number)})
        settings.live.__enter__()  # where the handler closes, it is started again
        settings.live.reload()
        settings.live.status()
        settings.live.subscribe("message", lambda _: None).cancel()
    finished.set()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert done
    assert settings.live.reload()
    assert settings.message == "59"
"""


class TestSignals:
    def test_handler_in_the_start_of_a_thread(self, volume, load, monkeypatch):
        """E19: a handler that calls `reload` while the main thread starts a delivery thread does not wait for ever."""
        settings = load(App, _volumes=volume.path, _watch=False)
        start, interrupted, told = threading.Thread.start, [], []
        settings.live.on_change("message")(lambda change: told.append(change.new))

        def start_and_interrupt(thread):
            if thread.name != "liveconfig-delivery" or interrupted:
                start(thread)
                return
            other = threading.Thread(target=start, args=(thread,))
            with thread._started._cond:  # held by `Thread.start` at the moment at which the handler is called
                start(other)
                while thread.ident is None:
                    threading.Event().wait(0.001)
                interrupted.append(settings.live.reload())
            other.join(PATIENCE)

        monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
        volume.update({"message": "two"})
        assert settings.live.reload()
        assert interrupted
        assert told == ["two"]

    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)

    # Under a tracer, such as coverage, no thread of CPython 3.11 goes on while the main thread has a pending signal.
    @pytest.mark.skipif(sys.version_info < (3, 12) and sys.gettrace() is not None, reason="would hang under a tracer")
    @pytest.mark.parametrize("what", ["reload", "status", "close", "subscribe", "latest"])
    def test_handler(self, tmp_path, what):
        """E19: signal handlers that use everything, in the middle of whatever the main thread does, do not deadlock."""
        # In a process of its own: a deadlock of the main thread would be the end of the test run.
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(HANDLER), what, str(tmp_path)],
            check=True,
            timeout=PATIENCE * 3,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def test_close_inside_a_look(self, volume):
        """E19: a handler that closes the settings in the middle of a look drops what that look goes on to verify."""

        class Interrupted(Settings):
            model_config = SettingsConfigDict(watch=False)  # the look is that of this thread
            message: str

            def model_post_init(self, _):
                if self.message == "two" and not handled:
                    signal.raise_signal(signal.SIGUSR1)

        handled = []
        settings = Interrupted.load(_volumes=volume.path)

        @settings.live.verify
        def check(_):
            return free.wait(PATIENCE)

        free = threading.Event()
        before = signal.signal(signal.SIGUSR1, lambda *_: handled.append(settings.live.close()))
        try:
            volume.write({"message": "two"})
            assert not settings.live.reload()
            status = settings.live.status()
            assert (status.candidate, settings.message) == (None, "one")
        finally:
            signal.signal(signal.SIGUSR1, before)
            free.set()
        gone()
        assert len(handled) == 1
        assert settings.live.reload()
        assert settings.message == "two"

    def test_reload_inside_a_turn(self, volume):
        """E123: a reload() in the middle of a turn, as in a validator, waits for no subscriber that wants the turn."""
        inside, told = threading.Event(), threading.Event()
        made = []

        class Recursive(Settings):
            message: str

            def model_post_init(self, _):
                if self.message == "three":
                    assert inside.wait(PATIENCE)
                    made[0].live.reload()

        settings = Recursive.load(_volumes=volume.path)
        made.append(settings)

        @settings.live.on_change("message")
        def reload(change):
            if change.new == "two":
                volume.write({"message": "three"})
                inside.set()
                settings.live.reload()
            told.set()

        volume.write({"message": "two"})
        in_time(settings.live.reload)
        in_time(settings.live.reload)
        assert settings.live.wait(lambda s: s.message == "three", PATIENCE)
        settings.live.close()

    @pytest.mark.parametrize("number", SIGNALS[:3])
    def test_process(self, tmp_path, number):
        """E19: a process that reloads all the time ends at SIGTERM, SIGINT and SIGHUP."""
        code = """
            import sys
            from liveconfig import Settings
            from liveconfig.testing import KubeletVolume

            class App(Settings):
                message: str

            volume = KubeletVolume(sys.argv[1])
            volume.write({"message": "0"})
            settings = App.load(_volumes=volume.path)
            settings.live.on_change("message")(lambda _: settings.live.reload())
            for number in range(10**9):
                volume.write({"message": str(number)})
                settings.live.reload()
                if number == 20:
                    print("running", flush=True)
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdout
        assert process.stdout.readline() == "running\n"
        process.send_signal(number)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode in (-number, 1)


class TestWorker:
    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_validator(self, volume, error):
        """E124: a validator that raises even SystemExit rejects the change, and the volumes are still watched."""

        class Leaving(Settings):
            model_config = SettingsConfigDict(resync=0.2)
            message: str

            def model_post_init(self, _):
                if self.message == "leave":
                    raise error

        settings = Leaving.load(_volumes=volume.path)
        rejections = threading.Semaphore(0)
        settings.live.on_reject(lambda _: rejections.release())
        volume.write({"message": "leave"})
        assert rejections.acquire(timeout=PATIENCE)
        volume.write({"message": "two"})
        assert settings.live.wait(lambda s: s.message == "two", PATIENCE)
        assert settings.live.status().healthy
        settings.live.close()

    def test_log_filter(self, volume):
        """E125: a log filter that raises even SystemExit does not end the watching."""

        class Quick(App):
            model_config = SettingsConfigDict(resync=0.2)

        settings = Quick.load(_volumes=volume.path)

        def leave(_):
            raise SystemExit

        logging.getLogger("liveconfig").addFilter(leave)
        try:
            volume.write({"message": "one", "count": "many"})
            volume.write({"message": "two"})
            assert settings.live.wait(lambda s: s.message == "two", PATIENCE)
        finally:
            logging.getLogger("liveconfig").removeFilter(leave)
        volume.write({"message": "three"})
        assert settings.live.wait(lambda s: s.message == "three", PATIENCE)
        settings.live.close()


def test_required_volume(tmp_path):
    """A required volume that is not there leaves nothing behind either."""
    from liveconfig import Volume

    with pytest.raises(VolumeError):
        App.load(_volumes=Volume(tmp_path / "nothing", required=True))
    assert not threads()


def test_watch_false_has_no_thread(volume):
    """watch=False: read once, no thread that stays, reload() by hand."""

    class Once(Settings):
        model_config = SettingsConfigDict(watch=False)
        message: str

    settings = Once.load(_volumes=volume.path)
    volume.write({"message": "two"})
    assert settings.message == "one"
    assert not threads()
    assert settings.live.reload()
    assert settings.message == "two"
    gone()
