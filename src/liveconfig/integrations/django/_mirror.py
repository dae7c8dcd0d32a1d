"""Names of ``django.conf.settings`` that are read from the live settings each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from django.conf import LazySettings
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations._fields import value_reader
from liveconfig.integrations._mirror import FALLBACKS, SECRET_KEY, plain, ring_of
from liveconfig.integrations.django._configuration import Configuration
from liveconfig.integrations.keys import KeyRing

T = TypeVar("T")
Read = Callable[[], Any]


def install(configured: Configuration) -> None:
    """Let the names of ``LIVECONFIG["MIRROR"]`` follow the live settings.

    Raises:
        ImproperlyConfigured: A field does not exist.
    """
    for name, read in readers(configured).items():
        setattr(LazySettings, name, _Followed(name))
        setattr(django_settings, name, _Live(read, _static(name)))


def readers(configured: Configuration) -> dict[str, Read]:
    """Return a function for each mirrored name that reads its value.

    Raises:
        ImproperlyConfigured: A field does not exist.
    """
    fields = configured.mirror
    ring = _checked(SECRET_KEY, ring_of, configured.settings, fields)
    found: dict[str, Read] = {} if ring is None else _keys(ring)
    for name, field in fields.items():
        if name not in found:
            read = _reader(configured.settings, _checked(name, value_reader, configured.settings, field))
            root, *path = name.split(".")
            found[root] = _overlaid(found.get(root, partial(_static, root)), path, read) if path else read
    return found


def _keys(ring: KeyRing) -> dict[str, Read]:
    kept = list(_static(FALLBACKS) or ())
    # The signing key is among the fallbacks too: Django reads first the one and then the others.
    return {SECRET_KEY: lambda: _signing(ring), FALLBACKS: lambda: [*ring.verifying, *kept]}


def _signing(ring: KeyRing) -> str:
    try:
        return ring.signing
    except LiveConfigError:
        raise ImproperlyConfigured("The SECRET_KEY setting must not be empty.") from None  # as Django says it


def _reader(settings: Settings, read: Callable[[Any], Any]) -> Read:
    return lambda: plain(read(settings.live.latest()))


def _overlaid(base: Read, path: Sequence[str], read: Read) -> Read:
    """A mapping, such as ``MAILERS``, with one value in it replaced."""
    return lambda: _replaced(base() or {}, path, read())


def _replaced(mapping: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**mapping, first: _replaced(mapping.get(first, {}), rest, value) if rest else value}


def _static(name: str) -> Any:
    """Return the value in the settings module, without the mirror."""
    value = getattr(django_settings._wrapped, name, None)  # noqa: SLF001 - the proxy would resolve a mirror
    return value.static if isinstance(value, _Live) else value


def _checked(name: str, make: Callable[..., T], *arguments: Any) -> T:
    try:
        return make(*arguments)
    except (LiveConfigError, TypeError) as error:
        raise ImproperlyConfigured(f'LIVECONFIG["MIRROR"][{name!r}]: {error}') from None


class _Live:
    """The value of a mirrored name in Django's settings; tests can override it like any other value."""

    def __init__(self, read: Read, static: Any) -> None:
        self.read = read
        self.static = static

    def __repr__(self) -> str:
        return "<read from the live settings>"


class _Followed:
    """An attribute of Django's settings proxy that resolves `_Live`: the proxy alone would keep the first value."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, proxy: Any, _owner: Any = None) -> Any:
        if proxy is None:
            return self
        value = getattr(proxy._wrapped, self._name)  # noqa: SLF001 - below the cache of the proxy
        return value.read() if isinstance(value, _Live) else value

    def __set__(self, proxy: Any, value: Any) -> None:
        """Makes this stronger than the cache; Django's proxy stores values by itself."""
        setattr(proxy._wrapped, self._name, value)  # noqa: SLF001
