"""Settings for which there is no configuration, while a command imports the application that loads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic_settings import BaseSettings

from liveconfig._loading.loader import Feeds, Loaded, Loader, Overrides
from liveconfig._loading.pydantic_internals import build_without_values
from liveconfig.exceptions import LiveConfigError

S = TypeVar("S", bound=BaseSettings)

FAILURE = "__liveconfig_failure__"
"""The slot with the error that the constructor would have raised."""

_commands = 0
"""How many commands are importing an application now."""


@contextmanager
def importing_application() -> Iterator[None]:
    """Meanwhile a constructor without a configuration gives a stand-in instead of an error.

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
    """Why there is no configuration, for a stand-in; None for real settings."""
    try:
        found: LiveConfigError | None = object.__getattribute__(instance, FAILURE)
    except AttributeError:
        return None
    return found


class StandInLoader(Loader[S]):
    """Gives an instance that has its defaults, and raises the failure where another field is read."""

    failure: LiveConfigError

    def load(self, feeds: Feeds, before: S | None, overrides: tuple[Overrides, ...] = ()) -> Loaded[S]:  # noqa: ARG002
        """The stand-in, whatever the volumes hold."""
        snapshot = build_without_values(self.cls)
        object.__setattr__(snapshot, FAILURE, self.failure)
        return Loaded(snapshot, feeds, overrides)


def stand_in_loader(failure: LiveConfigError) -> type[StandInLoader[Any]]:
    """The loader that gives stand-ins for one failure."""
    return type("StandInLoader", (StandInLoader,), {"failure": failure})
