"""Checks after every test: no thread, no descriptor, and no secret in any output."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import re
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import liveconfig
from liveconfig import _clock
from liveconfig._volumes.file_calls import FileCalls

REPORT = "/memfd:liveconfig (deleted)"  # stays until the process ends
GRACE = 30.0  # seconds that a thread or a descriptor has to go after the test
IN_CHILD = 60  # seconds after which a forked child of a test is killed
LEAK = re.compile(r"CANARY-[0-9a-f]{8}")  # a canary, but not the word in the source line of a traceback


def _refuse_a_copy() -> None:
    """Refuse to test an installed copy instead of the clone's own source."""
    source, tested = Path(__file__).parent.parent / "src", Path(liveconfig.__file__)
    if source.is_dir() and not tested.is_relative_to(source):
        raise pytest.UsageError(
            f"the tests would run against {tested.parent}, which is not the source of this clone ({source}). "
            "Run `make test`, which repairs the installation, or `pip install --editable .`"
        )


def _receive_signals() -> None:
    """Take SIGINT, which a shell ignores for jobs in the background, and SIGHUP, which ``nohup`` ignores.

    The children of the tests would ignore them, too.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def _forget_the_login() -> None:
    """Remove the variables that a login sets: a field of that name would take its value from them."""
    for name in ("HOST", "HOSTNAME", "LOGNAME", "MAIL", "NAME", "SHELL", "USER", "USERNAME"):
        os.environ.pop(name, None)


@pytest.fixture
def canary() -> str:
    """A secret value; wherever it turns up in a log, on a stream or in a warning, the test fails."""
    return f"CANARY-{uuid.uuid4()}"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which there are more threads or descriptors than before."""
    threads, descriptors = _threads(), _descriptors()
    yield
    if not (_threads() - threads or _descriptors() - descriptors):
        return
    gc.collect()  # releases what nothing refers to any more; only now, because it takes its time
    deadline = time.monotonic() + GRACE
    while (left := _threads() - threads) and time.monotonic() < deadline:  # one that ends may start others
        for thread in left:
            while thread.ident is None and time.monotonic() < deadline:  # somebody is just starting it
                threading.Event().wait(0.001)
            thread.join(0.2)
        gc.collect()  # a delivery that has just ended may have been the last to refer to something
    assert not left, f"threads left behind: {left}"
    while (more := _descriptors() - descriptors) and time.monotonic() < deadline:
        threading.Event().wait(0.05)
        gc.collect()  # a connection may have been given up only now
    assert not more, f"descriptors left behind: {sorted(more)}"


@pytest.fixture(autouse=True)
def no_canary_in_the_log() -> Iterator[None]:
    """Fail a test in which a log record (message, arguments, traceback, extra) held a canary."""
    handler = _LeakHandler()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    assert not handler.leaking, f"a canary in records of {handler.leaking}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Fail a test whose captured output or log holds a canary."""
    report = yield
    if leaking := [title for title, text in report.sections if LEAK.search(text)]:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a canary in {', '.join(leaking)}"
    return report


def pytest_configure(config: pytest.Config) -> None:
    _refuse_a_copy()
    _receive_signals()
    _forget_the_login()
    config.pluginmanager.register(_Warnings(), "canary-in-warnings")


class _Warnings:
    """Fail the session if a warning held a canary: pytest collects them after the test has been reported."""

    def __init__(self) -> None:
        self._leaking: list[str] = []

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        if LEAK.search(str(warning_message.message)):
            self._leaking.append(nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._leaking:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for nodeid in self._leaking:
            terminalreporter.write_line(f"FAILED {nodeid}: a canary in a warning", red=True)


class _LeakHandler(logging.Handler):
    """Notes the names of the loggers that let a canary through; never the record itself."""

    def __init__(self) -> None:
        super().__init__()
        self.leaking: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if LEAK.search(self.format(record)) or LEAK.search(repr(vars(record))):
            self.leaking.append(record.name)


def _threads() -> set[threading.Thread]:
    """Every thread but those of OpenFeature's SDK, which keeps them for as long as the process runs."""
    return {each for each in threading.enumerate() if not each.name.startswith("openfeature-event-handler")}


def _descriptors() -> set[tuple[str, str]]:
    """Every open descriptor with what it leads to."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that listed the folder is closed by now
            found.add((descriptor, os.readlink(f"/proc/self/fd/{descriptor}")))
    return {each for each in found if each[1] != REPORT}


@pytest.fixture
def until_ended() -> Callable[[str], None]:
    """Wait until no thread runs whose name begins so. One that is just being started cannot be joined."""

    def until_ended(name: str) -> None:
        deadline = time.monotonic() + 60
        while left := [each for each in threading.enumerate() if each.name.startswith(name)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.001)

    return until_ended


@pytest.fixture
def load() -> Iterator[Any]:
    """A function that loads settings and closes them after the test."""
    with ExitStack() as opened:

        def load(cls: Any, **overrides: Any) -> Any:
            settings = cls.load(**overrides)
            opened.callback(settings.live.close)
            return settings

        yield load


@pytest.fixture
def holds_in_child() -> Callable[[Callable[[], bool]], bool]:
    """A function that checks something in a forked child, which ends there and never goes on with the tests."""

    def holds(check: Callable[[], bool]) -> bool:
        child = os.fork()
        if not child:
            _check_and_end(check)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    return holds


def _check_and_end(check: Callable[[], bool]) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(IN_CHILD)
        code = 0 if check() else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


@pytest.fixture
def inotify() -> None:
    """Skip a test of the events where no inotify instance is left, which is tested where there are some."""
    descriptor = ctypes.CDLL(None).inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        assert not os.environ.get("CI"), "CI has inotify instances"
        pytest.skip("needs an inotify instance: fs.inotify.max_user_instances is reached")
    os.close(descriptor)


class _MovedClock:
    """The monotonic clock of liveconfig, moved on. It never goes back: threads that sleep until a later time rely on that.

    What it was moved on by does not count for the file calls: one that runs meanwhile has not taken so long.
    """

    def __init__(self) -> None:
        self._lock, self._moved = threading.RLock(), 0.0

    def move(self, seconds: float) -> None:
        """Move the clock on."""
        _clock.monotonic = self._now
        file_calls: Any = sys.modules[FileCalls.__module__]
        file_calls._clock = SimpleNamespace(monotonic=self._now_for_file_calls, now=lambda: _clock.now())
        with self._lock:
            self._moved += seconds

    def _now(self) -> float:
        return time.monotonic() + self._moved

    def _now_for_file_calls(self) -> float:
        with self._lock:
            return _clock.monotonic() - self._moved


_moved_clock = _MovedClock()


@pytest.fixture
def move_clock() -> Callable[[float], None]:
    """A function that moves the monotonic clock of liveconfig on, for good."""
    return _moved_clock.move


@pytest.fixture
def stopped() -> Callable[[int], AbstractContextManager[None]]:
    """A function that stops a process for as long as the block lasts, which can end the process instead."""
    return _stopped


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + GRACE
        while not _all_threads_stand_still(pid):  # until then, a thread can still take an update
            assert time.monotonic() < deadline, f"process {pid} does not stop"
            time.sleep(0.001)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _all_threads_stand_still(pid: int) -> bool:
    """Whether the state of every thread is T (proc_pid_stat(5))."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all((each / "stat").read_text().rpartition(")")[2].split()[0] == "T" for each in threads)


@pytest.fixture(scope="session")
def django_project() -> None:
    """Django, configured for this process: tests override its settings."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["testserver"],
            INSTALLED_APPS=["liveconfig.integrations.django", "django.contrib.sessions"],
            SECRET_KEY="in the settings module",
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        )
        django.setup()
