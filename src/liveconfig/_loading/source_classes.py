"""The sources of one class, as pydantic-settings makes them, in the order of the class.

They are created with their public constructors. The class orders, adds and drops them in
``settings_customise_sources``, where ``file_secret_settings`` stands for the volumes.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)
from pydantic_settings.sources import DefaultSettingsSource

from liveconfig._loading.arguments import Arguments
from liveconfig._loading.decoder import DecodeError

SourceCallable = PydanticBaseSettingsSource | Any
"""What ``settings_customise_sources`` returns: sources, or functions without arguments."""


class VolumesSource(PydanticBaseSettingsSource):
    """Stands for the volumes in ``settings_customise_sources``. It marks a place: what is read comes later."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Nothing: the volumes are read whole, never field by field."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Nothing: see `get_field_value`."""
        return {}


class NoArguments(InitSettingsSource):
    """The constructor's arguments where there are none: its own ``__init__`` visits every field, to find nothing."""

    __name__ = "InitSettingsSource"  # under which other sources look for what it gave

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        PydanticBaseSettingsSource.__init__(self, settings_cls)
        self.init_kwargs: dict[str, Any] = {}
        self.nested_model_default_partial_update = False


_UNREAD: Mapping[str, str | None] = {}


class Environment(EnvSettingsSource):
    """The environment, which is parsed when somebody asks for its variables: where none feeds a field, nobody does."""

    __name__ = "EnvSettingsSource"
    _variables = _UNREAD

    def _load_env_vars(self) -> Mapping[str, str | None]:
        self.case_sensitive = bool(self.case_sensitive) and os.name != "nt"  # Windows keeps no case
        return _UNREAD

    @property
    def env_vars(self) -> Mapping[str, str | None]:
        """The variables, as pydantic-settings looks for them."""
        if self._variables is _UNREAD:
            self._variables = super()._load_env_vars()
        return self._variables

    @env_vars.setter
    def env_vars(self, variables: Mapping[str, str | None]) -> None:
        self._variables = variables

    @property
    def names(self) -> Iterable[str]:
        """The names of the variables; in lower case where case does not count."""
        if self._variables is not _UNREAD:
            return self._variables
        return os.environ if self.case_sensitive else map(str.lower, os.environ)


class DotEnv(DotEnvSettingsSource):
    """A source of a `.env` file that remembers how its names are spelled; the file is read once."""

    __name__ = "DotEnvSettingsSource"

    def _read_env_file(self, file_path: Any) -> Mapping[str, str | None]:
        values: Mapping[str, str | None] = {}
        problem = ""
        try:
            values = self._static_read_env_file(
                file_path,
                encoding=self.env_file_encoding,
                case_sensitive=True,
                ignore_empty=self.env_ignore_empty,
                parse_none_str=self.env_parse_none_str,
            )
        except UnicodeDecodeError as error:  # it holds the content
            problem = f"{file_path}: not {error.encoding} text (byte {error.start}); set `env_file_encoding`"
        except LookupError:
            problem = f"{file_path}: `env_file_encoding` names no text encoding of Python: {self.env_file_encoding!r}"
        if problem:
            raise DecodeError(problem, ())
        self.spelled = [*getattr(self, "spelled", ()), *values]
        return values if self.case_sensitive else {name.lower(): value for name, value in values.items()}


@functools.cache
def _parameters(function: type[Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function.__init__).parameters


def _make(source: type[Any], cls: type[BaseSettings], options: Mapping[str, Any], **own: Any) -> Any:
    known = _parameters(cast("Any", source))
    given = {name[1:]: value for name, value in options.items() if name[1:] in known and value is not None}
    if source is DotEnv and "_env_file" in options:
        given["env_file"] = options["_env_file"]  # here None means "no file", and is not the default
    return source(cls, **{name: value for name, value in own.items() if name in known}, **given)


def ordered_sources(cls: type[BaseSettings], arguments: Arguments) -> tuple[SourceCallable, ...]:
    """The sources in the order of the class; `CliApp` brings those that it made.

    Raises:
        DecodeError: The class returns no sources.
    """
    options = arguments.options
    if options.get("_build_sources") is not None:
        built, _ = options["_build_sources"]
        return tuple(VolumesSource(cls) if type(each) is SecretsSettingsSource else each for each in built)
    init = arguments.values
    environment = _make(Environment, cls, options)
    standard = {
        "init_settings": _make(InitSettingsSource, cls, options, init_kwargs=init) if init else NoArguments(cls),
        "env_settings": environment,
        "dotenv_settings": _make(DotEnv, cls, options),
        "file_secret_settings": VolumesSource(cls),
    }
    sources: tuple[SourceCallable, ...] | None = cls.settings_customise_sources(cls, **standard)
    if sources is None:
        raise DecodeError("`settings_customise_sources` returns nothing: it must return a tuple of sources", ())
    added = tuple(each for each in sources if each not in standard.values())
    cls._settings_warn_unused_config_keys(added, cls.model_config)
    return (*_with_command_line(cls, options, environment, sources), _make(DefaultSettingsSource, cls, options))


def environment_of(
    cls: type[BaseSettings], sources: Iterable[SourceCallable], arguments: Arguments
) -> EnvSettingsSource:
    """Return the rules of the source of the environment: a copy without variables, so that it can be kept."""
    found = next((each for each in sources if is_environment(each)), None)
    rules = copy.copy(cast("EnvSettingsSource", found or _make(Environment, cls, arguments.options)))
    rules.env_vars = {}
    return rules


def _with_command_line(
    cls: type[BaseSettings],
    options: Mapping[str, Any],
    environment: EnvSettingsSource,
    sources: tuple[SourceCallable, ...],
) -> tuple[SourceCallable, ...]:
    """Put the command line above all, unless the class has placed it; one that is not parsed yet is parsed now."""
    config: Mapping[str, Any] = cls.model_config
    parse = config.get("cli_parse_args") if options.get("_cli_parse_args") is None else options["_cli_parse_args"]
    placed = next((each for each in sources if isinstance(each, CliSettingsSource)), None)
    if placed is not None:
        if parse not in (None, False) and not placed.env_vars:
            placed(args=parse)
        return sources
    given = options.get("_cli_settings_source") or config.get("cli_settings_source")
    if isinstance(given, CliSettingsSource):
        return (given, *sources)
    if parse in (None, False):
        return sources
    line = {**options, "_cli_parse_args": parse, "_case_sensitive": environment.case_sensitive}
    line["_cli_parse_none_str"] = environment.env_parse_none_str or options.get("_cli_parse_none_str")
    return (_make(CliSettingsSource, cls, line, _env_settings_source=environment), *sources)


def is_environment(source: SourceCallable) -> bool:
    return type(source) in (Environment, EnvSettingsSource)
