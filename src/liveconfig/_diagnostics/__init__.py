"""What cannot change and why, when to report it, and the status of one settings object.

- `detectors`: Detectors: each generator finds one kind of cause for stale or frozen values.
- `process`: Facts about this process: its start time, whether it runs in a pod, whether its threads are real.
- `reminders`: Standing causes: each is logged once, repeated as a reminder, and logged again when it is resolved.
- `report`: The observed state of one settings object -> a `Status`.
"""

from liveconfig._diagnostics.detectors import PresentState, describe_frozen, detect_causes
from liveconfig._diagnostics.process import declared_volumes, green_threads, started_at
from liveconfig._diagnostics.reminders import StandingCauses
from liveconfig._diagnostics.report import Observation, status_of

__all__ = [
    "Observation",
    "PresentState",
    "StandingCauses",
    "declared_volumes",
    "describe_frozen",
    "detect_causes",
    "green_threads",
    "started_at",
    "status_of",
]
