"""Where the kernel has no memory files, no /proc and no fork, liveconfig loads and reloads all the same."""

from __future__ import annotations

import subprocess
import sys

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

from liveconfig import Settings, SettingsConfigDict, processes

class App(Settings):
    model_config = SettingsConfigDict(volumes=sys.argv[1])
    message: str

settings = App.load(_watch=False)
assert settings.message == "one"
print(processes(), flush=True)
"""


def test_without_linux(kubelet_volume):
    """Without memfd_create, fork, fcntl and /proc, settings load, and no process is listed."""
    kubelet_volume.write({"message": "one"})
    command = [sys.executable, "-c", CODE, str(kubelet_volume.path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "()\n"
