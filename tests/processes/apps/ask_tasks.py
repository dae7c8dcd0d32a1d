"""Send tasks until two processes have answered with the text, and print their ids."""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from tasks import answer

PATIENCE = 60.0
TASKS = 4


def send(port: int) -> None:
    """Send some tasks. Each is moved to where the worker looks when it is whole: Celery would read half of it."""
    for _ in range(TASKS):
        answer.delay(port)
    for name in os.listdir(os.environ["QUEUE_OUT"]):
        os.rename(os.path.join(os.environ["QUEUE_OUT"], name), os.path.join(os.environ["QUEUE_IN"], name))


good: set[int] = set()
deadline = time.monotonic() + PATIENCE
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answers:
    answers.bind(("127.0.0.1", 0))
    answers.settimeout(PATIENCE)
    while len(good) < 2:
        assert time.monotonic() < deadline, good
        send(answers.getsockname()[1])
        for _ in range(TASKS):
            pid, left, right = json.loads(answers.recv(1024))
            if left == right == sys.argv[1]:
                good.add(pid)
print(json.dumps(sorted(good)))
