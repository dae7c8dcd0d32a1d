"""The clock."""

from __future__ import annotations

import pytest

from liveconfig import _clock


@pytest.mark.parametrize(("seconds", "expected"), [(0.2, 0), (0.3, 1)])
def test_pace(monkeypatch, seconds, expected):
    """Long work gives way after a step; short work does not."""
    now, ways = [100.0], []
    monkeypatch.setattr(_clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(_clock, "give_way", lambda: ways.append(now[0]))
    pace = _clock.Pace()
    now[0] += seconds / 1000
    pace.step()
    pace.step()
    assert len(ways) == expected


@pytest.mark.parametrize(("threads", "expected"), [(1, []), (2, [0])])
def test_only_thread(monkeypatch, threads, expected):
    """A process with one thread does not give way: nothing waits for the interpreter."""
    slept = []
    monkeypatch.setattr("threading.active_count", lambda: threads)
    monkeypatch.setattr("time.sleep", slept.append)
    _clock.give_way()
    assert slept == expected
