"""The picture in docs/architecture.md, held against the code."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "src").rglob("*.py"))
}
ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \| (.*?) \|$", re.MULTILINE)

LONGEST = 300
"""Lines at most in one module."""


def short(module: str) -> str:
    """The name of a room as the page has it."""
    return module if module in ("liveconfig", "_liveconfig_pytest") else module.removeprefix("liveconfig.")


def tree(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(SOURCES[module].read_text())


def own_imports(module: str) -> set[str]:
    """Our modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "liveconfig":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in SOURCES else str(node.module))
    return found


def test_table() -> None:
    """Each module imports just the rooms that the architecture page names for it."""
    page = (ROOT / "docs" / "architecture.md").read_text().partition("<!-- import table -->")[2]
    drawn = {room: set(re.findall(r"`([\w.]+)`", goes)) for room, _, goes in ROW.findall(page)}
    built = {short(module): {short(other) for other in own_imports(module)} for module in SOURCES}
    assert drawn == built


def test_no_cycle() -> None:
    """No module reaches itself by imports, those inside functions and for type checkers included."""
    graph = {module: own_imports(module) for module in SOURCES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(SOURCES)


def test_no_import_inside_a_function() -> None:
    """No function imports one of our modules, save the fixtures of the plugin that must be light."""
    for module in SOURCES.keys() - {"_liveconfig_pytest"}:
        for function in ast.walk(tree(module)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
                assert not [node for node in inner if (node.module or "").startswith("liveconfig")], module


def test_integrations_are_guests() -> None:
    """Integrations use the public surface and each other, nothing private."""
    public = {"liveconfig", "liveconfig.signals", "liveconfig.events", "liveconfig.exceptions"}
    for module in SOURCES:
        if module.startswith("liveconfig.integrations."):
            inner = {name for name in own_imports(module) if not name.startswith("liveconfig.integrations")}
            assert inner <= public, module


def test_one_place_knows() -> None:
    """watchdog, blinker and pydantic's validator each have one room that knows them."""
    words = {
        "watchdog": ["liveconfig._hints"],
        "blinker": ["liveconfig.signals"],
        "__pydantic_validator__": ["liveconfig._instance"],
        "register_at_fork": ["liveconfig._fork"],
    }
    for word, rooms in words.items():
        code = {module: ast.unparse(_without_docstrings(tree(module))) for module in SOURCES}
        assert [module for module, text in code.items() if re.search(rf"\b{word}\b", text)] == rooms, word


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return module


def test_module_length() -> None:
    """No module is long."""
    long = {module: count for module in SOURCES if (count := len(SOURCES[module].read_text().splitlines())) > LONGEST}
    assert not long
