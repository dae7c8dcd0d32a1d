"""All sources except the volumes, read once: arguments, environment, `.env` files, custom sources."""

from __future__ import annotations

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
    SettingsError,
)
from pydantic_settings.sources import DefaultSettingsSource

from liveconfig._loading.arguments import Arguments
from liveconfig._loading.decoder import DecodeError
from liveconfig._loading.fields import Node, field_of, value_in
from liveconfig._loading.inputs import Rules
from liveconfig._loading.merging import serving
from liveconfig._loading.names import Plan, plan_of, value_at
from liveconfig._loading.pydantic_internals import leaves
from liveconfig._loading.redaction import unparsable_field
from liveconfig._loading.source_classes import (
    DotEnv,
    Environment,
    NoArguments,
    SourceCallable,
    VolumesSource,
    environment_of,
    is_environment,
    ordered_sources,
)
from liveconfig._loading.types import ABSENT
from liveconfig._record import record
from liveconfig.origin import OriginKind


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

    def variable(self, dotted: str, nodes: Sequence[Node]) -> str | None:
        """The variable that holds a value for a field, or for a model around it; None if there is none."""
        return serving(dotted, self.variables) if nodes and self.value(nodes) is not ABSENT else None


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
        DecodeError: A variable does not parse, or a source gives no dictionary.
        pydantic_settings.SettingsError: A source of the class failed; it leads to a value, and must not leave.
    """

    def __init__(self, cls: type[BaseSettings], arguments: Arguments) -> None:
        self._cls = cls
        self.arguments = arguments
        ordered = ordered_sources(cls, arguments)
        defaults = (each for each in ordered if isinstance(each, DefaultSettingsSource) and each.defaults)
        self._defaults = next(defaults, None)
        self.environment = environment_of(cls, ordered, arguments)
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
            values = _returned(self._parsed(source), name)
            kind = _kind_of(source)
            variables = self._variables(source) if values and kind in ("environment", "dotenv") else {}
            return Layer(kind, name, values, variables, *_files_of(source, values))
        given = type(source) in (InitSettingsSource, NoArguments) or isinstance(source, CliSettingsSource)
        values = _returned(source(), name)
        return Layer("init" if given else "source", name, values, {}, *_files_of(source, values))

    def _parsed(self, source: EnvSettingsSource) -> dict[str, Any]:
        try:
            return self._of_environment(source)
        except SettingsError as error:  # it leads to the value
            field = unparsable_field(error)
            if field is None or not (is_environment(source) or isinstance(source, DotEnvSettingsSource)):
                raise
        place = "the environment" if is_environment(source) else "the .env file"
        variable = self.variable_for(field)
        reason = (
            f"the variable {variable} of {place} holds no JSON, which the field {field!r} needs: correct or remove it"
        )
        raise DecodeError(reason, (field,))

    def _of_environment(self, source: EnvSettingsSource) -> dict[str, Any]:
        if is_environment(source):
            # Asked for every field of a large class it takes longer than all the rest; so only for those it can serve.
            roots = set(self._roots(source))
            fields = {name: field for name, field in self._cls.model_fields.items() if name in roots}
            source.settings_cls = cast("type[BaseSettings]", SimpleNamespace(model_fields=fields))
            return source() if fields else {}
        return source() if source.env_vars or type(source) is not DotEnv else {}

    def _roots(self, source: EnvSettingsSource) -> Iterator[str]:
        """The fields that some variable may serve; what it reaches inside them is for the source to say."""
        roots, canonical = self._variable_plan.roots, self.variable_rules.canonical
        variables = source.names if isinstance(source, Environment) else source.env_vars
        names = set(canonical("\0".join(variables)).split("\0"))  # in one call: a pod can have hundreds
        if source.env_nested_delimiter:
            names.update(_heads(names, canonical(source.env_nested_delimiter)))
        for name in roots.labels.keys() & names:
            yield from (node.label for node in roots.reached(name))
            yield from roots.looking_inside(name)

    # Variables

    def _variables(self, source: EnvSettingsSource) -> dict[str, str]:
        """The variable by dotted field, as it is spelled where it stands; a source may hold it in lower case."""
        found: dict[str, str] = {}
        for variable in source.env_vars:
            for dotted in self._reached(source, variable):
                found.setdefault(dotted, variable)
        spelled = {name if source.case_sensitive else name.lower(): name for name in _names_in(source)} if found else {}
        return {dotted: spelled.get(name, name) for dotted, name in found.items()}

    def _reached(self, source: EnvSettingsSource, variable: str) -> Iterator[str]:
        """The fields that a variable can feed, as the source spells it, by dotted name."""
        for path in self._variable_plan.resolve_name(variable):
            root = cast("Node", path[0])
            if _answers(source, root, variable):
                yield from (each.dotted for each in (root.sharers if root.nested_path else (field_of(path),)))

    def fields_of(self, variable: str) -> frozenset[str]:
        """The fields, models and mappings that a variable of the environment can feed, by dotted name.

        Args:
            variable: Its name; case counts where the class says so.
        """
        spelled = variable if self.variable_rules.case_sensitive else variable.lower()
        return frozenset(self._reached(self.environment, spelled))

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


def _returned(values: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise DecodeError(f"the source {name} returned {type(values).__name__}: it must return a dict", ())
    return values


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


def _kind_of(source: EnvSettingsSource) -> OriginKind:
    """Return the kind of a source: a ``.env`` file, the environment, or another one."""
    if isinstance(source, DotEnvSettingsSource):
        return "dotenv"
    if is_environment(source):
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
    if isinstance(source, DotEnv):
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


def _merged(plan: Plan, layers: tuple[Layer, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for layer in layers:
        values = plan.merge(layer.values, values)
    return values
