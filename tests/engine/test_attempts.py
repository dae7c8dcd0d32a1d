"""One attempt: some verifiers are asked about one candidate, on a thread of its own."""

from __future__ import annotations

import threading

import pytest

from liveconfig import Settings
from liveconfig._engine.verifier_calls import Attempt, Verifier
from liveconfig._watching import process_watcher

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
