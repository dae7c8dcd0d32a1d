"""A parser of YAML and JSON documents that keeps the line of every key and item.

It uses the events of PyYAML's parser for YAML, and its own scanner for JSON; nothing is constructed from a tag. The
items of a ``List`` are yielded one by one, so that a dump of a whole cluster is never in memory as one tree.
"""

# Without the extra, yaml is None, and no YAML is read.
# pyright: reportOptionalMemberAccess=false
from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from liveconfig._distribution import install_command
from liveconfig._manifests.payload import content_of
from liveconfig._manifests.scalars import NOT_TEXT_STARTS, TruthKey, resolve

try:
    import yaml
except ModuleNotFoundError:
    yaml = None  # type: ignore[assignment]


class Invalid(ValueError):  # noqa: N818 - caught inside, users see a `Problem`
    """A text cannot be parsed. The message contains no content.

    Args:
        line: The line at fault, counted from 1.
        reason: What is wrong with it.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Map(dict[Any, Any]):
    """A mapping, with the line of each of its keys. A key that is a truth value is a `TruthKey`."""

    __slots__ = ("line", "lines", "size", "twice")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.size = 0
        """The characters of its values, with aliases written out; 0 until it is complete, and in JSON."""
        self.lines: dict[Any, int] = {}
        self.twice: list[tuple[Any, int]] = []
        """The keys that occur more than once, with the line of the repetition; the last value is used."""

    def line_of(self, key: Any) -> int:
        """Return the line of a key; that of the mapping if the key is missing."""
        return self.lines.get(key, self.line)


class Seq(list[Any]):
    """A sequence, with the line of each of its items."""

    __slots__ = ("line", "lines", "size")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.size = 0
        """As that of a `Map`."""
        self.lines: list[int] = []


def parse(text: str, *, json_only: bool = False) -> Iterator[Any]:
    """Yield each document that is not empty; of a ``List``, first its items and then the rest of it.

    Mappings are `Map`, lists are `Seq`, everything else is text, a number, a truth value or None.

    Args:
        text: YAML with any number of documents, or one or more JSON objects.
        json_only: Do not try YAML where JSON fails.

    Raises:
        Invalid: The text is neither; the documents before the fault have been yielded.
        ModuleNotFoundError: It is YAML, and PyYAML is not installed.
    """
    is_json = text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and not _SEPARATOR.search(text)
    if json_only or is_json:
        handed_over = False
        try:
            for found in _from_json(text):
                handed_over = True
                yield from _opened(found)
            return
        except Invalid:
            if json_only or handed_over:
                raise
    for found in _from_yaml(text):
        yield from _opened(found)


_SEPARATOR = re.compile(r"^---", re.MULTILINE)
"""What separates documents of YAML, those written as JSON too. JSON has no line that begins like this."""


class _Builder:
    """Builds mappings and sequences from values, from the outside to the inside."""

    def __init__(self) -> None:
        self.written = 0
        """The characters of all values so far, with aliases written out."""
        self._open: list[Map | Seq] = []
        self._starts: list[int] = []
        self._keys: list[Any] = []
        self._current: Map | Seq | None = None
        self._key: Any = _NO_KEY

    @property
    def in_map(self) -> bool:
        return type(self._current) is Map

    @property
    def wants_key(self) -> bool:
        return self._key is _NO_KEY and type(self._current) is Map

    @property
    def at_top(self) -> bool:
        return self._current is None

    def key(self, key: Any, line: int) -> None:
        current: Any = self._current
        key = TruthKey(key) if isinstance(key, bool) else key
        if key in current.lines:
            current.twice.append((key, line))
        current.lines[key] = line
        self._key = key

    def value(self, value: Any, line: int) -> None:
        current = self._current
        if isinstance(current, Map):
            current[self._key] = value
            self._key = _NO_KEY
        elif current is not None:
            current.append(value)
            current.lines.append(line)

    def start(self, node: Map | Seq) -> None:
        if len(self._open) >= _MAX_DEPTH:  # the scanner of PyYAML without libyaml takes the square of the depth
            raise Invalid(node.line, f"more than {_MAX_DEPTH} mappings and lists inside each other")
        if self._current is not None:
            self._open.append(self._current)
            self._keys.append(self._key)
        self._starts.append(self.written)
        self._current, self._key = node, _NO_KEY

    def end(self) -> Map | Seq | None:
        """Close the mapping or sequence that was opened last. Return a document that is complete, if any."""
        node: Any = self._current
        node.size = self.written - self._starts.pop()
        if self.in_map:
            _merge(node)
        if not self._open:
            self._current = None
            return node  # type: ignore[no-any-return]
        self._current, self._key = self._open.pop(), self._keys.pop()
        if self._is_item_of_a_list(node) and ("kind" in node or _says_what_items_are(self._open[0])):
            return _with_kind(node, self._open[0])
        self.value(node, node.line)
        return None

    def _is_item_of_a_list(self, node: Map | Seq) -> bool:
        return isinstance(node, Map) and len(self._open) == 1 and self._keys[0] == "items" and not self.in_map


_MAX_DEPTH = 200
_NO_KEY = object()
_MERGE = object()


def _merge(node: Map) -> None:
    """Merge the mappings of ``<<``; the mapping's own keys win, then the first of the merged ones."""
    merged = node.pop(_MERGE, ())
    for part in merged if isinstance(merged, Seq) else (merged,):
        if isinstance(part, Map):
            for key in part.keys() - node.keys():
                node[key] = part[key]
                node.lines[key] = part.line_of(key)


def _opened(document: Any) -> Iterator[Any]:
    """Yield the items that a document still holds, and those of lists in lists; then the rest of it."""
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if items := _take_items(node):
            waiting += [node, *reversed(items)]
        else:
            yield node


def _take_items(document: Any) -> list[Map]:
    """Take the mappings out of the items of a list, whose kind can stand behind them."""
    items = document.get("items") if isinstance(document, Map) else None
    if not isinstance(items, Seq) or not any(isinstance(item, Map) for item in items):
        return []
    document["items"] = Seq(items.line)  # an alias of the items keeps them
    return [_with_kind(item, document) for item in items if isinstance(item, Map)]


def _says_what_items_are(of: Map | Seq) -> bool:
    return isinstance(of, Map) and "kind" in of and "apiVersion" in of


def _with_kind(item: Map, of: Map | Seq) -> Map:
    """The item of a ``ConfigMapList``, whose items do not say that they are ConfigMaps."""
    kind = of.get("kind") if isinstance(of, Map) else None
    if "kind" not in item and isinstance(kind, str) and kind.removesuffix("List") not in ("", kind):
        item.update(kind=kind.removesuffix("List"), apiVersion=of.get("apiVersion"))  # type: ignore[union-attr]
    return item


# JSON

_SPACE = re.compile(r"[ \t\r\n]*").match
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?").match
_WORD = re.compile(r"true|false|null").match
_WORDS = {"true": True, "false": False, "null": None}
_VALUE = '"*{['  # the signs of a text, another scalar, and what opens


def _from_json(text: str) -> Iterator[Map | Seq]:
    builder, allowed, line = _Builder(), "{[", 1
    for sign, value, line in _tokens(text):
        if sign not in allowed:
            raise Invalid(line, _NOT_JSON)
        if sign in "{[":
            builder.start(Map(line) if sign == "{" else Seq(line))
        elif sign in "}]":
            if (complete := builder.end()) is not None:
                yield complete
        elif sign in '"*':
            (builder.key if builder.wants_key else builder.value)(value, line)
        allowed = _allowed_after(sign, builder)
    if not builder.at_top:
        raise Invalid(line, f"{_NOT_JSON}: it ends too early")


_NOT_JSON = "not valid JSON"


def _allowed_after(sign: str, builder: _Builder) -> str:
    if sign == "{":
        return '"}'
    if sign == ",":
        return '"' if builder.in_map else _VALUE
    if sign in "[:":
        return _VALUE + "]" * (sign == "[")
    if builder.at_top:
        return "{["
    if not builder.in_map:
        return ",]"
    return ",}" if builder.wants_key else ":"


def _tokens(text: str) -> Iterator[tuple[str, Any, int]]:
    """Yield each sign with its line; for ``"``, a text, and ``*``, another scalar, with the value."""
    ends = [match.start() for match in re.finditer("\n", text)]
    at = 1 if text.startswith("\ufeff") else 0
    while (at := _SPACE(text, at).end()) < len(text):  # type: ignore[union-attr]
        sign, line = text[at], bisect_right(ends, at) + 1
        if sign in "{}[],:":
            at += 1
            yield sign, None, line
        elif sign == '"':
            value, at = _json_string(text, at, line)
            yield sign, value, line
        else:
            value, at = _json_scalar(text, at, line)
            yield "*", value, line


def _json_string(text: str, at: int, line: int) -> tuple[str, int]:
    try:
        found: tuple[str, int] = scanstring(text, at + 1, True)
    except ValueError:
        pass  # it holds the whole text: it is no cause or context of what we raise
    else:
        return found
    raise Invalid(line, _NOT_JSON)


def _json_scalar(text: str, at: int, line: int) -> tuple[Any, int]:
    if match := _WORD(text, at):
        return _WORDS[match[0]], match.end()
    if match := _NUMBER(text, at):
        return _number(match[0], whole=not (match[1] or match[2])), match.end()
    raise Invalid(line, _NOT_JSON)


_MAX_DIGITS = 4300  # as Python has it for decimal numbers


def _number(text: str, *, whole: bool) -> int | float:
    return int(text) if whole and len(text) <= _MAX_DIGITS else float(text)


# YAML

_TYPES: dict[str, type] = {"null": type(None), "bool": bool, "int": int, "float": float}
_PREFIX = "tag:yaml.org,2002:"
_MERGE_TAG = f"{_PREFIX}merge"
_TAGS = (*_TYPES, "str", "binary", "merge", "map", "seq")
_KNOWN_TAGS = {None, "!"} | {f"{_PREFIX}{name}" for name in _TAGS}


def _from_yaml(text: str) -> Iterator[Any]:
    if yaml is None:
        sentence = f"YAML needs PyYAML, which is not installed: {install_command('yaml')}"
        raise ModuleNotFoundError(sentence, name="yaml")
    builder, anchors = _Builder(), _Anchors()
    events = yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    while (event := _next(events, text)) is not None:
        kind = type(event)
        if kind is yaml.DocumentStartEvent:
            anchors.clear()
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            if (complete := builder.end()) is not None:
                yield complete
        elif issubclass(kind, yaml.NodeEvent):
            node = _take(event, builder, anchors)
            if builder.at_top and node is not None:
                yield node


def _next(events: Iterator[Any], text: str) -> Any:
    try:
        return next(events, None)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = f"not valid YAML: {_without_quotes(error.problem or '')}".rstrip(": ")
    except (yaml.YAMLError, UnicodeEncodeError) as error:  # a character that YAML does not allow
        line = text.count("\n", 0, getattr(error, "position", getattr(error, "start", 0))) + 1
        reason = "not valid YAML: a character that it does not allow"
    raise Invalid(line, reason)


def _without_quotes(problem: str) -> str:
    """Return the message of PyYAML without its quotations."""
    return re.sub(r"""(['"]).*\1""", "...", problem)


class _Anchors:
    """The nodes of a document that aliases name.

    kubectl limits what the aliases of a text stand for ("document contains excessive aliasing"), and so do we: written
    out, a few lines of aliases are more than any memory holds. An alias inside of its own anchor never ends.
    """

    def __init__(self) -> None:
        self._named: dict[str | None, tuple[Any, int]] = {}
        self._left = _MOST_OF_ALIASES

    def clear(self) -> None:
        """Forget the nodes: aliases end with their document."""
        self._named.clear()

    def add(self, name: str, node: Any, size: int) -> None:
        """Remember a node; the size of a mapping or list grows until it is complete."""
        self._named[name] = node, size

    def of(self, name: str | None, line: int) -> tuple[Any, int]:
        """Return the node that an alias names, and its size with aliases written out."""
        if name not in self._named:
            raise Invalid(line, "not valid YAML: an alias without its anchor")
        node, size = self._named[name]
        if isinstance(node, (Map, Seq)):
            size += node.size
            if not node.size:
                raise Invalid(line, "an alias inside of what it stands for")
        self._left -= size
        if self._left < 0:
            raise Invalid(line, f"aliases that stand for more than {_MOST_OF_ALIASES:,} characters")
        return node, size


_MOST_OF_ALIASES = 4_000_000


def _take(event: Any, builder: _Builder, anchors: _Anchors) -> Any:
    """Add one node, and return it; an alias is the same node as its anchor."""
    line = event.start_mark.line + 1
    if type(event) is yaml.AliasEvent:
        node, size = anchors.of(event.anchor, line)
    elif event.tag not in _KNOWN_TAGS:
        raise Invalid(line, "a YAML tag that no Kubernetes manifest has")
    else:
        node, size = _node(event, line), 1 + len(getattr(event, "value", ""))
        if event.anchor is not None:
            anchors.add(event.anchor, node, size)
    _place(event, node, line, builder)
    builder.written += size
    return node


def _place(event: Any, node: Any, line: int, builder: _Builder) -> None:
    if builder.wants_key:
        if isinstance(node, (Map, Seq)):
            raise Invalid(line, "a mapping or a list where the name of a key belongs")
        builder.key(_MERGE if node == "<<" and _can_merge(event) else node, line)
    elif isinstance(event, yaml.CollectionStartEvent):
        builder.start(node)
    else:
        builder.value(node, line)


def _can_merge(event: Any) -> bool:
    return type(event) is yaml.ScalarEvent and (event.implicit[0] or event.tag == _MERGE_TAG)


def _node(event: Any, line: int) -> Any:
    if type(event) is yaml.MappingStartEvent:
        return Map(line)
    if type(event) is yaml.SequenceStartEvent:
        return Seq(line)
    text: str = event.value
    if event.tag is not None:
        return _tagged(text, event.tag.removeprefix(_PREFIX), line)
    if not event.implicit[0] or (text and text[0] not in NOT_TEXT_STARTS):
        return text
    return resolve(text)


def _tagged(text: str, tag: str, line: int) -> Any:
    if tag == "binary":
        content, _ = content_of(text, encoded=True)
        if content is None:
            raise Invalid(line, "a value with the tag !!binary that is not base64")
        return content.decode("utf-8", "replace")
    if tag not in _TYPES:
        return text
    value = resolve(text)
    if tag == "float" and type(value) is int:
        return float(value)
    if type(value) is not _TYPES[tag]:
        raise Invalid(line, f"a value that is no {tag}")
    return value
