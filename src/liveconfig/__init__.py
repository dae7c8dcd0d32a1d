"""Settings that follow their mounted Kubernetes ConfigMaps and Secrets, with no restart.

::

    from pydantic import SecretStr
    from liveconfig import Settings, SettingsConfigDict

    class AppSettings(Settings):
        model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"])
        message: str = "hello world"
        mysql_root_password: SecretStr

    settings = AppSettings.load()
    settings.message  # a plain attribute, always the newest value
"""

from liveconfig import signals
from liveconfig._live import Live
from liveconfig._origin import Origin
from liveconfig._reading.volume import Volume
from liveconfig._status import CandidateStatus, Status, SubscriberStatus, UnusedKey, VolumeStatus
from liveconfig._subscription import Subscription
from liveconfig._version import __version__
from liveconfig.events import Change, Rejected, Reloaded, Stale
from liveconfig.exceptions import AmbiguousKeyError, InvalidSettingsError, LiveConfigError, Refusal, VolumeError
from liveconfig.settings import Settings, SettingsConfigDict

__all__ = [
    "AmbiguousKeyError",
    "CandidateStatus",
    "Change",
    "InvalidSettingsError",
    "Live",
    "LiveConfigError",
    "Origin",
    "Refusal",
    "Rejected",
    "Reloaded",
    "Settings",
    "SettingsConfigDict",
    "Stale",
    "Status",
    "SubscriberStatus",
    "Subscription",
    "UnusedKey",
    "Volume",
    "VolumeError",
    "VolumeStatus",
    "__version__",
    "signals",
]
