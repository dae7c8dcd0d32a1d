"""The first load of a settings object: arguments, volumes and sources -> a core, or the error to raise."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

from pydantic_settings import BaseSettings, SettingsError

from liveconfig import _clock
from liveconfig._engine.core import Core
from liveconfig._loading import (
    VOLUMES_VARIABLE,
    Arguments,
    ChosenVolumes,
    DecodeError,
    Sources,
    StartupFailure,
    check_complete,
    choose_volumes,
    declared_paths,
    explain,
    is_importing,
    placeholder_loader,
    settings_error,
    split_arguments,
    volume_error,
)
from liveconfig._traceback import came_by_signal, summarize
from liveconfig._volumes import Volume, take_fingerprint
from liveconfig.exceptions import InvalidSettingsError, LiveConfigError, VolumeError

_log = logging.getLogger("liveconfig")


def load_core(cls: type[BaseSettings], given: dict[str, Any]) -> tuple[Core[Any] | None, LiveConfigError]:
    """Load a settings object: its core, or the error to raise.

    The error is created here and raised elsewhere, so that neither its context nor a frame of its traceback leads to a
    value.

    Args:
        cls: The settings class.
        given: The arguments of the constructor; the mapping is emptied.
    """
    try:
        check_complete(cls)
        arguments = split_arguments(cls, given)
        chosen = choose_volumes(cls.model_config.get("volumes", ()), arguments.volumes, _variable())
    except LiveConfigError as error:
        return None, type(error)(f"{cls.__name__}: {error}")
    _report_ignored(cls, chosen)
    sources, failure = _sources(cls, arguments)
    if sources is None:
        return None, failure
    deadline = _clock.monotonic() + arguments.wait
    core, failure = _attempt(cls, chosen, sources)
    while core is None and (left := deadline - _clock.monotonic()) > 0:
        _await_change(chosen.volumes, left)
        core, failure = _attempt(cls, chosen, sources)
    if core is None and is_importing():
        core = Core(cls, (), sources, replaced=False, loader=placeholder_loader(failure))
    if core is not None:
        sources.release()
        core.watch = core.watch if arguments.watch is None else arguments.watch
    return core, failure


def has_arguments(core: Core[Any], given: dict[str, Any]) -> bool:
    """Whether a constructor call has the same arguments as the loaded settings object; the mapping is emptied."""
    try:
        return core.loader.sources.arguments.equal(split_arguments(core.loader.cls, given))
    except LiveConfigError:
        return False


def _sources(cls: type[BaseSettings], arguments: Arguments) -> tuple[Sources | None, LiveConfigError]:
    sources, reason = None, ""
    try:
        sources = Sources(cls, arguments)
    except SettingsError as error:
        reason = settings_error(error)
    except DecodeError as error:
        reason = error.reason
    except Exception as error:  # a source of the class, or a file that a source reads
        if came_by_signal(error):
            raise
        reason = f"a source of the settings raised {summarize(error)}"
    return sources, InvalidSettingsError(f"{cls.__name__}: {reason}")


def _attempt(
    cls: type[BaseSettings], chosen: ChosenVolumes, sources: Sources
) -> tuple[Core[Any] | None, LiveConfigError]:
    """Return a core for the present content of the volumes, or the reason why there is none."""
    if problem := volume_error(chosen.volumes):
        return None, VolumeError(f"{cls.__name__}: {problem}")
    core, reason = None, LiveConfigError()
    try:
        core = Core(cls, chosen.volumes, sources, replaced=chosen.replaced)
    except SettingsError as error:
        reason = InvalidSettingsError(f"{cls.__name__}: {settings_error(error)}")
    except DecodeError as error:
        reason = InvalidSettingsError(f"{cls.__name__}: {error.reason}")
    except StartupFailure as error:
        reason = explain(cls, chosen.volumes, sources, error)
    except Exception as error:  # a source of the class
        if came_by_signal(error):
            raise
        reason = InvalidSettingsError(f"{cls.__name__}: a source of the settings raised {summarize(error)}")
    return core, reason


def _await_change(volumes: tuple[Volume, ...], seconds: float) -> None:
    """Wait until a volume has changed, for at most one second: not every change is visible from outside."""
    seen, pause = _fingerprints(volumes), threading.Event()
    until = _clock.monotonic() + min(seconds, 1.0)
    while (left := until - _clock.monotonic()) > 0 and seen == _fingerprints(volumes):
        pause.wait(min(left, 0.05))


def _fingerprints(volumes: tuple[Volume, ...]) -> list[object]:
    return [take_fingerprint(volume.path) for volume in volumes]


def _variable() -> str:
    return os.environ.get(VOLUMES_VARIABLE, "")


def _report_ignored(cls: type[BaseSettings], chosen: ChosenVolumes) -> None:
    """Log the pairs of ``LIVECONFIG_VOLUMES`` that this class does not use."""
    for path in chosen.ignored:
        text = f"{cls.__name__}: ignored the pair for {path} in {VOLUMES_VARIABLE}: this class has no such volume"
        _log.info("%s", text)
        if not any(path in declared_paths(each.model_config.get("volumes", ())) for each in _subclasses(BaseSettings)):
            _warn_of_pair(path)


@functools.cache  # once for each process
def _warn_of_pair(path: str) -> None:
    _log.warning(
        "%s contains a pair for %s, but no settings class of this process has a volume with this path: correct the "
        "path before the `=`",
        VOLUMES_VARIABLE,
        path,
    )


def _subclasses(cls: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)
