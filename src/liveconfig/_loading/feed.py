"""The values of one revision of a volume, by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, NamedTuple, cast

from liveconfig import _clock
from liveconfig._loading.decoder import DecodeError, Decoder
from liveconfig._loading.document_limits import DocumentError
from liveconfig._loading.documents import TEXT_FORMATS, parse
from liveconfig._loading.fields import Entry, Node, Path, Place, field_of, path_name, value_in
from liveconfig._loading.merging import merge, not_plain, serving
from liveconfig._loading.names import Paths, Plan, Root
from liveconfig._loading.types import ABSENT, Kind
from liveconfig._loading.yaml import NamedMapping
from liveconfig._record import record
from liveconfig._volumes import Revision


@record
class Feed:
    """The values of one revision for the fields.

    Attributes:
        revision: The revision.
        values: The data for pydantic, nested as the models are.
        keys: The key by the dotted name of the field that it feeds.
        entries: The key by ``dotted/entry``, where a key feeds one entry of a field that is a mapping.
        paths: The steps to each of these entries.
        unused: Keys that feed no field.
        misnamed: Of those that are names in structured data, the place at which each stands, and the name.
        unquoted: Names in YAML documents that feed no field because they have no quotes: ``on``, ``yes``, ``null``.
        secret: Whether everything from this volume is a secret.
        first_at: When the content of the first load appeared.
        later: When the content of a file appeared, if that was later.
    """

    revision: Revision
    values: Mapping[str, Any] = field(repr=False)
    keys: Mapping[str, str]
    entries: Mapping[str, str]
    paths: Mapping[str, Path] = field(repr=False, compare=False)
    unused: tuple[str, ...]
    misnamed: Mapping[str, tuple[Place | Root, str]] = field(compare=False)
    unquoted: tuple[str, ...]
    secret: bool
    first_at: datetime = field(compare=False)
    later: Mapping[str, datetime] = field(compare=False)

    def since(self, key: str) -> datetime:
        """Return when the content of a file appeared."""
        return self.later.get(key, self.first_at)

    def key_for(self, dotted: str) -> str | None:
        """Return the key that serves a leaf, or the nearest model around it; for a model, the first inside."""
        return serving(dotted, self.keys)

    def feeds_whole(self, dotted: str) -> bool:
        """Whether a key feeds a whole field, not only entries of it."""
        key = self.keys.get(dotted)
        return key is not None and all(key != of for name, of in self.entries.items() if name.startswith(f"{dotted}/"))


def feed(
    plan: Plan, decoder: Decoder, revision: Revision, documents: Mapping[str, str], secret: bool, before: Feed | None
) -> Feed:
    """Compute the values of a revision: its documents, overridden by its single keys.

    Args:
        plan: The names of the fields.
        decoder: Decodes texts.
        revision: The revision to decode.
        documents: The format of each document, by its key.
        secret: Whether everything in it is a secret.
        before: The feed before.

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
    if single:
        layer.keys_over(single)
    if plan.looks_inside:
        layer.forget_overridden()
    times = _times(revision, before)
    unused, unquoted = tuple(sorted({*layer.unused, *layer.misnamed})), tuple(sorted(layer.unquoted))
    fed = layer.values, layer.keys, layer.entries, layer.paths
    return Feed(revision, *fed, unused, layer.misnamed, unquoted, secret, *times)


def _times(revision: Revision, before: Feed | None) -> tuple[datetime, dict[str, datetime]]:
    """Return the times of a feed: of the first load, and of the files that changed later."""
    written_at = revision.written_at or _clock.now()
    if before is None:
        return written_at, {}
    old, files = before.revision.files, revision.files
    kept = {key: time for key, time in before.later.items() if key in files}
    changed = [key for key, content in files.items() if old.get(key) != content]
    return before.first_at, {**kept, **dict.fromkeys(changed, written_at)}


class _Claims:
    """The claims of names on places within one volume or one mapping: the name that pydantic looks for first wins."""

    def __init__(self) -> None:
        self.paths: dict[str, tuple[tuple[int, ...], str, Path]] = {}

    def add(self, path: Path, name: str) -> str | None:
        """Take a claim; returns another name that claims the same with equal right, if there is one."""
        target, rank = _target(path), tuple(step.rank if isinstance(step, Node) else 0 for step in path)
        known = self.paths.get(target)
        if known is not None and known[0] == rank:
            return known[1]
        if known is None or rank < known[0]:
            self.paths[target] = (rank, name, path)
        return None

    def __iter__(self) -> Iterator[tuple[Path, str]]:
        """Yield the paths and their names; a part of a value comes after the whole, which it overrides."""
        for _, name, path in sorted(self.paths.values(), key=lambda claim: len(claim[2])):
            yield path, name


def _target(path: Path) -> str:
    """Return the place that only one name may claim. A name whose value others look into is its own place."""
    last = path[-1]
    return f"{path_name(path)}@{last.key}" if isinstance(last, Node) and last.nested_path else path_name(path)


class _Layer:
    """The values of one revision, while they are collected."""

    def __init__(self, plan: Plan, decoder: Decoder, path: str) -> None:
        self._plan = plan
        self._decoder = decoder
        self._path = path
        self._pace = _clock.Pace()
        self.values: dict[str, Any] = {}
        self.keys: dict[str, str] = {}
        self.entries: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self.unused: list[str] = []
        self.misnamed: dict[str, tuple[Place | Root, str]] = {}
        self.unquoted: list[str] = []

    def document(self, name: str, form: str, content: bytes) -> None:
        """Add the names of a document."""
        data, reason = {}, None
        try:
            data = parse(form, content)
        except DocumentError as error:
            reason = str(error)
        if reason is not None:
            raise DecodeError(f"{self._path}/{name}: {reason}", (name,), key=name)
        self._pace.step()
        if form in TEXT_FORMATS:
            self._texts(_Document(self._plan.resolve_name, name), {key: text.encode() for key, text in data.items()})
        else:
            values = self._fields(self._plan.document, data, name, "")
            self.values = self._plan.merge(self.values, values) if self.values else values
        self._pace.step()

    def keys_over(self, files: Mapping[str, bytes]) -> None:
        """Add the single keys."""
        self._texts(_Document(self._plan.resolve), files)
        self._pace.step()

    def forget_overridden(self) -> None:
        """Forget the keys of fields whose value is not found, because another name or null has replaced it."""
        found = {dotted: value_in(self.values, self._plan.path(dotted)) for dotted in self.keys}
        self.keys = {dotted: key for dotted, key in self.keys.items() if found[dotted] is not ABSENT}

    def _texts(self, document: _Document, files: Mapping[str, bytes]) -> None:
        values, plain = self._plain_text(files, document.dropped)
        self.keys.update({dotted: document.key(name) for dotted, name in plain.items()} if document.name else plain)
        claims = _Claims()
        for name in files.keys() - plain.values() if len(plain) < len(files) else ():
            paths = document.resolve(name)
            if not paths:
                self.unused.append(document.shown(name))
            for path in paths:
                if self._decoder.ignores(document.content(path[-1].place, name, files[name])):
                    continue
                other = plain.get(path_name(path)) or claims.add(path, name)
                if other is not None:
                    raise self._ambiguous(path, document.name, other, name)
        put = [(path, name, self._put(values, path, name, files[name], document)) for path, name in claims]
        feeds: dict[str, bool] = {}
        for path, name, value in sorted(put, key=_search_order):
            feeds[name] = self._note(path, value, document.key(name)) or feeds.get(name, False)
        self.unused += [document.shown(name) for name, is_used in feeds.items() if not is_used]
        self.values = self._plan.merge(self.values, values) if self.values else values

    def _plain_text(self, files: Mapping[str, bytes], dropped: bytes) -> tuple[dict[str, Any], dict[str, str]]:
        """The short way, which nearly all keys go: text, for a field of the first level. What is left over is not."""
        values: dict[str, Any] = {}
        names: dict[str, str] = {}
        if self._decoder.verbatim:
            plain, text_field = self._plan.plain, self._plan.text_field
            for key, content in files.items():
                label = plain.get(key) or text_field(key)
                if label is not None and label not in values:
                    try:
                        values[label] = content.rstrip(dropped).decode()
                    except UnicodeDecodeError:
                        continue
                    names[label] = key
        return values, names

    def _ambiguous(self, path: Path, key: str, one: str, other: str) -> DecodeError:
        """Describe two names for one place, without the names of entries in a document: these are data of the user.

        Args:
            path: The place.
            key: The key of the document that holds the names; empty if they are keys themselves.
            one: A name.
            other: The other name.
        """
        dotted, around = field_of(path).dotted, f"{self._path}/{key}"
        if key and _has_entry(path):
            problem = f"{around} has two names for one entry of the field {dotted!r}"
        else:
            lead = f"{around}:" if key else around
            problem = " and ".join(lead + name for name in sorted((one, other))) + f" both claim the field {dotted!r}"
        return DecodeError(problem, (dotted,), key=key or max(one, other), ambiguous=True)

    def _put(self, values: dict[str, Any], path: Path, name: str, content: bytes, document: _Document) -> Any:
        step, key = path[-1], document.key(name)
        inner = document.inner(path, name)
        content = document.content(step.place, name, content)
        try:
            value = self._decoder.value(step, name, content, f"{self._path}/{key}" + (f":{inner}" if inner else ""))
        except DecodeError as error:
            error.key = key
            raise
        inside = isinstance(step, Node) and step.nested_path
        value = value if inside else self._translated(step.place, value, key, inner)
        below = _enter(values, path[:-1])
        known = below.get(step.key)
        below[step.key] = merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
        return value

    def _note(self, path: Path, value: Any, key: str) -> bool:
        """Record the key of a field or of an entry; return False if the key is for a path, and no field looks there."""
        at = next((index for index, step in enumerate(path) if isinstance(step, Node) and step.nested_path), None)
        if at is not None:
            return self._note_inside(path, at, value, key)
        is_model = isinstance(value, dict) and bool(path[-1].place.children)
        if not is_model or _has_entry(path):  # else each field inside was recorded
            self._note_value(path, key)
        return True

    def _note_inside(self, path: Path, at: int, value: Any, key: str) -> bool:
        """Record a key inside the value of an `AliasPath`: it feeds whole fields, or entries of fields."""
        served = list(cast("Node", path[at]).served_inside(_nested(path[at + 1 :], value)))
        for node, steps, given in served:
            self._note_fields((*path[:at], node), path[at + 1 + steps :], given, key)
        return bool(served)

    def _note_fields(self, path: Path, left: Path, value: Any, key: str) -> None:
        """Record the key of a field inside the value of an `AliasPath`, or those of the fields in it.

        Args:
            path: The steps to the field.
            left: The steps of the key that go on inside the field.
            value: The value of the field.
            key: The key.
        """
        node = cast("Node", path[-1])
        fields = list(node.children.given_in(value)) if isinstance(value, dict) else []
        for inner, steps, given in fields:
            self._note_fields((*path, inner), left[steps:], given, key)
        if not fields:
            self._note_value((*path, *_placed(node, left)), key)

    def _note_value(self, path: Path, key: str) -> None:
        at = next((index for index, step in enumerate(path) if isinstance(step, Entry)), None)
        if at is None:
            self.keys[path[-1].place.dotted] = key  # it overrides what a key for more than this field holds for it
            return
        owner, name = path[at - 1].place, path_name(path)
        self.entries[name], self.paths[name] = key, path
        dotted = f"{owner.dotted}.{path[at].key}" if owner.children else owner.dotted
        self.keys.setdefault(dotted, key)  # a key for the whole was recorded before

    # Structured data

    def _translated(self, place: Place, value: Any, key: str, at: str) -> Any:
        """Return the data with the names that pydantic knows, at any depth.

        Args:
            place: Where it goes.
            value: The data.
            key: The key of the data.
            at: The path to it inside the key, for names that no field uses.
        """
        if isinstance(value, dict) and place.children:
            return self._fields(place, value, key, f"{at}." if at else "")
        if isinstance(value, dict) and place.entry is not None and place.entry is not place:
            # The names of entries are data of the user, and may be secrets.
            return {name: self._translated(place.entry, inner, key, f"{at}[*]") for name, inner in value.items()}
        if isinstance(value, list) and place.item is not None:
            item = place.item
            return [self._translated(item, inner, key, f"{at}[{index}]") for index, inner in enumerate(value)]
        if isinstance(value, dict):
            return dict(value)  # entries may be added, and a YAML alias may use the same object elsewhere
        return value.encode() if place.kind is Kind.BYTES and isinstance(value, str) else value

    def _fields(self, inside: Place | Root, data: Mapping[Any, Any], key: str, at: str) -> dict[str, Any]:
        """Return a mapping of fields with the names that pydantic knows; other names stay as they are."""
        level, plain = inside.children, inside.children.plain_names
        others: dict[Any, Paths] = {}
        if not data.keys() <= plain.keys():
            searched = {name: self._plan.find(inside, str(name)) for name in data if name not in plain}
            others = {name: paths for name, paths in searched.items() if name not in plain}
        values = {name: value for name, value in data.items() if name not in others} if others else dict(data)
        self._pace.step()
        served = dict.fromkeys(map(plain.__getitem__, values), key)
        for name in not_plain(values):
            node, value = level.node(plain[name].removeprefix(level.around)), values[name]
            values[name] = self._translated(node, value, key, f"{at}{name}")
            if isinstance(value, dict) and node.children:
                del served[node.dotted]  # each field inside was noted
        if "[" not in inside.dotted:
            self.keys.update(served)
        if others:
            taken = {plain[name]: name for name in values}
            self._other_fields(inside, values, taken, data, others, key, at)
        return values

    def _other_fields(
        self,
        inside: Place | Root,
        values: dict[str, Any],
        taken: Mapping[str, str],
        data: Mapping[Any, Any],
        others: Mapping[Any, Paths],
        key: str,
        at: str,
    ) -> None:
        """Take the names that are not plain: other spellings, dotted names, aliases, names that feed nothing."""
        claims = _Claims()
        unquoted = data.unquoted if isinstance(data, NamedMapping) else {}
        for name, paths in others.items():
            if name in unquoted:  # no field can have this name
                self.unquoted.append(f"{key}:{at}{unquoted[name]}")
                continue
            for path in paths:
                other = taken.get(_target(path)) or claims.add(path, str(name))
                if other is not None:
                    raise self._ambiguous(path, key, other, str(name))
            if not paths:
                values[name] = data[name]
                self.misnamed[f"{key}:{at}{name}"] = inside, str(name)
        named = {str(name): data[name] for name in others}
        put = [
            (path, name, self._put_native(values, path, named[name], key, at + _inner_name(inside.dotted, path, name)))
            for path, name in claims
        ]
        for path, _, value in sorted(put, key=_search_order):
            if "[" not in path[0].place.dotted:
                self._note(path, value, key)

    def _put_native(self, values: dict[str, Any], path: Path, value: Any, key: str, at: str) -> Any:
        step = path[-1]
        if not (isinstance(step, Node) and step.nested_path):
            value = self._translated(step.place, value, key, at)
        _enter(values, path[:-1])[step.key] = value
        return value


class _Document(NamedTuple):
    """The origin of names with texts: a document of texts, or the single keys of a volume.

    Attributes:
        resolve: The places that a name feeds.
        name: The key of the document; empty for single keys.
    """

    resolve: Callable[[str], Paths]
    name: str = ""

    def key(self, name: str) -> str:
        """Return the key that a name comes from."""
        return self.name or name

    def shown(self, name: str) -> str:
        """Return the name for messages."""
        return f"{self.name}:{name}" if self.name else name

    def inner(self, path: Path, name: str) -> str:
        """Return the name inside the key, for messages; empty where the name is the key."""
        return _inner_name("", path, name) if self.name else ""

    @property
    def dropped(self) -> bytes:
        """The characters that are dropped at the end of text: files that ``echo`` wrote end with a line end."""
        return b"" if self.name else b"\r\n"

    def content(self, place: Place, name: str, content: bytes) -> bytes:
        """Return what belongs to a value: bytes, and what is parsed in a format, keep all of it."""
        is_whole = place.kind is Kind.BYTES or place.form(name) is not None
        return content if is_whole else content.rstrip(self.dropped)


def _has_entry(path: Path) -> bool:
    return any(isinstance(step, Entry) for step in path)


def _inner_name(around: str, path: Path, name: str) -> str:
    """Return a name in a document for messages: without the names of entries, which are data of the user.

    Args:
        around: The dotted name of the place in which it stands.
        path: The steps from there.
        name: The name.
    """
    return path[-1].place.dotted.removeprefix(around).removeprefix(".") if _has_entry(path) else name


def _search_order(put: tuple[Path, str, Any]) -> list[int]:
    """Sort what pydantic finds first to the end, and a part of a value behind the whole."""
    return [-step.rank if isinstance(step, Node) else 0 for step in put[0]]


def _enter(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the dictionary at the end of a path; create it if it is missing."""
    for step in path:
        if not isinstance(values.get(step.key), dict):
            values[step.key] = {}
        values = values[step.key]
    return values


def _placed(place: Place, steps: Path) -> Iterator[Node | Entry]:
    """The steps inside the value of a field, each with its place, as far as that is known."""
    for step in steps:
        node = place.children.accepting(step.key)
        if node is not None and node.rank_of(step.key) is not None:
            placed: Node | Entry = node
        else:
            placed = Entry(step.key, place.entry or step.place)
        place = placed.place
        yield placed


def _nested(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = {step.key: value}
    return value
