"""The system checks: ``manage.py check`` and every command that runs the checks report them.

| id | |
|---|---|
| ``liveconfig.E001`` | ``LIVECONFIG`` is missing |
| ``liveconfig.E002`` | something in ``LIVECONFIG`` is wrong |
| ``liveconfig.E003`` | a mirrored setting or a database is wrong, such as the name of a field that does not exist |
| ``liveconfig.W001`` | a field cannot change while the process runs |
| ``liveconfig.W002`` | a mirrored setting is one that Django reads only when it starts |
| ``liveconfig.W003`` | a database has a ``PASSWORD``, which the live login replaces |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from liveconfig import Settings
from liveconfig.integrations.django._configuration import ADVICE, Configuration, configuration, is_configured
from liveconfig.integrations.django._database import login_options, logins_of
from liveconfig.integrations.django._mirror import readers

__all__ = ["check", "errors"]

ENGINES = tuple(f"liveconfig.integrations.django.{name}" for name in ("postgresql", "mysql"))
READ_AT_START = frozenset(
    {
        "CACHES",
        "DATABASES",
        "INSTALLED_APPS",
        "LOGGING",
        "MEDIA_URL",
        "MIDDLEWARE",
        "ROOT_URLCONF",
        "STATIC_URL",
        "STORAGES",
        "TEMPLATES",
    }
)


def check(**_options: Any) -> list[checks.CheckMessage]:
    """Everything that is wrong or deserves a warning, as Django calls a check."""
    if not is_configured():
        return [checks.Error("LIVECONFIG is missing.", hint=ADVICE, id="liveconfig.E001")]
    found = errors()
    return found or [*_warnings(configuration())]


def errors() -> list[checks.CheckMessage]:
    """Yield the errors of the configuration."""
    try:
        configured = configuration()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="liveconfig.E002")]
    return [
        checks.Error(str(error), id="liveconfig.E003")
        for error in (
            _error_of(readers, configured),
            *(_error_of(logins_of, alias, database) for alias, database in _databases()),
        )
        if error is not None
    ]


def _error_of(look: Callable[..., object], *arguments: Any) -> ImproperlyConfigured | None:
    try:
        look(*arguments)
    except ImproperlyConfigured as error:
        return error
    return None


def _databases() -> Iterator[tuple[str, dict[str, Any]]]:
    """The databases with one of our engines, by alias."""
    handler: Any = connections
    for alias, database in handler.settings.items():
        if database.get("ENGINE") in ENGINES:
            yield alias, database


def _warnings(configured: Configuration) -> Iterator[checks.CheckMessage]:
    yield from _frozen(configured.settings)
    for name in sorted(READ_AT_START & {name.partition(".")[0] for name in configured.mirror}):
        yield checks.Warning(
            f'LIVECONFIG["MIRROR"] has {name}, which Django reads only when it starts.',
            hint='Remove it. The page "Django" of the documentation names what follows instead: databases, caches.',
            id="liveconfig.W002",
        )
    for alias, database in _databases():
        if database.get("PASSWORD") and login_options(alias, database)["password"] is not None:
            yield checks.Warning(
                f"DATABASES[{alias!r}] has a PASSWORD, which the live login replaces.",
                hint="Remove it.",
                id="liveconfig.W003",
            )


def _frozen(settings: Settings) -> Iterator[checks.CheckMessage]:
    status = settings.live.status()
    for field in status.frozen:
        origin = status.fields[field]
        kind = "environment variable" if origin.kind == "environment" else origin.kind
        source = f"{kind} {origin.name or origin.path or ''}".rstrip()
        yield checks.Warning(
            f"{type(settings).__name__}: {field} is read from the {source} and cannot change while this process runs.",
            hint="Mount its key, or list the field in from_environment.",
            id="liveconfig.W001",
        )
