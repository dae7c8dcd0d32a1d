"""The ``LIVECONFIG`` setting of a Django project, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from liveconfig import LiveConfigError, Settings

DEFAULTS: dict[str, Any] = {"SETTINGS": None, "MIRROR": {}, "STATUS": False, "FAIL_WHEN_UNHEALTHY": False}
ADVICE = 'set LIVECONFIG = {"SETTINGS": "module:name"}, where module:name is a live settings object'


@dataclass(frozen=True)
class Configuration:
    """The content of ``LIVECONFIG``.

    Attributes:
        settings: The live settings.
        mirror: A field, or a KeyRing, by the name of the Django setting that follows it; with dots for an entry of a
            setting that is a dictionary.
        status: Whether the status page is served.
        fail_when_unhealthy: Whether the readiness probe answers 503 while the live settings are not healthy.
    """

    settings: Settings
    mirror: Mapping[str, Any]
    status: bool
    fail_when_unhealthy: bool


def is_configured() -> bool:
    """Whether the project has a ``LIVECONFIG`` setting."""
    return getattr(django_settings, "LIVECONFIG", None) is not None


def configuration() -> Configuration:
    """Read ``LIVECONFIG`` as it is now; tests may override it.

    Raises:
        ImproperlyConfigured: It is missing, or something in it is wrong.
    """
    if not is_configured():
        raise ImproperlyConfigured(f"LIVECONFIG is missing: {ADVICE}")
    given = django_settings.LIVECONFIG
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"LIVECONFIG is a {type(given).__name__}, not a dictionary: {ADVICE}")
    for key in given:
        if key not in DEFAULTS:
            raise ImproperlyConfigured(f"LIVECONFIG has no key {key!r}{nearest(str(key), DEFAULTS)}")
    known = {**DEFAULTS, **given}
    return Configuration(
        _live_settings(known["SETTINGS"]), known["MIRROR"], bool(known["STATUS"]), bool(known["FAIL_WHEN_UNHEALTHY"])
    )


def nearest(name: str, names: Mapping[str, Any]) -> str:
    """The end of an error's sentence: which name was probably meant."""
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else f": the keys are {', '.join(map(repr, names))}"


def _live_settings(given: Any) -> Settings:
    found = _imported(given) if isinstance(given, str) else given
    if not isinstance(found, Settings):
        what = f"{given!r} is a {type(found).__name__}" if isinstance(given, str) else f"it is a {type(found).__name__}"
        raise ImproperlyConfigured(f'LIVECONFIG["SETTINGS"]: {what}, not a live settings object: {ADVICE}')
    try:
        _ = found.live
    except LiveConfigError:
        raise ImproperlyConfigured(
            'LIVECONFIG["SETTINGS"] is a snapshot, which never changes: give it the live settings object'
        ) from None
    return found


def _imported(path: str) -> Any:
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ImproperlyConfigured(f'LIVECONFIG["SETTINGS"] is {path!r}, not "module:name"')
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        raise ImproperlyConfigured(f'LIVECONFIG["SETTINGS"]: there is no module {error.name!r}') from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise ImproperlyConfigured(f'LIVECONFIG["SETTINGS"]: {module} has no {name!r}')
        found = getattr(found, part)
    return found
