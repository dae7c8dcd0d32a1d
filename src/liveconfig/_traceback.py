"""The safe part of an exception of user code: its type and its frames, never its message or its arguments."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Iterator

from liveconfig.exceptions import Refusal

MOST_CHARACTERS = 1000
"""The largest number of characters of the message of a `Refusal` that are shown."""


def text_of(refusal: Refusal) -> str:
    """Return the message of a `Refusal` on one line, with ``?`` for each character that is not printable."""
    text = str(refusal)
    line = " ".join(text[:MOST_CHARACTERS].split())
    shown = "".join(each if each.isprintable() else "?" for each in line)
    return f"{shown}..." if len(text) > MOST_CHARACTERS else shown


def frames(error: BaseException) -> Iterator[str]:
    """Return the frames of a traceback, outermost first: file, line and function, without source lines or locals."""
    for summary in traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False):
        yield f"{os.path.basename(summary.filename)}:{summary.lineno} in {summary.name}"


def summarize(error: BaseException) -> str:
    """Return one line for a reason: the message of a `Refusal`, else the type and the innermost frame."""
    if isinstance(error, Refusal):
        return f"refused: {text_of(error)}"
    innermost = next(iter(reversed(list(frames(error)))), None)
    return type(error).__name__ + (f" at {innermost}" if innermost else "")


def redacted_traceback(error: BaseException) -> str:
    """Return a traceback for the log without message, arguments and local variables."""
    lines = [f"    {frame}" for frame in frames(error)]
    return "\n".join([f"{type(error).__name__} (its message is withheld: it may hold a secret)", *lines])


def describe(error: BaseException) -> str:
    """Return several lines for the log: the message of a `Refusal`, else the redacted traceback."""
    return summarize(error) if isinstance(error, Refusal) else redacted_traceback(error)


def raised_by_code(error: BaseException, process: int) -> bool:
    """Whether user code itself raised an exception: no signal handler did, and it does not end a child of the code.

    Args:
        error: What came out of the code.
        process: The process in which the code was called; the code may have forked, and ended the child.
    """
    return not came_by_signal(error) and (not isinstance(error, SystemExit) or os.getpid() == process)


def came_by_signal(error: BaseException) -> bool:
    """Whether a signal handler raised it, for example a time limit of Celery; such an exception is never caught."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()}
    return any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__))
