"""A thread for whose end code can wait that a signal handler may interrupt."""

from __future__ import annotations

import sys
import threading

import pytest

from liveconfig._watching import WaitableThread, waitable_thread

PLACES = 40
FILES = (threading.__file__, waitable_thread.__file__)


class TimeLimit(Exception):
    """The exception of a signal handler."""


def interrupted(at, call):
    """Call something in which a handler raises at the n-th place. Returns whether it came so far."""
    left = [at]

    def profile(frame, *_):
        left[0] -= frame.f_code.co_filename in FILES
        if left[0] == 0:
            sys.setprofile(None)
            raise TimeLimit

    sys.setprofile(profile)
    try:
        call()
    except TimeLimit:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.parametrize("call", [lambda thread: thread.is_alive(), lambda thread: thread.wait(0.001)])
def test_a_handler_that_raises(call):
    """G08: a running thread counts as alive wherever a handler raises inside `is_alive` or `wait`."""
    gate = threading.Event()
    thread = WaitableThread(gate.wait, "held")
    thread.start()
    try:
        raised = [interrupted(at, lambda: call(thread)) for at in range(1, PLACES)]
        assert any(raised)
        assert not all(raised)
        assert thread.is_alive()
    finally:
        gate.set()
    threading.Thread.join(thread, 60)
    assert not thread.is_alive()
