"""What the scripts here share: an application's settings, and children that can be waited for."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable

from pydantic import SecretStr

from liveconfig import Settings, SettingsConfigDict
from liveconfig.testing import KubeletVolume

PATIENCE = 30.0
NEVER = 86_400.0


class AppSettings(Settings):
    # No re-check within the test: whatever arrives came by an event of this process's own watcher.
    model_config = SettingsConfigDict(volumes=[os.environ["APP_VOLUME"]], resync=NEVER)
    left: str
    right: str
    password: SecretStr


def swap(text: str) -> None:
    """Put one text behind both keys, in one swap."""
    KubeletVolume(os.environ["APP_VOLUME"]).update({"left": text, "right": text})


def follow(settings: AppSettings, text: str) -> bool:
    """Wait until the settings hold the text."""
    return settings.live.wait(lambda s: s.left == text, timeout=PATIENCE).right == text


def fork(task: Callable[[], bool]) -> int:
    """A child that does the task and ends, with 0 if it went well."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        code = 0 if task() else 2
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code of a child, which is killed if it does not end (a deadlock)."""
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(descriptor)
