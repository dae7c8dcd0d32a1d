"""The arguments of one constructor call, by purpose."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from pydantic_settings import BaseSettings

from liveconfig._loading.class_checks import is_seconds
from liveconfig._loading.inputs import aliases_of
from liveconfig._loading.suggestions import did_you_mean
from liveconfig._record import record
from liveconfig.exceptions import LiveConfigError

_OWN = ("_volumes", "_watch", "_wait")


@record
class Arguments:
    """The arguments of one constructor call.

    Attributes:
        values: Values for fields.
        options: Options of pydantic-settings' sources, with their underscore.
        volumes: ``_volumes=``, or None.
        watch: ``_watch=``, or None.
        wait: ``_wait=``, the seconds to wait for a valid configuration.
    """

    values: dict[str, Any] = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    volumes: Any = None
    watch: bool | None = None
    wait: float = 0.0

    def equal(self, other: Arguments) -> bool:
        """Whether another call has the same arguments; values that cannot be compared count as different."""
        try:
            return self == other
        except Exception:  # noqa: BLE001 - a user's __eq__
            return False


def split_arguments(cls: type[BaseSettings], given: dict[str, Any]) -> Arguments:
    """Sort the arguments of a call, and empty the mapping: no frame of a traceback may hold a value.

    Raises:
        LiveConfigError: An argument with an underscore is not known, or has a value that it cannot have. The message
            contains no value of a field.
    """
    options = {name: given.pop(name) for name in source_options() & given.keys()}
    volumes, watch, wait = (given.pop(name, None) for name in _OWN)
    values = dict(given)
    given.clear()
    problem = next(_problems(cls, values, options, watch, wait), None)
    if problem is not None:
        values.clear()
        options.clear()
        raise LiveConfigError(problem)
    return Arguments(values, options, volumes, watch, wait or 0.0)


def _problems(
    cls: type[BaseSettings], values: dict[str, Any], options: dict[str, Any], watch: Any, wait: Any
) -> Iterator[str]:
    unknown = [name for name in values if name.startswith("_")]
    if unknown and (unknown := [name for name in unknown if name not in aliases_of(cls.model_fields)]):
        yield f"unknown argument `{unknown[0]}`{_advice(cls, unknown[0])}"
    if options.get("_secrets_dir") is not None:
        yield "`_secrets_dir` is not followed: name the directory in `_volumes`"
    if watch is not None and not isinstance(watch, bool):
        yield f"`_watch` must be True or False, not {watch!r}"
    if wait is not None and wait != 0 and not is_seconds(wait):
        yield f"`_wait` must be a number of seconds, not {wait!r}"


def _advice(cls: type[BaseSettings], name: str) -> str:
    if name[1:] in cls.model_config:
        return f": set `{name[1:]}` in model_config"
    return did_you_mean(name, [*_OWN, *source_options()])


@functools.cache
def source_options() -> frozenset[str]:
    """Return the constructor's arguments for sources, with their underscore."""
    names = inspect.signature(BaseSettings.__init__).parameters
    return frozenset(name for name in names if name.startswith("_") and not name.startswith("__"))
