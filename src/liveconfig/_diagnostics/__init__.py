"""Diagnostics of one settings object: values that cannot change and why, log lines, and the status.

- `detectors`: Detectors: each generator finds one kind of cause for stale or frozen values.
- `frozen`: Fields that cannot change while the process runs, and sources that are read once.
- `history`: The newest outcomes of one settings object: applied, rejected, recovered, stale.
- `monitor`: Reviews what is stale in one settings object, writes its log lines, and makes its status.
- `present_state`: The present state of one settings object, as far as the detectors need it.
- `process`: Facts about this process: its start time, whether it runs in a pod, whether its threads were replaced.
- `process_report`: The entry of one settings object in the report of this process.
- `reminders`: Standing causes: each is logged once, repeated as a reminder, and logged again when it is resolved.
- `status`: The status of one settings object, made from its observed state.
- `unwatched_volumes`: A check whether volumes that nothing watches still hold the content in use; on threads, as a
  mount can hang.
- `wording`: Names, places and lists as the log and the status write them.
"""

from liveconfig._diagnostics.detectors import describe_frozen
from liveconfig._diagnostics.monitor import Monitor
from liveconfig._diagnostics.process import green_threads, started_at
from liveconfig._diagnostics.status import Observation
from liveconfig._diagnostics.unwatched_volumes import UnwatchedVolumes

__all__ = [
    "Monitor",
    "Observation",
    "UnwatchedVolumes",
    "describe_frozen",
    "green_threads",
    "started_at",
]
