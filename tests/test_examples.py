"""Each example is run as its reader would: in its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted({path.parent.name for path in (ROOT / "examples").glob("*/test_*.py")})


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, tmp_path: Path) -> None:
    """The tests of an example pass in its folder with pytest alone and raise no warning; in CI none is skipped."""
    options = [
        "-W",
        "error",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-p",
        "no:timeout",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path / 'base'}",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options],
        cwd=ROOT / "examples" / name,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout or not os.environ.get("CI")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/README.md")), ids=lambda path: path.parent.name)
def test_readme_is_short(path: Path) -> None:
    """The README of an example fits on one screen."""
    assert len(path.read_text().splitlines()) <= 30
