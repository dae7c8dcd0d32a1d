"""What people write by hand: ``for changes in watch(directory)``, read each key, validate, store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from pydantic import create_model
from watchfiles import watch

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        self._model = create_model("AppSettings", **dict.fromkeys(names, (str, ...)))
        self._callback: Callable[[str], None] | None = None
        self._stop = threading.Event()

    def load(self) -> None:
        keys = [file for file in Path(self.path).iterdir() if not file.name.startswith("..")]
        self.settings = self._model.model_validate({file.name: file.read_text().rstrip("\n") for file in keys})

    def start(self) -> None:
        self.load()
        threading.Thread(target=self._follow, daemon=True).start()

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._callback = callback

    def close(self) -> None:
        self._stop.set()

    def _follow(self) -> None:
        for _changes in watch(self.path, stop_event=self._stop):
            try:
                self.load()
            except (OSError, ValueError):
                continue
            if self._callback is not None:
                self._callback(self.settings.key_00000)
