"""dynamic-config-py on a mounted Secret: ``secrets_dir(...)``, its own word for what Kubernetes mounts."""

from __future__ import annotations

from typing import Any

from dynamic_config import DynamicConfig

from benchmarks.contenders.dynamic_config import Adapter as FileAdapter


class Adapter(FileAdapter):
    def source(self) -> DynamicConfig[Any]:
        return DynamicConfig(self._model, key="").secrets_dir(self.path)

    def start(self) -> None:
        self.load()  # `watch()` raises here: "no configuration file to watch"
