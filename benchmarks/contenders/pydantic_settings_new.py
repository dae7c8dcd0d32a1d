"""pydantic-settings with ``secrets_dir``: it has no refresh, so a new instance for whoever wants the newest value."""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    expression = "AppSettings().key_00000"

    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        body = {"__annotations__": dict.fromkeys(names, str), "model_config": SettingsConfigDict(secrets_dir=path)}
        self.AppSettings = type("AppSettings", (BaseSettings,), {"__module__": __name__, **body})

    def load(self) -> None:
        self.settings = self.AppSettings()

    def read(self) -> str:
        return str(self.AppSettings().key_00000)

    def namespace(self) -> dict[str, Any]:
        return {"AppSettings": self.AppSettings}

    def read_all(self) -> list[str]:
        self.load()
        return super().read_all()
