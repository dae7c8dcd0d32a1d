"""Where the kernel has no memory files, no /proc and no fork, liveconfig loads and reloads all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import os, sys
for name in ("memfd_create", "fork", "register_at_fork"):
    if hasattr(os, name):
        delattr(os, name)
sys.modules["fcntl"] = None  # as on Windows: importing it raises ModuleNotFoundError
import builtins
real = builtins.open
def no_proc(path, *arguments, **options):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(path)
    return real(path, *arguments, **options)
builtins.open = no_proc

"""

FOLLOW = CODE + "import runpy\nrunpy.run_path(sys.argv[1], run_name='__main__')"
PS = CODE + "from liveconfig.cli import main, ps\nsys.platform = 'win32'\nmain(['ps'])"


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_without_linux():
    """Without memfd_create, fork, fcntl and /proc, settings load and follow by polling, which one line says."""
    ran = run(FOLLOW, Path(__file__).parents[2] / "tools" / "try_platform.py")
    assert (ran.returncode, ran.stdout) == (0, "one, watched by polling, 0 reports\ntwo\n"), ran.stderr
    assert ran.stderr.splitlines() == [
        "App: inotify is unavailable (this platform has no inotify); checking every 2 s instead"
    ]


def test_ps_without_linux():
    """Without /proc, ``liveconfig ps`` says so in one line."""
    ran = run(PS)
    assert ran.stdout == "No process with live settings is visible. It needs /proc, which only Linux has.\n"
    assert ran.stderr == ""
