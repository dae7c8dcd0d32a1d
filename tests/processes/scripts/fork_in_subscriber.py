"""os.fork inside a subscriber: the child reads, reloads, hears a new subscriber, and ends."""

from __future__ import annotations

import threading

from common import PATIENCE, AppSettings, ended, follow, fork, swap

from liveconfig import Change

settings = AppSettings.load()
forked = threading.Event()
pids: list[int] = []
calls: list[int] = []


def child() -> bool:
    heard = threading.Event()
    settings.live.subscribe("left", lambda change: heard.set())
    at_once = settings.left == "two"
    swap("three")
    return at_once and follow(settings, "three") and settings.live.reload() and heard.wait(PATIENCE)


@settings.live.on_change(lambda s: s.left)
def hear(change: Change[str]) -> None:
    calls.append(change.version)
    if calls == [2]:
        pids.append(fork(child))
        forked.set()


swap("two")
assert forked.wait(PATIENCE)
assert ended(pids[0]) == 0
assert follow(settings, "three")
