"""The exceptions that liveconfig raises.

::

    Exception
    ├── LiveConfigError
    │   ├── VolumeError            a volume that is required is not there, or cannot be read
    │   ├── InvalidSettingsError   no valid configuration (also a ValueError)
    │   └── AmbiguousKeyError      two keys of one volume claim one field
    └── ValueError
        └── Refusal                raised by *your* verifier or validator; its message is shown

No message of these errors contains a value, and no cause or context leads to one.
"""

from __future__ import annotations

__all__ = ["AmbiguousKeyError", "InvalidSettingsError", "LiveConfigError", "Refusal", "VolumeError"]


class LiveConfigError(Exception):
    """The base of every error that liveconfig raises."""


class VolumeError(LiveConfigError):
    """A volume that is required is not there, or cannot be read or parsed at the start."""


class InvalidSettingsError(LiveConfigError, ValueError):
    """There is no valid configuration. The message names the fields, and where each was looked for."""


class AmbiguousKeyError(LiveConfigError):
    """Two keys of one volume claim one field. The message names both files."""


class Refusal(ValueError):  # noqa: N818 - it is a verdict that a verifier hands down, not a fault of the program
    """Raise this in a verifier or a validator, with a message that contains no secret.

    Its message appears in the log, in `Rejected` and in `Status`: on one line, and at most 1,000 characters of it. The
    messages of all other exceptions do not.
    """
