"""Code of the application inside a command: only the command itself writes to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

_STDOUT = 1
"""The descriptor of standard output, which child processes inherit."""


@contextmanager
def application_code() -> Iterator[None]:
    """Lead what the application and its child processes write to standard output to standard error."""
    output = sys.stdout
    output.flush()
    with redirect_stdout(sys.stderr), _descriptor_to_stderr():
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
