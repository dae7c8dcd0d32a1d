"""Manifests as people have them: each finding stands where a comment ``# <- rule`` marks it, and no other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from liveconfig._manifests import RULES, audit, read, read_paths, without_ignored

REAL = sorted((Path(__file__).parent / "real").iterdir())
MARK = re.compile(r"# <- ((?:[a-z-]+(?:, )?)+)$", re.MULTILINE)


def marked(path: Path) -> Counter[tuple[int, str]]:
    """The rules that the comments of a file name, with their lines."""
    lines = path.read_bytes().decode().splitlines()
    found = ((number, match[1]) for number, line in enumerate(lines, 1) if (match := MARK.search(line)))
    return Counter((number, rule) for number, rules in found for rule in rules.split(", ") if rule in RULES)


@pytest.mark.parametrize("path", [path for path in REAL if path.suffix == ".yaml"], ids=lambda path: path.stem)
def test_findings(path: Path) -> None:
    """Each rule finds what is marked, on its line, and nothing else."""
    manifests = read(read_paths([str(path)]))
    assert manifests.problems == ()
    findings = without_ignored(audit(manifests), manifests).findings
    found = Counter((finding.place.line if finding.place else 0, finding.rule) for finding in findings)
    assert found == marked(path)


def test_json() -> None:
    """A finding in JSON has the line of the field."""
    [path] = [path for path in REAL if path.suffix == ".json"]
    manifests = read(read_paths([str(path)]))
    [finding] = audit(manifests)
    assert finding.place is not None
    assert (finding.rule, path.read_text().splitlines()[finding.place.line - 1].strip()) == (
        "frozen-subpath",
        '"subPath": "id_rsa"',
    )


def test_there_are_many() -> None:
    """Forty kinds of manifests are tried, one a file."""
    assert len(REAL) > 40


def test_each_rule_is_found_somewhere() -> None:
    """No rule is without a manifest here that it finds something in."""
    found = {rule for path in REAL for _, rule in marked(path)}
    assert found == set(RULES)
