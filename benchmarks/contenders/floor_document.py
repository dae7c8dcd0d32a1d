"""The floor where the ConfigMap holds one JSON document: raw inotify, one file, `json.loads`, validate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.floor import Adapter as KeysAdapter


class Adapter(KeysAdapter):
    parse: Callable[[str], Any] = staticmethod(json.loads)

    def values(self) -> dict[str, str]:
        [name] = os.listdir(f"{self.path}/..data")
        with open(f"{self.path}/..data/{name}") as file:
            return dict(self.parse(file.read()))
