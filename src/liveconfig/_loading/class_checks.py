"""Checks of a settings class: unknown keys of the configuration, wrong values, fields that cannot work."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_settings import BaseSettings

from liveconfig._loading.configuration import entries_of
from liveconfig._loading.documents import FORMATS, as_code, format_of
from liveconfig._loading.key import misplaced
from liveconfig._loading.suggestions import did_you_mean
from liveconfig._loading.types import classes_within
from liveconfig._volumes import Volume

RESERVED = ("live", "load")
"""Names that a field cannot have."""

_NOT_IN_TYPED_DICT = frozenset({"cli_settings_source"})  # pydantic-settings reads it all the same


def misuse(cls: type[BaseSettings], known: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with a settings class, in sentences.

    Args:
        cls: The settings class.
        known: The keys that its configuration may have.
    """
    config: Mapping[str, Any] = cls.model_config
    yield from _unknown_keys(config, known)
    yield from _impossible(config)
    yield from _seconds(config)
    yield from _choices(config)
    yield from (problem for entry in entries_of(cls, "volumes") for problem in volume_problems(entry))
    yield from _documents(config.get("documents", ()))
    yield from _names("from_environment", config.get("from_environment", ()))
    yield from _fields(cls)


def _fields(cls: type[BaseSettings]) -> Iterator[str]:
    for name, field in cls.model_fields.items():
        if name in RESERVED:
            yield f"a field cannot be called {name!r}: liveconfig uses this name"
        if any(issubclass(member, BaseSettings) for member in classes_within(field.annotation)):
            yield f"the type of {name!r} is a BaseSettings, which reads its sources at every load: make it a BaseModel"
    yield from misplaced(cls.model_fields)


def _unknown_keys(config: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    for name in config:
        if name not in known and name not in _NOT_IN_TYPED_DICT:
            yield f"unknown key `{name}` in model_config{did_you_mean(name, known)}"


def _impossible(config: Mapping[str, Any]) -> Iterator[str]:
    for name, wrong in (("extra", "allow"), ("frozen", False), ("validate_assignment", True)):
        if config.get(name) == wrong:
            yield f"{name}={wrong!r} is not possible: such values would not survive the next change of a volume"
    if config.get("secrets_dir") is not None:
        yield "secrets_dir is not followed: name the directory in `volumes`"


def _seconds(config: Mapping[str, Any]) -> Iterator[str]:
    if not is_seconds(config["resync"]):
        yield f"`resync` must be a positive number of seconds, not {config['resync']!r}"
    reminder = config.get("stale_reminder")
    if reminder not in (None, 0) and not is_seconds(reminder):
        yield f"`stale_reminder` must be a number of seconds or None, not {reminder!r}"


def _choices(config: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(config.get("watch", True), bool):
        yield f"`watch` must be True or False, not {config['watch']!r}"
    if not isinstance(config.get("key_prefix"), (str, type(None))):
        yield f"`key_prefix` must be a text or None, not {config['key_prefix']!r}"
    rules, missing_key = ("fallback", "reject"), config.get("missing_key")
    if missing_key is not None and missing_key not in rules:
        hint = did_you_mean(str(missing_key), rules)
        yield f"`missing_key` must be 'fallback', 'reject' or None, not {missing_key!r}{hint}"


def is_seconds(value: Any) -> bool:
    """Whether a value is a positive time that a thread can wait."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    return number and 0 < value <= threading.TIMEOUT_MAX


def volume_problems(entry: object) -> Iterator[str]:
    """Yield what is wrong with one entry of ``volumes``."""
    advice = "name the directory at which the volume is mounted, or `volumes=()` for none"
    if entry is None:
        yield f"`volumes` contains None: {advice}"
    elif not isinstance(entry, (str, os.PathLike, Volume)):
        yield f"`volumes` contains an object of type {type(entry).__name__}: {advice}"
    elif not str(path := entry.path if isinstance(entry, Volume) else os.fspath(entry)).strip():
        yield f"`volumes` contains an empty path, perhaps of a variable that is not set: {advice}"
    elif "\0" in str(path):
        yield f"`volumes` contains a path with a null character: {advice}"


def _names(key: str, given: object) -> Iterator[str]:
    if isinstance(given, str) or not isinstance(given, (Sequence, set, frozenset)):
        yield f"`{key}` must be a list of names, not {given!r}"
        return
    for each in given:
        if not isinstance(each, str) or not each:
            yield f"`{key}` contains {each!r}, which is not a name"


def _documents(given: object) -> Iterator[str]:
    names = list(given) if isinstance(given, Mapping) else given
    yield from list(_names("documents", names)) or _formats(given)


def _formats(given: Any) -> Iterator[str]:
    formats = given if isinstance(given, Mapping) else dict.fromkeys(given)
    for name, form in formats.items():
        yield from _format(name, form)


def _format(name: str, form: object) -> Iterator[str]:
    if form is not None and form not in FORMATS:
        hint = did_you_mean(str(form), FORMATS)
        yield f"the format of the document {name!r} must be one of {', '.join(FORMATS)}, not {form!r}{hint}"
    elif form is None and format_of(name) is None:
        endings = ", ".join(ending for endings in FORMATS.values() for ending in endings)
        remedy = f"give its format, as in `documents={as_code({name: 'yaml'})}`"
        yield f"the ending of the document {name!r} is none of {endings}: {remedy}"
