"""Mirroring of fields in the settings of a web framework, shared by Flask and Django."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liveconfig import Settings
from liveconfig.integrations.keys import KeyRing

SECRET_KEY = "SECRET_KEY"  # noqa: S105 - a name
FALLBACKS = "SECRET_KEY_FALLBACKS"


def plain(value: Any) -> Any:
    """Return a value for a framework: secrets as plain text."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    reveal = getattr(value, "get_secret_value", None)
    return value if reveal is None else reveal()


def ring_of(settings: Settings, fields: Mapping[str, str | KeyRing]) -> KeyRing | None:
    """Return the ring of ``SECRET_KEY``. With mirrored fallbacks, the volume alone decides which old keys are accepted.

    Args:
        settings: The live settings.
        fields: Field by mirrored name; for ``SECRET_KEY`` also a `KeyRing`.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
        TypeError: A ring is mirrored as fallbacks, or fallbacks are mirrored beside a ring.
    """
    key, previous = fields.get(SECRET_KEY), fields.get(FALLBACKS)
    if isinstance(previous, KeyRing):
        raise TypeError(f"a KeyRing belongs to {SECRET_KEY}: it feeds {FALLBACKS} as well")
    if isinstance(key, KeyRing) and previous is not None:
        raise TypeError(
            f"{FALLBACKS} is mirrored beside a KeyRing for {SECRET_KEY}, which would not accept the keys in "
            f"{previous!r}: give that field to the ring, as in KeyRing(..., previous={previous!r}), and mirror only "
            f"{SECRET_KEY}"
        )
    if not isinstance(key, str):
        return key
    return KeyRing(settings, key) if previous is None else KeyRing(settings, key, previous=previous, keep=0)
