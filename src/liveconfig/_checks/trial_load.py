"""A trial load of a settings class with the files and variables of one container, by the loader of a pod."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from pydantic_settings import BaseSettings

from liveconfig._checks.mounted_files import File, MountedVolume, Surroundings, Variables
from liveconfig._checks.rules import CHECK_RULES
from liveconfig._loading import (
    VOLUMES_VARIABLE,
    Arguments,
    DecodeError,
    Feed,
    Invalid,
    Loaded,
    Loader,
    Node,
    Plan,
    Problem,
    Sources,
    UnusedNames,
    choose_volumes,
    documents_of,
    missing_documents,
    nearest,
)
from liveconfig._manifests import Finding, ObjectId, Place, VariableValue
from liveconfig._traceback import summarize
from liveconfig._volumes import Revision, Volume
from liveconfig.exceptions import LiveConfigError

MOST_OF_A_VOLUME = 16 * 1024 * 1024

_NO_VARIABLES: Variables = MappingProxyType({})

FieldState = Literal["live", "restart", "frozen", "environment", "default", "unknown", "invalid", "missing"]


class CannotCheck(Exception):  # noqa: N818 - one clear line for a person
    """The check is not possible. The message is one line."""


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field, and its key or variable.

    Attributes:
        field: Its dotted name.
        key: The key or the variable that feeds it; None if there is none.
        object: The ConfigMap or Secret of the key, as ``configmap/NAME``.
        state: Whether it can change, or the problem.
    """

    field: str
    key: str | None
    object: str | None
    state: FieldState


@dataclass(frozen=True, slots=True)
class Trial:
    """The result for one container.

    Attributes:
        surroundings: The files and variables of the container.
        fields: Each field.
        findings: The findings.
        snapshot: The settings in the container; None if they are invalid or unknown.
        known_values: Returns the known values, by dotted name.
        restart: The fields whose change takes effect at the next start only.
    """

    surroundings: Surroundings
    fields: tuple[FieldRow, ...]
    findings: tuple[Finding, ...]
    snapshot: BaseSettings | None = field(repr=False)
    known_values: Callable[[], Mapping[str, Any]] = field(repr=False, compare=False)
    restart: frozenset[str]

    @property
    def identity(self) -> tuple[ObjectId | None, str]:
        """The workload and the container's name."""
        return self.surroundings.workload, self.surroundings.container

    def fields_in(self, *states: FieldState) -> frozenset[str]:
        """Return the fields that are in one of these states."""
        return frozenset(row.field for row in self.fields if row.state in states)

    def row(self, name: str) -> FieldRow | None:
        """Return a field."""
        return next((row for row in self.fields if row.field == name), None)

    def uses(self, of: str | None) -> bool:
        """Whether the container uses an object, given as ``configmap/NAME``; None is no object."""
        return of is None or of in map(_named, self.surroundings.used)

    def needs_restart(self, name: str) -> bool:
        """Whether a change of a field takes effect at the next start only."""
        return _is_about_any(name, self.restart)


def volumes_of(cls: type[BaseSettings], variables: Variables = _NO_VARIABLES) -> tuple[Volume, ...]:
    """Return the volumes that a class reads in a container, with absolute paths.

    Args:
        cls: The settings class.
        variables: The environment of the container, of which `LIVECONFIG_VOLUMES` replaces declared volumes.
    """
    return _chosen_volumes(cls, variables)[0]


def _chosen_volumes(cls: type[BaseSettings], variables: Variables) -> tuple[tuple[Volume, ...], str]:
    """The volumes of a class, and what is wrong with `LIVECONFIG_VOLUMES`, which replaces none of them then."""
    declared = cls.model_config.get("volumes", ())
    given = variables.get(VOLUMES_VARIABLE)
    is_secret = given is not None and given.object is not None and given.object.kind == "Secret"
    text = given.text if given is not None and not is_secret else None  # findings name the paths that are in it
    problem = ""
    try:
        return choose_volumes(declared, None, text or "").volumes, ""
    except LiveConfigError as error:
        problem = str(error)
    return choose_volumes(declared, None, "").volumes, problem


def try_out(cls: type[BaseSettings], surroundings: Surroundings) -> Trial:
    """Load the class as the container would, without any state of this process.

    Args:
        cls: The settings class.
        surroundings: The files and variables of the container.

    Raises:
        CannotCheck: A source of the class that comes before the volumes fails.
    """
    return _Trial(cls, surroundings).result()


def plan_for(cls: type[BaseSettings]) -> Plan:
    """The names of the keys of a class, without looking at the environment of this process."""
    with _environment({}):
        return _sources_of(cls).plan


def _sources_of(cls: type[BaseSettings]) -> Sources:
    try:
        return Sources(cls, Arguments({}, {"_env_file": None, "_cli_parse_args": False}))
    except DecodeError as error:
        reason = error.reason
    except Exception as error:  # noqa: BLE001 - a source of the class
        reason = f"a source of the settings raised {summarize(error)}"
    raise CannotCheck(f"{cls.__name__}: {reason}")


def field_nodes(nodes: Mapping[str, Node], around: tuple[Any, ...] = ()) -> Iterator[tuple[Node, bool]]:
    """Every field at any depth, and whether it is a leaf; of a model that holds itself, the inner one is a leaf."""
    for node in nodes.values():
        annotation = node.field.annotation
        is_open = bool(node.children) and annotation not in around
        yield node, not is_open
        if is_open:
            yield from field_nodes(node.children, (*around, annotation))


def field_leaves(plan: Plan) -> Iterator[tuple[str, Node]]:
    """The fields that hold no other fields, by dotted name."""
    return ((node.dotted, node) for node, is_leaf in field_nodes(plan.fields) if is_leaf)


class _Trial:
    def __init__(self, cls: type[BaseSettings], surroundings: Surroundings) -> None:
        self._cls = cls
        self._surroundings = surroundings
        self._volumes = surroundings.volumes
        self._documents = documents_of(cls)
        self._faults: list[Finding] = []
        self._unreadable: set[tuple[int, str]] = set()
        self._unreadable_variables: frozenset[str] = frozenset()
        self._is_validated = False
        self._problems: tuple[Problem, ...] = ()
        self._snapshot: BaseSettings | None = None
        self._load()
        self._unknown = self._unknown_fields()
        self._rejected = self._rejected_fields()

    def result(self) -> Trial:
        rows = tuple(self._row(name, node) for name, node in self._leaves())
        findings = [
            *self._faults,
            *self._of_refused(),
            *self._of_absent(),
            *self._of_problems(),
            *self._of_volumes(),
            *self._of_rows(rows),
        ]
        known = partial(self._loader.known_values, tuple(self._feeds))
        restart = self._loader.plan.restart_fields
        return Trial(self._surroundings, rows, tuple(findings), self._snapshot, known, restart)

    # Loading

    def _load(self) -> None:
        """Load what can be read; each key and variable that cannot is a finding."""
        while at_fault := self._load_readable():
            self._unreadable_variables |= at_fault

    def _load_readable(self) -> frozenset[str]:
        """Load without the keys and variables that cannot be read. Return more of these variables."""
        with _environment(self._readable_variables()):
            self._sources = _sources_of(self._cls)
            volumes, self._problem_of_volumes = _chosen_volumes(self._cls, self._surroundings.variables)
            self._loader = Loader(self._cls, volumes, self._sources)
            self._feeds = [self._fed(index, volume) for index, volume in enumerate(self._volumes)]
            try:
                self._keep(self._loader.load(tuple(self._feeds), None))
            except DecodeError as error:
                self._faults.append(self._of_variable(error))
                return self._variables_of(error.fields)
            except Exception as error:  # noqa: BLE001 - a source of the class
                text = f"a source of the settings raised {summarize(error)}"
                self._faults.append(self._finding("invalid-value", text))
        return frozenset()

    def _keep(self, loaded: Loaded[BaseSettings] | Invalid) -> None:
        self._is_validated = True
        if isinstance(loaded, Invalid):
            self._problems = loaded.problems
        elif not self._faults:
            self._snapshot = loaded.snapshot

    def _readable_variables(self) -> dict[str, str | None]:
        variables = self._surroundings.variables.items()
        return {name: each.text for name, each in variables if name not in self._unreadable_variables}

    def _fed(self, index: int, volume: MountedVolume) -> Feed:
        """The values of a volume, without the keys that cannot be read."""
        known = {name: file.content for name, file in volume.files.items() if file.content is not None}
        files = {name: content for name, content in known.items() if (index, name) not in self._unreadable}
        while True:
            try:
                return self._loader.feed(index, _revision(volume, files), None)
            except DecodeError as error:
                file, fields = volume.files[error.key], ", ".join(error.fields)
                text, key = error.reason, file.key
                self._faults.append(self._finding("invalid-value", text, field=fields, source=file, key=key))
                self._unreadable.add((index, error.key))
                del files[error.key]

    def _of_variable(self, error: DecodeError) -> Finding:
        variable = next((name for name in map(self._sources.variable_for, error.fields) if name), "")
        source, fields = self._set(variable), ", ".join(error.fields)
        return self._finding("invalid-value", error.reason, field=fields, source=source, key=variable)

    def _variables_of(self, fields: Iterable[str]) -> frozenset[str]:
        """The variables that can feed one of these fields, and were read."""
        return frozenset(
            name
            for name in self._readable_variables()
            if any(_is_about(each, field) for each in self._sources.fields_of(name) for field in fields)
        )

    def _unknown_fields(self) -> frozenset[str]:
        """The fields that something could feed whose value is not in the input."""
        found: set[str] = set()
        if self._surroundings.open_ended:
            return frozenset(name for name, _ in self._leaves())
        for volume in self._volumes:
            if volume.incomplete:
                return frozenset(name for name, _ in self._leaves())
            for name, file in volume.files.items():
                if file.content is None:
                    found |= self._fed_by(name)
        missing = (name for name, value in self._surroundings.variables.items() if value.text is None)
        unreadable = (self._fed_by(name) for _, name in self._unreadable)
        variables = map(self._sources.fields_of, (*missing, *self._unreadable_variables))
        return frozenset(found.union(*unreadable, *variables))

    def _fed_by(self, key: str) -> frozenset[str]:
        """The fields that a key can feed; a document can feed all of them."""
        if key in self._documents:
            return frozenset(name for name, _ in self._leaves())
        steps = (step for path in self._loader.plan.resolve(key) for step in path)
        return frozenset(step.dotted for step in steps if isinstance(step, Node))

    def _rejected_fields(self) -> frozenset[str]:
        """The fields of keys and variables that cannot be read, or that an API server refuses.

        Which fields a document feeds is not known then.
        """
        refused = self._surroundings.refused
        named = ((name, file) for volume in self._volumes for name, file in volume.files.items())
        names = {name for name, file in named if (file.object, file.key) in refused}
        names |= {name for _, name in self._unreadable}
        variables = (*self._surroundings.refused_variables, *self._unreadable_variables)
        return frozenset().union(
            *map(self._fed_by, names.difference(self._documents)), *map(self._sources.fields_of, variables)
        )

    # Fields

    def _leaves(self) -> Iterator[tuple[str, Node]]:
        return field_leaves(self._loader.plan)

    def _row(self, name: str, node: Node) -> FieldRow:
        fed = self._feeding(name)
        file, key = fed or (None, self._variable(name))
        of = file.object if file else self._set(key).object
        state = self._state(name, node, file, key)
        return FieldRow(name, key, _named(of) if of else None, state)

    def _feeding(self, name: str) -> tuple[File, str] | None:
        """The file of the strongest volume that feeds a field, and its key."""
        for volume, feed in reversed(list(zip(self._volumes, self._feeds, strict=True))):
            key = feed.key_for(name)
            if key is not None and (file := volume.files.get(key.partition(":")[0])) is not None:
                return file, key
        return None

    def _variable(self, name: str) -> str | None:
        nodes = self._loader.plan.path(name)
        found = (layer.variable(name, nodes) for layer in self._sources.layers)
        return next((variable for variable in found if variable is not None), None)

    def _set(self, variable: str | None) -> VariableValue:
        """The variable of the container, whatever its case."""
        found = self._surroundings.variables
        same = (each for name, each in found.items() if variable and name.upper() == variable.upper())
        return found.get(variable or "") or next(same, VariableValue(None, self._surroundings.place))

    def _state(self, name: str, node: Node, file: File | None, key: str | None) -> FieldState:
        at_fault = [each for each in self._problems if _is_about(each.field, name)]
        if at_fault and not self._is_unknown(name):
            return "missing" if file is None and key is None and node.field.is_required() else "invalid"
        if _is_about_any(name, self._rejected):
            return "invalid"
        if not self._is_validated:
            return "unknown"
        if file is not None and file.frozen:
            return "frozen"
        if file is not None:
            return "restart" if _is_about_any(name, self._loader.plan.restart_fields) else "live"
        if key is not None:
            return "environment"
        return "unknown" if self._is_unknown(name) else "default"

    def _is_unknown(self, name: str) -> bool:
        return _is_about_any(name, self._unknown) and self._feeding(name) is None

    # Findings

    def _of_refused(self) -> Iterator[Finding]:
        for (of, name), refused in self._surroundings.refused.items():
            text = f"{_named(of)}: {refused.problem}; the API server refuses the object"
            yield self._finding("invalid-value", text, field=name, of=of, place=refused.place, key=name)
        for name, refused in self._surroundings.refused_variables.items():
            text = f"the value of the variable {name} {refused.problem}; the API server refuses the workload"
            yield self._finding("invalid-value", text, field=name, place=refused.place, key=name)

    def _of_absent(self) -> Iterator[Finding]:
        for (of, key), absent in self._surroundings.absent.items():
            text = f"{_named(of)} has no key {key!r}, and the container does not start without it"
            if absent.is_binary:
                text = (
                    f"{_named(of)} has the key {key!r} in `binaryData` only, of which no variable is made, and the "
                    "container does not start without it"
                )
            yield self._finding("missing-key", text, field=key, of=of, place=absent.place, key=key)

    def _of_problems(self) -> Iterator[Finding]:
        for problem in self._problems:
            fed = self._feeding(problem.field) if problem.field else None
            if problem.field and fed is None and self._is_unknown(problem.field):
                continue
            if not problem.field and self._unknown:
                continue
            variable = self._variable(problem.field) or ""
            rule = "invalid-value" if fed or variable or not problem.field else "missing-field"
            text = f"{problem.location}: {problem.text}" if problem.location else problem.text
            key, source = fed[0].key if fed else variable, self._source_of(problem)
            yield self._finding(rule, text, field=problem.location, source=source, key=key)

    def _source_of(self, problem: Problem) -> File | VariableValue | None:
        """Return the place of the value at fault."""
        if fed := self._feeding(problem.field):
            return fed[0]
        variable = self._variable(problem.field)
        return self._set(variable) if variable else self._place_of_missing(problem)

    def _place_of_missing(self, problem: Problem) -> File | None:
        """Where to add a key: at the key that comes near, else at the only object of its kind."""
        files = {name: file for volume in self._volumes for name, file in volume.files.items()}
        close = next((file for name, file in files.items() if f"`{name}`" in problem.hint), None)
        node = self._loader.plan.node(problem.field)
        kind = "Secret" if node is not None and node.secret else "ConfigMap"
        objects = {file.object: file for file in files.values() if file.object}
        fitting = [file for of, file in objects.items() if of.kind == kind] or list(objects.values())
        only = fitting[0] if len(fitting) == 1 else None
        return close or (replace(only, place=only.object_place) if only else None)

    def _of_volumes(self) -> Iterator[Finding]:
        if text := self._problem_of_volumes:
            yield self._finding("invalid-value", text, source=self._set(VOLUMES_VARIABLE), key=VOLUMES_VARIABLE)
        for each, missing in self._surroundings.missing.items():
            if missing.variables is None or any(map(self._sources.fields_of, missing.variables)):
                how = "is mounted" if missing.is_mounted else "sets variables"
                text = f"{_named(each)} {how} and is not in the input: what it could feed is unknown"
                yield self._finding("missing-object", text, of=each, place=missing.place)
        for each, places in self._surroundings.repeated.items():
            text = f"{_named(each)} stands in the input more than once ({_places(places)}): only the last one counts"
            yield self._finding("duplicate-object", text, of=each, place=places[-1])
        yield from self._of_sizes()
        yield from self._of_mounts()
        yield from self._of_unused()

    def _of_mounts(self) -> Iterator[Finding]:
        required = {volume.path: volume.required for volume in self._loader.volumes}
        for path in (volume.path for volume in self._volumes if not volume.mounted):
            text = f"nothing is mounted at {path}"
            if required[path]:
                start = "the application does not start, unless its image holds this directory"
                yield self._finding("missing-volume", f"{text}, which {self._cls.__name__} requires: {start}")
            elif required[path] is None:
                yield self._finding("not-mounted", text)

    def _of_unused(self) -> Iterator[Finding]:
        volumes = {feed.revision.path: volume for volume, feed in zip(self._volumes, self._feeds, strict=True)}
        leaves, feeds = [name for name, _ in self._leaves()], (*self._feeds, *self._names_without_value())
        documents = self._documents_by_near_key(feeds)
        for feed, key, close in UnusedNames().of(self._loader.plan, feeds, leaves):
            hint = self._hint(key, self._key_of(close, feed, key), documents.get(key))
            text = f"the key {key!r} feeds no field of {self._cls.__name__}{hint}"
            source = volumes[feed.revision.path].files.get(key.partition(":")[0])
            yield self._finding("unknown-key", text, field=key, source=source, key=source.key if source else "")

    def _documents_by_near_key(self, feeds: tuple[Feed, ...]) -> dict[str, str]:
        """The documents that are on no volume, by the key that comes near."""
        there = {name for volume in self._volumes for name in volume.files}
        missing = missing_documents(self._documents.keys() - there, feeds)
        return {close: name for name, close in missing.items() if close is not None}

    def _key_of(self, close: str | None, feed: Feed, key: str) -> str | None:
        """The name that feeds a field where a wrong name stands: its key, or in structured data the field's own."""
        if close is None or key in feed.misnamed:
            return close
        return next(iter(self._loader.plan.keys_for(close)), close)

    @staticmethod
    def _hint(key: str, name: str | None, document: str | None) -> str:
        """The end of a message about a key that feeds nothing: the nearest name or document."""
        close = nearest(key, filter(None, (name, document)))
        if document is not None and close == document:
            return f"; did you mean the document {document!r}, which is on no volume?"
        return f"; did you mean {name!r}?" if name is not None else ""

    def _names_without_value(self) -> Iterator[Feed]:
        """For each volume, the keys that feed no field and whose value is not in the input."""
        for index, volume in enumerate(self._volumes):
            unknown = (name for name, file in volume.files.items() if file.content is None and file.object)
            files = {name: b"" for name in unknown if not self._fed_by(name)}
            yield self._loader.feed(index, _revision(volume, files), None)

    def _of_sizes(self) -> Iterator[Finding]:
        for each, (size, place) in self._surroundings.too_large.items():
            yield self._finding(
                "too-large", f"{_named(each)} holds {size:,} bytes, more than 1 MiB", of=each, place=place
            )
        for volume in self._volumes:
            size = sum(len(file.content or b"") for file in volume.files.values())
            if size > MOST_OF_A_VOLUME:
                yield self._finding("too-large", f"{volume.path} holds {size:,} bytes, more than 16 MiB")

    def _of_rows(self, rows: Sequence[FieldRow]) -> Iterator[Finding]:
        config: Mapping[str, Any] = self._cls.model_config
        meant = frozenset(config.get("from_environment", ()))
        for row in rows:
            fed = self._feeding(row.field)
            own = row.field.partition(".")[0]
            if fed is not None and fed[0].frozen:
                text, key = f"{row.field}: {fed[0].frozen}", fed[0].key
                yield self._finding("frozen-field", text, field=row.field, source=fed[0], key=key)
            elif row.state == "environment" and not {row.field, own} & meant and self._volumes:
                text = f"{row.field} is read from the variable {row.key}, which never changes while the container runs"
                of, place = self._set(row.key).object, self._set(row.key).set_at
                yield self._finding("frozen-field", text, field=row.field, of=of, place=place, key=row.key or "")
            elif fed is not None and (variable := self._variable(row.field)) and not {row.field, own} & meant:
                text = f"{row.field}: the volume feeds it, and the variable {variable} holds a value too"
                yield self._finding("shadowed-variable", text, field=row.field, source=fed[0], key=fed[0].key)

    def _finding(
        self,
        rule: str,
        message: str,
        *,
        field: str = "",
        source: File | VariableValue | None = None,
        of: ObjectId | None = None,
        place: Place | None = None,
        key: str = "",
    ) -> Finding:
        """A finding at a place, at that of a value, or at that of the workload."""
        where = place or (source.place if source else None) or self._surroundings.place
        about = source.object if source else of
        return Finding(rule, CHECK_RULES[rule].level, about, self._surroundings.workload, field, message, where, key)


def _revision(volume: MountedVolume, files: Mapping[str, bytes]) -> Revision:
    mode: Literal["atomic", "missing"] = "atomic" if volume.mounted else "missing"
    return Revision(volume.path, mode, "manifest", ("manifest",), files, datetime.now(UTC))


def _is_about(one: str, other: str) -> bool:
    """Whether two dotted names are the same, or one is around the other."""
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")


def _is_about_any(name: str, others: Iterable[str]) -> bool:
    return any(_is_about(each, name) for each in others)


def _places(places: Iterable[Place]) -> str:
    return ", ".join(f"{place.file}:{place.line}" for place in places)


def _named(of: ObjectId) -> str:
    return f"{of.kind.lower()}/{of.name}"


def _can_be_set(value: str) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half of a surrogate pair, which YAML can write
        return False


@contextmanager
def _environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """The variables of the container, while its sources are made; those of this process are put back."""
    own = dict(os.environ)
    known = {name: value for name, value in variables.items() if value is not None and _can_be_set(value)}
    try:
        os.environ.clear()
        os.environ.update(known)
        yield
    finally:
        os.environ.clear()
        os.environ.update(own)
