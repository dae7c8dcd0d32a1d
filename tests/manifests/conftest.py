"""Manifests written to files, and what is found in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveconfig._manifests import Manifests, audit, read, read_paths, without_ignored


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., Manifests]:
    """A function that writes texts to files and reads them."""

    def read_texts(*texts: str, **options: Any) -> Manifests:
        paths = []
        for index, text in enumerate(texts):
            path = tmp_path / f"{index}.yaml"
            path.write_bytes(text.encode())
            paths.append(str(path))
        return read(read_paths(paths), **options)

    return read_texts


@pytest.fixture
def rules(found: Callable[..., Manifests]) -> Callable[..., list[tuple[str, str]]]:
    """A function that gives the rules that find something in texts, each with its level, those ignored left out."""

    def names(*texts: str, cluster: bool = False) -> list[tuple[str, str]]:
        manifests = found(*texts)
        assert manifests.problems == ()
        findings = without_ignored(audit(manifests, cluster=cluster), manifests).findings
        return [(finding.level, finding.rule) for finding in findings]

    return names
