"""Calls of kubectl, which handles the kubeconfig, contexts and authentication."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import IO

_PREFIX = re.compile(r"^(Error from server( \(\w+\))?|error): ")
_WARNING = re.compile(r"^(Warning|[EFIW]\d{4} |Defaulted container)")  # [EFIW]: lines of its log; the message follows
_TICK = 0.5  # seconds between two calls of what shows the progress
_CHUNK = 64 * 1024
_MOST_ERRORS = 1024 * 1024


def command_line(command: str, name: str, namespace: str, context: str) -> str:
    """A command for a person to copy into a shell: a name from a manifest can hold anything.

    Args:
        command: The words before the name.
        name: What it is about.
        namespace: The namespace; empty for that of the context.
        context: The context of the kubeconfig; empty for the current one.
    """
    scope = ["-n", namespace] if namespace else []
    return shlex.join([*command.split(), name, *scope, *(["--context", context] if context else [])])


class KubectlMissing(Exception):  # noqa: N818 - one clear line for a person
    """There is no kubectl that can be run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a call of kubectl.

    Attributes:
        code: Its exit code; None if it was ended because its time was up, or because it printed too much.
        output: Its standard output.
        error: The first line of its standard error that is no warning, without "Error from server (Reason)".
        errors: Its standard error.
        is_cut: It was ended because it printed too much.
    """

    code: int | None
    output: str = field(repr=False)
    error: str
    errors: str = field(default="", repr=False)
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs kubectl for one cluster.

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
        self,
        *arguments: str,
        scope: Sequence[str] = (),
        given: bytes | None = None,
        timeout: float | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Run a command. The variable KUBECTL names another program.

        Args:
            arguments: The command.
            scope: The namespaces to look at, as ``["-n", "production"]``.
            given: Its standard input; None for none.
            timeout: Seconds after which it is ended; None for as long as it takes.
            limit: Bytes of standard output after which it is ended; None for as many as it prints.

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
                bufsize=0,
                process_group=0,  # its plugins end with it; they would keep its pipes open
            )
        except OSError as error:
            problem = f"{command[0]} cannot be run ({error.strerror}): install it, or set KUBECTL to its path"
        else:
            return self._answer(process, given or b"", timeout, limit)
        raise KubectlMissing(problem)

    def stop(self) -> None:
        """End every call that is running, and every one that starts from now on."""
        self._stopped.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _kill(process)

    def _answer(
        self, process: subprocess.Popen[bytes], given: bytes, timeout: float | None, limit: int | None
    ) -> Answer:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._running.add(process)
        try:
            if self._stopped.is_set():
                _kill(process)
            return self._talked(_Talk(process, given, limit), deadline)
        finally:  # after Ctrl-C it still runs
            _kill(process)
            with self._lock:
                self._running.discard(process)

    def _talked(self, talk: _Talk, deadline: float | None) -> Answer:
        while not talk.is_over(_TICK if deadline is None else min(_TICK, deadline - time.monotonic())):
            self.waiting()
            if self._stopped.is_set() or (deadline is not None and time.monotonic() >= deadline):
                return Answer(None, "", "it did not answer in time")
        return talk.answer()


class _Talk:
    """Gives a process its input and reads what it prints, each on a thread that closes its pipe.

    A pipe can outlive the process, in what that has started (a connection that is kept open for the next call): it is
    not waited for.
    """

    def __init__(self, process: subprocess.Popen[bytes], given: bytes, limit: int | None) -> None:
        self._process = process
        self._limit = limit
        self._output, self._errors = bytearray(), bytearray()
        self._is_too_long = False
        self._ended_at: float | None = None
        self._threads = [
            threading.Thread(target=partial(work, pipe), daemon=True)
            for work, pipe in (
                (partial(self._write, given), process.stdin),
                (self._read, process.stdout),
                (self._read_errors, process.stderr),
            )
            if pipe is not None
        ]
        for thread in self._threads:
            thread.start()

    def is_over(self, patience: float) -> bool:
        """Wait for the end of the process and of its output, at most ``patience`` seconds."""
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._is_too_long:
            return True
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        if self._process.returncode is None:
            return False
        self._ended_at = self._ended_at or time.monotonic()
        is_read = not any(thread.is_alive() for thread in self._threads)
        return is_read or time.monotonic() - self._ended_at > _TICK

    def answer(self) -> Answer:
        """Return the result after its end."""
        if self._is_too_long:
            return Answer(None, "", f"it printed more than {self._limit:,} bytes", is_cut=True)
        text = self._errors.decode("utf-8", "replace")
        return Answer(self._process.returncode, self._output.decode("utf-8", "replace"), _first_line(text), text)

    def _write(self, given: bytes, pipe: IO[bytes]) -> None:
        with suppress(OSError), pipe:  # it may have ended without reading
            left = memoryview(given)
            while left:
                left = left[pipe.write(left) :]

    def _read(self, pipe: IO[bytes]) -> None:
        with suppress(OSError), pipe:
            while chunk := pipe.read(_CHUNK):
                self._output += chunk
                if self._limit is not None and len(self._output) > self._limit:
                    self._is_too_long = True
                    _kill(self._process)
                    return

    def _read_errors(self, pipe: IO[bytes]) -> None:
        with suppress(OSError), pipe:
            while chunk := pipe.read(_CHUNK):
                self._errors += chunk[: _MOST_ERRORS - len(self._errors)]


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
    kept = [line for line in lines if not _WARNING.match(line)] or lines[-1:]
    return _PREFIX.sub("", kept[0]) if kept else ""
