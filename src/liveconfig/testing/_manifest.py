"""A ConfigMap's or a Secret's manifest, and the payload that the kubelet would make of it."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from liveconfig.testing._payload import check_key

try:
    import yaml
except ModuleNotFoundError:
    yaml = None  # type: ignore[assignment]

Manifest: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]

_TEXT, _BASE64 = "text", "base64"
# The later one wins on a key that two of them hold.
_SECTIONS = {
    "ConfigMap": {"data": _TEXT, "binaryData": _BASE64},
    "Secret": {"data": _BASE64, "stringData": _TEXT},
}
_LIMIT = 1024 * 1024


def payload_of(manifest: Manifest) -> dict[str, bytes]:
    """The bytes by key that a volume of this ConfigMap or Secret holds.

    Args:
        manifest: A path, the text (YAML or JSON; a string is text if it has a line end or begins with ``{``), or
            the object itself.

    Raises:
        ValueError: It is not one ConfigMap or Secret that an API server would take.
        ModuleNotFoundError: It is YAML, and PyYAML is not installed.
    """
    obj = _the_only(_documents(manifest))
    name, sections = _name(obj), _SECTIONS[obj["kind"]]
    if strange := [key for key in ("data", "stringData", "binaryData") if key in obj and key not in sections]:
        raise ValueError(f"{name} has {strange[0]!r}, which belongs to the other kind")
    payload: dict[str, bytes] = {}
    for section, encoding in sections.items():
        payload |= _section(f"{section!r} of {name}", obj.get(section), encoding)
    _check_no_key_twice(name, obj)
    if (size := sum(map(len, payload.values()))) > _LIMIT:
        raise ValueError(f"{name} holds {size} bytes; an API server takes {_LIMIT} at most")
    return payload


def _documents(manifest: Manifest) -> list[Any]:
    if isinstance(manifest, Mapping):
        return [manifest]
    if isinstance(manifest, str) and ("\n" in manifest or manifest.lstrip().startswith("{")):
        return _parsed(manifest, "the text")
    return _parsed(_text(manifest), os.fspath(manifest))


def _text(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        pass  # it carries the bytes: it is no cause or context of what we raise
    raise ValueError(f"{os.fspath(path)} is not UTF-8 text")


def _parsed(text: str, source: str) -> list[Any]:
    """All documents of a text; what is wrong is named by its line, as a parser's own message quotes the text."""
    if text.lstrip().startswith("{"):
        try:
            return [json.loads(text)]
        except ValueError:
            pass  # a YAML mapping may begin with a brace, too
    if yaml is None:
        raise ModuleNotFoundError(
            f"{source} is not JSON, and to read YAML takes PyYAML: pip install 'kube-liveconfig[yaml]'",
            name="yaml",
        )
    where = ""
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        where = _line(error)
    raise ValueError(f"{source} is not valid YAML{where}")


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f": see line {mark.line + 1}"


def _the_only(documents: list[Any]) -> Mapping[str, Any]:
    if len(documents) != 1:
        named = ", ".join(_name(document) for document in documents) or "no document"
        raise ValueError(f"a manifest of one ConfigMap or Secret is wanted, this holds {named}")
    (document,) = documents
    if not isinstance(document, Mapping) or document.get("kind") not in _SECTIONS:
        raise ValueError(f"a ConfigMap or a Secret is wanted, this is {_name(document)}")
    return document


def _name(document: Any) -> str:
    """What to call a document: its kind and its name, which are no secrets."""
    if not isinstance(document, Mapping):
        return f"of type {type(document).__name__}"
    kind, metadata = document.get("kind"), document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{kind or 'an object without a kind'} {name or ''}".rstrip()


def _section(where: str, section: Any, encoding: str) -> dict[str, bytes]:
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ValueError(f"{where} is of type {type(section).__name__}, not a mapping of keys to values")
    for key in section:
        _check(where, key)
    return {key: _value(f"{key!r} in {where}", value, encoding) for key, value in section.items()}


def _check(where: str, key: object) -> None:
    if not isinstance(key, str):
        raise ValueError(f"the key {key!r} in {where} is of type {type(key).__name__}: put it in quotes")
    if "/" in key:
        raise ValueError(f"the key {key!r} in {where} holds '/': only the 'items' of a volume can make folders")
    check_key(key)


def _value(where: str, value: object, encoding: str) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{where} is of type {type(value).__name__}, not text: put it in quotes")
    if encoding == _TEXT:
        return value.encode()
    decoded = _decoded(value)
    if decoded is None:
        raise ValueError(f"{where} is not base64")
    return decoded


def _decoded(text: str) -> bytes | None:
    """As Go decodes it: line ends are skipped, padding is required, nothing else is let pass."""
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _check_no_key_twice(name: str, obj: Mapping[str, Any]) -> None:
    if both := sorted((obj.get("binaryData") or {}).keys() & (obj.get("data") or {}).keys()):
        raise ValueError(f"{both[0]!r} is in 'data' and in 'binaryData' of {name}")
