"""Manifests that are wrong in any way: they are read or called unreadable, and never an exception."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from liveconfig._manifests import Source, audit, parse_ref_path, read, without_ignored

REAL = sorted((Path(__file__).parent / "real").iterdir())
ODD: list[Any] = [
    None,
    True,
    7,
    1.5,
    "",
    "x",
    "a/b",
    "\ud800",
    [],
    {},
    [None],
    [[]],
    ["x"],
    {"name": None},
    {"name": ["x"]},
    {"": ""},
]
PATHS = [parse_ref_path(path) for path in ("Deployment.apps:spec.template.spec", "Pod:spec.containers[].name")]


def look(text: str) -> None:
    """Read a text and apply every rule."""
    manifests = read([Source("x.yaml", text)], values=True, ref_paths=PATHS)
    without_ignored(audit(manifests, cluster=True), manifests)
    assert manifests.uses is not None


def changed(value: Any, random: random.Random) -> Any:
    """The value with one node, wherever it is, replaced by something odd."""
    value = copy.deepcopy(value)
    node, key = None, None
    inner = value
    while isinstance(inner, (dict, list)) and inner and random.random() < 0.9:
        node, key = inner, random.choice(list(inner)) if isinstance(inner, dict) else random.randrange(len(inner))
        inner = node[key]
    if node is not None:
        node[key] = random.choice(ODD)
    return value


@pytest.mark.parametrize("path", [path for path in REAL if path.suffix == ".yaml"], ids=lambda path: path.stem)
def test_odd_values(path: Path) -> None:
    """A node of any type in the place of any other does no harm."""
    documents = list(yaml.safe_load_all(path.read_text()))
    for seed in range(50):
        generator = random.Random(seed)
        some = [changed(document, generator) for document in documents]
        look("\n".join(json.dumps(document, default=str) for document in some if isinstance(document, dict)))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_broken_text(path: Path) -> None:
    """A text of which a piece is missing or doubled does no harm."""
    text = path.read_text()
    for seed in range(20):
        generator = random.Random(seed)
        at = generator.randrange(len(text))
        to = at + generator.randrange(40)
        look(text[:at] + text[to:])
        look(text[:to] + text[at:])
