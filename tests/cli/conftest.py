"""The real commands as processes: run to their end, or read line by line while they run."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0  # seconds; for a machine that is busy with other things
COMMAND = (sys.executable, "-m", "liveconfig")


@dataclass
class Running:
    """A command that runs, and what it has printed."""

    process: subprocess.Popen[bytes]
    said: list[str] = field(default_factory=list)
    _rest: bytes = b""

    def line(self) -> str:
        """The next line."""
        stdout = self.process.stdout
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._rest:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no line within {PATIENCE} s after {self.said}"
            more = os.read(stdout.fileno(), 65536)
            assert more, f"it ended after {self.said}: {self.process.stderr.read().decode()}"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        self.said.append(line.decode())
        return self.said[-1]

    def until(self, text: str) -> str:
        """The next line that holds a text."""
        while text not in (line := self.line()):
            pass
        return line

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal, and wait: the exit code and what was said on standard error."""
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stderr.decode()


def finished(
    folder: Path,
    *arguments: str,
    before: Sequence[str] = (),
    command: Sequence[str] = COMMAND,
    stdout: int = subprocess.PIPE,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """A command, run to its end."""
    return subprocess.run(
        [*before, *command, *arguments],
        check=False,
        cwd=folder,
        env={**os.environ, **variables},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``liveconfig`` with these arguments and variables to its end, in ``tmp_path``."""
    return partial(finished, tmp_path)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same for a command that several tests look at."""
    return partial(finished, tmp_path_factory.mktemp("once"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start ``liveconfig`` with these arguments and variables in ``tmp_path``, until the end of the test at most."""
    with ExitStack() as stack:

        def start(*arguments: str, before: Sequence[str] = (), **variables: str) -> Running:
            process = stack.enter_context(
                subprocess.Popen(
                    [*before, *COMMAND, *arguments],
                    cwd=tmp_path,
                    env={**os.environ, **variables},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    preexec_fn=_with_ctrl_c,
                )
            )
            stack.callback(_end, process)
            return Running(process)

        yield start


def _end(process: subprocess.Popen[bytes]) -> None:
    """As a person does it, and by force where that does not help."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def _with_ctrl_c() -> None:
    """Whoever starts the tests in the background has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str, str], Path]:
    """A function that puts a Python module into ``tmp_path``, from which the commands are run."""

    def write(name: str, source: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        return path

    return write


@pytest.fixture
def sabotage(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """A function that has the demo's application run some code before its own; it gives the variables for that."""

    def write(source: str) -> dict[str, Any]:
        folder = tmp_path / "sabotage"
        folder.mkdir()
        body = "".join(f"    {line}\n" for line in source.splitlines())
        folder.joinpath("sitecustomize.py").write_text(
            f"import sys\nif 'liveconfig.cli.demo_app' in sys.orig_argv:\n{body}"
        )
        return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}

    return write


@pytest.fixture
def without_inotify() -> tuple[str, ...]:
    """What to put before a command so that it can have no inotify instance (a user namespace has its own limit)."""
    return namespace("echo 0 > /proc/sys/user/max_inotify_instances", "--user", "--map-root-user")


@pytest.fixture
def with_mounts() -> Callable[[str], tuple[str, ...]]:
    """A function that puts a shell script before a command, both in a mount namespace of their own."""
    prefix = namespace("mount --bind . .", "--mount", "--propagation=private")
    return lambda script: (*prefix, "sh", "-ec", f'{script}\nexec "$@"', "sh")


def namespace(script: str, *options: str) -> tuple[str, ...]:
    """What to put before a command so that it runs in a namespace of its own, after a shell script."""
    prefix = ("unshare", *options, "sh", "-ec", f'{script}\nexec "$@"', "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs root, unshare(1) and the right to make namespaces")
    return prefix
