"""The workflows of a public host: they run the commands that contributors run, and need no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_needs_no_secret(path):
    """No workflow reads a secret, and each job may only read the repository unless it says more."""
    text = path.read_text("utf-8")
    assert "secrets" not in text
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_what_exists(path):
    """Each make target and each file that a workflow names is in the repository."""
    text = path.read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([\w-]+)", text)) <= targets
    assert [each for each in re.findall(r"\btools/[\w.]+", text) if not (ROOT / each).exists()] == []


def test_only_one_job_may_publish():
    """Only the job that publishes may prove its identity to the package index, and only for a tag."""
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads the key `on` as true
    assert {name for name, job in release["jobs"].items() if "permissions" in job} == {"publish"}
    assert release["jobs"]["publish"]["needs"] == ["test", "build"]
