"""Hands that break volumes, and children that run where breaking is allowed."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from liveconfig.testing import KubeletVolume

PATIENCE = 90.0  # seconds for what should take a fraction of one, on a machine that is busy with something else

Spoil = Callable[[Path], object]


@pytest.fixture
def tmpfs() -> Iterator[Path]:
    """A directory on tmpfs."""
    if not os.path.ismount("/dev/shm"):
        pytest.skip("there is no tmpfs at /dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="liveconfig-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["disk", "tmpfs"])
def on_each_file_system(request: pytest.FixtureRequest) -> Path:
    """A directory, once on the disk and once on tmpfs."""
    return request.getfixturevalue("tmp_path" if request.param == "disk" else "tmpfs")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that every user may enter; those of pytest are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="liveconfig-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def swap_with(volume: KubeletVolume, payload: dict[str, Any], spoil: Spoil) -> None:
    """Write a payload, and let ``spoil`` do something to the new generation just before the swap."""
    for step in volume.steps(payload):
        if step == "symlink":
            spoil(volume.path / os.readlink(volume.path / "..data_tmp"))


def swap_to(volume: KubeletVolume, name: str, files: dict[str, str]) -> None:
    """Swap to a generation of any name, by hand."""
    generation = volume.path / name
    generation.mkdir()
    for key, content in files.items():
        (generation / key).write_text(content)
    os.symlink(name, volume.path / "..data_tmp")
    old = volume.generation
    os.rename(volume.path / "..data_tmp", volume.path / "..data")
    if old is not None:
        shutil.rmtree(volume.path / old)


@pytest.fixture(name="swap_with")
def _swap_with() -> Callable[[KubeletVolume, dict[str, Any], Spoil], None]:
    return swap_with


@pytest.fixture(name="swap_to")
def _swap_to() -> Callable[[KubeletVolume, str, dict[str, str]], None]:
    return swap_to


class Child:
    """A process that reports in JSON, one line a step, and goes on when it is told to."""

    def __init__(self, command: list[str]) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)
        self.stderr = ""

    def report(self, timeout: float = PATIENCE) -> Any:
        """The next report."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.end()
            pytest.fail(f"the child did not report (exit code {self.process.returncode}): {self.stderr}")
        return json.loads(line)

    def go(self) -> Any:
        """Let it go on to its next report, and return that."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        return self.report()

    def end(self) -> None:
        """Let it end by itself; kill it if it does not."""
        if not self.stderr and self.process.returncode is None:
            deadline = time.monotonic() + PATIENCE
            try:
                self.stderr = self.process.communicate(timeout=deadline - time.monotonic())[1]
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.stderr = self.process.communicate()[1]


@pytest.fixture
def child(open_folder: Path) -> Iterator[Callable[..., Child]]:  # a folder that is removed when the children have ended
    """A function that starts a scene of ``children.py``; ``unshare`` names the namespaces it gets for itself."""
    started: list[Child] = []

    def start(scene: str, *args: object, unshare: tuple[str, ...] = ()) -> Child:
        prefix = _unshare(unshare) if unshare else []
        script = str(Path(__file__).with_name("children.py"))
        started.append(Child([*prefix, sys.executable, script, scene, *map(str, args)]))
        return started[-1]

    yield start
    for each in started:
        each.end()
        assert each.stderr == "", each.stderr
        assert each.process.returncode == 0


def _unshare(namespaces: tuple[str, ...]) -> list[str]:
    command = ["unshare", *namespaces]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        reason = f"{' '.join(command)}: {tried.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(f"CI must be able to run this: {reason}")
        pytest.skip(f"needs namespaces: {reason}")
    return command
