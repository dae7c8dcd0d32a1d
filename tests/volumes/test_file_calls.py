"""File calls that do not return, and which threads may not begin another."""

from __future__ import annotations

import sys
import threading

import pytest

from liveconfig._volumes.file_calls import FileCalls, Unresponsive

PATIENCE = 30.0


def test_a_call_inside_a_call(monkeypatch):
    """A call that hangs after a call inside it has returned keeps other threads from the volume, until it returns."""
    calls, inside, gate = FileCalls(), threading.Event(), threading.Event()

    def outer():
        assert calls.run("/etc/config", lambda: "answer") == "answer"
        inside.set()
        gate.wait(PATIENCE)

    thread = threading.Thread(target=calls.run, args=("/etc/config", outer))
    thread.start()
    try:
        assert inside.wait(PATIENCE)
        monkeypatch.setattr(sys.modules[FileCalls.__module__], "HUNG", 0.0)
        with pytest.raises(Unresponsive):
            calls.run("/etc/config", lambda: None)
        assert calls.run("/etc/other", lambda: "answer") == "answer"
    finally:
        gate.set()
        thread.join(PATIENCE)
    assert calls.run("/etc/config", lambda: "answer") == "answer"
