"""dynamic-config-py on one file, its strongest form: ``file(...)``, ``watch()`` and ``on_reload``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamic_config import DynamicConfig, Watch
from pydantic import create_model

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    expression = "settings.current().key_00000"

    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        self._model = create_model("AppSettings", **dict.fromkeys(names, (str, ...)))
        self._watch: Watch | None = None

    def source(self) -> DynamicConfig[Any]:
        return DynamicConfig(self._model, key="").whole_document().file(f"{self.path}/settings.json")

    def load(self) -> None:
        self.settings = self.source()
        self.settings.init()

    def start(self) -> None:
        self.load()
        self._watch = self.settings.watch()

    def reload(self) -> None:
        self.settings.reload()

    def read(self) -> str:
        return self.settings.current().key_00000

    def read_all(self) -> list[str]:
        current = self.settings.current()
        return [getattr(current, name) for name in self.names]

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._guard = self.settings.on_reload(lambda _old, new: callback(new.key_00000))

    def close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
