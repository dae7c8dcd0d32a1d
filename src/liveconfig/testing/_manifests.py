"""A check of manifests for tests of applications."""

from __future__ import annotations

import os

from liveconfig._checks import CannotCheck, Selection, check, findings, must_hold_something
from liveconfig._manifests import read, read_paths
from liveconfig.settings import Settings


def check_manifests(
    cls: type[Settings], *paths: str | os.PathLike[str], workload: str = "", container: str = ""
) -> None:
    """Fail unless the application would start with these manifests, as ``liveconfig check`` does.

    Args:
        cls: The settings class.
        paths: Manifests: files and directories.
        workload: ``KIND/NAME``; empty for every workload that mounts a volume of the class.
        container: The name of a container; empty for all but those that mount fewer volumes of the class than another
            one of their pod, as an init container does.

    Raises:
        AssertionError: There are findings of level error; each with file and line, and no value.
        TypeError: It is no settings class.
    """
    if not (isinstance(cls, type) and issubclass(cls, Settings)):
        found = f"the class {cls.__name__}" if isinstance(cls, type) else type(cls).__name__
        raise TypeError(f"expected a settings class, a subclass of Settings, found {found}")
    manifests = read(read_paths([os.fspath(path) for path in paths]), values=True)
    lines = [f"{each.file}:{each.line or 1}: {each.message}" for each in manifests.problems]
    try:
        if not manifests.problems:
            must_hold_something(manifests, Selection())
        found = findings(check(cls, manifests, Selection(workload, container)))
    except CannotCheck as error:
        lines.append(str(error))
    else:
        for each in found:
            place = f"{each.place.file}:{each.place.line}: " if each.place else ""
            lines += [f"{place}{each.message} [{each.rule}]"] * (each.level == "error")
    if lines:
        lines += [each.advice("liveconfig check MODULE:CLASS") for each in manifests.skipped]
        raise AssertionError("\n".join(lines))
