"""Would an application accept these manifests: used by the command line and the test kit.

- `check`: A settings class and manifests -> what each container would read, and the findings.
- `mounted_files`: Manifests -> what one container would see: the files of each volume, and the variables.
- `rules`: The rules of ``liveconfig check``.
- `schema`: JSON Schema for the ``data`` of a ConfigMap that feeds a settings class: all values are strings.
- `trial_load`: One settings class in the surroundings of one container: loaded through the loader that a pod uses.
"""

from liveconfig._checks.check import CannotCheck, Changes, Selection, changes, check, findings
from liveconfig._checks.rules import CHECK_RULES
from liveconfig._checks.schema import schema_of
from liveconfig._checks.trial_load import Trial

__all__ = [
    "CHECK_RULES",
    "CannotCheck",
    "Changes",
    "Selection",
    "Trial",
    "changes",
    "check",
    "findings",
    "schema_of",
]
