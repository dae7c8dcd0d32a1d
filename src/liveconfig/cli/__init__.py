"""The command line: ``liveconfig`` and ``python -m liveconfig``. One module a command."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from liveconfig._version import __version__
from liveconfig.cli import demo, explain, watch

__all__ = ["main"]

_COMMANDS = (demo, watch, explain)
_INTERRUPTED = 130
_PIPE = 141  # as a shell has it for SIGPIPE; 1 is explain's word for a frozen field


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What was typed after the program's name; None: what this process was started with.

    Returns:
        The exit code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not fit the terminal's encoding
    given = _parser().parse_args(arguments)
    try:
        code: int = given.run(given)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough; docs.python.org, "Note on SIGPIPE"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liveconfig",
        description="Settings that follow their mounted Kubernetes ConfigMaps and Secrets, with no restart.",
    )
    parser.add_argument("--version", action="version", version=f"liveconfig {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    return parser
