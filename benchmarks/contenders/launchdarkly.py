"""The file data source of the LaunchDarkly server SDK, with ``auto_update`` and watchdog installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ldclient import Config, Context, LDClient
from ldclient.integrations import Files

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    expression = "settings.variation('key_00000', context, '')"
    context = Context.create("benchmark")

    def namespace(self) -> dict[str, Any]:
        return {"settings": self.settings, "context": self.context}

    def load(self) -> None:
        source = Files.new_data_source(paths=[f"{self.path}/flags.json"], auto_update=False)
        self.settings = LDClient(Config("sdk-key", update_processor_class=source, send_events=False))

    def start(self) -> None:
        source = Files.new_data_source(paths=[f"{self.path}/flags.json"], auto_update=True)
        self.settings = LDClient(Config("sdk-key", update_processor_class=source, send_events=False))

    def read(self) -> str:
        return str(self.settings.variation("key_00000", self.context, ""))

    def read_all(self) -> list[str]:
        state = self.settings.all_flags_state(self.context)
        return [state.get_flag_value(name) for name in self.names]

    def on_change(self, callback: Callable[[str], None]) -> None:
        self.settings.flag_tracker.add_flag_value_change_listener(
            "key_00000", self.context, lambda change: callback(change.new_value)
        )

    def close(self) -> None:
        self.settings.close()
