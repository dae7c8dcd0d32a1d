"""A strict YAML parser, based on the safe loader of PyYAML."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any

from liveconfig._distribution import install_command
from liveconfig._loading.document_limits import MAX_DEPTH, MAX_NODES, DocumentError

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_UNQUOTED = frozenset(("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"))
_SAME = "a name stands twice in one mapping: without quotes, `on` and `yes` mean the same, so put them in quotes"
_MAX_DIGITS = 4300  # as Python has it for decimal numbers


def parse_yaml(text: str) -> Any:
    """Parse one document of YAML; an empty one is None.

    Raises:
        DocumentError: PyYAML is not installed, or what is wrong, and where.
        RecursionError: It is nested too deep.
    """
    try:
        yaml = import_module("yaml")  # when first wanted: most volumes hold none, and it costs a tenth of our import
    except ImportError:
        sentence = f"YAML needs PyYAML, which is not installed: {install_command('yaml')}"
        raise DocumentError(sentence) from None
    try:
        data = yaml.load(text, _loader(yaml))
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"invalid YAML{_place(error.problem_mark)}") from None
    return data


def _place(mark: Any) -> str:
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"


@cache
def _loader(yaml: ModuleType) -> Any:
    """Make PyYAML's safe loader strict: the one in C where that is there."""
    loader: Any = type("_StrictLoader", (_Strict, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), {})
    for kind in ("int", "float"):
        loader.add_constructor(f"tag:yaml.org,2002:{kind}", _Strict.construct_number)
    loader.add_constructor("tag:yaml.org,2002:map", _Strict.construct_map)
    return loader


class NamedMapping(dict[Any, Any]):
    """A mapping of YAML that knows its names without quotes that YAML does not read as text.

    Attributes:
        unquoted: The text that was written, by the name that YAML made of it: ``on`` is True, ``null`` is None.
    """

    unquoted: Mapping[Any, str] = MappingProxyType({})


_AnyLoader: Any = object  # in use it stands before one of PyYAML's, which is not imported yet


class _Strict(_AnyLoader):  # type: ignore[misc]
    """A mixin for loaders that rejects duplicate names and endless expansion."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._flat: set[int] = set()
        self._merged = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:  # noqa: ARG002
        """Limit the depth: both composers call this before each node, and recurse; the one in C on the C stack."""
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:  # a scalar may be in the deepest collection
            raise RecursionError

    def ascend_resolver(self) -> None:
        """A node is complete."""
        self._depth -= 1

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Take text, which most nodes are, as it is: the way to its constructor takes longer than the parser."""
        if node.tag == _TEXT and node.id == "scalar":
            return node.value
        return super().construct_object(node, deep)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Check the names before merge keys are resolved."""
        self.flatten_mapping(node)
        result: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return result

    def construct_map(self, node: Any) -> Iterator[NamedMapping]:
        """A mapping, in two steps, because it may contain itself: first empty, then filled."""
        mapping = NamedMapping()
        yield mapping
        mapping.update(self.construct_mapping(node))
        mapping.unquoted = {self.construct_object(name): name.value for name, _ in node.value if name.tag in _UNQUOTED}

    def flatten_mapping(self, node: Any) -> None:
        """Bring in what is merged, once for each node."""
        if id(node) in self._flat:
            return
        self._flat.add(id(node))
        own = [name for name, _ in node.value if name.id == "scalar" and name.tag != _MERGE]
        if len(own) < len(node.value):
            self._merge(node)
        if len(set(map(self.construct_object, own))) < len(own):
            written = {name.value for name in own}
            same = "a name stands twice in one mapping" if len(written) < len(own) else _SAME
            raise DocumentError(f"{same} (line {node.start_mark.line + 1})")

    def _merge(self, node: Any) -> None:
        for part in _merged_nodes(node):
            self.flatten_mapping(part)
            self._merged += len(part.value)
        if self._merged > MAX_NODES:
            raise DocumentError(f"it has more than {MAX_NODES:,} entries once its merges are expanded")
        super().flatten_mapping(node)

    def construct_number(self, node: Any) -> Any:
        """Read a number of sane length: ``1:1:1`` is one to the base of 60, whatever its length."""
        if len(self.construct_scalar(node)) > _MAX_DIGITS:
            raise DocumentError(f"a number of more than {_MAX_DIGITS} digits (line {node.start_mark.line + 1})")
        return getattr(self, f"construct_yaml_{node.tag.rpartition(':')[2]}")(node)


def _merged_nodes(node: Any) -> list[Any]:
    """Return the mappings that a mapping merges; PyYAML rejects other nodes."""
    merged = [value for child, value in node.value if child.tag == _MERGE]
    flat = [part for value in merged for part in (value.value if value.id == "sequence" else [value])]
    return [part for part in flat if part.id == "mapping"]
