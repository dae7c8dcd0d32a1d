"""The names of keys, and the fields that they feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from liveconfig._loading.cached import cached
from liveconfig._loading.document_limits import MAX_DEPTH
from liveconfig._loading.fields import Entry, Level, Node, Path, Place, field_of, plain_node
from liveconfig._loading.inputs import Input, Rules, any_looks_inside, with_underscores
from liveconfig._loading.key import Key, keys_within
from liveconfig._loading.merging import merge
from liveconfig._loading.pydantic_internals import part_of
from liveconfig._loading.types import ABSENT, Kind, by_alias_of, by_name_of

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings


LONGEST = 1000
"""Characters at most in a name that feeds a field: looking for the dots in it takes the square of that."""

_MOST_STEPS = 2000
"""Steps at most in the search for one name: in models that hold themselves, it could go on without end."""

Paths = tuple[Path, ...]
"""The places that one name leads to: nearly always one, and none where it feeds nothing."""


class Root(NamedTuple):
    """The settings as a whole, into which names lead as into a `Place`."""

    children: Level
    dotted: str = ""
    entry: None = None


class Plan:
    """The names of one settings class, computed once."""

    def __init__(self, cls: type[BaseSettings], rules: Rules) -> None:
        self.rules = rules
        self._cls = cls
        self.roots = self._level(rules)
        self._resolved: dict[tuple[str, bool], Paths] = {}

    def _level(self, rules: Rules) -> Level:
        by_alias, by_name = by_alias_of(self._cls), by_name_of(self._cls)
        return Level(rules, self._cls.model_fields, "", by_alias=by_alias, by_name=by_name)

    @cached
    def plain(self) -> Mapping[str, str]:
        """The fields that take text as it is, and have neither an alias nor a `Key`, by canonical name."""
        plain = {} if self.rules.decode_all else self.roots.plain(self.keys)
        named = plain.keys() & self._by_whole_key.keys()
        return {name: label for name, label in plain.items() if name not in named} if named else plain

    @cached
    def document(self) -> Root:
        """The settings as a structured document names them: without a prefix."""
        return Root(self._level(self.rules.without_prefix) if self.rules.prefix else self.roots)

    @cached
    def fields(self) -> Mapping[str, Node]:
        """The nodes of the first level by the names of their fields."""
        return {label: self.roots.node(label) for label in self._cls.model_fields}

    @cached
    def looks_inside(self) -> bool:
        """Whether a field, at any depth, has an `AliasPath`."""
        return any_looks_inside(self._cls.model_fields)

    def merge(self, low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
        """Merge two layers of data; ``high`` wins, whichever of the names of a field it uses."""
        if low and high and self.looks_inside:
            low = self.roots.without_overridden(low, high)
        return merge(low, high)

    # The `Key` of fields

    @cached
    def keys(self) -> Mapping[str, Key]:
        """The `Key` of each field that has one, by dotted name, at any depth."""
        return keys_within(self._cls.model_fields)

    @cached
    def restart_fields(self) -> frozenset[str]:
        """The dotted names of the fields (models too) whose values take effect only when the process starts."""
        return frozenset(name for name, key in self.keys.items() if key.restart)

    def needs_restart(self, dotted: str) -> bool:
        """Whether a change of a leaf takes effect only at a restart: it or a model around it is a restart field."""
        parts = dotted.split(".") if self.restart_fields else []
        return any(".".join(parts[:count]) in self.restart_fields for count in range(1, len(parts) + 1))

    @cached
    def _by_whole_key(self) -> Mapping[str, Paths]:
        """The fields that a `Key` gives a name, by that name."""
        found: dict[str, Paths] = {}
        for dotted, key in self.keys.items():
            *around, node = self.path(dotted)
            for rank, name in enumerate(key.names):
                canonical = self.rules.canonical(name)
                found[canonical] = (*found.get(canonical, ()), (*around, node.ranked(rank)))
        return found

    # Names

    def text_field(self, key: str) -> str | None:
        """The field of the first level that a key not in `plain` feeds as plain text; None if it does no such thing."""
        paths = self.resolve(key)
        if len(paths) != 1 or len(paths[0]) != 1:
            return None
        node = paths[0][0]
        simple = isinstance(node, Node) and node.kind is Kind.TEXT and len(node.inputs) == 1 and node.declared is None
        return node.label if simple and node.key == node.label else None  # type: ignore[union-attr]

    def resolve(self, key: str) -> Paths:
        """Return the places that a key of a volume feeds."""
        return self._remembered(key, whole=True)

    def resolve_name(self, name: str) -> Paths:
        """The places that the name of a variable, or a name in a document of texts, feeds: a `Key` does not count."""
        return self._remembered(name, whole=False)

    def _remembered(self, name: str, *, whole: bool) -> Paths:
        try:
            return self._resolved[name, whole]
        except KeyError:
            paths = self._whole_key(name) if whole and self._by_whole_key else self._search(name)
        if len(self._resolved) > 50_000:  # keys come from outside: never grow without end
            self._resolved.clear()
        self._resolved[name, whole] = paths
        return paths

    def _whole_key(self, key: str) -> Paths:
        """The fields whose `Key` names it; and those whose own name it is, unless their `Key` names another one."""
        named = self._by_whole_key.get(self.rules.canonical(key), ())
        whole = {path[-1].place.dotted for path in named}
        own = (path for path in self._search(key) if not self._has_name(field_of(path)))
        return (*named, *(path for path in own if whole.isdisjoint(step.place.dotted for step in path)))

    @staticmethod
    def _has_name(place: Place) -> bool:
        return place.declared is not None and bool(place.declared.names)

    def _search(self, name: str) -> Paths:
        if self._leads_nowhere(name):
            return ()
        parts, within = name.split("/"), self.rules.prefix.count("/")
        found = _Search(self.rules).folders(Root(self.roots), parts)
        if within and not found:
            parts = ["/".join(parts[: within + 1]), *parts[within + 1 :]]
            found = _Search(self.rules).folders(Root(self.roots), parts)
        return tuple(map(_spelled, found))

    def _leads_nowhere(self, key: str) -> bool:
        """Whether it is plain that no field answers to a key, as it is for nearly all variables of an environment."""
        if len(key) > LONGEST:
            return True
        delimiter = self.rules.delimiter
        splits = delimiter is not None and with_underscores(delimiter) in with_underscores(key)
        inside = "." in key or "/" in key or splits
        return not inside and self.rules.canonical(key) not in self.roots.labels

    def keys_for(self, dotted: str) -> tuple[str, ...]:
        """The keys that a field is looked for in, as they are best written: its own, then those that hold more."""
        return tuple(dict.fromkeys([*self._own_keys(dotted, ways=1), *self.outer_keys(dotted)]))

    def own_keys(self, dotted: str) -> tuple[str, ...]:
        """All keys that hold a field alone: ``db.password``, ``db/password``."""
        return self._own_keys(dotted, ways=None)

    def _own_keys(self, dotted: str, ways: int | None) -> tuple[str, ...]:
        *around, last = self.path(dotted)
        if self._has_name(last):
            return self.keys[dotted].names
        names = [""]
        for node in (*around, last):
            names = [name + each for name in names[:ways] for each in self._names_in(node)]
        folders = names[:ways] if around or last.nested_path else ()
        return tuple(dict.fromkeys([*names, *(name.replace(".", "/") for name in folders)]))

    def outer_keys(self, dotted: str) -> tuple[str, ...]:
        """The keys in whose values a path (`AliasPath`) of the field, or of a model around it, looks."""
        found, around = list[str](), [""]
        for node in self.path(dotted):
            found += [
                name + self._lead(node, each) + outer for name in around for each in node.inputs for outer in each.outer
            ]
            around = [name + each for name in around for each in self._names_in(node)[:1]]
        return tuple(dict.fromkeys(found))

    def _names_in(self, node: Node) -> list[str]:
        """How names go on from a model, or begin, for a field of it; none for an `AliasPath` with a number."""
        return [self._lead(node, each) + each.dotted for each in node.inputs if each.dotted is not None]

    def _lead(self, node: Node, given: Input) -> str:
        """What comes before the name of a field: the prefix at the first level, a dot inside a model."""
        return "." if "." in node.dotted else self.rules.lead(given)

    def without_prefix(self, key: str) -> Paths:
        """The places that a key would feed if names carried no prefix."""
        return () if len(key) > LONGEST else _Search(self.rules).folders(self.document, key.split("/"))

    def find(self, inside: Place | Root, name: str) -> Paths:
        """The places, among the fields inside a place, that a name in a structured document leads to."""
        paths = () if len(name) > LONGEST else _Search(self.rules).inside(inside, name)
        if len(paths) == 1 and (node := plain_node(paths[0], name)) is not None:
            inside.children.plain_names[node.key] = node.dotted  # strings of the class, not of a document
        return paths

    def path(self, dotted: str) -> tuple[Node, ...]:
        """The nodes from the first level to a dotted field; empty where there is no such field."""
        nodes: list[Node] = []
        level = self.roots
        for label in dotted.split("."):
            try:
                nodes.append(level.node(label))
            except KeyError:
                return ()
            level = nodes[-1].children
        return tuple(nodes)

    def node(self, dotted: str) -> Node | None:
        """The node of a dotted field name."""
        return next(reversed(self.path(dotted)), None)


class _Search:
    """The search for the places that one name leads to."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._left = _MOST_STEPS

    def folders(self, inside: Place | Root, parts: list[str]) -> Paths:
        """The places that a name of several folders leads to."""
        found = self.inside(inside, parts[0], is_part=True)
        if len(parts) == 1:
            return found
        return tuple((*path, *deeper) for path in found for deeper in self.folders(path[-1].place, parts[1:]))

    def inside(
        self, inside: Place | Root, name: str, depth: int = 0, splits: int = 0, *, is_part: bool = False
    ) -> Paths:
        """A dot that leads into a nested model, then the name as it is, then the delimiter, then an entry's name.

        Args:
            inside: Where to look.
            name: The name, or the rest of it.
            depth: How deep it is already.
            splits: How often the name was split at the delimiter.
            is_part: Whether it is one whole part between slashes.
        """
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            return ()
        nested = self._split(inside, name, ".", depth, splits)
        if nested:
            return nested
        nodes = self._named(inside, name)
        if nodes:
            return tuple((node,) for node in nodes)
        most = self._rules.max_split
        delimiter = self._rules.delimiter if most is None or splits < most else None
        found = self._split(inside, name, delimiter, depth, splits + 1) if delimiter else ()
        return found or self._entry(inside, name, delimiter, is_part)

    def _split(self, inside: Place | Root, name: str, separator: str, depth: int, splits: int) -> Paths:
        comparable = name if separator == "." else with_underscores(name)
        separator = with_underscores(separator)
        at = comparable.find(separator, 1)
        while at > 0:
            first, rest = name[:at], name[at + len(separator) :]
            steps = self._containers(inside, first) if rest else ()
            paths = tuple((step, *path) for step in steps for path in self.inside(step.place, rest, depth + 1, splits))
            if paths:
                return paths
            at = comparable.find(separator, at + 1)
        return ()

    def _named(self, inside: Place | Root, name: str) -> tuple[Node, ...]:
        """The fields of a name; a dot in it may stand for ``_``."""
        level, canonical = inside.children, self._rules.canonical
        return level.reached(canonical(name)) or level.reached(canonical(name.replace(".", "_")))

    def _containers(self, inside: Place | Root, name: str) -> Iterator[Node | Entry]:
        nodes = self._named(inside, name)
        yield from (node for node in nodes if node.is_container)
        if not nodes and inside.entry is not None and inside.entry.is_container:
            yield Entry(name, inside.entry)

    def _entry(self, inside: Place | Root, name: str, delimiter: str | None, is_part: bool) -> Paths:
        """The name as that of an entry. Of an entry that is a model, a dotted name is a field that it does not have."""
        if inside.entry is None:
            return ()
        is_dotted = "." in name or (delimiter is not None and delimiter in name)
        if inside.entry.children and is_dotted and not is_part:
            return ()
        return ((Entry(name, inside.entry),),)


def _spelled(path: Path) -> Path:
    """The path, with the entries inside the value of an `AliasPath` spelled as that has them."""
    for at, step in enumerate(path):
        if isinstance(step, Node) and step.nested_path:
            return (*path[: at + 1], *step.spelled(each for each in path[at + 1 :] if isinstance(each, Entry)))
    return path


_PLANS = "__liveconfig_plans__"


def plan_of(cls: type[BaseSettings], rules: Rules) -> Plan:
    """Return the plan of a class, which is computed once and stored in it."""
    plans: dict[Rules, Plan] | None = cls.__dict__.get(_PLANS)
    if plans is None:
        plans = {}
        type.__setattr__(cls, _PLANS, plans)
    if rules not in plans:
        plans[rules] = Plan(cls, rules)
    return plans[rules]


def getter(dotted: str) -> Callable[[Any], Any]:
    """Return a function that reads a dotted field of an instance, as `value_at` does."""
    return partial(_value_at, dotted) if "." in dotted else lambda data: data.__dict__[dotted]


def _value_at(dotted: str, data: Any) -> Any:
    return value_at(data, dotted)


def value_at(data: Any, dotted: str) -> Any:
    """The value of a dotted field in an instance; None where a model on the way is None, or another of a union."""
    for label in dotted.split("."):
        part = part_of(data, label)
        if part is ABSENT:
            return (getattr(data, "__pydantic_extra__", None) or {}).get(label)
        data = part
    return data
