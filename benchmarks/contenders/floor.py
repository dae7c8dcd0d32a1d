"""The least that any Python program must do: raw inotify, read everything through the directory, validate."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable

from pydantic import ConfigDict, ValidationError, create_model

from benchmarks.contenders._adapter import Adapter as Base

_LIBC = ctypes.CDLL(None, use_errno=True)
_IN_MOVED_TO = 0x80


class Adapter(Base):
    def __init__(self, path: str, names: list[str]) -> None:
        super().__init__(path, names)
        fields = dict.fromkeys(names, (str, ...))
        self._model = create_model("Plain", __config__=ConfigDict(frozen=True, extra="ignore"), **fields)
        self._callback: Callable[[str], None] | None = None

    def load(self) -> None:
        self.settings = self._model.model_validate(self.values())

    def values(self) -> dict[str, str]:
        return read_generation(self.path)

    def start(self) -> None:
        inotify = _LIBC.inotify_init1(os.O_CLOEXEC)
        _LIBC.inotify_add_watch(inotify, os.fsencode(self.path), _IN_MOVED_TO)
        self.load()
        threading.Thread(target=self._follow, args=(inotify,), daemon=True).start()

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._callback = callback

    def _follow(self, inotify: int) -> None:
        while True:
            if b"..data\0" not in os.read(inotify, 65536):
                continue
            try:
                self.load()
            except (OSError, ValidationError):  # a generation that is being removed: the next event is on its way
                continue
            if self._callback is not None:
                self._callback(self.settings.key_00000)


def read_generation(path: str) -> dict[str, str]:
    folder = os.open(f"{path}/..data", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return {name: _content(name, folder) for name in os.listdir(folder)}
    finally:
        os.close(folder)


def _content(name: str, folder: int) -> str:
    file = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(file, 65536).decode()
    finally:
        os.close(file)
