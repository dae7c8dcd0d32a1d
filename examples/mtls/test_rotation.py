"""No request fails while the authority is replaced, and the old one is refused afterwards."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def test_no_request_fails(tmp_path: Path) -> None:
    """All requests of the client are served; one that kept its old certificate, and a session, is refused."""
    spec = importlib.util.spec_from_file_location("mtls_rotation", Path(__file__).parent / "rotation.py")
    assert spec is not None
    assert spec.loader is not None
    rotation = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rotation)
    server = rotation.tell(tmp_path)
    assert (server.served, server.refused) == (161, 1)
