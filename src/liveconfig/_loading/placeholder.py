"""Placeholders for settings without a valid configuration, while a command imports their application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._loading.loader import Feeds, Loaded, Loader, Overrides
from liveconfig._loading.pydantic_internals import build_without_values, slot
from liveconfig.exceptions import LiveConfigError

S = TypeVar("S", bound=BaseSettings)

FAILURE = "__liveconfig_failure__"
"""The slot with the error that the constructor did not raise."""

_commands = 0
"""The number of commands that are importing an application."""


@contextmanager
def importing_application() -> Iterator[None]:
    """Let constructors return a placeholder instead of raising, if there is no valid configuration.

    In a pipeline no volume is mounted, and applications load their settings at the top of a module.
    """
    global _commands  # noqa: PLW0603 - it is about the process
    _commands += 1
    try:
        yield
    finally:
        _commands -= 1


def is_importing() -> bool:
    """Whether a command imports an application now."""
    return _commands > 0


def failure_of(instance: object) -> LiveConfigError | None:
    """Return why a placeholder has no configuration; None for real settings."""
    failure: LiveConfigError | None = slot(instance, FAILURE)
    return failure


class PlaceholderLoader(Loader[S]):
    """Makes instances with the defaults only; reading another field raises the error."""

    failure: LiveConfigError

    def load(
        self,
        feeds: Feeds,
        before: Loaded[S] | None,  # noqa: ARG002
        overrides: tuple[Overrides, ...] = (),
    ) -> Loaded[S]:
        """Return the placeholder, whatever the content of the volumes."""
        snapshot = build_without_values(self.cls)
        object.__setattr__(snapshot, FAILURE, self.failure)
        return Loaded(snapshot, feeds, overrides)


def placeholder_loader(failure: LiveConfigError) -> type[PlaceholderLoader[Any]]:
    """Return a loader that makes placeholders for one error."""
    return type("PlaceholderLoader", (PlaceholderLoader,), {"failure": failure})
