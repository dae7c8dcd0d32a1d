"""Loads settings from a plain directory and follows a change by polling: what works on every platform.

The workflow runs it on macOS and Windows. A test runs it where inotify, memory files, fork and /proc are missing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from liveconfig import Settings, processes


class App(Settings):
    """One field, from one key."""

    message: str


def main() -> int:
    """Load, change the key, and wait until the change is there. The exit code is 0 if it came."""
    with tempfile.TemporaryDirectory() as volume:
        key = Path(volume, "message")
        key.write_text("one", "utf-8")
        settings = App.load(_volumes=volume)
        print(f"{settings.message}, watched by {settings.live.status().watcher}, {len(processes())} reports")
        key.write_text("two", "utf-8")
        try:
            print(settings.live.wait(lambda current: current.message == "two", 60).message)
        finally:
            settings.live.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
