"""A document's bytes -> a mapping, by the ending of its name. What is wrong is said by place, never by content."""

# Where the extra is not installed yaml is None, and no loader is made.
# pyright: reportOptionalMemberAccess=false
from __future__ import annotations

import codecs
import io
import json
import re
import tomllib
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from dotenv.parser import parse_stream

try:
    import yaml
except ImportError:  # the extra [yaml] is not installed
    yaml = None  # type: ignore[assignment]

MAX_NODES = 1_000_000
MAX_DEPTH = 100


class Unparsable(Exception):  # noqa: N818 - caught inside, never seen by users
    """A document cannot be parsed; the message holds places and kinds, no content."""


def parse(name: str, content: bytes) -> dict[str, Any]:
    """Parse a document by the ending of its name.

    Raises:
        Unparsable: What is wrong, and on which line where that is known. No cause and no context: those of the
            parsers hold the text.
    """
    data, reason = {}, None
    try:
        data = _parser(name)(content.removeprefix(codecs.BOM_UTF8).decode())
        reason = _shape(data)
    except Unparsable as error:
        reason = str(error)
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte {error.start})"
    except RecursionError:
        reason = f"nested more than {MAX_DEPTH} deep"
    except Exception as error:  # noqa: BLE001 - whatever a parser raises may quote the text
        reason = _place(error)
    if reason is not None:
        raise Unparsable(reason)
    return data


def is_text(name: str) -> bool:
    """Whether the values of a document of this name are text, to be read as keys are."""
    return name.endswith((".env", ".properties"))


def _parser(name: str) -> Callable[[str], dict[str, Any]]:
    for endings, parser in _PARSERS:
        if name.lower().endswith(endings):
            return parser
    raise Unparsable("the ending is none of " + ", ".join(ending for endings, _ in _PARSERS for ending in endings))


def _shape(data: Any) -> str | None:
    if not isinstance(data, dict):
        return "a document holds a mapping at its top"
    check_size(data)
    return None


def check_size(data: Any) -> None:
    """Refuse data that nobody means as a configuration, and that others may choke on.

    Raises:
        Unparsable: It has too many entries, or half a character in a text.
        RecursionError: It is nested too deep.
    """
    if _expanded(data, {}, 0) > MAX_NODES:
        raise Unparsable(f"it has more than {MAX_NODES:,} entries once its aliases are expanded")


def _expanded(value: Any, sizes: dict[int, int], depth: int) -> int:
    """How many nodes a value has when shared ones are counted each time, as validation visits them."""
    if isinstance(value, str):
        _check_text(value)
    if not isinstance(value, (dict, list)):
        return 1
    if depth > MAX_DEPTH:
        raise RecursionError
    if id(value) not in sizes:
        inner: Iterable[Any] = value
        if isinstance(value, dict):
            _check_text("".join(map(str, value)))
            inner = value.values()
        sizes[id(value)] = 1 + sum(_expanded(item, sizes, depth + 1) for item in inner)
    return sizes[id(value)]


def _check_text(text: str) -> None:
    """Refuse what can never be written as UTF-8: an escape for the half of a character."""
    if not text.isascii() and _HALF.search(text):
        raise Unparsable("an escape stands for half a character")


_HALF = re.compile("[\ud800-\udfff]")


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"invalid YAML (line {mark.line + 1}, column {mark.column + 1})"
    if isinstance(error, json.JSONDecodeError):
        return f"invalid JSON (line {error.lineno}, column {error.colno})"
    if isinstance(error, tomllib.TOMLDecodeError):
        found = re.search(r"\(at (line \d+, column \d+|end of document)\)$", str(error))
        return f"invalid TOML ({found[1]})" if found else "invalid TOML"
    return f"cannot be parsed ({type(error).__name__})"


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise Unparsable("a name stands twice in one mapping")
    return mapping


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


# tomllib's time grows with the square of the parts of a dotted key.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DEPTH}}}", re.ASCII)


def _toml(text: str) -> Any:
    if _DEEP_KEY.search(text):
        raise RecursionError
    return tomllib.loads(text)


def _yaml(text: str) -> Any:
    if yaml is None:
        raise Unparsable("YAML needs the extra: pip install 'kube-liveconfig[yaml]'")
    _check_depth(text)
    data = yaml.load(text, _Loader)
    return {} if data is None else data


def _check_depth(text: str) -> None:
    """Look at the events alone first: libyaml's composer recurses on the C stack, and its overflow ends the process."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise RecursionError


def _dotenv(text: str) -> dict[str, Any]:
    pairs = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise Unparsable(f"invalid line {binding.original.line}")
        if binding.key is not None and binding.value is not None:  # a name alone gives nothing, as everywhere
            pairs.append((binding.key, binding.value))
    return _unique(pairs)


_PROPERTY = re.compile(r"((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)", re.DOTALL)
_PROPERTY_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_PROPERTY_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def _properties(text: str) -> dict[str, Any]:
    """Java's format: docs.oracle.com, java.util.Properties.load."""
    matches = (_PROPERTY.fullmatch(line) for line in _logical_lines(text))
    return _unique([(_unescape(match[1]), _unescape(match[2])) for match in matches if match])


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments and blank ones; one that ends in an odd number of backslashes goes on in the next."""
    parts: list[str] = []
    goes_on = False
    for natural in re.split(r"\r\n|\n|\r", text):
        line = natural.lstrip(" \t\f")
        if not goes_on and (not line or line[0] in "#!"):
            continue
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            yield "".join(parts)
            parts = []
    if parts:
        yield "".join(parts)


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        letter = match[1]
        return chr(int(letter[1:], 16)) if len(letter) == 5 else _PROPERTY_LETTERS.get(letter, letter)

    # Java writes a character beyond the 16 bits as the escapes of its two halves: put them together.
    halves = _PROPERTY_ESCAPE.sub(one, text).encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "surrogatepass")


_MERGE = "tag:yaml.org,2002:merge"
_MAX_DIGITS = 4300  # as Python has it for decimal numbers

_SafeLoader: Any = getattr(yaml, "CSafeLoader", None) or getattr(yaml, "SafeLoader", object)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """The safe loader, in C where that is there, that takes no name twice in a mapping and expands nothing for ever."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._flat: set[int] = set()
        self._merged = 0

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Look at the names as they stand there, before what is merged is among them."""
        self.flatten_mapping(node)
        result: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return result

    def flatten_mapping(self, node: Any) -> None:
        """Bring in what is merged, once for each node."""
        if id(node) in self._flat:
            return
        self._flat.add(id(node))
        own = [name for name, _ in node.value if isinstance(name, yaml.ScalarNode) and name.tag != _MERGE]
        for part in _merged_nodes(node):
            self.flatten_mapping(part)
            self._merged += len(part.value)
        if self._merged > MAX_NODES:
            raise Unparsable(f"it has more than {MAX_NODES:,} entries once its merges are expanded")
        super().flatten_mapping(node)
        if len({self.construct_object(name) for name in own}) < len(own):
            raise Unparsable(f"a name stands twice in one mapping (line {node.start_mark.line + 1})")

    def construct_number(self, node: Any) -> Any:
        """Read a number of sane length: ``1:1:1`` is one to the base of 60, whatever its length."""
        if len(node.value) > _MAX_DIGITS:
            raise Unparsable(f"a number of more than {_MAX_DIGITS} digits (line {node.start_mark.line + 1})")
        return getattr(self, f"construct_yaml_{node.tag.rpartition(':')[2]}")(node)


if yaml is not None:
    _Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
    _Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def _merged_nodes(node: Any) -> list[Any]:
    """The mappings that a mapping merges; what else stands there is left for PyYAML to refuse."""
    merged = [value for child, value in node.value if child.tag == _MERGE]
    flat = [part for value in merged for part in (value.value if isinstance(value, yaml.SequenceNode) else [value])]
    return [part for part in flat if isinstance(part, yaml.MappingNode)]


_PARSERS: tuple[tuple[tuple[str, ...], Callable[[str], Any]], ...] = (
    ((".yaml", ".yml"), _yaml),
    ((".json",), _json),
    ((".toml",), _toml),
    ((".env",), _dotenv),
    ((".properties",), _properties),
)
