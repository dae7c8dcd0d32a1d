"""liveconfig where the ConfigMap holds one YAML document."""

from __future__ import annotations

from benchmarks.contenders.liveconfig import Adapter as KeysAdapter
from liveconfig import SettingsConfigDict


class Adapter(KeysAdapter):
    def configuration(self) -> SettingsConfigDict:
        return SettingsConfigDict(volumes=[self.path], documents=["settings.yaml"])
