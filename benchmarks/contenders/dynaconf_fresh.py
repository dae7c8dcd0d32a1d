"""dynaconf with ``settings_files``: no watch, ``get_fresh`` and ``reload()`` where the newest value is wanted."""

from __future__ import annotations

from dynaconf import Dynaconf

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    expression = "settings.get_fresh('KEY_00000')"

    def load(self) -> None:
        self.settings = Dynaconf(settings_files=[f"{self.path}/settings.json"])
        self.settings.KEY_00000  # noqa: B018 - it loads at the first access

    def reload(self) -> None:
        self.settings.reload()

    def read(self) -> str:
        return str(self.settings.get_fresh("KEY_00000"))

    def read_all(self) -> list[str]:
        self.settings.reload()
        return [self.settings[name.upper()] for name in self.names]
