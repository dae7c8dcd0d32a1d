"""The pages beside their snippets: pictures come from their scripts, links lead somewhere, the README stays short."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
OUTSIDE_DOCS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_flow_is_the_one_its_script_draws() -> None:
    """docs/_static/flow.svg is what docs/draw_flow.py draws."""
    flow = script(ROOT / "docs" / "draw_flow.py")
    assert flow.TARGET.read_text("utf-8") == flow.draw()


@pytest.mark.parametrize("name", ["faults.md", "cases.md"])
def test_the_faults_and_cases_are_those_that_the_tests_state(name: str) -> None:
    """docs/faults.md and docs/cases.md list each test that names an id, as docs/list_faults.py writes it."""
    faults, page = script(ROOT / "docs" / "list_faults.py"), ROOT / "docs" / name
    assert page.read_text("utf-8") == faults.draw(page)


def test_each_fault_and_each_case_has_a_test() -> None:
    """Each fault from G01 to I10, and each case K01 to K30 and S01 to S10, is stated by a test."""
    last = {"G": 9, "H": 6, "I": 10, "K": 30, "S": 10}
    stated = {each for row in script(ROOT / "docs" / "list_faults.py").rows() for each in row.ids}
    assert {f"{letter}{number:02}" for letter, end in last.items() for number in range(1, end + 1)} <= stated


def test_each_fault_that_a_promise_names_has_a_test() -> None:
    """No id that docs/list_faults.py holds against a promise is without a test."""
    faults = script(ROOT / "docs" / "list_faults.py")
    stated = {each for row in faults.rows() for each in row.ids}
    assert {each.partition("-")[0] for ids in faults.KEPT_BY.values() for each in ids.split()} <= stated


def test_the_readme_is_short_and_begins_with_an_example() -> None:
    """README.md has 120 lines at most, and its example begins by line 20."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 120
    assert lines.index("```python") < 20


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.parent.name)
def test_the_readme_of_an_example_is_short(page: Path) -> None:
    """The README of an example has 30 lines at most."""
    assert len(page.read_text("utf-8").splitlines()) <= 30


@pytest.mark.parametrize("page", OUTSIDE_DOCS + EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_outside_the_docs_lead_somewhere(page: Path) -> None:
    """A relative link of a page that Sphinx does not check leads to a file that is there."""
    targets = LINK.findall(page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
