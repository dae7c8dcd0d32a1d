"""os.fork in the middle of the parent's reload: the child reaches the newest value, and its subscribers hear it.

Other threads of the parent hold locks, have read half of a generation, have stored it but told nobody of it yet.
"""

from __future__ import annotations

import random
import sys
import threading

from common import AppSettings, ended, fork, swap

CHILDREN = 40

sys.setswitchinterval(1e-5)  # many switches between threads in the few lines that matter
settings = AppSettings.load()
stop = threading.Event()
heard: list[str] = []


@settings.live.on_change(lambda s: s.left)
def hear(change: object) -> None:
    heard.append(settings.left)


def keep_busy() -> None:
    while not stop.is_set():
        settings.live.subscribe("left", lambda change: None).cancel()
        settings.live.status()
        settings.live.reload()


def child(text: str) -> bool:
    reloaded = settings.live.reload()
    whole = settings.live.snapshot()
    good = reloaded and settings.left == whole.left == whole.right == text and heard[-1] == text
    settings.live.close()
    return good


threads = [threading.Thread(target=keep_busy) for _ in range(2)]
for thread in threads:
    thread.start()
codes = []
for number in range(CHILDREN):
    text = str(number)
    swap(text)
    for _ in range(random.randrange(2000)):
        pass
    codes.append(ended(fork(lambda text=text: child(text))))
stop.set()
for thread in threads:
    thread.join()
assert codes == [0] * CHILDREN, codes
