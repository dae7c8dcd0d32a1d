"""The writer: a mounted volume in the shape that a contender reads, swapped as the kubelet does it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from liveconfig.testing import KubeletVolume

__all__ = ["Volume", "names"]


def names(count: int) -> list[str]:
    """The fields of a configuration of that many: one string for each name, as in source code."""
    return [sys.intern(f"key_{number:05}") for number in range(count)]


def _flags(values: Mapping[str, str]) -> dict[str, object]:
    return {
        name: {"state": "ENABLED", "variants": {"on": value}, "defaultVariant": "on"} for name, value in values.items()
    }


_SHAPES: dict[str, Callable[[Mapping[str, str]], Mapping[str, str]]] = {
    "keys": lambda values: values,
    "json": lambda values: {"settings.json": json.dumps(values)},
    "yaml": lambda values: {"settings.yaml": "".join(f"{name}: {value}\n" for name, value in values.items())},
    "launchdarkly": lambda values: {"flags.json": json.dumps({"flagValues": values})},
    "flagd": lambda values: {"flags.flagd.json": json.dumps({"flags": _flags(values)})},
}


class Volume:
    """A volume that holds a configuration in the given shape.

    Args:
        path: The mount directory.
        shape: One of a contender's shapes.
        count: How many fields.
    """

    def __init__(self, path: Path, shape: str, count: int) -> None:
        self.path = str(path)
        self.names = names(count)
        self._shape = _SHAPES[shape]
        self._kubelet = KubeletVolume(path)
        self._values: dict[str, str] = {}
        self.set_all("a value of a usual length")

    def set_first(self, value: str) -> int:
        """A new value of the first field, in one swap. Returns the moment (monotonic, ns) just before the rename."""
        self._values[self.names[0]] = value
        return self._swap()

    def set_all(self, value: str) -> int:
        """The same value in all fields, in one swap."""
        self._values = dict.fromkeys(self.names, value)
        return self._swap()

    def _swap(self) -> int:
        renamed_at = 0
        steps = self._kubelet.steps(self._shape(self._values))
        for step in steps:
            if step == "symlink":
                renamed_at = time.monotonic_ns()
        return renamed_at
