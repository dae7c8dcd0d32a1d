"""Manifests for each way that a rule finds something, and for each that looks like one and is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liveconfig._manifests import RULES, Source, audit, read, without_ignored

CASES = re.findall(
    r"^# === (.+): (.+)\n((?:(?!# ===).*\n?)*)", Path(__file__).with_name("rule_cases.yaml").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("rules", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rules(rules: str, text: str) -> None:
    """The rules that the title of a case names find something, and no other one."""
    manifests = read([Source("case.yaml", text)])
    assert manifests.problems == ()
    found = without_ignored(audit(manifests), manifests).findings
    assert {each.rule for each in found} == set(rules.split(", ")) - {"nothing"}


def test_each_rule_has_both() -> None:
    """Each rule is in the title of some cases and missing from many others."""
    found = {rule for _, rules, _ in CASES for rule in rules.split(", ")}
    assert found >= set(RULES)
    assert len(CASES) > 80
