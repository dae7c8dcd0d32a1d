"""The interpreter ends while the watcher runs and a subscriber is inside its call."""

from __future__ import annotations

import threading

from common import PATIENCE, AppSettings, swap

settings = AppSettings.load()
inside = threading.Event()


@settings.live.on_change(lambda s: s.left)
def hang(change: object) -> None:
    inside.set()
    threading.Event().wait()


swap("two")
assert inside.wait(PATIENCE)
print("ends", flush=True)
