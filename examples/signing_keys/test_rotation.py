"""No login is lost with a `KeyRing`; without its delay some are."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def rotation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("signing_keys_rotation", Path(__file__).parent / "rotation.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # pydantic looks for names there
    spec.loader.exec_module(module)
    return module


def test_no_login_is_lost(rotation: ModuleType, tmp_path: Path) -> None:
    """Pods that are swapped one after the other accept each other's cookies, and move to the new key."""
    story = rotation.tell(tmp_path)
    assert (story.lost, len(story.pods)) == (0, 3)
    assert story.signing() == "B B B"


def test_without_the_delay_logins_are_lost(rotation: ModuleType, tmp_path: Path) -> None:
    """A pod that signs with the newest key at once signs cookies that the other pod refuses."""
    assert rotation.tell(tmp_path, naive=True).lost > 0
