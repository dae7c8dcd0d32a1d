"""The story in short, with the events of the Secret and without."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example's module, loaded as its own directory would."""
    monkeypatch.syspath_prepend(str(HERE))
    spec = importlib.util.spec_from_file_location("jwt_token_story", HERE / "story.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_client_always_has_a_good_token(story: ModuleType, tmp_path: Path) -> None:
    """While the token expires and is rotated, no request fails."""
    service, failed = story.tell(tmp_path / "secret", 4.5)
    assert service.served > 0
    assert failed == 0


def test_without_events_a_401_has_the_secret_read(story: ModuleType, tmp_path: Path) -> None:
    """Nobody watches the Secret: the service refuses an expired token, the client reads the new one and repeats."""
    service, failed = story.tell(tmp_path / "secret", 4.5, watch=False)
    assert service.refused > 0
    assert failed == 0


def test_a_token_of_another_key_or_time_is_refused(story: ModuleType) -> None:
    """The service takes no token that was signed with another key, nor one that has expired."""
    token = story.hs256.issue(b"key", "shop", 60)
    assert story.hs256.claims(b"key", token)["sub"] == "shop"
    with pytest.raises(ValueError, match="signature"):
        story.hs256.claims(b"other", token)
    with pytest.raises(ValueError, match="expired"):
        story.hs256.claims(b"key", story.hs256.issue(b"key", "shop", -1))
