"""A flag that is turned off while a verifier refuses the Secret: ROUNDS FLAGS SECRET, two paths of volumes.

``refused``: the Secret stands refused. ``running``: the verifier is still running.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path

from pydantic import SecretStr

from benchmarks._stats import median
from liveconfig import Change, Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

_PATIENCE = 20.0
_CALL = 0.1  # seconds that the verifier takes while it is "running"


class AppSettings(Settings):
    """A flag and a password, each on a volume of its own."""

    model_config = SettingsConfigDict(resync=3600.0)
    flag: int
    password: SecretStr


class Turns:
    """Turns the flag, and takes the time from the rename to the call of its subscriber."""

    def __init__(self, flags: KubeletVolume, secret: KubeletVolume) -> None:
        self._flags, self._secret = flags, secret
        self._number = 0
        self._write(0)
        self._password(0)
        self.settings = AppSettings.load(_volumes=[flags.path, secret.path])
        self._called = threading.Event()
        self._called_at = 0
        self._asked = threading.Event()
        self._pause = 0.0
        self.settings.live.subscribe(lambda s: s.flag, self._flag)
        self.settings.live.add_verifier(self._refuse, on=lambda s: s.password)

    def take(self, pause: float) -> int:
        """Rotate the Secret, which is refused, then turn the flag. Nanoseconds."""
        self._number += 1
        self._pause = pause
        self._asked.clear()
        self._password(self._number)
        if not self._asked.wait(_PATIENCE):
            raise TimeoutError
        while not (pause or self.settings.live.status().rejections):
            time.sleep(0.001)
        self._called.clear()
        renamed_at = self._write(self._number)
        if not self._called.wait(_PATIENCE):
            raise TimeoutError
        return self._called_at - renamed_at

    def _refuse(self, _candidate: AppSettings) -> bool:
        self._asked.set()
        time.sleep(self._pause)
        return False

    def _flag(self, _change: Change[int]) -> None:
        self._called_at = time.monotonic_ns()
        self._called.set()

    def _password(self, number: int) -> None:
        self._secret.write({"password": f"password {number}"})

    def _write(self, number: int) -> int:
        renamed_at = 0
        for step in self._flags.steps({"flag": f"{number}"}):
            if step == "symlink":
                renamed_at = time.monotonic_ns()
        return renamed_at


def main() -> None:
    logging.disable(logging.CRITICAL)
    rounds, flags, secret = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    turns = Turns(KubeletVolume(flags), KubeletVolume(secret))
    with turns.settings.live:
        found = {
            name: [turns.take(pause) for _ in range(rounds)] for name, pause in (("refused", 0.0), ("running", _CALL))
        }
    print(json.dumps({name: {"median": median(times), "worst": max(times)} for name, times in found.items()}))


main()
