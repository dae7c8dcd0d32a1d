"""This distribution: its version, its name, and how to install what one of its extras needs."""

from __future__ import annotations

from importlib import import_module

__version__ = "0.2.0"

NAME = "kube-liveconfig"


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra, such as ``pip install 'pyyaml>=6.0.1'``.

    It names the packages and not the extra, because the distribution is not on the package index yet.
    """
    metadata = import_module("importlib.metadata")  # when first wanted: it costs 10 ms of each command
    try:
        requirements = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:  # a copy of the source on the path, which has no metadata
        return f"pip install '{NAME}[{extra}]'"
    marker = f"extra == '{extra}'"
    packages = [each.partition(";")[0].strip() for each in requirements if marker in each.replace('"', "'")]
    return " ".join(["pip install", *(f"'{each}'" for each in packages)])
