"""On a platform without memory files, /proc, fork and open folders, liveconfig loads and follows by polling."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import builtins, errno, os, signal, sys
missing = "memfd_create fork register_at_fork killpg getuid geteuid getgid getegid getpgid sched_yield sched_getaffinity"
flags = "O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_CLOEXEC"
for name in (missing + " " + flags).split():
    if hasattr(os, name):
        delattr(os, name)
del signal.SIGHUP, signal.SIGKILL
sys.modules["fcntl"] = None  # as on Windows: importing it raises ModuleNotFoundError

def without_linux(function):
    def call(path, *arguments, dir_fd=None, **options):
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if str(path).startswith("/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if function is opens and os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if function is scans and isinstance(path, int):
            raise TypeError("scandir: path should be string, bytes, os.PathLike or None, not int")
        return function(path, *arguments, **options)
    return call

opens, scans = os.open, os.scandir
for name in ("access", "listdir", "lstat", "open", "readlink", "scandir", "stat", "statvfs"):
    setattr(os, name, without_linux(getattr(os, name)))
builtins.open = without_linux(builtins.open)

"""

FOLLOW = CODE + "import runpy\nrunpy.run_path(sys.argv[1], run_name='__main__')"
HELP = CODE + "from liveconfig.cli import main\nmain([sys.argv[1], '--help'])"
PS = CODE + "from liveconfig.cli import main, ps\nsys.platform = 'win32'\nmain(['ps'])"


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_without_linux():
    """Without memfd_create, fork, fcntl, /proc, and the flags and descriptors that Windows lacks, settings follow by polling."""
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


@pytest.mark.parametrize("command", ["demo", "watch", "explain", "audit", "check", "schema", "ps", "status", "sync"])
def test_commands_without_linux(command):
    """Each command starts, and prints its help, without what only Linux has."""
    ran = run(HELP, command)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"usage: liveconfig {command}")
