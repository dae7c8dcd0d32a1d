"""How long after a swap each of 4 workers of gunicorn has the new value: DIRECTORY SWAPS PRELOAD."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from flask import Flask

from benchmarks._stats import median
from benchmarks._volumes import Volume
from benchmarks.contenders.liveconfig import Adapter
from liveconfig import Change

WORKERS = 4
PATIENCE = 30.0


def main() -> None:
    volume = Volume(Path(sys.argv[1]) / "workers", "keys", 10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(PATIENCE)
        command = [sys.executable, "-m", "gunicorn", f"{__spec__.name}:create_app()", "--bind", "127.0.0.1:0"]
        command += ["--workers", str(WORKERS), "--log-level", "error", *["--preload"][: int(sys.argv[3])]]
        variables = {"BENCH_VOLUME": volume.path, "BENCH_PORT": str(heard.getsockname()[1])}
        variables["XDG_RUNTIME_DIR"] = sys.argv[1]  # where gunicorn puts its control socket
        server = subprocess.Popen(command, env={**os.environ, **variables}, stdout=sys.stderr)
        try:
            print(json.dumps(measured(volume, heard, int(sys.argv[2]))))
        finally:
            server.terminate()
            server.wait(PATIENCE)


def measured(volume: Volume, heard: socket.socket, swaps: int) -> dict[str, float]:
    """Nanoseconds from the rename to the call of a subscriber: of every worker, and of the last one of each swap."""
    _until_all_follow(volume, heard)
    each: list[float] = []
    last: list[float] = []
    for number in range(swaps):
        renamed_at = volume.set_first(f"swap {number}")
        times: dict[int, float] = {}
        while len(times) < WORKERS:
            pid, value, called_at = json.loads(heard.recv(1024))
            if value == f"swap {number}":
                times[pid] = called_at - renamed_at
        each += times.values()
        last.append(max(times.values()))
        time.sleep(0.02)
    return {"each": median(each), "last": median(last), "worst": max(last)}


def _until_all_follow(volume: Volume, heard: socket.socket) -> None:
    following: set[int] = set()
    heard.settimeout(0.2)
    deadline = time.monotonic() + PATIENCE
    while len(following) < WORKERS:
        assert time.monotonic() < deadline, following
        volume.set_first(f"start {time.monotonic_ns()}")
        try:
            while True:
                following.add(json.loads(heard.recv(1024))[0])
                if len(following) == WORKERS:
                    break
        except TimeoutError:
            continue
    heard.settimeout(PATIENCE)


def create_app() -> Flask:
    """An application whose workers tell what they hear, and when. gunicorn's master hears too, and says nothing."""
    adapter = Adapter(os.environ["BENCH_VOLUME"], [f"key_{number:05}" for number in range(10)])
    adapter.start()
    master = os.getpid() if "--preload" in sys.argv else 0

    @adapter.settings.live.on_change("key_00000")
    def tell(change: Change[str]) -> None:
        called_at = time.monotonic_ns()
        if os.getpid() != master:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
                message = json.dumps([os.getpid(), change.new, called_at])
                ear.sendto(message.encode(), ("127.0.0.1", int(os.environ["BENCH_PORT"])))

    return Flask("worker")


if __name__ == "__main__":
    main()
