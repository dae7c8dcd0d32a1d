"""The command line: ``liveconfig`` and ``python -m liveconfig``.

Each command is the module of its name, with ``add_arguments(parser)`` and ``run(arguments) -> exit code``, and, if the
usual order of arguments is not enough, ``parse(parser, arguments)``. Only the module of the given command is imported,
so that a command starts as fast as its own imports allow.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from liveconfig._distribution import __version__

__all__ = ["main", "program"]

_COMMANDS = {
    "demo": "see it work: a small web application follows its ConfigMap and Secret",
    "watch": "print each generation of a volume, and the names of the keys that changed",
    "explain": "where each value of one application comes from, and whether it can change",
    "audit": "who uses each ConfigMap and Secret of your manifests, and what is frozen",
    "check": "would your application accept these manifests, and what would it read",
    "schema": "JSON Schema for the data of the ConfigMap that feeds a settings class",
    "ps": "every process of this container, and whether it uses what is on disk",
    "status": "every process of every pod, and whether it uses what the cluster holds",
    "sync": "have every pod take a change at once, and wait until every process uses it",
}
_UNWRITABLE = 2
_INTERRUPTED = 130
_PIPE = 141  # the exit code of SIGPIPE in a shell; 1 means a frozen field in explain

TIME_TO_END = 1.0
"""Seconds that threads and exit handlers of an imported application get to end after the command."""


def program() -> NoReturn:
    """Run one command, and end this process with it."""
    code = main()
    _end_output()
    gc.freeze()  # what ends with the process is not looked through for cycles: an eighth of the time of `ps`
    with suppress(RuntimeError):  # no thread can be started, as where a container has a limit of processes
        threading.Thread(target=_end_late, args=(code,), daemon=True).start()
    sys.exit(code)


def _end_output() -> None:
    """Lead what exit handlers of an application write to standard error: the answer of the command is complete."""
    if sys.stdout is not None:
        with suppress(OSError, ValueError):  # a stream that is closed
            sys.stdout.flush()
            os.dup2(sys.stderr.fileno(), 1)
        sys.stdout = sys.stderr


def _end_late(code: int) -> None:
    """End this process if it waits for a thread, a child process or an exit handler of the application."""
    time.sleep(TIME_TO_END)
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The arguments after the name of the program; None for those of this process.

    Returns:
        The exit code.
    """
    if sys.stderr is None:  # the system would give its number to the next file
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open until the end of the process
    if sys.stdout is None:
        return _unwritable("standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may not fit the encoding of the terminal
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # `| head` has ended; docs.python.org, "Note on SIGPIPE"
        _write_nowhere()
        return _PIPE
    except OSError as error:
        if error.filename is not None:  # the error is not about the output
            raise
        _write_nowhere()
        return _unwritable(f"the output cannot be written: {error.strerror}")


def _run(arguments: Sequence[str] | None) -> int:
    name, *rest = given = [*(sys.argv[1:] if arguments is None else arguments)] or [""]
    try:
        if name not in _COMMANDS:
            program = _program()
            program.parse_args(given if name else [])  # the help, the version, or an error; but `--` ends the options
            program.error("the command comes first")
        command = argparse.ArgumentParser(prog=f"liveconfig {name}")
        module = import_module(f"liveconfig.cli.{name}")
        module.add_arguments(command)
        parse = getattr(module, "parse", argparse.ArgumentParser.parse_args)
        code: int = module.run(parse(command, rest))
    finally:  # also after ``--help``
        sys.stdout.flush()
    return code


def _write_nowhere() -> None:
    """Discard the buffered output, which the interpreter would write at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritable(problem: str) -> int:
    print(f"liveconfig: {problem}", file=sys.stderr)
    return _UNWRITABLE


def _program() -> argparse.ArgumentParser:
    """Return the parser of the program without a command."""
    parser = argparse.ArgumentParser(
        prog="liveconfig",
        description="Settings that follow their mounted Kubernetes ConfigMaps and Secrets without a restart.",
        epilog="`liveconfig COMMAND --help` shows the arguments and the exit codes of a command.",
    )
    parser.add_argument("--version", action="version", version=f"liveconfig {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in _COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser
