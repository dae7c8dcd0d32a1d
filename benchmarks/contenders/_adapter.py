"""What the worker asks of each contender."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

__all__ = ["Adapter"]


class Adapter:
    """One contender over one volume; the fields are `names`, all of them text.

    A subclass makes its class or schema in ``__init__``, which is not timed, and keeps what it loads in `settings`.
    """

    expression = "settings.key_00000"
    """How an application reads the newest value of the first field; timed as it stands."""

    def __init__(self, path: str, names: list[str]) -> None:
        self.path = path
        self.names = names
        self.settings: Any = None

    def load(self) -> None:
        """Load once, from nothing."""
        raise NotImplementedError

    def start(self) -> None:
        """Load, and follow the volume from now on."""
        self.load()

    def reload(self) -> None:
        """Load what is on the disk now."""
        self.load()

    def read(self) -> str:
        """The newest value of the first field, as `expression` has it."""
        return str(self.settings.key_00000)

    def read_all(self) -> list[str]:
        """One configuration, whole."""
        settings = self.settings
        return [getattr(settings, name) for name in self.names]

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call back with the new value of the first field."""
        raise NotImplementedError

    def namespace(self) -> dict[str, Any]:
        """The names that `expression` uses."""
        return {"settings": self.settings}

    def another(self) -> Self:
        """One more settings object of the same class over the same volume."""
        return copy.copy(self)

    def close(self) -> None:
        """Let go."""
