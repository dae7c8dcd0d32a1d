"""The structure in docs/architecture.md, held against the code."""

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
PRIVATE = ["_engine", "_diagnostics", "_delivery", "_watching", "_loading", "_processes", "_volumes", "_manifests"]
"""The private packages: the stages from top to bottom, and the one beside them."""

EDGES = ("cli", "testing", "integrations")
TREES = {module: ast.parse(path.read_text()) for module, path in SOURCES.items()}


def room(module: str) -> str:
    """The package or top-level module that a module belongs to, as the page names it."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def own_imports(module: str) -> set[str]:
    """Our modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "liveconfig":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in SOURCES else str(node.module))
    return found


def imported_names(module: str) -> set[tuple[str, str]]:
    """What a module imports from our modules: pairs of module and name."""
    return {
        (node.module, alias.name)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "liveconfig"
        for alias in node.names
    }


def test_table() -> None:
    """Each package and top-level module imports exactly what the architecture page names for it."""
    page = (ROOT / "docs" / "architecture.md").read_text().partition("<!-- import table -->")[2]
    drawn = {name: set(re.findall(r"`([\w.]+)`", imports)) for name, _, imports in ROW.findall(page)}
    built: dict[str, set[str]] = {}
    for module in SOURCES:
        built.setdefault(room(module), set()).update(room(other) for other in own_imports(module))
    assert drawn == {name: imports - {name} for name, imports in built.items()}


def test_stages_import_only_what_is_below() -> None:
    """A stage imports no stage above it, and no edge, and not the public face."""
    for module in SOURCES:
        here = room(module)
        if here in PRIVATE:
            above = {*PRIVATE[: PRIVATE.index(here)], *EDGES, "settings", "live"}
            assert not {room(other) for other in own_imports(module)} & above, module


def test_a_package_is_used_through_its_init() -> None:
    """Code outside a private package imports only names that its ``__init__`` lists in ``__all__``."""
    for module in SOURCES:
        for source, name in imported_names(module):
            package = room(source)
            if package in PRIVATE and room(module) != package:
                init = SOURCES[f"liveconfig.{package}"].read_text()
                assert source == f"liveconfig.{package}", (module, source)
                assert f'"{name}"' in init, (module, name)


def test_each_package_maps_its_modules() -> None:
    """The docstring of each private package names every module with the first sentence of its docstring."""
    for package in PRIVATE:
        text = " ".join((ast.get_docstring(TREES[f"liveconfig.{package}"]) or "").split())
        for module in SOURCES:
            if module.startswith(f"liveconfig.{package}."):
                first = (ast.get_docstring(TREES[module]) or "").split("\n\n")[0]
                sentence = " ".join(first.split())
                assert f"- `{module.rpartition('.')[2]}`: {sentence}" in text, module


def test_no_cycle() -> None:
    """No module reaches itself by imports, those inside functions and for type checkers included."""
    graph = {module: own_imports(module) for module in SOURCES}
    assert set(TopologicalSorter(graph).static_order()) == set(SOURCES)


def test_no_import_inside_a_function() -> None:
    """No function imports one of our modules, except the fixtures of the pytest plugin, which must start fast."""
    for module in SOURCES.keys() - {"_liveconfig_pytest"}:
        for function in ast.walk(TREES[module]):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
                assert not [node for node in inner if (node.module or "").startswith("liveconfig")], module


def test_integrations_use_public_names() -> None:
    """Integrations import public modules, each other, the command that installs what is missing, and explain's text."""
    public = {"liveconfig", "liveconfig.signals", "liveconfig.events", "liveconfig.exceptions", "liveconfig.status"}
    public |= {"liveconfig.settings", "liveconfig._distribution", "liveconfig._status_text", "liveconfig._terminal"}
    for module in SOURCES:
        if module.startswith("liveconfig.integrations."):
            inner = {name for name in own_imports(module) if not name.startswith("liveconfig.integrations")}
            assert inner <= public, module


def test_one_place_knows() -> None:
    """watchdog, blinker, pydantic's validator and the fork hook are each used by one module."""
    words = {
        "watchdog": ["liveconfig._watching.inotify"],
        "blinker": ["liveconfig.signals"],
        "__pydantic_validator__": ["liveconfig._loading.pydantic_internals"],
        "register_at_fork": ["liveconfig._watching.fork"],
    }
    for word, modules in words.items():
        code = {module: ast.unparse(_without_docstrings(ast.parse(SOURCES[module].read_text()))) for module in SOURCES}
        assert [module for module, text in code.items() if re.search(rf"\b{word}\b", text)] == modules, word


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return module


def test_no_property_holds_a_lock() -> None:
    """No stage uses the property of functools, which holds a lock in Python 3.11 that a fork leaves locked."""
    decorators = {
        (module, ast.unparse(decorator))
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and room(module) != "_manifests"
        for decorator in node.decorator_list
    }
    assert [module for module, decorator in decorators if decorator.endswith("cached_property")] == []
