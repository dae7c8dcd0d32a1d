"""The processes of this container: their reports, written by each process and read by any other.

- `child_calls`: A call in a forked child, with a time limit.
- `disk_check`: Whether what a process uses is what is on disk now, seen through /proc/PID/root.
- `expected_content`: ``liveconfig ps --expect``: compares the disk of this container with the cluster, by keyed
  digests.
- `memory_file`: One sealed anonymous memory file, replaced as a whole under the same descriptor number
  (memfd_create(2)).
- `procfs`: Facts about other processes from /proc: proc(5).
- `publisher`: The report of this process: one entry for each settings object, in one memory file.
- `records`: `ProcessReport` and its parts, and their JSON.
- `scan`: All reports that this process may read: `processes()` and the rows of ``liveconfig ps``.
"""

from liveconfig._processes.child_calls import ChildCalls, NoAnswer
from liveconfig._processes.disk_check import fingerprint_of
from liveconfig._processes.expected_content import ABSENT, BadExpectation, Compared, Expectation, digest_of
from liveconfig._processes.publisher import process_report
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
    "fingerprint_of",
    "process_report",
    "processes",
    "scan",
]
