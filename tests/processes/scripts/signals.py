"""Signals in the middle of a reload: SIGHUP reloads in its handler, SIGINT is an exception, SIGTERM closes and ends."""

from __future__ import annotations

import itertools
import signal
import sys
import threading

from common import AppSettings, swap

settings = AppSettings.load()
handled: list[int] = []


def keep_swapping() -> None:
    """In a thread, because KeyboardInterrupt is raised in the main one only: a writer that is cut off is another test."""
    pause = threading.Event()
    for number in itertools.count():
        swap(str(number))
        pause.wait(0.002)


def reload(number: int, frame: object) -> None:
    settings.live.reload()
    handled.append(number)


def end(number: int, frame: object) -> None:
    settings.live.close()
    sys.exit(0)


signal.signal(signal.SIGHUP, reload)
signal.signal(signal.SIGTERM, end)
threading.Thread(target=keep_swapping, daemon=True).start()
while True:
    try:
        before = len(handled)
        print("ready", flush=True)
        while len(handled) == before:
            settings.live.reload()
    except KeyboardInterrupt:
        continue
