"""The contenders' own virtual environment."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["contenders_python"]

_ROOT = Path(__file__).parent.parent
_REQUIREMENTS = Path(__file__).parent / "requirements.txt"


def contenders_python() -> str | None:
    """Its interpreter, installed where it is not yet; None where the installation fails."""
    home = _ROOT / ".venv-contenders"
    python, marker = home / "bin" / "python", home / ".installed"
    wanted = hashlib.sha256(sys.version.encode() + _REQUIREMENTS.read_bytes()).hexdigest()
    if marker.is_file() and marker.read_text() == wanted:
        return str(python)
    print("installing the contenders into .venv-contenders (a minute or so)", file=sys.stderr, flush=True)
    venv.create(home, clear=True, with_pip=True)
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", _REQUIREMENTS]
    if subprocess.run(command, check=False).returncode:
        print("that failed: only liveconfig, the floor and the habit are measured", file=sys.stderr, flush=True)
        return None
    marker.write_text(wanted)
    return str(python)
