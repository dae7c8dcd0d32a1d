"""All sources except the volumes, read once: arguments, environment, `.env` files, custom sources.

This is the only module that uses the sources of pydantic-settings. It creates them with their public constructors. The
class orders, adds and drops them in ``settings_customise_sources``, where ``file_secret_settings`` stands for the
volumes.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from types import SimpleNamespace
from typing import Any, cast

from pydantic import BaseModel
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsError,
)
from pydantic_settings.sources import DefaultSettingsSource

from liveconfig._loading.arguments import Arguments
from liveconfig._loading.decoder import DecodeError
from liveconfig._loading.fields import Node, field_of
from liveconfig._loading.inputs import Rules
from liveconfig._loading.names import Plan, plan_of, value_at
from liveconfig._loading.pydantic_internals import leaves
from liveconfig._loading.redaction import unparsable_field
from liveconfig._loading.types import ABSENT
from liveconfig._record import record
from liveconfig.origin import OriginKind

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


@record
class Layer:
    """One source and its values.

    Attributes:
        kind: The sort of source; None marks the place of the volumes.
        name: The class of the source, or the name of the function.
        values: The data for pydantic.
        variables: For the environment and ``.env``: the variable by dotted field.
        paths: The files that were read, where they are known.
        is_mounted: Whether one of them lies on a volume that the kubelet writes.
    """

    kind: OriginKind | None
    name: str
    values: Mapping[str, Any] = field(repr=False)
    variables: Mapping[str, str]
    paths: tuple[str, ...] = ()
    is_mounted: bool = False

    @property
    def path(self) -> str | None:
        """The files as an `Origin` names them; None where they are not known."""
        return ", ".join(self.paths) or None

    def value(self, nodes: Sequence[Node]) -> Any:
        """The data for a field; a value in place of a model around it counts. `ABSENT` if there is none."""
        return value_in(self.values, nodes) if self.values else ABSENT


def value_in(data: Any, nodes: Sequence[Node]) -> Any:
    """Return the value of a field in some data; a value in place of a model around it counts."""
    for node in nodes:
        if not isinstance(data, Mapping):
            break
        data = node.given(data)
    return data


class _State:
    """The values of the sources that were read so far, by name and merged."""

    def __init__(self, by_source: dict[str, dict[str, Any]], data: dict[str, Any]) -> None:
        self.by_source = by_source
        self.data = data


class Sources:
    """The layers of one settings object, the strongest first.

    The sources above the volumes are read at once. Those below are read after the volumes, because they may need a
    value of a volume.

    Attributes:
        arguments: Those of the constructor.
        environment: The rules of the source of the environment; it holds no variables.
        plan: The names of keys.
        has_volumes: Whether the class has a place for the volumes among its sources.
        layers: The layers in their order; before `complete`, those above the volumes.

    Raises:
        DecodeError: A variable does not parse.
        pydantic_settings.SettingsError: A source of the class failed; it leads to a value, and must not leave.
    """

    def __init__(self, cls: type[BaseSettings], arguments: Arguments) -> None:
        self._cls = cls
        self.arguments = arguments
        ordered = _ordered(cls, arguments)
        defaults = (each for each in ordered if isinstance(each, DefaultSettingsSource) and each.defaults)
        self._defaults = next(defaults, None)
        self.environment = _environment_of(cls, ordered, arguments)
        self.variable_rules = _rules_of(self.environment)
        self.plan = plan_of(cls, _rules_of_keys(self.variable_rules, cls.model_config))
        self._variable_plan = plan_of(cls, self.variable_rules)
        self._state = _State({}, {})
        asked = [each for each in ordered if not isinstance(each, DefaultSettingsSource)]
        at = next((index for index, each in enumerate(asked) if isinstance(each, VolumesSource)), len(asked))
        self.has_volumes = at < len(asked)
        self._after = asked[at + 1 :]
        self._before = self.layers = tuple(self._ask(asked[:at], self._state))
        self.above = _merged(self.plan, self.layers)
        self.below: dict[str, Any] = {}

    def complete(self, volumes: Mapping[str, Any]) -> None:
        """Read the sources below the volumes.

        Args:
            volumes: The values of the volumes.
        """
        state = _State(
            {**self._state.by_source, VolumesSource.__name__: dict(volumes)}, self.plan.merge(volumes, self._state.data)
        )
        after = tuple(self._ask(self._after, state))
        self.below = _merged(self.plan, after)
        self.layers = (*self._before, Layer(None, "", {}, {}), *after) if self.has_volumes else self._before

    def release(self) -> None:
        """Drop the sources after the first load: they hold the whole environment, secrets of others included."""
        del self._after, self._state
        self.arguments.options.pop("_build_sources", None)

    def _ask(self, sources: Iterable[SourceCallable], state: _State) -> Iterator[Layer]:
        """Read sources, each with the values of those before it, as pydantic-settings does."""
        for source in sources:
            _show(source, state)
            layer = self._layer(source)
            _show(source, _State({}, {}))  # or it would hold the first configuration as long as it is there itself
            state.by_source[layer.name] = dict(layer.values)
            if layer.values:
                layer = replace(layer, values=self.plan.roots.aligned(layer.values))
                state.data = self.plan.merge(layer.values, state.data)
            yield layer

    def _layer(self, source: SourceCallable) -> Layer:
        name = str(getattr(source, "__name__", type(source).__name__))
        if isinstance(source, EnvSettingsSource) and not isinstance(source, CliSettingsSource):
            values = self._parsed(source)
            kind = _kind_of(source)
            variables = self._variables(source) if values and kind in ("environment", "dotenv") else {}
            return Layer(kind, name, values, variables, *_files_of(source, values))
        given = type(source) in (InitSettingsSource, _NoArguments) or isinstance(source, CliSettingsSource)
        values = source()
        return Layer("init" if given else "source", name, values, {}, *_files_of(source, values))

    def _parsed(self, source: EnvSettingsSource) -> dict[str, Any]:
        try:
            return self._of_environment(source)
        except SettingsError as error:  # it leads to the value
            field = unparsable_field(error)
            if field is None or not (_is_environment(source) or isinstance(source, DotEnvSettingsSource)):
                raise
        place = "the environment" if _is_environment(source) else "the .env file"
        variable = self.variable_for(field)
        reason = (
            f"the variable {variable} of {place} holds no JSON, which the field {field!r} needs: correct or remove it"
        )
        raise DecodeError(reason, (field,))

    def _of_environment(self, source: EnvSettingsSource) -> dict[str, Any]:
        if _is_environment(source):
            # Asked for every field of a large class it takes longer than all the rest; so only for those it can serve.
            roots = set(self._roots(source))
            fields = {name: field for name, field in self._cls.model_fields.items() if name in roots}
            source.settings_cls = cast("type[BaseSettings]", SimpleNamespace(model_fields=fields))
            return source() if fields else {}
        return source() if source.env_vars or type(source) is not _DotEnv else {}

    def _roots(self, source: EnvSettingsSource) -> Iterator[str]:
        """The fields that some variable may serve; what it reaches inside them is for the source to say."""
        roots, canonical = self._variable_plan.roots, self.variable_rules.canonical
        variables = source.names if isinstance(source, _Environment) else source.env_vars
        names = set(canonical("\0".join(variables)).split("\0"))  # in one call: a pod can have hundreds
        if source.env_nested_delimiter:
            names.update(_heads(names, canonical(source.env_nested_delimiter)))
        for name in roots.labels.keys() & names:
            yield from (node.label for node in roots.reached(name))
            yield from roots.looking_inside(name)

    # Variables

    def _variables(self, source: EnvSettingsSource) -> dict[str, str]:
        """The variable by dotted field, as it is spelled where it stands; a source may hold it in lower case."""
        canonical, spelled = self.variable_rules.canonical, {}
        found: dict[str, str] = {}
        for variable in source.env_vars:
            for path in self._variable_plan.resolve_name(variable):
                root = cast("Node", path[0])
                if _answers(source, root, variable):
                    sharers = root.sharers if root.nested_path else (field_of(path),)
                    found.update((each.dotted, variable) for each in sharers if each.dotted not in found)
        if found:
            spelled = {canonical(name): name for name in _names_in(source)}
        return {dotted: spelled.get(canonical(name), name) for dotted, name in found.items()}

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

    def given_by_sources(self, snapshot: BaseModel, *, follows_volumes: bool) -> tuple[str, ...]:
        """The leaves of a snapshot for which a source that the class added has a value.

        Of a class without volumes only those count that are read from a file on a volume: nothing else is live there.
        """
        added = (layer for layer in self.layers if layer.kind == "source" and layer.values)
        layers = [layer for layer in added if follows_volumes or layer.is_mounted]
        if not layers:
            return ()
        paths = ((name, self.plan.path(name)) for name, _ in leaves(snapshot))
        return tuple(name for name, nodes in paths if any(layer.value(nodes) is not ABSENT for layer in layers))

    def variable_for(self, dotted: str) -> str | None:
        """The variable that a field is looked for in; None for one inside a model into which no variable reaches."""
        delimiter = self.variable_rules.delimiter
        path = list(self.plan.path(dotted))
        if not path or (len(path) > 1 and delimiter is None):
            return None
        root, *inside = path
        inner = (node.inputs[0].key for node in inside)
        name = (delimiter or "").join([next(iter(_names_for(self.environment, root))), *inner])
        return name if self.variable_rules.case_sensitive else name.upper()

    # Defaults

    def with_defaults(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The data over the parts of default models, where the class wants these to be updated in part."""
        if self._defaults is None:
            return data
        self._defaults._set_current_state(dict(data))  # noqa: SLF001 - it depends on which member of a union is chosen
        roots = self.plan.roots
        dumped = {name: (roots.accepting(name), value) for name, value in self._defaults().items()}
        defaults = roots.aligned(
            {name: node.of_dump(value) if node else value for name, (node, value) in dumped.items()}
        )
        merged = self.plan.merge(defaults, data)
        return {name: value for name, value in merged.items() if name not in defaults or defaults[name] != value}


def _show(source: SourceCallable, state: _State) -> None:
    """Let a source see what those before it gave."""
    if isinstance(source, PydanticBaseSettingsSource):
        source._set_current_state(state.data)  # noqa: SLF001
        source._set_settings_sources_data(state.by_source)  # noqa: SLF001


def _heads(names: Iterable[str], delimiter: str) -> list[str]:
    """What stands before a delimiter in names, at each delimiter."""
    heads = []
    for name in names:
        at = name.rfind(delimiter, 1)
        while at > 0:
            heads.append(name[:at])
            at = name.rfind(delimiter, 1, at)
    return heads


def _is_environment(source: SourceCallable) -> bool:
    return type(source) in (_Environment, EnvSettingsSource)


def _kind_of(source: EnvSettingsSource) -> OriginKind:
    """Return the kind of a source: a ``.env`` file, the environment, or another one."""
    if isinstance(source, DotEnvSettingsSource):
        return "dotenv"
    if _is_environment(source):
        return "environment"
    own = type(source)._load_env_vars is not EnvSettingsSource._load_env_vars  # noqa: SLF001
    known = {name.lower() for name in os.environ}
    return "source" if own or any(name.lower() not in known for name in source.env_vars) else "environment"


def _files_of(source: SourceCallable, values: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """The files that values come from, and whether one of them lies on a volume.

    They are known of a `.env` source, and of pydantic-settings' sources of files.
    """
    if not values:
        return (), False
    held: Mapping[str, Any] = getattr(source, "__dict__", {})
    named = (held[name] for name in held if name == "secrets_paths" or name.endswith("_file_path"))
    given = held.get("env_file") or next(named, None)
    several = given if isinstance(given, (list, tuple)) else [given]
    paths = tuple(str(each) for each in several if each is not None)
    return paths, any(map(is_mounted, paths))


def is_mounted(path: str) -> bool:
    """Whether a path is a directory that the kubelet writes, or lies in or below one."""
    folder = os.path.abspath(os.path.expanduser(path))
    while not os.path.lexists(os.path.join(folder, "..data")):
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)
    return True


def _names_for(source: EnvSettingsSource, root: Node) -> dict[str, None]:
    """The variables in which pydantic-settings looks for a field, in its order."""
    return dict.fromkeys(name for _, name, _ in source._extract_field_info(root.field, root.label))  # noqa: SLF001


def _answers(source: EnvSettingsSource, root: Node, variable: str) -> bool:
    """Whether pydantic-settings looks in a variable for a field, or for something inside it."""
    delimiter = source.env_nested_delimiter
    names = _names_for(source, root)
    return any(variable == name or (delimiter and variable.startswith(name + delimiter)) for name in names)


def _names_in(source: EnvSettingsSource) -> Iterable[str]:
    if isinstance(source, _DotEnv):
        return source.spelled
    return source.env_vars if isinstance(source, DotEnvSettingsSource) else os.environ


def _rules_of(environment: EnvSettingsSource) -> Rules:
    """The rules for the names of variables that the class and the constructor's arguments gave."""
    return Rules(
        case_sensitive=bool(environment.case_sensitive),
        prefix=environment.env_prefix or "",
        prefix_target=getattr(environment, "env_prefix_target", None) or "variable",
        delimiter=environment.env_nested_delimiter or None,
        max_split=environment.env_nested_max_split or None,
        decode_all=bool(environment.env_parse_enums or environment.config.get("strict")),
    )


def _rules_of_keys(rules: Rules, config: Mapping[str, Any]) -> Rules:
    prefix = config.get("key_prefix")
    return rules if prefix is None else rules._replace(prefix=prefix)


# The sources themselves


class _NoArguments(InitSettingsSource):
    """The constructor's arguments where there are none: its own ``__init__`` visits every field, to find nothing."""

    __name__ = "InitSettingsSource"  # under which other sources look for what it gave

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        PydanticBaseSettingsSource.__init__(self, settings_cls)
        self.init_kwargs: dict[str, Any] = {}
        self.nested_model_default_partial_update = False


_UNREAD: Mapping[str, str | None] = {}


class _Environment(EnvSettingsSource):
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


class _DotEnv(DotEnvSettingsSource):
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
    if source is _DotEnv and "_env_file" in options:
        given["env_file"] = options["_env_file"]  # here None means "no file", and is not the default
    return source(cls, **{name: value for name, value in own.items() if name in known}, **given)


def _ordered(cls: type[BaseSettings], arguments: Arguments) -> tuple[SourceCallable, ...]:
    """The sources in the order of the class; `CliApp` brings those that it made."""
    options = arguments.options
    if options.get("_build_sources") is not None:
        built, _ = options["_build_sources"]
        return tuple(VolumesSource(cls) if type(each) is SecretsSettingsSource else each for each in built)
    init = arguments.values
    environment = _make(_Environment, cls, options)
    standard = {
        "init_settings": _make(InitSettingsSource, cls, options, init_kwargs=init) if init else _NoArguments(cls),
        "env_settings": environment,
        "dotenv_settings": _make(_DotEnv, cls, options),
        "file_secret_settings": VolumesSource(cls),
    }
    sources: tuple[SourceCallable, ...] = cls.settings_customise_sources(cls, **standard)
    added = tuple(each for each in sources if each not in standard.values())
    cls._settings_warn_unused_config_keys(added, cls.model_config)
    return (*_with_command_line(cls, options, environment, sources), _make(DefaultSettingsSource, cls, options))


def _environment_of(
    cls: type[BaseSettings], sources: Iterable[SourceCallable], arguments: Arguments
) -> EnvSettingsSource:
    """Return the rules of the source of the environment: a copy without variables, so that it can be kept."""
    found = next((each for each in sources if _is_environment(each)), None)
    rules = copy.copy(cast("EnvSettingsSource", found or _make(_Environment, cls, arguments.options)))
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


def _merged(plan: Plan, layers: tuple[Layer, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for layer in layers:
        values = plan.merge(layer.values, values)
    return values
