"""One attempt: some verifiers are asked about one candidate, on a thread of its own."""

from __future__ import annotations

import logging
import threading

import pytest

from liveconfig import Settings
from liveconfig._engine.verifier_calls import Attempt, Verifier
from liveconfig._watching import Scheduler, process_watcher

PATIENCE = 30.0


class App(Settings):
    message: str = "default"


@pytest.fixture
def candidate():
    """A snapshot."""
    return App(_volumes=(), _watch=False).live.latest()


def attempt_of(check, candidate, ended=lambda by_time: None, timeout=1.0):
    return Attempt([Verifier(check, None, timeout)], candidate, ended)


def test_accepted(candidate):
    """The verdict names the verifiers that accepted, and there is no reason."""
    ended = threading.Event()
    attempt = attempt_of(lambda _: None, candidate, lambda _: ended.set())
    attempt.start(process_watcher.scheduler)
    attempt.wait()
    assert ended.wait(PATIENCE)
    attempt.thread.join(PATIENCE)
    assert (attempt.verdict.reason, attempt.verdict.verifier, len(attempt.verdict.accepted)) == (None, None, 1)


def test_abandoned_before_it_began(candidate):
    """An attempt that is abandoned before it begins calls no verifier, has no verdict, and does not block `wait`."""
    asked, ended = [], []
    attempt = attempt_of(asked.append, candidate, ended.append)
    attempt.abandon()
    attempt.start(process_watcher.scheduler)
    attempt.thread.join(PATIENCE)
    attempt.wait()
    assert asked == ended == []
    assert attempt.verdict is None


def test_after_the_time(candidate):
    """If a verifier answers after its timeout, only the timeout counts, and it is reported once."""
    released, ended, answered = threading.Event(), threading.Event(), threading.Event()
    reports = []

    def slow(_):
        released.wait(PATIENCE)
        answered.set()

    def report(by_time):
        reports.append(by_time)
        ended.set()

    attempt = attempt_of(slow, candidate, report, timeout=0.01)
    attempt.start(process_watcher.scheduler)
    assert ended.wait(PATIENCE)
    released.set()
    attempt.thread.join(PATIENCE)
    assert answered.is_set()
    assert reports == [True]
    assert attempt.verdict.reason == "it took longer than 0.01 s"


def test_never_started(candidate):
    """G08: an attempt whose thread was never started is lost, and `wait` returns."""
    attempt = attempt_of(lambda _: None, candidate)
    assert attempt.is_lost()
    attempt.wait()


class Late(Scheduler):
    """A scheduler whose timers fire though they were cancelled: they were due at the same moment."""

    def cancel(self, timer):
        pass


def test_a_verdict_at_the_last_moment(candidate):
    """If a verifier answers at the moment at which its time is up, only its answer counts, and it is reported once."""
    reports, scheduler, passed = [], Late(), threading.Event()
    attempt = attempt_of(lambda _: None, candidate, reports.append, timeout=0.05)
    attempt.start(scheduler)
    attempt.thread.join(PATIENCE)
    scheduler.call_later(0.1, passed.set)
    assert passed.wait(PATIENCE)
    scheduler.join(PATIENCE)
    assert reports == [False]
    assert attempt.verdict.reason is None


def test_a_log_handler_that_raises(candidate):
    """If a log filter raises while the exception of a verifier is logged, the candidate is rejected."""

    def broken(_):
        raise ValueError

    def full(_):
        raise OSError

    logger, attempt = logging.getLogger("liveconfig"), attempt_of(broken, candidate)
    logger.addFilter(full)
    try:
        attempt.start(process_watcher.scheduler)
        attempt.thread.join(PATIENCE)
    finally:
        logger.removeFilter(full)
    assert attempt.verdict.reason.startswith("it raised OSError")
    assert attempt.verdict.verifier is not None


def test_a_report_that_raises(candidate, caplog, canary):
    """If the report of a verdict raises, the log says so without a value, and the thread ends."""

    def report(_):
        raise ValueError(canary)

    attempt = attempt_of(lambda _: None, candidate, report)
    attempt.start(process_watcher.scheduler)
    attempt.thread.join(PATIENCE)
    assert not attempt.thread.is_alive()
    assert "please report it" in caplog.text
    assert "ValueError" in caplog.text


def test_one_that_was_never_started_is_repeated(kubelet_volume, load, monkeypatch):
    """G08: an attempt that was interrupted before its thread was started is repeated."""
    start, lost = Attempt.start, []

    def interrupted(self, scheduler):
        if lost:
            start(self, scheduler)
        lost.append(self)

    def accept(candidate):
        pass

    monkeypatch.setattr(Attempt, "start", interrupted)
    kubelet_volume.write({"message": "one"})
    settings = load(App, _volumes=kubelet_volume.path, _watch=False)
    settings.live.verify(accept)
    kubelet_volume.write({"message": "two"})
    assert settings.live.reload()
    assert settings.message == "two"
    assert len(lost) == 2
