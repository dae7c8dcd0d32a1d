"""One revision of one volume -> the values that it feeds, by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from liveconfig import _clock
from liveconfig._loading.decoder import DecodeError, Decoder
from liveconfig._loading.documents import TEXT_FORMATS, parse
from liveconfig._loading.fields import ABSENT, Node
from liveconfig._loading.limits import DocumentError
from liveconfig._loading.names import Plan
from liveconfig._loading.types import Kind
from liveconfig._volumes import Revision


@dataclass(frozen=True, slots=True)
class Feed:
    """What one revision gives to the fields.

    Attributes:
        revision: Where it came from.
        values: The data for pydantic, nested as the models are.
        keys: The key by the dotted name of the field that it feeds.
        entries: The key by ``dotted/entry``, where a key feeds one entry of a field that is a mapping.
        unused: Keys that feed no field.
        secret: Whether everything from this volume is a secret.
        since: When each file came to hold what it holds.
    """

    revision: Revision
    values: Mapping[str, Any] = field(repr=False)
    keys: Mapping[str, str]
    entries: Mapping[str, str]
    unused: tuple[str, ...]
    secret: bool
    since: Mapping[str, datetime] = field(compare=False)


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Both, nested dictionaries entry by entry; on a conflict ``high`` wins."""
    merged = dict(low)
    for name, value in high.items():
        below = merged.get(name)
        merged[name] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def fresh(value: Any) -> Any:
    """The same data in dictionaries and lists of its own, which a validator may change."""
    if isinstance(value, dict):
        return {name: fresh(inner) if isinstance(inner, (dict, list)) else inner for name, inner in value.items()}
    return [fresh(inner) for inner in value] if isinstance(value, list) else value


def feed(
    plan: Plan, decoder: Decoder, revision: Revision, documents: Mapping[str, str], secret: bool, before: Feed | None
) -> Feed:
    """What a revision gives: its documents, and over them its single keys.

    Args:
        plan: The names of the fields.
        decoder: Text -> value.
        revision: What to read.
        documents: The format of each document, by its key.
        secret: Whether everything in it is a secret.
        before: What the volume gave before.

    Raises:
        DecodeError: Something cannot be parsed, or two names claim one field.
    """
    layer = _Layer(plan, decoder, revision.path)
    present = [name for name in documents if name in revision.files]
    for name in present:
        layer.document(name, documents[name], revision.files[name])
    single = revision.files
    if present:
        single = {key: content for key, content in single.items() if key not in present}
    layer.keys_over(single)
    return Feed(
        revision, layer.values, layer.keys, layer.entries, tuple(sorted(layer.unused)), secret, _since(revision, before)
    )


def _since(revision: Revision, before: Feed | None) -> dict[str, datetime]:
    written_at = revision.written_at or _clock.now()
    if before is None:
        return dict.fromkeys(revision.files, written_at)
    old, since = before.revision.files, before.since
    files = revision.files.items()
    return {key: since[key] if key in old and old[key] == content else written_at for key, content in files}


class _Layer:
    """Values as they are put together."""

    def __init__(self, plan: Plan, decoder: Decoder, path: str) -> None:
        self._plan = plan
        self._decoder = decoder
        self._path = path
        self.values: dict[str, Any] = {}
        self.keys: dict[str, str] = {}
        self.entries: dict[str, str] = {}
        self.unused: list[str] = []

    def document(self, name: str, form: str, content: bytes) -> None:
        where = f"{self._path}/{name}"
        data, reason = {}, None
        try:
            data = parse(form, content)
        except DocumentError as error:
            reason = str(error)
        if reason is not None:
            raise DecodeError(f"{where}: {reason}", (name,))
        if form in TEXT_FORMATS:
            self._single_keys({key: text.encode() for key, text in data.items()}, lambda _: name, f"{name}:")
        else:
            values = self._mapping(self._plan.roots, data, name, prefix="")
            self.values = merge(self.values, values)

    def keys_over(self, files: Mapping[str, bytes]) -> None:
        self._single_keys(files, lambda key: key, "")

    def _single_keys(self, files: Mapping[str, bytes], named: Callable[[str], str], prefix: str) -> None:
        values, claims = self._plain_text(files)
        self.keys.update({dotted: named(key) for dotted, key in claims.items()} if prefix else claims)
        nested: list[tuple[tuple[Node, ...], str | None, tuple[str, bytes]]] = []
        for key in files.keys() - claims.values() if len(claims) < len(files) else ():
            found = self._plan.resolve(key)
            if found is None:
                self.unused.append(prefix + key)
                continue
            path, entry = found
            claimed = claims.setdefault(_claim(path[-1], entry), key)
            if claimed is not key:
                raise self._ambiguous(path[-1].dotted, claimed, key, prefix)
            nested.append((path, entry, (key, files[key])))
        for path, entry, (key, content) in sorted(nested, key=_whole_first):
            self._put_inside(values, path, entry, content, f"{self._path}/{prefix}{key}", named(key))
        self.values = merge(self.values, values) if self.values else values

    def _plain_text(self, files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, str]]:
        """The short way, which nearly all keys go: text, for a field of the first level. What is left over is not."""
        values: dict[str, Any] = {}
        claims: dict[str, str] = {}
        if self._decoder.verbatim:
            plain, text_field = self._plan.plain, self._plan.text_field
            for key, content in files.items():
                name = plain.get(key) or text_field(key)
                if name is not None and name not in values:
                    try:
                        values[name] = content.decode().rstrip("\r\n")
                    except UnicodeDecodeError:
                        continue
                    claims[name] = key
        return values, claims

    def _ambiguous(self, dotted: str, one: str, other: str, prefix: str) -> DecodeError:
        files = " and ".join(f"{self._path}/{prefix}{key}" for key in sorted((one, other)))
        return DecodeError(f"{files} both claim the field {dotted!r}", (dotted,), ambiguous=True)

    def _ambiguous_entry(self, dotted: str, document: str) -> DecodeError:
        # The names of entries are somebody's data.
        where = f"{self._path}/{document}"
        return DecodeError(f"{where} has two names for one entry of the field {dotted!r}", (dotted,), ambiguous=True)

    def _put(self, values: dict[str, Any], path: tuple[Node, ...], content: bytes, where: str, name: str) -> None:
        node = path[-1]
        value = self._decoder.value(node, content, where)
        if value is ABSENT:
            return
        values = _enter(values, path[:-1])
        if isinstance(value, dict) and node.children:
            value = self._mapping(node.children, value, name, prefix=node.dotted + ".")
            below = values.get(node.key)
            value = merge(value, below) if isinstance(below, dict) else value
        else:
            self.keys.update((dotted, name) for dotted in node.served(value))
        values[node.key] = value

    def _put_inside(
        self, values: dict[str, Any], path: tuple[Node, ...], entry: str | None, content: bytes, where: str, name: str
    ) -> None:
        if entry is None:
            self._put(values, path, content, where, name)
        else:
            value = self._decoder.entry(path[-1], content, where)
            if value is not ABSENT:
                _enter(values, path)[entry] = value
                self._note_entry(path[-1], entry, name)

    def _note_entry(self, node: Node, entry: str, name: str) -> None:
        self.keys[node.dotted] = self.entries[f"{node.dotted}/{entry}"] = name

    def _mapping(self, level: Mapping[str, Node], data: Mapping[Any, Any], name: str, prefix: str) -> dict[str, Any]:
        """A parsed mapping with the names that pydantic knows."""
        values: dict[str, Any] = {}
        claims: dict[str, str] = {}
        known: list[tuple[tuple[Node, ...], str | None, Any]] = []
        for given, value in data.items():
            found = self._plan.find(level, str(given))
            if found is None:
                values[str(given)] = value
                self.unused.append(f"{name}:{prefix}{given}")
                continue
            path, entry = found
            if (claimed := claims.setdefault(_claim(path[-1], entry), str(given))) != str(given):
                if entry is not None:
                    raise self._ambiguous_entry(path[-1].dotted, name)
                raise self._ambiguous(path[-1].dotted, claimed, str(given), f"{name}:")
            known.append((path, entry, value))
        for path, entry, value in sorted(known, key=_whole_first):
            if entry is None:
                _enter(values, path[:-1])[path[-1].key] = self._native(path[-1], value, name)
            else:
                _enter(values, path)[entry] = value
                self._note_entry(path[-1], entry, name)
        return values

    def _native(self, node: Node, value: Any, name: str) -> Any:
        if isinstance(value, dict) and node.children:
            return self._mapping(node.children, value, name, prefix=node.dotted + ".")
        self.keys.update((dotted, name) for dotted in node.served(value))
        if isinstance(value, dict):
            return dict(value)  # entries may be added, and an alias of YAML may stand elsewhere too
        return value.encode() if node.kind is Kind.BYTES and isinstance(value, str) else value


def _claim(node: Node, entry: str | None) -> str:
    """What two keys of one volume may not both stand for. A key inside of which others look stands for itself."""
    if entry is not None:
        return f"{node.dotted}/{entry}"
    return f"{node.dotted}@{node.key}" if node.nested_path else node.dotted


def _whole_first(found: tuple[tuple[Node, ...], str | None, Any]) -> tuple[int, bool]:
    """The order in which a name for a part of a value goes over the one for the whole."""
    return len(found[0]), found[1] is not None


def _enter(values: dict[str, Any], path: Iterable[Node]) -> dict[str, Any]:
    """The dictionary at the end of a path; made where it is missing."""
    for node in path:
        if not isinstance(values.get(node.key), dict):
            values[node.key] = {}
        values = values[node.key]
    return values
