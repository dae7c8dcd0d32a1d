"""docs/audit.md: a section for each rule, whose bad manifest the rule finds and whose good one it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liveconfig._manifests import RULES, Source, audit, read, without_ignored

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def rules(text: str) -> set[str]:
    """The rules that find something in a manifest."""
    manifests = read([Source("page", text)])
    assert manifests.problems == ()
    return {finding.rule for finding in without_ignored(audit(manifests), manifests).findings}


def test_each_rule_has_a_section() -> None:
    """The page has a section for each rule, in the order of the rules, and a row with its level."""
    assert list(SECTIONS) == list(RULES)
    for name, rule in RULES.items():
        assert f"| [`{name}`](#{name}) | {rule.level}" in PAGE


@pytest.mark.parametrize("rule", RULES)
def test_examples(rule: str) -> None:
    """The bad manifest of a section gives a finding of its rule, and the good one gives none at all."""
    bad, good = FENCE.findall(SECTIONS[rule])
    assert rule in rules(bad)
    assert rules(good) == set()
