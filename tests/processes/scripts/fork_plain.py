"""os.fork: the child reads at once, follows, closes, and ends; the parent goes on."""

from __future__ import annotations

import os

from common import AppSettings, ended, follow, fork, swap

settings = AppSettings.load()
heard: list[tuple[int, str]] = []
reading, writing = os.pipe()


@settings.live.on_change(lambda s: s.left)
def hear(change: object) -> None:
    heard.append((os.getpid(), settings.left))


def child() -> bool:
    at_once = settings.left == "one"
    os.write(writing, b"x")
    followed = follow(settings, "two")
    settings.live.reload()
    told = heard == [(os.getpid(), "two")]
    settings.live.close()
    return at_once and followed and told


pid = fork(child)
os.read(reading, 1)
swap("two")
assert follow(settings, "two")
settings.live.reload()  # returns when the subscriber was called: it reads what is the newest just then
assert ended(pid) == 0
swap("three")
assert follow(settings, "three")
settings.live.reload()
assert heard == [(os.getpid(), "two"), (os.getpid(), "three")]
