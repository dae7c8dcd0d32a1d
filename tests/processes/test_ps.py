"""``liveconfig ps`` beside real servers: every process that serves is listed, and none that does not exist."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveconfig import ProcessReport, processes

PATIENCE = 60.0


def family(ancestor: int) -> dict[int, ProcessReport]:
    """The processes with a report that descend from one, that one included."""
    found = {each.pid: each for each in processes()}
    parents = {pid: each.parent for pid, each in found.items()}

    def descends(pid: int) -> bool:
        while pid != ancestor and pid > 1:
            pid = parents.get(pid) or _parent(pid)
        return pid == ancestor

    return {pid: each for pid, each in found.items() if descends(pid)}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def all_current(ancestor: int, generation: str, count: int) -> dict[int, ProcessReport] | None:
    found = family(ancestor)
    current = [
        each
        for each in found.values()
        if each.is_current and each.settings and each.settings[0].volumes[0].generation == generation
    ]
    return found if len(current) == len(found) == count else None


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (["gunicorn", "flask_app:app", "--bind", "127.0.0.1:0"], 2),
        (["gunicorn", "flask_app:app", "--bind", "127.0.0.1:0", "--preload"], 3),
        (["uvicorn", "fastapi_app:app", "--port", "0"], 2),
    ],
    ids=["gunicorn", "gunicorn --preload", "uvicorn"],
)
def test_workers(serve: Any, swap: Any, volume: Any, command: list[str], count: int, canary: str) -> None:
    """Each worker, and a master that has loaded the application, is listed with the generation that it uses."""
    server = serve(*command, workers=2)
    workers = set(server.until_all(lambda answer: True))
    assert workers <= until(lambda: all_current(server.pid, volume.generation, count)).keys()
    swap("two")
    found = until(lambda: all_current(server.pid, volume.generation, count))
    assert workers <= found.keys()
    assert canary not in json.dumps([each.as_dict() for each in found.values()])
    killed = min(workers)
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in (all_current(server.pid, volume.generation, count) or {killed}))


def test_celery(
    start: Any, volume: Any, swap: Any, environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The main process of a Celery worker and its children are listed."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        environment[f"QUEUE_{name.upper()}"] = str(tmp_path / name)
    worker = start("-m", "celery", "-A", "tasks", "worker", "--concurrency", "2", "--loglevel", "INFO")
    request.addfinalizer(lambda: worker.send(signal.SIGKILL))  # its own way to end takes 6 s
    worker.wait_for(r" ready\.")
    assert len(until(lambda: all_current(worker.pid, volume.generation, 3))) == 3
    swap("two")
    assert until(lambda: all_current(worker.pid, volume.generation, 3))


PROGRAM = r"""
import multiprocessing, os, sys, time
from liveconfig import Settings, SettingsConfigDict

class App(Settings):
    model_config = SettingsConfigDict(volumes=os.environ["APP_VOLUME"], resync=0.2)
    left: str

def work():
    settings = App.load()
    print(f"child {os.getpid()}\n", end="", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    settings = App.load()
    how = sys.argv[1]
    if how in ("fork", "spawn", "forkserver"):
        multiprocessing.get_context(how).Process(target=work, daemon=True).start()
    elif how == "exec":
        print(f"child {os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60')}\n", end="", flush=True)
    elif how == "daemon":
        if os.fork():
            os._exit(0)
        os.setsid()
        os.closerange(3, 256)
        settings.live.reload()
        print(f"child {os.getpid()}\n", end="", flush=True)
    elif how == "user":
        if not os.fork():
            os.setgid(65534); os.setuid(65534)
            print(f"child {os.getpid()}\n", end="", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def child(start: Any, tmp_path: Path) -> Callable[[str], tuple[Any, int]]:
    """Run the program above; returns it, and the number of its child."""
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(how: str) -> tuple[Any, int]:
        program = start(str(tmp_path / "program.py"), how)
        return program, int(program.wait_for(r"child (\d+)").group(1))

    return run


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_multiprocessing(child: Any, volume: Any, how: str) -> None:
    """A child of multiprocessing has a report of its own, whichever way it was started."""
    program, pid = child(how)
    found = until(lambda: (each := family(program.pid)).keys() >= {program.pid, pid} and each)
    assert all(each.is_current for each in found.values())


def test_exec(child: Any) -> None:
    """A program that was started by exec does not show its parent's report."""
    program, pid = child("exec")
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")  # until then, it is a fork of the program
    assert pid not in until(lambda: family(program.pid))


def test_daemon(child: Any, volume: Any) -> None:
    """A process that closed all descriptors when it became a daemon has a report again, and follows its volume."""
    _, pid = child("daemon")
    try:
        until(lambda: [each for each in processes(pid) if each.is_current])
        volume.update({"left": "two"})
        until(lambda: [e for e in processes(pid) if e.settings[0].volumes[0].generation == volume.generation])
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_worker_that_changed_its_user(environment: dict[str, str], tmp_path: Path) -> None:
    """Where the caller may not read a worker that changed its user, it is a hidden row, and the exit code is 1."""
    if os.geteuid():
        pytest.skip("changing the user needs root")
    (tmp_path / "program.py").write_text(PROGRAM)
    setpriv = [str(shutil.which("setpriv")), "--bounding-set=-sys_ptrace"]
    command = [*setpriv, sys.executable, str(tmp_path / "program.py"), "user"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline().split()[1])
    try:
        ps = [*setpriv, sys.executable, "-m", "liveconfig", "ps"]
        ran = subprocess.run([*ps, "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 1
        rows = {each["pid"]: each for each in json.loads(ran.stdout)["processes"]}
        assert rows[process.pid]["settings"][0]["state"] == "current"
        [hidden] = rows[pid]["settings"]
        assert (hidden["state"], hidden["healthy"]) == ("hidden", False)
        table = subprocess.run(ps, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert "hidden" in next(line for line in table.stdout.splitlines() if line.startswith(str(pid)))
    finally:
        os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait(20)
        process.stdout.close()
