"""The configuration of a class: its keyword arguments, and the merged lists of its bases."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import PydanticUndefinedAnnotation
from pydantic_settings import BaseSettings

from liveconfig._loading.documents import format_of
from liveconfig._loading.suggestions import did_you_mean
from liveconfig._volumes import Volume
from liveconfig.exceptions import LiveConfigError

_MERGED = ("volumes", "documents", "from_environment")
_OWN = "__liveconfig_own__"  # the entries that the class itself names, by key of its configuration


def take_class_arguments(cls: type[BaseSettings], arguments: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Move the keyword arguments that are configuration into the class, as pydantic does with its own.

    Returns:
        The other arguments.
    """
    configuration: dict[str, Any] = cls.model_config  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    configuration.update({name: value for name, value in arguments.items() if name in known})
    return {name: value for name, value in arguments.items() if name not in known}


def unknown_class_argument(cls: type[BaseSettings], arguments: Iterable[str], known: frozenset[str]) -> LiveConfigError:
    """Return the error for unknown class keyword arguments."""
    name = next(iter(arguments))
    return LiveConfigError(f"{cls.__name__}: unknown class argument `{name}`{did_you_mean(name, known)}")


def merge_bases(cls: type[BaseSettings]) -> None:
    """Merge the lists of the bases of a class, unless the class has its own; the most derived class comes last."""
    own = {name: entries_of(cls, name) for name in _MERGED if _is_own(cls, name)}
    type.__setattr__(cls, _OWN, own)
    configuration: dict[str, Any] = cls.model_config  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    for name in _MERGED:
        if name not in own and sum(name in _config(base) for base in cls.__bases__) > 1:
            configuration[name] = _as_configured(_of_bases(cls, name))


def dropped_volumes(cls: type[BaseSettings]) -> tuple[str, ...]:
    """Return the volumes of the bases that a class leaves out, because it names its own."""
    inherited = [entry for base in cls.__bases__ for entry in entries_of(base, "volumes")]
    kept = {_identity(entry) for entry in entries_of(cls, "volumes")} if inherited else ()
    return tuple(dict.fromkeys(_path(entry) for entry in inherited if _identity(entry) not in kept))


def _is_own(cls: type[BaseSettings], name: str) -> bool:
    """Whether a class names a list itself: an inherited one is the same object as that of its last base."""
    inherited = [_config(base)[name] for base in cls.__bases__ if name in _config(base)]
    return not inherited or _config(cls).get(name) is not inherited[-1]


def _of_bases(cls: type[BaseSettings], name: str) -> list[Any]:
    inherited = {_identity(entry) for base in cls.__bases__ for entry in entries_of(base, name)}
    merged: dict[Any, Any] = {}
    for each in reversed(cls.__mro__[1:]):
        for entry in _own_entries(each, name):
            if _identity(entry) in inherited:
                merged[_identity(entry)] = _joined(merged.pop(_identity(entry), None), entry)
    return list(merged.values())


def _joined(one: Any, other: Any) -> Any:
    """The entry of two bases: the other one. A volume that either declares secret is; `required` is not forgotten."""
    if not isinstance(one, Volume):
        return other
    volume = other if isinstance(other, Volume) else Volume(other)
    required = one.required if volume.required is None else volume.required
    return replace(volume, required=required, secret=one.secret or volume.secret)


def _own_entries(cls: type, name: str) -> list[Any]:
    if _OWN in cls.__dict__:
        own: list[Any] = cls.__dict__[_OWN].get(name, [])
        return own
    return entries_of(cls, name) if "model_config" in cls.__dict__ else []


def _config(cls: type) -> Mapping[str, Any]:
    config: Mapping[str, Any] = getattr(cls, "model_config", {})
    return config


def entries_of(cls: type, name: str) -> list[Any]:
    """Return the entries of a class and its bases under a key of the configuration; those of a mapping are pairs."""
    given = _config(cls).get(name, ())
    if isinstance(given, Mapping):
        return list(given.items())
    return list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes, os.PathLike)) else [given]


def _as_configured(entries: list[Any]) -> Any:
    if any(isinstance(entry, tuple) for entry in entries):
        return dict(entry if isinstance(entry, tuple) else (entry, None) for entry in entries)
    return tuple(entries)


def _identity(entry: Any) -> Any:
    """Return what identifies an entry: the path of a volume, the name of a document or of a field."""
    return entry[0] if isinstance(entry, tuple) else os.path.normpath(_path(entry))


def _path(entry: Any) -> str:
    return entry.path if isinstance(entry, Volume) else str(entry)


def check_complete(cls: type[BaseSettings]) -> None:
    """Check that every type that a class names is known.

    Raises:
        LiveConfigError: One is unknown. The message names it.
    """
    missing = _missing_type(cls)
    if missing is not None:
        raise LiveConfigError(
            f"the class is not fully defined: the type {missing} is not known. Import it where the program runs, not "
            f"below TYPE_CHECKING, or call `{cls.__name__}.model_rebuild()` once it is defined"
        )


def _missing_type(cls: type[BaseSettings]) -> str | None:
    try:
        cls.model_rebuild()  # the class may have been created before the classes that it names
    except PydanticUndefinedAnnotation as error:
        return repr(error.name)
    return None


def documents_of(cls: type[BaseSettings]) -> dict[str, str]:
    """Return the format of each document of a class, by the name of its key."""
    configured: Any = cls.model_config.get("documents", ())
    formats = configured if isinstance(configured, Mapping) else dict.fromkeys(configured)
    return {name: given or str(format_of(name)) for name, given in formats.items()}
