"""Imports of the packages of an extra, with an error that says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from liveconfig._distribution import install_command


@contextmanager
def extra_of(module: str) -> Iterator[None]:
    """Around the imports of the client that an integration is for: its extra is named as the integration is.

    Args:
        module: The integration's ``__name__``.

    Raises:
        ModuleNotFoundError: One of the imports is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = module.rpartition(".")[2]
        missing = (error.name or extra).partition(".")[0]
        sentence = f"{module} needs {missing}, which is not installed: {install_command(extra)}"
        raise ModuleNotFoundError(sentence, name=error.name) from None
