"""The payload that the kubelet writes for a ConfigMap or Secret manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from liveconfig._manifests.parser import Invalid, parse
from liveconfig._manifests.payload import SECTIONS, check_key, content_of, type_of

Manifest: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]

_BESIDE = {
    "ConfigMap": {"apiVersion", "kind", "metadata", "immutable"},
    "Secret": {"apiVersion", "kind", "metadata", "immutable", "type"},
}
_LIMIT = 1024 * 1024


def payload_of(manifest: Manifest, *, name: str | None = None, kind: str | None = None) -> dict[str, bytes]:
    """Return the bytes by key that a volume of this ConfigMap or Secret holds.

    Args:
        manifest: A path, the text (YAML or JSON), or the object itself. A string is text if it is empty, begins with
            ``{``, or has a line end or ``": "`` in it.
        name: The name of the object to take, where the manifest holds several, as a stream or a ``List``.
        kind: Its kind, ``"ConfigMap"`` or ``"Secret"``.

    Raises:
        ValueError: It is not one ConfigMap or Secret that an API server accepts.
        ModuleNotFoundError: It is YAML, and PyYAML is not installed.
    """
    return _payload(_the_only(_selected(_documents(manifest), name, kind)))


def payloads_of(manifest: Manifest) -> list[dict[str, bytes]]:
    """Return the payload of each object of a manifest: one document, a stream of documents, or a ``List``.

    Raises:
        ValueError: It holds no object, or an object that is not a valid ConfigMap or Secret.
        ModuleNotFoundError: It is YAML, and PyYAML is not installed.
    """
    documents = _documents(manifest)
    return [_payload(_the_only([each])) for each in documents] or [_payload(_the_only([]))]


def _payload(obj: Mapping[str, Any]) -> dict[str, bytes]:
    title, sections = _name(obj), SECTIONS[obj["kind"]]
    _check_head(title, obj)
    _check_fields(title, obj, {*(section for section, _ in sections), *_BESIDE[obj["kind"]]})
    _check_no_key_twice(title, obj)
    payload: dict[str, bytes] = {}
    for section, encoded in sections:
        payload |= _section(f"{section!r} of {title}", obj.get(section), encoded=encoded)
    if (size := sum(map(len, payload.values()))) > _LIMIT:
        raise ValueError(f"{title} holds {size} bytes; an API server takes {_LIMIT} at most")
    return payload


def _selected(documents: list[Any], name: str | None, kind: str | None) -> list[Any]:
    """Return the documents of a name and kind; all if neither is given."""
    if name is None and kind is None:
        return documents
    mappings = [each for each in documents if isinstance(each, Mapping)]
    found = [each for each in mappings if name in (None, _named(each)) and kind in (None, each.get("kind"))]
    if not found:
        there = ", ".join(map(_name, documents)) or "no document"
        raise ValueError(f"no {kind or 'object'} {name or ''}".rstrip() + f" is in the manifest, which holds {there}")
    return found


def _documents(manifest: Manifest) -> list[Any]:
    if isinstance(manifest, Mapping):
        listed = manifest.get("items")
        return list(listed) if _is_list(manifest) and isinstance(listed, list) else [manifest]
    if isinstance(manifest, str) and _is_text(manifest):
        return _parsed(manifest, "the text")
    return _parsed(_text(manifest), os.fspath(manifest))


def _is_text(given: str) -> bool:
    return not given.strip() or given.lstrip().startswith("{") or "\n" in given or ": " in given


def _text(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        pass  # it contains the bytes, so it must not be the cause or context of our error
    raise ValueError(f"{os.fspath(path)} is not UTF-8 text")


def _parsed(text: str, source: str) -> list[Any]:
    """Return all documents of a text. An error names only the line, because the parser's message quotes the text."""
    try:
        return [document for document in parse(text) if not _is_list(document)]
    except Invalid as fault:
        problem = f"{source} cannot be read: {fault}"
    raise ValueError(problem)


def _is_list(document: Any) -> bool:
    return isinstance(document, Mapping) and _word(document.get("kind")) == "List"


def _the_only(documents: list[Any]) -> Mapping[str, Any]:
    if len(documents) != 1:
        named = ", ".join(_name(document) for document in documents) or "no document"
        cure = ": choose one with `name=` and `kind=`" if documents else ""
        raise ValueError(f"expected a manifest of one ConfigMap or Secret, found {named}{cure}")
    (document,) = documents
    if not isinstance(document, Mapping) or _word(document.get("kind")) not in SECTIONS:
        raise ValueError(f"expected a ConfigMap or a Secret, found {_name(document)}")
    return document


def _name(document: Any) -> str:
    """Return the kind and name of a document, for messages."""
    if not isinstance(document, Mapping):
        return f"a document of type {type_of(document)}"
    return f"{_word(document.get('kind')) or 'an object without a kind'} {_named(document)}".rstrip()


def _named(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    return _word(metadata.get("name")) if isinstance(metadata, Mapping) else ""


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _check_head(name: str, obj: Mapping[str, Any]) -> None:
    if obj.get("apiVersion") != "v1":
        raise ValueError(f"{name} has no 'apiVersion: v1', which is that of every ConfigMap and Secret")
    if not _named(obj):
        raise ValueError(f"this {name} has no name: 'metadata' needs a 'name', which is text")


def _check_fields(name: str, obj: Mapping[str, Any], known: Iterable[str]) -> None:
    if strange := [key for key in obj if key not in known]:
        close = get_close_matches(str(strange[0]), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} has {strange[0]!r}, and no {obj['kind']} takes that{hint}")


def _section(where: str, section: Any, *, encoded: bool) -> dict[str, bytes]:
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ValueError(f"{where} is of type {type_of(section)}, not a mapping of keys to values")
    for key in section:
        _check(where, key)
    return {key: _value(f"{key!r} in {where}", value, encoded=encoded) for key, value in section.items()}


def _check(where: str, key: object) -> None:
    if not isinstance(key, str):
        raise ValueError(f"the key {key!r} in {where} is of type {type_of(key)}: put it in quotes")
    if "/" in key:
        raise ValueError(f"the key {key!r} in {where} holds '/': only the 'items' of a volume can make folders")
    check_key(key)


def _value(where: str, value: object, *, encoded: bool) -> bytes:
    content, problem = content_of(value, encoded=encoded)
    if content is None:
        raise ValueError(f"{where} {problem}")
    return content


def _check_no_key_twice(name: str, obj: Mapping[str, Any]) -> None:
    for where, section in ((name, obj), *((f"{section!r} of {name}", obj.get(section)) for section in obj)):
        if twice := getattr(section, "twice", ()):
            key, line = twice[0]
            raise ValueError(f"{key!r} stands twice in {where}: see line {line}")
    if both := sorted(_keys(obj.get("binaryData")) & _keys(obj.get("data"))) if obj["kind"] == "ConfigMap" else ():
        raise ValueError(f"{both[0]!r} is in 'data' and in 'binaryData' of {name}")


def _keys(section: Any) -> set[str]:
    return {key for key in section if isinstance(key, str)} if isinstance(section, Mapping) else set()
