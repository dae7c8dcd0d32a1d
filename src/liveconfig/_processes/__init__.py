"""The processes of this container: their reports, written by each process and read by any other.

- `child_calls`: A call in a forked child, with a time limit.
- `disk_check`: Whether what a process uses is what is on disk now, seen through /proc/PID/root.
- `expected_content`: ``liveconfig ps --expect``: compares the disk of this container with the cluster, by keyed
  digests.
- `memory_file`: One sealed anonymous memory file, replaced as a whole under the same descriptor number
  (memfd_create(2)).
- `plain_fingerprint`: A short text that is another one when the files of a plain volume are others.
- `procfs`: Facts about other processes from /proc: proc(5).
- `publisher`: The report of this process: one entry for each settings object, in one memory file.
- `records`: `ProcessReport` and its parts, and their JSON.
- `scan`: All reports that this process may read: `processes()` and the rows of ``liveconfig ps``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from liveconfig._processes.plain_fingerprint import fingerprint_of
from liveconfig._processes.publisher import entry_as_json, process_report

if TYPE_CHECKING:
    from liveconfig._processes.child_calls import ChildCalls, NoAnswer
    from liveconfig._processes.expected_content import ABSENT, BadExpectation, Compared, Expectation, digest_of
    from liveconfig._processes.records import STAYS_IN_USE, ProcessReport, SettingsReport, VolumeReport
    from liveconfig._processes.scan import Scan, processes, scan

__all__ = [
    "ABSENT",
    "STAYS_IN_USE",
    "BadExpectation",
    "ChildCalls",
    "Compared",
    "Expectation",
    "NoAnswer",
    "ProcessReport",
    "Scan",
    "SettingsReport",
    "VolumeReport",
    "digest_of",
    "entry_as_json",
    "fingerprint_of",
    "process_report",
    "processes",
    "scan",
]

# Imported on first use: an application writes its own report, and does not read those of others (PEP 562).
_MODULES = {
    "child_calls": ["ChildCalls", "NoAnswer"],
    "expected_content": ["ABSENT", "BadExpectation", "Compared", "Expectation", "digest_of"],
    "records": ["STAYS_IN_USE", "ProcessReport", "SettingsReport", "VolumeReport"],
    "scan": ["Scan", "processes", "scan"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    imported = import_module(f"{__name__}.{module}")
    # All names of the module: the import binds `scan` to the module of this name.
    globals().update({each: getattr(imported, each) for each in _MODULES[module]})
    return globals()[name]
