"""All sources except the volumes, read once: arguments, environment, `.env` files, custom sources.

The place that knows pydantic-settings' sources. It builds them by their public constructors and lets the class order,
add and drop them in ``settings_customise_sources``, where the volumes stand in as ``file_secret_settings``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from dotenv import dotenv_values
from pydantic import BaseModel
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)
from pydantic_settings.sources import DefaultSettingsSource

from liveconfig._loading.arguments import Arguments
from liveconfig._loading.feed import merge
from liveconfig._loading.fields import Node, Rules, names_of
from liveconfig._loading.names import plan_of, value_at
from liveconfig._loading.pydantic_internals import leaves
from liveconfig.origin import OriginKind


class VolumesSource(PydanticBaseSettingsSource):
    """Stands for the volumes in ``settings_customise_sources``. It marks a place: what is read comes later."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Nothing: the volumes are read whole, never field by field."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Nothing: see `get_field_value`."""
        return {}


@dataclass(frozen=True, slots=True)
class Layer:
    """One source and what it gave.

    Attributes:
        kind: The sort of source; None marks the place of the volumes.
        values: The data for pydantic.
        variables: For the environment and ``.env``: the variable by dotted field.
        path: The files of a ``.env``.
    """

    kind: OriginKind | None
    values: Mapping[str, Any]
    variables: Mapping[str, str]
    path: str | None = None


class Sources:
    """The layers of one settings object, the strongest first.

    Raises:
        pydantic_settings.SettingsError: A variable does not parse; it leads to the value, and must not leave.
    """

    def __init__(self, cls: type[BaseSettings], arguments: Arguments) -> None:
        self._cls = cls
        self.arguments = arguments
        init, options = arguments.values, arguments.options
        self.environment = _make(EnvSettingsSource, cls, options)
        self.rules = rules_of(self.environment)
        self.plan = plan_of(cls, self.rules)
        self.layers = tuple(self._layers(_ordered(cls, self.environment, init, options)))
        at = next((index for index, layer in enumerate(self.layers) if layer.kind is None), len(self.layers))
        self.has_volumes = at < len(self.layers)
        self.above = _merged(self.layers[:at])
        self.below = _merged(self.layers[at:])

    def variables(self, snapshot: BaseModel) -> tuple[str, ...]:
        """The leaves of a snapshot that a variable of the environment or of ``.env`` holds."""
        found: dict[str, None] = {}
        for layer in self.layers:
            for dotted in layer.variables:
                value = value_at(snapshot, dotted)
                inside = leaves(value, dotted + ".") if isinstance(value, BaseModel) else [(dotted, value)]
                found.update((name, None) for name, _ in inside)
        if any("." in name for name in found):  # a variable may be for another member of a union than the one there
            there = {name for name, _ in leaves(snapshot)}
            return tuple(name for name in found if name in there)
        return tuple(found)

    def _layers(self, sources: tuple[PydanticBaseSettingsSource, ...]) -> Iterator[Layer]:
        state: dict[str, Any] = {}
        for source in sources:
            if isinstance(source, PydanticBaseSettingsSource):
                source._set_current_state(state)  # noqa: SLF001 - as pydantic-settings does before each call
            given = self._layer(source)
            layer = dataclasses.replace(given, values=self.plan.roots.aligned(given.values)) if given.values else given
            state = merge(layer.values, state)
            yield layer

    def _layer(self, source: PydanticBaseSettingsSource) -> Layer:
        if isinstance(source, VolumesSource):
            return Layer(None, {}, {})
        if isinstance(source, EnvSettingsSource) and not isinstance(source, CliSettingsSource):
            return self._environment_layer(source)
        return Layer("default" if isinstance(source, DefaultSettingsSource) else "init", source(), {})

    def _environment_layer(self, source: EnvSettingsSource) -> Layer:
        variables = self._variables(source)
        if type(source) is EnvSettingsSource:
            # Asked for every field of a large class it takes longer than all the rest; so only for those it can serve.
            roots = set(self._roots(source))
            fields = {name: field for name, field in self._cls.model_fields.items() if name in roots}
            source.settings_cls = cast("type[BaseSettings]", SimpleNamespace(model_fields=fields))
        values = source() if source.env_vars and source.settings_cls.model_fields else {}
        if isinstance(source, DotEnvSettingsSource):
            return Layer("dotenv", values, variables, _paths(source.env_file))
        return Layer("environment", values, variables)

    def _roots(self, source: EnvSettingsSource) -> Iterator[str]:
        """The fields that some variable may serve; what it reaches inside them is for the source to say."""
        labels, delimiter = self.plan.roots.labels, source.env_nested_delimiter
        for variable in source.env_vars:
            name, at = self.rules.canonical(variable), len(variable)
            while at > 0:
                label = labels.get(name[:at])
                if label is not None:
                    yield label
                at = variable.rfind(delimiter, 1, at) if delimiter else -1

    def _variables(self, source: EnvSettingsSource) -> dict[str, str]:
        found: dict[str, str] = {}
        for variable in source.env_vars:
            resolved = self.plan.resolve(variable)
            if resolved and _answers(source, resolved[0][0], variable):
                found.update((each.dotted, variable) for each in resolved[0][-1].sharers if each.dotted not in found)
        return self._as_spelled(source, found) if found else found

    def _as_spelled(self, source: EnvSettingsSource, variables: Mapping[str, str]) -> dict[str, str]:
        """The variables as they are written where they stand; a source may hold them in lower case."""
        spelled = {self.rules.canonical(name): name for name in _names_in(source)}
        return {dotted: spelled.get(self.rules.canonical(name), name) for dotted, name in variables.items()}

    def variable_for(self, dotted: str) -> str | None:
        """The variable that a field is looked for in; None for one inside a model into which no variable reaches."""
        path = list(self.plan.path(dotted))
        if not path or (len(path) > 1 and self.rules.delimiter is None):
            return None
        root, *inside = path
        inner = (names_of(node.label, node.field)[0] for node in inside)
        name = (self.rules.delimiter or "").join([next(iter(_names_for(self.environment, root))), *inner])
        return name if self.rules.case_sensitive else name.upper()


def _names_for(source: EnvSettingsSource, root: Node) -> dict[str, None]:
    """The variables in which pydantic-settings looks for a field, in its order."""
    return dict.fromkeys(name for _, name, _ in source._extract_field_info(root.field, root.label))  # noqa: SLF001


def _answers(source: EnvSettingsSource, root: Node, variable: str) -> bool:
    """Whether pydantic-settings looks in a variable for a field, or for something inside it."""
    delimiter = source.env_nested_delimiter
    names = _names_for(source, root)
    return any(variable == name or (delimiter and variable.startswith(name + delimiter)) for name in names)


def _names_in(source: EnvSettingsSource) -> Iterable[str]:
    if not isinstance(source, DotEnvSettingsSource):
        return os.environ
    given: Any = source.env_file
    files = given if isinstance(given, (list, tuple)) else [given]
    return [name for file in files if file is not None for name in dotenv_values(file, interpolate=False)]


def rules_of(environment: EnvSettingsSource) -> Rules:
    """The rules for names that the class and the constructor's arguments gave."""
    return Rules(
        case_sensitive=bool(environment.case_sensitive),
        prefix=environment.env_prefix or "",
        delimiter=environment.env_nested_delimiter or None,
        decode_all=bool(environment.env_parse_enums or environment.config.get("strict")),
    )


@functools.cache
def _parameters(function: type[Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function.__init__).parameters


class _NoArguments(InitSettingsSource):
    """The constructor's arguments where there are none: its own ``__init__`` visits every field, to find nothing."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        PydanticBaseSettingsSource.__init__(self, settings_cls)
        self.init_kwargs: dict[str, Any] = {}
        self.nested_model_default_partial_update = False


def _make(source: type[Any], cls: type[BaseSettings], options: Mapping[str, Any], **own: Any) -> Any:
    known = _parameters(cast("Any", source))
    given = {name[1:]: value for name, value in options.items() if name[1:] in known and value is not None}
    if source is DotEnvSettingsSource and "_env_file" in options:
        given["env_file"] = options["_env_file"]  # here None means "no file", and is not the default
    return source(cls, **own, **given)


def _ordered(
    cls: type[BaseSettings], environment: EnvSettingsSource, init: dict[str, Any], options: Mapping[str, Any]
) -> tuple[PydanticBaseSettingsSource, ...]:
    ordered = cls.settings_customise_sources(
        cls,
        init_settings=_make(InitSettingsSource, cls, options, init_kwargs=init) if init else _NoArguments(cls),
        env_settings=environment,
        dotenv_settings=_make(DotEnvSettingsSource, cls, options),
        file_secret_settings=VolumesSource(cls),
    )
    if not any(isinstance(source, CliSettingsSource) for source in ordered):
        ordered = (*_command_line(cls, options), *ordered)
    return (*ordered, _make(DefaultSettingsSource, cls, options))


def _command_line(cls: type[BaseSettings], options: Mapping[str, Any]) -> tuple[PydanticBaseSettingsSource, ...]:
    given = options.get("_cli_settings_source")
    if given is not None:
        return (given,)
    arguments = options.get("_cli_parse_args")
    arguments = cls.model_config.get("cli_parse_args") if arguments is None else arguments
    if arguments is None or arguments is False:
        return ()
    return (_make(CliSettingsSource, cls, {**options, "_cli_parse_args": arguments}),)


def _merged(layers: tuple[Layer, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(layer.values, values)
    return values


def _paths(env_file: Any) -> str | None:
    if env_file is None:
        return None
    return ", ".join(map(str, env_file)) if isinstance(env_file, (list, tuple)) else str(env_file)
