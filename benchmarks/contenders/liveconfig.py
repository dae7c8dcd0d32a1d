"""liveconfig, as its README says."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contenders._adapter import Adapter as Base
from liveconfig import Change, Settings, SettingsConfigDict


class Adapter(Base):
    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        body = {"__annotations__": dict.fromkeys(names, str), "model_config": self.configuration()}
        self._class: type[Settings] = type("AppSettings", (Settings,), {"__module__": __name__, **body})

    def configuration(self) -> SettingsConfigDict:
        return SettingsConfigDict(volumes=[self.path])

    def load(self) -> None:
        self.settings = self._class.load(_watch=False)

    def start(self) -> None:
        self.settings = self._class.load()

    def reload(self) -> None:
        self.settings.live.reload(wait=False)

    def read_all(self) -> list[str]:
        snapshot = self.settings.live.latest()
        return [getattr(snapshot, name) for name in self.names]

    def on_change(self, callback: Callable[[str], None]) -> None:
        @self.settings.live.on_change(lambda settings: settings.key_00000)
        def changed(change: Change[str]) -> None:
            callback(change.new)

    def close(self) -> None:
        self.settings.live.close()
