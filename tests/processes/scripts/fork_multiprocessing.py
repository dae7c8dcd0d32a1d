"""multiprocessing: settings at the top of a module, children of each start method."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.connection import Connection

from common import PATIENCE, AppSettings, follow, swap

settings = AppSettings.load()


def child(connection: Connection) -> None:
    connection.send(settings.left)
    connection.send(follow(settings, connection.recv()))


def hear(connection: Connection) -> object:
    assert connection.poll(PATIENCE), "the child says nothing"
    return connection.recv()


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    for now, then in [("one", "two"), ("two", "three")]:
        ours, theirs = context.Pipe()
        process = context.Process(target=child, args=(theirs,))
        process.start()
        assert hear(ours) == now
        swap(then)
        ours.send(then)
        assert hear(ours) is True
        assert follow(settings, then)
        process.join(PATIENCE)
        assert process.exitcode == 0
