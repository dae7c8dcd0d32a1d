"""Every Python fence of the documentation runs, and prints what its page says it prints.

The fences of a page run in order, in one module called ``app``, in an empty directory. The module holds the fixtures of
the test kit and two volumes: ``config``, mounted at ``/etc/config``, and ``secrets``, mounted at ``/etc/secrets``.

- A comment ``<!-- setup: ... -->`` runs too; readers do not see it.
- Lines ``#> text`` show what their fence prints. ``...`` matches anything, and a long line may be wrapped.
- On a page with the comment ``<!-- interactive -->`` the value of each expression is printed, as at a Python prompt.
- A fence that must not run is ``text``, ``yaml`` or ``console``, not ``python``.
- A fence under the comment ``<!-- pending -->`` shows behaviour that is not implemented yet, and does not run.
"""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

from liveconfig import LiveConfigError, Settings
from liveconfig.testing import KubeletVolume

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "_build" not in path.parts
}
BLOCK = re.compile(
    r"(?<!^<!-- pending -->\n)^(?:```python|<!-- setup:)\n(?P<code>.*?)^(?:```|-->)$", re.MULTILINE | re.DOTALL
)
FENCE = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
GIVEN = ["tmp_path", "kubelet_volume", "make_kubelet_volume", "config", "secrets"]
LOOKS_LIKE_PYTHON = re.compile(
    r"^[ >]*(?:`{3,}|~{3,}|:{3,}) *(?:\{[\w-]*(?:code|source)[\w-]*\} *)?i?py(?:thon3?|con|3)?\b.*$",
    re.MULTILINE | re.IGNORECASE,
)
OUTPUT = re.compile(r"^\s*#> ?(.*)$", re.MULTILINE)


def blocks(page: str, kind: re.Pattern[str] = BLOCK) -> Iterator[str]:
    """Yield the code of each fence, moved down so that a traceback names the line of the page."""
    text = PAGES[page]
    for match in kind.finditer(text):
        yield "\n" * text.count("\n", 0, match.start("code")) + match["code"]


def execute(page: str, code: str, names: dict[str, Any]) -> None:
    """Run the code of one fence; on an interactive page statement by statement, each value printed."""
    module = ast.parse(code)
    if "<!-- interactive -->" not in PAGES[page]:
        exec(compile(module, f"<{page}>", "exec"), names)
        return
    for statement in module.body:
        exec(compile(ast.Interactive([statement]), f"<{page}>", "single"), names)


def replaced(text: str, paths: Mapping[str, str]) -> str:
    for old, new in paths.items():
        text = text.replace(old, new)
    return text


def assert_printed(code: str, printed: str) -> None:
    """Compare words, so that a page may break a long line."""
    shown = " ".join(" ".join(OUTPUT.findall(code)).split())
    pattern = re.escape(shown).replace(re.escape("..."), ".*")
    printed = " ".join(printed.split())
    assert not shown or re.fullmatch(pattern, printed), f"shown:   {shown}\nprinted: {printed}"


@pytest.fixture
def as_before() -> Iterator[None]:
    """Undo what a page does to the variables and the loggers of the process."""
    loggers = [logging.getLogger(), logging.getLogger("liveconfig")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    with patch.dict(os.environ):
        yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def opened() -> Iterator[list[Settings]]:
    """The settings that a page makes; they are closed behind it."""
    made: list[Settings] = []
    yield made
    for settings in made:
        with contextlib.suppress(LiveConfigError):  # a snapshot has nothing to close
            settings.live.close()


@pytest.fixture
def names(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kubelet_volume: KubeletVolume,
    make_kubelet_volume: Callable[..., KubeletVolume],
) -> dict[str, Any]:
    """The names that a page finds in its module."""
    module = ModuleType("app")
    monkeypatch.setitem(sys.modules, "app", module)
    vars(module).update(
        tmp_path=tmp_path,
        kubelet_volume=kubelet_volume,
        make_kubelet_volume=make_kubelet_volume,
        config=make_kubelet_volume("etc-config"),
        secrets=make_kubelet_volume("etc-secrets"),
    )
    return vars(module)


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "\n```python\n" in text])
def test_the_snippets_of_a_page_run(
    page: str,
    names: dict[str, Any],
    opened: list[Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """The snippets of a page run in order and print what the page shows."""
    if "inotify\n" in PAGES[page]:  # the snippet prints how it watches
        request.getfixturevalue("inotify")
    real = {"/etc/config": str(names["config"].path), "/etc/secrets": str(names["secrets"].path)}
    shown = {path: name for name, path in real.items()}
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for code in blocks(page):
            start = printed.tell()
            execute(page, replaced(code, real), names)
            opened += [value for value in names.values() if isinstance(value, Settings)]
            assert_printed(code, replaced(printed.getvalue()[start:], shown))


@pytest.mark.parametrize("page", PAGES)
def test_no_snippet_escapes(page: str) -> None:
    """A fence that looks like Python is spelled so that it runs."""
    assert [line for line in LOOKS_LIKE_PYTHON.findall(PAGES[page]) if line != "```python"] == []


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if FENCE.search(text)])
def test_what_a_reader_sees_defines_the_names_it_uses(page: str) -> None:
    """The fences of a page, without what is hidden, import or define every name in them but those given to all pages."""
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F821", f"--config=builtins={GIVEN}", "-"]
    visible = "".join(code.lstrip("\n") for code in blocks(page, FENCE))
    checked = subprocess.run(ruff, input=visible, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


VOLUME_IN_USE = re.compile(r"(?<![\w.])(config|secrets)\.(?:write|update|remove)\(")
HIDDEN_OR_CODE = re.compile(r"^```.*?^```$|^<!--.*?-->$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if FENCE.search(text)])
def test_a_page_says_what_the_volumes_in_its_fences_are(page: str) -> None:
    """A page whose visible fences write to `config` or `secrets` says in its text that these are volumes of the test kit."""
    used = {name for code in blocks(page, FENCE) for name in VOLUME_IN_USE.findall(code)}
    prose = " ".join(HIDDEN_OR_CODE.sub("", PAGES[page]).split())
    assert {name for name in used if f"`{name}`" not in prose} == set()
    assert not used or "[test kit](" in prose
