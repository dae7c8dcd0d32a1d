"""A signing key is rotated on pods that receive it at different times.

Usage: python rotation.py [--naive]
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from itsdangerous import BadSignature, Signer
from pydantic import SecretStr

from liveconfig import Settings
from liveconfig.integrations.keys import KeyRing
from liveconfig.testing import KubeletVolume

SECOND = 0.02  # the story's seconds are shorter
SIGN_AFTER = 120.0
LENGTH = 300  # also long enough for volumes that are checked every 2 s, without inotify


class PodSettings(Settings):
    session_keys: list[SecretStr]


class Pod:
    """A process that signs and accepts cookies. Its Secret is swapped by its own kubelet."""

    def __init__(self, directory: Path, keys: list[str], *, naive: bool) -> None:
        self._volume = KubeletVolume(directory)
        self.swap(keys)
        self.settings = PodSettings.load(_volumes=directory)
        sign_after = 0.0 if naive else SIGN_AFTER * SECOND
        self.ring = KeyRing(self.settings, "session_keys", sign_after=sign_after)

    def swap(self, keys: list[str]) -> None:
        self._volume.write({"session_keys": json.dumps(keys)})

    def log_in(self, user: str) -> bytes:
        return Signer(self.ring.signing).sign(user)

    def knows(self, cookie: bytes) -> bool:
        try:
            Signer([*reversed(self.ring.verifying)]).unsign(cookie)
        except BadSignature:
            return False
        return True


class Story:
    """The rotation, and the users that log in on one pod and come back on another."""

    def __init__(self, directory: Path, *, naive: bool) -> None:
        self.logins = self.lost = 0
        self._directory, self._naive = directory, naive
        self._opened = ExitStack()
        self.pods = [self._start(["A"]) for _ in range(2)]

    def _start(self, keys: list[str]) -> Pod:
        pod = Pod(self._directory / f"pod-{random.random()}", keys, naive=self._naive)
        self._opened.enter_context(pod.settings.live)
        return pod

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._opened:
            yield

    def at(self, second: int) -> None:
        if second == 30:
            self.pods[0].swap(["B", "A"])
        if second == 40:
            self.pods.append(self._start(["B", "A"]))
        if second == 50:
            self.pods[1].swap(["B", "A"])

    def use(self) -> None:
        """Each pod gets users that logged in on any pod."""
        for pod in self.pods:
            for other in self.pods:
                cookies = [pod.log_in(f"user {number}") for number in range(5)]
                self.logins += len(cookies)
                self.lost += sum(not other.knows(cookie) for cookie in cookies)

    def signing(self) -> str:
        return " ".join(pod.ring.signing for pod in self.pods)


def tell(directory: Path, *, naive: bool = False) -> Story:
    story, clock = Story(directory, naive=naive), threading.Event()
    print(f"{'second':>6}{'pods':>8}{'signing':>9}{'logins':>8}{'lost':>8}")
    with story.running():
        for second in range(LENGTH + 1):
            story.at(second)
            story.use()
            if second % 30 == 0:
                row = f"{second:6}{len(story.pods):8}{story.signing():>9}{story.logins:8}{story.lost:8}"
                print(row, flush=True)
            clock.wait(SECOND)
    return story


def main(*options: str) -> int:
    with TemporaryDirectory() as directory:
        return tell(Path(directory), naive="--naive" in options).lost


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) > 0)
