"""The places of values (fields, items of lists, entries of mappings) and the names that reach them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Strict
from pydantic.fields import FieldInfo

from liveconfig._loading.cached import cached
from liveconfig._loading.documents import format_of
from liveconfig._loading.inputs import Input, Rules, inputs_of
from liveconfig._loading.key import Key, key_of
from liveconfig._loading.types import (
    ABSENT,
    Kind,
    by_alias_of,
    by_name_of,
    entry_of,
    is_joined,
    is_secret,
    is_text,
    is_union,
    item_of,
    kind_of,
    members,
    nested_fields,
    takes_anything,
    takes_content,
    takes_extra_fields,
)


class Place:
    """A value somewhere in the settings, and the names that reach inside it.

    Attributes:
        dotted: Its name from the settings down: ``db.user``, ``routes[]``, ``tenants[*].host``.
        field: Its type, as pydantic describes a field.
        kind: How the bytes of a key are read.
    """

    label = ""
    nested_path = False

    def __init__(self, rules: Rules, dotted: str, field: FieldInfo) -> None:
        self._rules = rules
        self.dotted = dotted
        self.field = field
        self.kind = kind_of(field.annotation)

    @property
    def place(self) -> Place:
        """Itself: a field is a step on the way of a key, as an `Entry` is."""
        return self

    @cached
    def secret(self) -> bool:
        """Whether values here count as secret because of their type."""
        return is_secret(self.field.annotation)

    @cached
    def is_union(self) -> bool:
        """Whether one value may have several types."""
        return is_union(self.field.annotation) and not is_joined(self.field)

    @cached
    def children(self) -> Level:
        """The fields of the nested model; empty where it is none."""
        models = list(members(self.field.annotation))
        by_alias, by_name = all(map(by_alias_of, models)), any(map(by_name_of, models))
        fields, dotted = nested_fields(self.field.annotation), self.dotted + "."
        return Level(self._rules.without_prefix, fields, dotted, by_alias=by_alias, by_name=by_name)

    @cached
    def entry(self) -> Place | None:
        """The place of an entry, where it is a mapping or a model that takes extra fields."""
        inner = self._inner("[*]", entry_of(self.field.annotation))
        if inner is None and takes_extra_fields(self.field.annotation):
            inner = self._inner("[*]", Any)
            assert inner is not None
            inner.kind = Kind.TEXT  # as pydantic-settings has it for variables
        return inner

    @cached
    def item(self) -> Place | None:
        """The place of an item, where it is a list, a tuple or a set."""
        return self._inner("[]", item_of(self.field.annotation))

    def _inner(self, suffix: str, annotation: Any) -> Place | None:
        if annotation is ABSENT:
            return None
        inner = Place(self._rules, self.dotted + suffix, FieldInfo.from_annotation(annotation))
        if takes_anything(annotation):
            inner.entry = inner  # keys may go on inside, as variables do
        return inner

    @property
    def is_container(self) -> bool:
        """Whether keys reach inside it."""
        return bool(self.children) or self.entry is not None

    @cached
    def declared(self) -> Key | None:
        """Its `Key`, where it has one."""
        return key_of(self.field)

    def form(self, key: str) -> str | None:
        """The format of the content of a key; None where it is read as a variable is."""
        if self.declared is None:
            return None
        if self.declared.format is not None:
            return self.declared.format
        return None if takes_content(self.field.annotation) else format_of(key)

    def aligned(self, value: Any) -> Any:
        """The same data with every name as a volume gives it, so that one replaces the other when they are merged."""
        if isinstance(value, dict) and self.children:
            return self.children.aligned(value)
        if isinstance(value, dict) and self.entry is not None and self.entry is not self:
            return {name: self.entry.aligned(inner) for name, inner in value.items()}
        if isinstance(value, list) and self.item is not None:
            return [self.item.aligned(inner) for inner in value]
        return value

    def of_dump(self, value: Any) -> Any:
        """The data of a value that pydantic has dumped, where models have the names of their fields."""
        if isinstance(value, dict) and self.children:
            return self.children.of_dump(value)
        if isinstance(value, dict) and self.entry is not None and self.entry is not self:
            return {name: self.entry.of_dump(inner) for name, inner in value.items()}
        if isinstance(value, list) and self.item is not None:
            return [self.item.of_dump(inner) for inner in value]
        return value


class Entry(NamedTuple):
    """One entry of a mapping, as a step on the way of a key.

    Attributes:
        key: Its name, as it is written.
        place: Its value.
    """

    key: str
    place: Place

    def given(self, data: Mapping[str, Any]) -> Any:
        """The data of the mapping for the entry; `ABSENT` if there is none."""
        return data.get(self.key, ABSENT)


class Node(Place):
    """One field, at any depth, and the names of keys that reach it.

    Attributes:
        label: Its name in its own class.
        key: The name of the value in the data for pydantic.
        nested_path: Whether pydantic takes the field out of the value there (an `AliasPath`).
        inputs: Every name under which pydantic takes it.
        rank: How early pydantic looks under the name that led here.
    """

    def __init__(self, rules: Rules, dotted: str, label: str, field: FieldInfo, inputs: tuple[Input, ...]) -> None:
        super().__init__(rules, dotted, field)
        self.label = label
        self.inputs = inputs
        self.rank = 0
        first = next((each for each in inputs if not each.path), inputs[0])
        self.key, self.nested_path = first.key, bool(first.path)
        self.sharers: tuple[Node, ...] = (self,)
        if self.kind is Kind.TEXT and (rules.decode_all or self.nested_path):
            self.kind = Kind.DECODED

    def reached(self, rank: int, sharers: tuple[Node, ...] = ()) -> Node:
        """The same field, reached by another name; by a path, together with the fields that look there too."""
        node = copy.copy(self)
        node.rank = rank
        if self.inputs[rank].path:
            node.key, node.nested_path, node.kind, node.sharers = self.inputs[rank].key, True, Kind.DECODED, sharers
            # Whatever its type, the value here is one inside of which something is looked for.
            node.children = Level(self._rules, {}, "", by_alias=True, by_name=False)
            node.entry = self._inner("[*]", Any)
        return node

    def spelled(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries inside the value of a path, by the names that pydantic has: case does not count in a key."""
        canonical = self._rules.canonical
        left = [(each.path, node.place) for node in self.sharers for each in node.inputs if each.key == self.key]
        for entry in entries:
            known = [name for path, place in left for name in _names_after(path, place)]
            alike = [name for name in known if canonical(name) == canonical(entry.key)]
            name = entry.key if entry.key in alike or not alike else alike[0]
            left = [each for path, place in left for each in _step(path, place, name)]
            yield Entry(name, self._of_content(left) or entry.place)

    def _of_content(self, left: Iterable[tuple[tuple[str | int, ...], Place]]) -> Place | None:
        """The place of a key that is the text or the bytes of the fields that look there; None if they decode it.

        Args:
            left: What is left of the path of each field, and the place at its end.
        """
        found = [(Kind.DECODED if path else _kind_in_path(place.field), place) for path, place in left]
        kinds = {kind for kind, _ in found}
        if self._rules.decode_all or len(kinds) != 1 or Kind.DECODED in kinds:
            return None
        return Place(self._rules, found[0][1].dotted, found[0][1].field)

    def ranked(self, rank: int) -> Node:
        """The same field, reached by one of the names of its `Key`."""
        node = copy.copy(self)
        node.rank = rank
        return node

    def served_inside(self, value: Any) -> Iterator[tuple[Node, int, Any]]:
        """The fields that find something inside a value, put at `key`, with the number of steps to it, and what."""
        data = {self.key: value}
        for each in self.sharers:
            found = ((len(given.path), given.given(data)) for given in each.inputs if given.key == self.key)
            steps, inner = next((each for each in found if each[1] is not ABSENT), (0, ABSENT))
            if inner is not ABSENT:
                yield each, steps, inner

    def given(self, data: Mapping[str, Any]) -> Any:
        """The data of some layer for the field; `ABSENT` if there is none."""
        return next((value for each in self.inputs if (value := each.given(data)) is not ABSENT), ABSENT)

    def rank_of(self, name: str) -> int | None:
        """Return the rank of a name in pydantic's search for the field; None if it is not used, or used by a path."""
        ranks = (at for at, each in enumerate(self.inputs) if each.key == name and not each.path)
        return None if self.nested_path else next(ranks, None)


def _kind_in_path(field: FieldInfo) -> Kind:
    """How a key is read that is the whole value of a field; a strict number or bool is parsed: it refuses text."""
    is_strict = any(isinstance(each, Strict) for each in field.metadata)
    return Kind.DECODED if is_strict and not takes_content(field.annotation) else kind_of(field.annotation)


def _names_after(path: tuple[str | int, ...], place: Place) -> Iterator[str]:
    """The names that pydantic looks for next.

    Args:
        path: What is left of the path of an `AliasPath`.
        place: The field at its end, or a place inside that field.
    """
    if path:
        yield from (each for each in path[:1] if isinstance(each, str))
    else:
        yield from (each.key for node in place.children.values() for each in node.inputs)


def _step(path: tuple[str | int, ...], place: Place, name: str) -> Iterator[tuple[tuple[str | int, ...], Place]]:
    """What is left of a path after one more name, and the place at its end."""
    node = None if path else place.children.accepting(name)
    if path and path[0] == name:
        yield path[1:], place
    elif node is not None:
        yield from ((each.path, node) for each in node.inputs if each.key == name)
    elif not path and place.entry is not None:
        yield (), place.entry


Path = tuple[Node | Entry, ...]
"""The steps from the first level to a value."""


def value_in(data: Any, path: Iterable[Node | Entry]) -> Any:
    """Return the value at the end of a path in some data; a value in place of a model around it counts."""
    for step in path:
        if not isinstance(data, Mapping):
            break
        data = step.given(data)
    return data


def plain_node(path: Path, name: str) -> Node | None:
    """Return the field of a path if pydantic knows it by this name only and uses its data unchanged."""
    node = path[0]
    if len(path) > 1 or not isinstance(node, Node) or node.nested_path or len(node.inputs) > 1:
        return None
    return node if node.key == name and node.kind is not Kind.BYTES else None


def field_of(path: Path) -> Place:
    """The field that a path leads to, or the one of which it leads to an entry."""
    at = next((index for index, step in enumerate(path) if isinstance(step, Entry)), len(path))
    return path[at - 1].place


def path_name(path: Path) -> str:
    """A name for a path: dotted down to a field, with ``/`` from the first entry of a mapping on."""
    at = next((index for index, step in enumerate(path) if isinstance(step, Entry)), len(path))
    inside = (step.label if isinstance(step, Node) else str(step.key) for step in path[at:])
    return "/".join([path[at - 1].place.dotted, *inside])


class Level(Mapping[str, Node]):
    """The nodes of some fields by every canonical name they answer to; a node is made when it is asked for.

    Of a large class most are never asked for: see `plain`.
    """

    def __init__(
        self, rules: Rules, fields: Mapping[str, FieldInfo], dotted: str, *, by_alias: bool, by_name: bool
    ) -> None:
        self._rules = rules
        self._fields = fields
        self.around = dotted
        """The name of the model around the fields, with a dot; empty at the first level."""
        self._aliased = {
            label: inputs_of(label, field, by_alias=by_alias, by_name=by_name)
            for label, field in fields.items()
            if field.validation_alias is not None
        }
        self._nodes: dict[str, Node] = {}
        self._reached: dict[str, tuple[Node, ...]] = {}
        self.labels: dict[str, str] = {}
        self._others: dict[str, list[str]] = {}  # more fields that answer to the same name
        self._collect_names()

    def _collect_names(self) -> None:
        canonical, lead, aliased = self._rules.canonical, self._rules.lead(Input("")), self._aliased
        for label in self._fields:
            if label not in aliased:
                name = canonical(lead + label)
                self.labels.setdefault(label if name == label else name, label)  # one string for both, where it can be
        for label, inputs in aliased.items():
            for name in dict.fromkeys(canonical(self._rules.lead(each) + each.key) for each in inputs):
                if self.labels.setdefault(name, label) != label:
                    self._others.setdefault(name, []).append(label)

    def __getitem__(self, name: str) -> Node:
        return self.node(self.labels[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def node(self, label: str) -> Node:
        """The node of a field.

        Raises:
            KeyError: There is none of this name.
        """
        if label not in self._nodes:
            inputs = self._aliased.get(label) or (Input(label),)
            node = Node(self._rules, self.around + label, label, self._fields[label], inputs)
            node.key = self._data_key(node)
            self._nodes[label] = node
        return self._nodes[label]

    def _data_key(self, node: Node) -> str:
        """The first alias; of two fields that share an alias, each has its own name where pydantic takes that."""
        by_name = node.inputs[-1].key == node.label and not node.nested_path
        return node.label if by_name and node.key != node.label and self._is_shared(node) else node.key

    def _is_shared(self, node: Node) -> bool:
        return len(self._by_key[node.key]) > 1

    def reached(self, name: str) -> tuple[Node, ...]:
        """The fields that answer to a canonical name, as they are reached by it."""
        label, others = self.labels.get(name), self._others.get(name, [])
        if label is None:
            return ()
        if label not in self._aliased and not others:
            return (self.node(label),)
        if name not in self._reached:
            self._reached[name] = tuple(self._by_name(name, [label, *others]))
        return self._reached[name]

    def _by_name(self, name: str, labels: Iterable[str]) -> Iterator[Node]:
        containers: set[str] = set()
        for node in map(self.node, labels):
            rank = next(at for at, each in enumerate(node.inputs) if self._answers(each, name))
            first = node.inputs[rank]
            if not first.path:
                yield node.reached(rank) if rank else node
            elif first.key not in containers:
                containers.add(first.key)
                yield node.reached(rank, self.sharers(first.key))

    def _answers(self, each: Input, name: str) -> bool:
        return self._rules.canonical(self._rules.lead(each) + each.key) == name

    def given_in(self, data: Mapping[str, Any]) -> Iterator[tuple[Node, int, Any]]:
        """The fields for which some data has a value, each with the number of steps to it, and the value."""
        for node in map(self.node, self._fields):
            found = ((1 + len(each.path), each.given(data)) for each in node.inputs)
            steps, value = next((each for each in found if each[1] is not ABSENT), (0, ABSENT))
            if value is not ABSENT:
                yield node, steps, value

    def looking_inside(self, name: str) -> Iterator[str]:
        """The fields that look, by a path, inside the value of one of the names behind a canonical name."""
        for node in self.reached(name):
            yield from (each.label for each in node.sharers)

    def sharers(self, key: str) -> tuple[Node, ...]:
        """The fields that look, by a path, inside the value of one name."""
        named = map(self.node, self._by_key.get(key, ()))
        return tuple(node for node in named if any(each.path and each.key == key for each in node.inputs))

    def aligned(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `Place.aligned`. Of two names for one field, the one that pydantic looks for first wins."""
        found: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        for name, value in values.items():
            takers = [(node, rank) for node in self._named(name) if (rank := node.rank_of(name)) is not None]
            for node, rank in takers:
                if rank <= ranks.get(node.key, rank):
                    found[node.key], ranks[node.key] = node.aligned(value), rank
            if not takers:
                found.setdefault(name, value)
        return found

    def of_dump(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See `Place.of_dump`. A field that only a path reaches has no name of its own, and is left out."""
        nodes = {label: self.node(label) for label in values if label in self._fields}
        data = {node.key: node.of_dump(values[label]) for label, node in nodes.items() if not node.nested_path}
        return {**data, **{name: value for name, value in values.items() if name not in nodes}}

    def without_overridden(self, low: Mapping[str, Any], high: Mapping[str, Any]) -> Mapping[str, Any]:
        """The data of a weaker layer without what pydantic would find before the values of a stronger one."""
        for node in self._with_choices:
            ranks = (at for at, each in enumerate(node.inputs) if each.given(high) is not ABSENT)
            for each in node.inputs[: next(ranks, 0)]:
                if each.given(low) is not ABSENT:
                    low = each.removed_from(low)
        for name, value in high.items():
            below = low.get(name)
            if isinstance(below, dict) and isinstance(value, dict):
                inside = [each.children for each in self._named(name) if each.children]
                low = {**low, name: inside[0].without_overridden(below, value)} if inside else low
        return low

    @cached
    def _with_choices(self) -> list[Node]:
        """The fields that pydantic finds under several names, with a path among them: for others one is the key."""
        several = (label for label, inputs in self._aliased.items() if len(inputs) > 1)
        return [self.node(label) for label in several if any(each.path for each in self._aliased[label])]

    def _named(self, name: Any) -> list[Node]:
        """The fields that may take a name as pydantic spells it: without a prefix."""
        found = [self.node(label) for label in self._by_key.get(name, ())]
        return [*found, self.node(name)] if name in self._fields and name not in self._aliased else found

    def accepting(self, name: str) -> Node | None:
        """Return the field that has a name for pydantic: its own, or one of its aliases."""
        labels = [name] if name in self._fields else self._by_key.get(name, ())
        return self.node(labels[0]) if labels else None

    def located(self, parts: tuple[int | str, ...]) -> tuple[Node, tuple[int | str, ...]] | None:
        """Return the field that a location of pydantic begins with, and the parts inside the field; None if none does.

        Of several fields that look inside one name, it is the one whose path the location has.
        """
        name, inside = parts[0], parts[1:]
        if not isinstance(name, str):
            return None
        for node in self._named(name):
            paths = (each.path for each in node.inputs if each.key == name)
            path = next((path for path in paths if path == inside[: len(path)]), None)
            if path is not None:
                return node, inside[len(path) :]
        other = self.accepting(name)
        return None if other is None else (other, inside)

    @cached
    def _by_key(self) -> Mapping[str, Sequence[str]]:
        """Index the fields with an alias by each of their names for pydantic."""
        found: dict[str, list[str]] = {}
        for label, inputs in self._aliased.items():
            for key in dict.fromkeys(each.key for each in inputs):
                found.setdefault(key, []).append(label)
        return found

    @cached
    def plain_names(self) -> dict[str, str]:
        """The dotted field that a name in a document leads to, where it leads to a `plain_node`.

        These are the fields of plain types; searches add others.
        """
        own = (name for name, label in self.labels.items() if name == label and label not in self._aliased)
        single = (name for name in own if name not in self._others and "." not in name)
        return {name: self.around + name for name in single if is_text(self._fields[name].annotation)}

    def plain(self, keyed: Iterable[str]) -> dict[str, str]:
        """The fields that take text as it is and have neither an alias nor a `Key`, by canonical name.

        Args:
            keyed: The fields that have a `Key`.
        """
        fields, others = self._fields, {*self._aliased, *keyed}
        return {
            name: label
            for name, label in self.labels.items()
            if label not in others and is_text(fields[label].annotation)
        }
