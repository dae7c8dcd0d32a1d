"""Measurements of liveconfig alone: a module of `benchmarks.ours` in a process of its own, which prints JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["script"]

_ROOT = Path(__file__).parent.parent


def script(name: str, *arguments: str, python: str = sys.executable) -> dict[str, Any]:
    """What ``benchmarks.ours.<name>`` found."""
    command = [python, "-m", f"benchmarks.ours.{name}", *arguments]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return dict(json.loads(done.stdout))
