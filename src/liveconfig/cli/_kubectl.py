"""Runs kubectl, which brings the kubeconfig, its contexts and its authentication."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_PREFIX = re.compile(r"^(Error from server( \(\w+\))?|error): ")
_WARNING = re.compile(r"^(Warning|[EFIW]\d{4} |Defaulted container)")  # [EFIW]: lines of its log; the message follows
_TICK = 0.5  # seconds between two calls of what shows the progress


class KubectlMissing(Exception):  # noqa: N818 - one clear line for a person
    """There is no kubectl that can be run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of kubectl gave.

    Attributes:
        code: Its exit code; None if it was ended because its time was up.
        output: Its standard output.
        error: The first line of its standard error that is no warning, without "Error from server (Reason)".
        errors: Its whole standard error.
    """

    code: int | None
    output: str = field(repr=False)
    error: str
    errors: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A way to ask one cluster.

    Attributes:
        context: The context of the kubeconfig; empty for the current one.
        waiting: Called twice a second while an answer is waited for.
    """

    context: str = ""
    waiting: Callable[[], None] = lambda: None
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)
    _stopped: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    def run(
        self, *arguments: str, scope: Sequence[str] = (), given: bytes | None = None, timeout: float | None = None
    ) -> Answer:
        """Run a command. The variable KUBECTL names another program.

        Args:
            arguments: The command.
            scope: The namespaces to look at, as ``["-n", "production"]``.
            given: Its standard input; None for none.
            timeout: Seconds after which it is ended; None for as long as it takes.

        Raises:
            KubectlMissing: There is no such program.
        """
        context = ["--context", self.context] if self.context else []
        end = arguments.index("--") if "--" in arguments else len(arguments)  # what follows is for the container
        own = [*arguments[:end], *scope, *context, *arguments[end:]]
        command = [os.environ.get("KUBECTL") or "kubectl", *own]
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own kubectl, without a shell
                command,
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,  # its plugins end with it; they would keep its pipes open
            )
        except OSError as error:
            problem = f"{command[0]} cannot be run ({error.strerror}): install it, or set KUBECTL to its path"
        else:
            return self._answer(process, given, timeout)
        raise KubectlMissing(problem)

    def stop(self) -> None:
        """End every call that is running, and every one that starts from now on."""
        self._stopped.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _kill(process)

    def _answer(self, process: subprocess.Popen[bytes], given: bytes | None, timeout: float | None) -> Answer:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._running.add(process)
        try:
            with process:
                try:
                    if self._stopped.is_set():
                        _kill(process)
                    return self._communicated(process, given, deadline)
                finally:  # after Ctrl-C it still runs
                    _kill(process)
        finally:
            with self._lock:
                self._running.discard(process)

    def _communicated(self, process: subprocess.Popen[bytes], given: bytes | None, deadline: float | None) -> Answer:
        while True:
            left = _TICK if deadline is None else min(_TICK, deadline - time.monotonic())
            try:
                output, error = process.communicate(given, timeout=max(0.0, left))
            except subprocess.TimeoutExpired:
                given = None  # it is sent once
                self.waiting()
                if deadline is not None and time.monotonic() >= deadline:
                    _kill(process)
                    return Answer(None, "", "it did not answer in time")
            else:
                text = error.decode("utf-8", "replace")
                return Answer(process.returncode, output.decode("utf-8", "replace"), _first_line(text), text)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, with those that it started."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # Windows
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TICK)


def _first_line(error: str) -> str:
    lines = error.strip().splitlines()
    told = [line for line in lines if not _WARNING.match(line)] or lines[-1:]
    return _PREFIX.sub("", told[0]) if told else ""
