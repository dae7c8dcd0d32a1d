"""The habit: open the file wherever the value is needed."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders._adapter import Adapter as Base


class Adapter(Base):
    expression = "get('key_00000')"

    def get(self, name: str) -> str:
        with open(f"{self.path}/{name}") as file:
            return file.read().rstrip("\n")

    def namespace(self) -> dict[str, Any]:
        return {"get": self.get}

    def load(self) -> None:
        self.read_all()

    def read(self) -> str:
        return self.get("key_00000")

    def read_all(self) -> list[str]:
        return [self.get(name) for name in self.names]
