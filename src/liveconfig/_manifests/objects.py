"""The ConfigMaps and Secrets of the input: names, keys, and known values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from liveconfig._manifests.kustomize import ends_in_hash
from liveconfig._manifests.parser import Map
from liveconfig._manifests.payload import SECTIONS, content_of, in_words, problem_of_key, type_of

ANY_NAMESPACE = "*"
DATA_KINDS = ("ConfigMap", "Secret")

_KEPT = re.compile(
    r"liveconfig\.dev/|reloader\.stakater\.com/|wave\.pusher\.com/|checksum|^used-by-deployments$", re.IGNORECASE
)


class Place(NamedTuple):
    """A place in a file.

    Attributes:
        file: The path, or ``"-"`` for standard input.
        line: Counted from 1.
    """

    file: str
    line: int


class ObjectId(NamedTuple):
    """The identity of an object; as text ``kind/name``, as in kubectl.

    Attributes:
        kind: As the manifest has it, ``"ConfigMap"``.
        namespace: Empty if the manifest names none.
        name: Its name.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """The value of an annotation, and its place."""

    value: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class DataKey:
    """One key of a ConfigMap or Secret.

    Attributes:
        name: The key.
        value: Its content; None if it is unknown, encrypted, invalid, or was not requested.
        encrypted: Whether the value is encrypted (SOPS).
        problem: Why an API server refuses the key or its value; empty where it does not.
        ends_in_newline: A Secret's value of one line that ends in a line break.
        place: The place of the key; None for an object of a cluster.
        binary: It stands in ``binaryData``: the kubelet makes files of it and no variables.
    """

    name: str
    value: bytes | None = field(default=None, repr=False)
    encrypted: bool = False
    problem: str = ""
    ends_in_newline: bool = False
    place: Place | None = None
    binary: bool = False


@dataclass(frozen=True, slots=True)
class DataObject:
    """A ConfigMap or Secret, or one that another object in the input creates.

    Attributes:
        id: Kind, namespace and name; the namespace `ANY_NAMESPACE` stands for all.
        keys: Its keys by name.
        complete: No other keys than these: False for a Secret without data, and for what a controller fills.
        created_by: The object that creates it, as ``sealedsecret/name``; empty for the object itself.
        type: The type of a Secret.
        immutable: ``immutable: true``.
        hashed: The name ends in kustomize's hash of the content.
        annotations: Those that `liveconfig audit` looks at.
        place: Where it begins; None if it was read from a cluster.
        problem: Why an API server refuses its data as a whole; empty where it does not.
    """

    id: ObjectId
    keys: Mapping[str, DataKey]
    complete: bool = True
    created_by: str = ""
    type: str = ""
    immutable: bool = False
    hashed: bool = False
    annotations: Mapping[str, Annotation] = field(default_factory=dict)
    place: Place | None = None
    problem: str = ""


def place_of(file: str, line: int) -> Place | None:
    """The place in a file; None for a cluster, whose answers have no lines that matter."""
    return Place(file, line) if file else None


def id_of(manifest: Map, namespace: str) -> ObjectId | None:
    """Return the identity of a document; None if it is no Kubernetes object.

    Args:
        manifest: The document.
        namespace: That of objects that name none.
    """
    kind, metadata = manifest.get("kind"), mapping(manifest.get("metadata"))
    if not isinstance(kind, str) or not isinstance(manifest.get("apiVersion"), str):
        return None
    name = metadata.get("name") or metadata.get("generateName")
    return ObjectId(kind, text(metadata.get("namespace")) or namespace, name if isinstance(name, str) else "")


def fault_of_name(manifest: Map) -> tuple[int, str] | None:
    """The line and the reason for which an API server refuses the name of an object; None if it takes the name."""
    kind, metadata = manifest["kind"], mapping(manifest.get("metadata"))
    for name in ("name", "generateName", "namespace"):
        value = metadata.get(name)
        if not (value is None or isinstance(value, str)):
            advice = "" if isinstance(value, (list, Map)) else ": put it in quotes"
            return metadata.line_of(name), f"`metadata.{name}` of this {kind} is {in_words(value)}, not text{advice}"
    if metadata.get("name") or metadata.get("generateName"):
        return None
    return manifest.line, f"this {kind} has no name: add `metadata.name`"


def group_of(manifest: Map) -> str:
    """The API group of an object, empty for the core group."""
    group, slash, _ = text(manifest.get("apiVersion")).partition("/")
    return group if slash else ""


def mapping(value: Any) -> Map:
    """The value, if it is a mapping; otherwise an empty one."""
    return value if isinstance(value, Map) else Map(0)


def items(value: Any) -> list[Any]:
    """The value, if it is a list; otherwise an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value as text, as kubectl writes a key that is a number or a truth value; empty for what has no text."""
    if value is None or isinstance(value, (Map, list)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def annotations_of(metadata: Any, file: str) -> dict[str, Annotation]:
    """The annotations that matter here; kubectl's copy of what was applied, which holds values, is not one of them."""
    annotations = mapping(mapping(metadata).get("annotations"))
    return {
        name: Annotation(text(value), place_of(file, annotations.line_of(name)))
        for name, value in annotations.items()
        if isinstance(name, str) and _KEPT.search(name)
    }


def data_object(manifest: Map, object_id: ObjectId, file: str, *, values: bool) -> DataObject:
    """Read a ConfigMap or Secret.

    Args:
        manifest: The document.
        object_id: What it is called.
        file: Where it stands.
        values: Keep the values. Without it none is in the result.
    """
    found: dict[str, DataKey] = {}
    is_secret = object_id.kind == "Secret"
    for section, encoded in SECTIONS[object_id.kind]:
        before = dict(found)
        for key in _keys(manifest, section, file, encoded=encoded, secret=is_secret, values=values):
            of_both = None if is_secret else before.get(key.name)
            found[key.name] = key if of_both is None else _twice(of_both)
    return DataObject(
        object_id,
        found,
        complete=bool(found) or object_id.kind == "ConfigMap",
        type=text(manifest.get("type")),
        immutable=manifest.get("immutable") is True,
        hashed=ends_in_hash(manifest, object_id.name),
        annotations=annotations_of(manifest.get("metadata"), file),
        place=place_of(file, manifest.line),
        problem=_problem_of_sections(manifest, object_id.kind),
    )


def _problem_of_sections(manifest: Map, kind: str) -> str:
    for section, value in ((section, manifest.get(section)) for section, _ in SECTIONS[kind]):
        if not (value is None or isinstance(value, Map)):
            return f"`{section}` is of type {type_of(value)}, not a mapping of keys to values"
    return ""


def _twice(key: DataKey) -> DataKey:
    """A key of a ConfigMap that stands in both of its sections (kubernetes, ValidateConfigMap)."""
    return replace(key, value=None, problem=f"the key {key.name!r} is in `data` and in `binaryData`")


def _keys(manifest: Map, section: str, file: str, *, encoded: bool, secret: bool, values: bool) -> Iterator[DataKey]:
    data = mapping(manifest.get(section))
    for name, value in data.items():
        content, problem = content_of(value, encoded=encoded)
        encrypted = isinstance(value, str) and value.startswith("ENC[")
        yield DataKey(
            text(name),
            content if values and not encrypted else None,
            encrypted,
            _refusal(text(name), "" if encrypted else problem),
            secret and not encrypted and _ends_in_newline(content or b""),
            place_of(file, data.line_of(name)),
            binary=section == "binaryData",
        )


def _refusal(name: str, problem: str) -> str:
    if wrong_name := problem_of_key(name):
        return f"the key {name!r} {wrong_name}"
    return f"the value of {name!r} {problem}" if problem else ""


def _ends_in_newline(content: bytes) -> bool:
    line = content.rstrip(b"\r\n")
    return bool(line) and content.endswith(b"\n") and b"\n" not in line
