"""The exceptions that liveconfig raises.

::

    Exception
    ├── LiveConfigError
    │   ├── VolumeError            a volume that is required is not there, or cannot be read
    │   ├── InvalidSettingsError   no valid configuration (also a ValueError)
    │   └── AmbiguousKeyError      two keys of one volume claim one field
    └── ValueError
        └── Refusal                raised by *your* verifier or validator; its message is shown

No message of ours holds a value, and no cause or context of what we raise leads to one.
"""

from __future__ import annotations

__all__ = ["AmbiguousKeyError", "InvalidSettingsError", "LiveConfigError", "Refusal", "VolumeError"]


class LiveConfigError(Exception):
    """The base of every error that liveconfig raises."""


class VolumeError(LiveConfigError):
    """A volume that is required is not there, or cannot be read or parsed at the start."""


class InvalidSettingsError(LiveConfigError, ValueError):
    """There is no valid configuration: the message says which fields, and where each was looked for."""


class AmbiguousKeyError(LiveConfigError):
    """Two keys of one volume claim one field: the message names both files."""


class Refusal(ValueError):  # noqa: N818 - it is a verdict that a verifier hands down, not a fault of the program
    """Raised by a verifier or a validator whose author vouches that its message holds no secret.

    Its message is shown in the log, in `Rejected` and in `Status`; the messages of all other exceptions are not.
    """
