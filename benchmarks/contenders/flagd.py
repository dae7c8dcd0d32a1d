"""The file mode of the flagd provider for OpenFeature."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Self

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.event import ProviderEvent

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    expression = "settings.get_string_value('key_00000', '')"

    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        self._domain = uuid.uuid4().hex

    def load(self) -> None:
        provider = FlagdProvider(
            resolver_type=ResolverType.FILE, offline_flag_source_path=f"{self.path}/flags.flagd.json"
        )
        api.set_provider_and_wait(provider, self._domain)
        self.settings = api.get_client(self._domain)

    def read(self) -> str:
        return self.settings.get_string_value("key_00000", "")

    def read_all(self) -> list[str]:
        return [self.settings.get_string_value(name, "") for name in self.names]

    def on_change(self, callback: Callable[[str], None]) -> None:
        self.settings.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda _details: callback(self.read()))

    def another(self) -> Self:
        return type(self)(self.path, self.names)

    def close(self) -> None:
        api.shutdown()
