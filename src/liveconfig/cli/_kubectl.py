"""Runs kubectl, which brings the kubeconfig, its contexts and its authentication."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_PREFIX = re.compile(r"^(Error from server( \(\w+\))?|error): ")
_TICK = 0.5  # seconds between two calls of what shows the progress


class KubectlMissing(Exception):  # noqa: N818 - one clear line for a person
    """There is no kubectl that can be run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of kubectl gave.

    Attributes:
        code: Its exit code.
        output: Its standard output.
        error: The first line of its standard error, without "Error from server (Reason)".
    """

    code: int
    output: str = field(repr=False)
    error: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A way to ask one cluster.

    Attributes:
        context: The context of the kubeconfig; empty for the current one.
        waiting: Called twice a second while an answer is waited for.
    """

    context: str = ""
    waiting: Callable[[], None] = lambda: None

    def run(self, *arguments: str, scope: Sequence[str] = ()) -> Answer:
        """Run a command. The variable KUBECTL names another program.

        Args:
            arguments: The command.
            scope: The namespaces to look at, as ``["-n", "production"]``.

        Raises:
            KubectlMissing: There is no such program.
        """
        context = ["--context", self.context] if self.context else []
        command = [os.environ.get("KUBECTL") or "kubectl", *arguments, *scope, *context]
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own kubectl, without a shell
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            problem = f"{command[0]} cannot be run ({error.strerror}): install it, or set KUBECTL to its path"
        else:
            return self._answer(process)
        raise KubectlMissing(problem)

    def _answer(self, process: subprocess.Popen[bytes]) -> Answer:
        with process:
            while True:
                try:
                    output, error = process.communicate(timeout=_TICK)
                except subprocess.TimeoutExpired:
                    self.waiting()
                else:
                    return Answer(process.returncode, output.decode("utf-8", "replace"), _first_line(error))


def _first_line(error: bytes) -> str:
    lines = error.decode("utf-8", "replace").strip().splitlines()
    return _PREFIX.sub("", lines[0]) if lines else ""
