"""Forks in user code: a process that a subscriber, a verifier or a validator forks ends where the call ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from liveconfig._watching.fork import end_process, fork_count, is_own_thread

T = TypeVar("T")


def call_user_code(function: Callable[..., T], *arguments: Any) -> T:
    """Call user code. A process that is forked inside, on a thread of liveconfig, ends where the call ends.

    liveconfig does nothing in the child after the call, because it does that in the parent. The child
    has the exit code of its `SystemExit`, 1 after another exception, else 0.
    """
    forks, failure = fork_count(), None
    try:
        return function(*arguments)
    except BaseException as error:
        failure = error
        raise
    finally:
        if fork_count() != forks and is_own_thread(threading.current_thread()):
            end_process(failure)
