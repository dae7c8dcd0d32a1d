"""Code of the application inside a command: only the command writes to standard output, and chooses the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import NoReturn

_STDOUT = 1
"""The descriptor of standard output, which child processes inherit."""

_NO_ANSWER = 2


@contextmanager
def application_code() -> Iterator[None]:
    """Lead what the application and its child processes write to standard output to standard error.

    If the application ends this process with `os._exit`, that is one line on standard error, and the exit code is 2.
    """
    output = sys.stdout
    output.flush()
    with redirect_stdout(sys.stderr), _descriptor_to_stderr(), _end_reported():
        try:
            yield
        finally:
            output.flush()  # what was written to `sys.__stdout__`


@contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    try:
        stderr, saved = sys.stderr.fileno(), os.dup(_STDOUT)
    except (OSError, ValueError):  # a stream without a descriptor, as in a test, or one that is closed
        yield
        return
    os.dup2(stderr, _STDOUT)
    try:
        yield
    finally:
        os.dup2(saved, _STDOUT)
        os.close(saved)


@contextmanager
def _end_reported() -> Iterator[None]:
    """Report an end of this process that would look like an answer without findings."""
    end, process = os._exit, os.getpid()

    def report(status: int) -> NoReturn:
        if os._exit is not report or os.getpid() != process:  # the command is past this, or it is a forked child
            end(status)
        caller = traceback.extract_stack(limit=2)[0]
        place = f"{os.path.basename(caller.filename)}:{caller.lineno}"
        problem = f"there is no answer, because the application ended this process with os._exit({status}) at {place}"
        print(f"liveconfig: {problem}", file=sys.stderr, flush=True)
        end(_NO_ANSWER)

    os._exit = report
    try:
        yield
    finally:
        os._exit = end
