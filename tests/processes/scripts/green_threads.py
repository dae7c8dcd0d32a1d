"""Threads replaced by gevent or eventlet, or by a stand-in that says so where neither is installed."""

from __future__ import annotations

import importlib
import json
import sys
from types import SimpleNamespace

PATCHES = {
    "gevent": ("gevent.monkey", "patch_all", "is_module_patched"),
    "eventlet": ("eventlet.patcher", "monkey_patch", "is_monkey_patched"),
}

module, patch, is_patched = PATCHES[sys.argv[1]]
try:
    getattr(importlib.import_module(module), patch)()
except ModuleNotFoundError:
    sys.modules[module] = SimpleNamespace(**{is_patched: lambda name: True})  # type: ignore[assignment]

from common import AppSettings  # noqa: E402 - monkey patches come first

settings = AppSettings.load()
status = settings.live.status()
print(json.dumps([status.healthy, status.problems, settings.left, settings.live.reload()]))
settings.live.close()
