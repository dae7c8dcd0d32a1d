"""Another program in this one's place, or beside it with every descriptor: it has no inotify descriptor of ours.

METHOD is what starts the program, which is this script again: with ``look`` it only looks for descriptors.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

from common import AppSettings


def inotify_descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists is closed by now
            found += [name] if "inotify" in os.readlink(f"/proc/self/fd/{name}") else []
    return found


program = [sys.executable, __file__, "look"]
method = sys.argv[1]
if method == "look":
    sys.exit(f"inherited: {found}" if (found := inotify_descriptors()) else 0)
settings = AppSettings.load()
assert inotify_descriptors()
if method == "execv":
    os.execv(sys.executable, program)
subprocess.run(program, close_fds=False, check=True)
