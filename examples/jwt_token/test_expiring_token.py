"""A short run of the example, with and without events of the Secret."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the example, with its directory on the path."""
    monkeypatch.syspath_prepend(str(HERE))
    spec = importlib.util.spec_from_file_location("jwt_token_example", HERE / "expiring_token.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_client_always_has_a_valid_token(example: ModuleType, tmp_path: Path) -> None:
    """No request fails while the token expires and is rotated."""
    service, failed = example.run(tmp_path / "secret", 4.5)
    assert service.served > 0
    assert failed == 0


def test_a_401_makes_the_client_read_the_secret(example: ModuleType, tmp_path: Path) -> None:
    """Without events, the service refuses an expired token; the client reads the new one and repeats the request."""
    service, failed = example.run(tmp_path / "secret", 4.5, watch=False)
    assert service.refused > 0
    assert failed == 0


def test_an_invalid_token_is_refused(example: ModuleType) -> None:
    """The service refuses a token that was signed with another key, and an expired one."""
    token = example.hs256.issue(b"key", "shop", 60)
    assert example.hs256.claims(b"key", token)["sub"] == "shop"
    with pytest.raises(ValueError, match="signature"):
        example.hs256.claims(b"other", token)
    with pytest.raises(ValueError, match="expired"):
        example.hs256.claims(b"key", example.hs256.issue(b"key", "shop", -1))
