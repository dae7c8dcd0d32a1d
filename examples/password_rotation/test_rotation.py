"""A short run of the example: two rotations, one in each order."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the example, with its directory on the path."""
    monkeypatch.syspath_prepend(str(HERE))
    spec = importlib.util.spec_from_file_location("password_rotation_example", HERE / "rotation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_no_operation_fails(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The login is rotated under load in both orders; no operation fails, and all connections use the newest login."""
    assert example.main(rotations=2, gap=2.0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert re.search(r"the end +\d{2,} +0 +shop_3: \d$", lines[-1])
