"""The reference page is complete."""

from __future__ import annotations

from pathlib import Path

import liveconfig

PAGE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text("utf-8")
ON_MODULES = {"exceptions", "signals"}  # documented as whole modules


def test_the_reference_documents_every_public_name() -> None:
    """Each name of `liveconfig.__all__` has its entry, or belongs to a module that the page documents as a whole."""
    names = {
        name
        for name in liveconfig.__all__
        if getattr(getattr(liveconfig, name), "__module__", "") != "liveconfig.exceptions"
    }
    missing = [name for name in names - ON_MODULES - {"__version__"} if f":: liveconfig.{name}" not in PAGE]
    assert missing == []
    assert all(f":: liveconfig.{module}\n" in PAGE for module in ON_MODULES)
