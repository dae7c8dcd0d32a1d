"""Would an application accept these manifests: used by the command line and the test kit.

- `check`: The check of a settings class against manifests: the fields of each container, and the findings.
- `mounted_files`: The files and variables of one container, computed from manifests.
- `rules`: The rules of ``liveconfig check``.
- `schema`: JSON Schema for the ``data`` of a ConfigMap that feeds a settings class: all values are strings.
- `trial_load`: A trial load of a settings class with the files and variables of one container, by the loader of a pod.
"""

from liveconfig._checks.check import Changes, Selection, changes, check, findings, must_hold_something
from liveconfig._checks.rules import CHECK_RULES
from liveconfig._checks.schema import schema_of
from liveconfig._checks.trial_load import CannotCheck, Trial

__all__ = [
    "CHECK_RULES",
    "CannotCheck",
    "Changes",
    "Selection",
    "Trial",
    "changes",
    "check",
    "findings",
    "must_hold_something",
    "schema_of",
]
