"""Reading of manifests from files, directories and standard input, and nothing outside the given paths."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

STANDARD_INPUT = "-"

_ENDINGS = (".yaml", ".yml", ".json")
_HERE = os.path.join(os.curdir, "")
_RENDERED = {
    "Chart.yaml": ("Helm chart", "helm template"),
    "kustomization.yaml": ("kustomization", "kustomize build"),
    "kustomization.yml": ("kustomization", "kustomize build"),
    "Kustomization": ("kustomization", "kustomize build"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A text to parse.

    Attributes:
        name: The name in findings: its path, ``"-"`` for standard input, ``""`` for a cluster.
        text: The whole content.
        named: The user gave this very file, not a directory above it.
    """

    name: str
    text: str = field(repr=False)
    named: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Input that cannot be read.

    Attributes:
        file: The path, or ``"-"``.
        line: The line at fault, counted from 1; None if there is none.
        message: The problem, without content, and what to do.
    """

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of the input that is left out on purpose.

    Attributes:
        path: The file or directory.
        reason: Why.
        render: The command that renders manifests from it; empty if there is none.
    """

    path: str
    reason: str
    render: str = ""

    def advice(self, command: str) -> str:
        """What was left out, and how a command gets it.

        Args:
            command: The command that reads manifests from standard input, as ``liveconfig audit``.
        """
        return f"{self.path}: {self.reason}" + f": {self.render} | {command} -" * bool(self.render)


Found: TypeAlias = Source | Problem | Skipped


def read_paths(paths: Iterable[str]) -> Iterator[Found]:
    """Yield the content of each file, and of each ``.yaml``, ``.yml`` and ``.json`` file below each directory.

    A directory with a Chart.yaml or a kustomization.yaml is skipped, with all directories below it. A symbolic link
    below a directory is followed only to a file in that directory.
    """
    for path in paths:
        if path == STANDARD_INPUT:
            yield _standard_input()
        elif os.path.isdir(path):
            yield from _below(path)
        elif os.path.basename(path) in _RENDERED:
            yield _to_render(os.path.dirname(path) or ".", os.path.basename(path))
        else:
            yield _file(path, named=True)


def _standard_input() -> Found:
    if sys.stdin is None:
        return Problem(STANDARD_INPUT, None, "standard input is closed")
    found = _decoded(STANDARD_INPUT, sys.stdin.buffer.read(), named=True)
    if isinstance(found, Source) and not found.text.strip():
        return Problem(STANDARD_INPUT, None, "standard input is empty: did the command before the pipe fail?")
    return found


def _below(root: str) -> Iterator[Found]:
    faults: list[OSError] = []
    inside = os.path.join(os.path.realpath(root), "")
    for folder, folders, files in os.walk(root, onerror=faults.append):
        yield from (_unreadable(fault, str(fault.filename)) for fault in faults)
        faults.clear()
        if rendered := sorted(_RENDERED.keys() & set(files)):
            folders.clear()
            yield _to_render(folder, rendered[0])
            continue
        folders.sort()
        for name in sorted([*folders, *files]):
            yield from _entry(os.path.join(folder, name).removeprefix(_HERE), inside)
    yield from (_unreadable(fault, str(fault.filename)) for fault in faults)


def _entry(path: str, inside: str) -> Iterator[Found]:
    """One entry of a directory. A link to a place inside the directory is skipped: its target has its own entry."""
    if os.path.islink(path):
        target = os.path.realpath(path)
        if not target.startswith(inside):
            if path.endswith(_ENDINGS) or os.path.isdir(target):
                yield Skipped(path, "a symbolic link that leaves the directory is not followed")
            return
        if target.endswith(_ENDINGS):
            return
    if path.endswith(_ENDINGS) and _is_file(path):
        yield _file(path, named=False)


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # deleted meanwhile, or a dangling link
        return False


def _to_render(folder: str, name: str) -> Skipped:
    what, command = _RENDERED[name]
    return Skipped(folder, f"a {what} is not rendered", f"{command} {shlex.quote(folder)}")


def _file(path: str, *, named: bool) -> Found:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        return _unreadable(error, path)
    return _decoded(path, content, named=named)


def _unreadable(error: OSError, path: str) -> Problem:
    return Problem(path or "''", None, (error.strerror or type(error).__name__).lower())


def _decoded(name: str, content: bytes, *, named: bool) -> Found:
    """UTF-8, or UTF-16 with its mark, as PowerShell writes it."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return Source(name, content.decode(encoding), named)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    return Problem(name, line, "not UTF-8 text")
