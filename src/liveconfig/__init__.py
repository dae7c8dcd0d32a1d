"""Settings that follow their mounted Kubernetes ConfigMaps and Secrets without a restart.

::

    from pydantic import SecretStr
    from liveconfig import Settings, SettingsConfigDict

    class AppSettings(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"])
        message: str = "hello world"
        mysql_root_password: SecretStr

    settings = AppSettings.load()
    settings.message  # a plain attribute, always the newest value

The modules, from the public interface down to the disk; each imports only from those below it:

- `cli`, `testing`, `integrations`: the command line, the test kit, and one module per framework or client.
- `settings`, `live`: the class that users subclass, and everything that a settings object can do.
- `_engine`: the transaction of one settings object: read, load, accept, verify, apply, publish.
- `_diagnostics`: what is stale and why, the reminders in the log, and the status.
- `_delivery`: subscribers, delivery threads and event loops.
- `_watching`: the watcher of the process, the file-system observer, the scheduler thread, forks.
- `_loading`: bytes by key -> a validated instance.
- `_processes`: the report of this process, and the reports of the others.
- `_volumes`: one volume on disk -> one immutable revision.
- `events`, `status`, `origin`, `exceptions`, `signals`: public records and errors, used by every stage.

`_manifests` reads Kubernetes objects for the command line and the test kit.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from liveconfig._distribution import __version__

if TYPE_CHECKING:
    from liveconfig import signals
    from liveconfig._loading import Key
    from liveconfig._processes import ProcessReport, SettingsReport, VolumeReport, processes
    from liveconfig._volumes import Volume
    from liveconfig.events import Change, Recovered, Rejected, Reloaded, Stale
    from liveconfig.exceptions import AmbiguousKeyError, InvalidSettingsError, LiveConfigError, Refusal, VolumeError
    from liveconfig.history import HistoryEntry
    from liveconfig.live import Live, Subscription
    from liveconfig.origin import Origin
    from liveconfig.settings import Settings, SettingsConfigDict
    from liveconfig.status import (
        CandidateStatus,
        Status,
        SubscriberStatus,
        UnusedKey,
        VolumeStatus,
    )

__all__ = [
    "AmbiguousKeyError",
    "CandidateStatus",
    "Change",
    "HistoryEntry",
    "InvalidSettingsError",
    "Key",
    "Live",
    "LiveConfigError",
    "Origin",
    "ProcessReport",
    "Recovered",
    "Refusal",
    "Rejected",
    "Reloaded",
    "Settings",
    "SettingsConfigDict",
    "SettingsReport",
    "Stale",
    "Status",
    "SubscriberStatus",
    "Subscription",
    "UnusedKey",
    "Volume",
    "VolumeError",
    "VolumeReport",
    "VolumeStatus",
    "__version__",
    "processes",
    "signals",
]

# Imported on first use, so that commands that need the standard library only start without pydantic (PEP 562).
_MODULES = {
    "_loading": ["Key"],
    "_processes": ["ProcessReport", "SettingsReport", "VolumeReport", "processes"],
    "_volumes": ["Volume"],
    "events": ["Change", "Recovered", "Rejected", "Reloaded", "Stale"],
    "exceptions": ["AmbiguousKeyError", "InvalidSettingsError", "LiveConfigError", "Refusal", "VolumeError"],
    "history": ["HistoryEntry"],
    "live": ["Live", "Subscription"],
    "origin": ["Origin"],
    "settings": ["Settings", "SettingsConfigDict"],
    "status": ["CandidateStatus", "Status", "SubscriberStatus", "UnusedKey", "VolumeStatus"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "signals":
        return import_module("liveconfig.signals")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"liveconfig.{module}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
