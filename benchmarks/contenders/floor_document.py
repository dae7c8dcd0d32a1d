"""The floor where the ConfigMap holds one JSON document: raw inotify, one file, `json.loads`, validate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.floor import Adapter as KeysAdapter
from benchmarks.contenders.floor import read_generation


class Adapter(KeysAdapter):
    parse: Callable[[str], Any] = staticmethod(json.loads)

    def values(self) -> dict[str, str]:
        [content] = read_generation(self.path).values()
        return dict(self.parse(content))
