"""On what and with what was measured; no host name and no path."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks._bench import Bench
from liveconfig._distribution import __version__

__all__ = ["machine", "versions"]

_ASK = """\
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def machine(directory: Path) -> str:
    """The machine in one sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    release = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB of memory, Linux {release}, "
        f"CPython {platform.python_version()}, volumes on {_filesystem(directory)}, "
        f"load average {os.getloadavg()[0]:.1f} before the run"
    )


def versions(bench: Bench) -> dict[str, str]:
    """The version of each distribution that was measured, by name."""
    found = {"liveconfig": __version__}
    for contender in bench.contenders:
        found |= _versions(bench.python(contender), contender.packages)
    return dict(sorted(found.items()))


def _versions(python: str, packages: Iterable[str]) -> dict[str, str]:
    done = subprocess.run([python, "-c", _ASK, *packages], capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(directory: Path) -> str:
    kinds = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        kinds[mount] = kind
    parents = [str(directory.resolve()), *map(str, directory.resolve().parents)]
    return next(kinds[parent] for parent in parents if parent in kinds)
