"""A ConfigMap or Secret manifest -> the payload that the kubelet writes."""

# Where the extra is not installed yaml is None, and no loader is made.
# pyright: reportOptionalMemberAccess=false
from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from liveconfig._manifests.payload import check_key, utf8

try:
    import yaml
except ModuleNotFoundError:
    yaml = None  # type: ignore[assignment]

Manifest: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]

_TEXT, _BASE64 = "text that can be written as UTF-8", "base64"
# The later one wins on a key that two of them hold.
_SECTIONS = {
    "ConfigMap": {"data": _TEXT, "binaryData": _BASE64},
    "Secret": {"data": _BASE64, "stringData": _TEXT},
}
_BESIDE = {
    "ConfigMap": {"apiVersion", "kind", "metadata", "immutable"},
    "Secret": {"apiVersion", "kind", "metadata", "immutable", "type"},
}
_LIMIT = 1024 * 1024
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


def payload_of(manifest: Manifest) -> dict[str, bytes]:
    """The bytes by key that a volume of this ConfigMap or Secret holds.

    Args:
        manifest: A path, the text (YAML or JSON), or the object itself. A string is text if it is empty, begins with
            ``{``, or has a line end or ``": "`` in it.

    Raises:
        ValueError: It is not one ConfigMap or Secret that an API server would take.
        ModuleNotFoundError: It is YAML, and PyYAML is not installed.
    """
    obj = _the_only(_documents(manifest))
    name, sections = _name(obj), _SECTIONS[obj["kind"]]
    _check_head(name, obj)
    _check_fields(name, obj, {*sections, *_BESIDE[obj["kind"]]})
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
    if isinstance(manifest, str) and _is_text(manifest):
        return _parsed(manifest, "the text")
    return _parsed(_text(manifest), os.fspath(manifest))


def _is_text(given: str) -> bool:
    return not given.strip() or given.lstrip().startswith("{") or "\n" in given or ": " in given


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
    try:
        return [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.YAMLError as error:
        line = _line(error, text)
    raise ValueError(f"{source} is not valid YAML: see line {line}")


def _line(error: Exception, text: str) -> int:
    mark = getattr(error, "problem_mark", None)
    before = text.count("\n", 0, getattr(error, "position", 0)) if mark is None else int(mark.line)
    return before + 1


_SafeLoader: Any = getattr(yaml, "SafeLoader", object)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """The safe loader; a date without quotes is text, as it is to Kubernetes, and each fault has a line."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as its base has it
        first: [each for each in resolvers if each[0] != _TIMESTAMP]
        for first, resolvers in getattr(_SafeLoader, "yaml_implicit_resolvers", {}).items()
    }

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """The object of a node; what Python says of a value that does not fit its tag would hold the value."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            pass
        raise yaml.MarkedYAMLError(problem_mark=node.start_mark)


def _the_only(documents: list[Any]) -> Mapping[str, Any]:
    if len(documents) != 1:
        named = ", ".join(_name(document) for document in documents) or "no document"
        raise ValueError(f"a manifest of one ConfigMap or Secret is wanted, this holds {named}")
    (document,) = documents
    if not isinstance(document, Mapping) or _word(document.get("kind")) not in _SECTIONS:
        raise ValueError(f"a ConfigMap or a Secret is wanted, this is {_name(document)}")
    return document


def _name(document: Any) -> str:
    """What to call a document: its kind and its name, which are no secrets."""
    if not isinstance(document, Mapping):
        return f"of type {type(document).__name__}"
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
    content = utf8(value) if encoding == _TEXT else _decoded(value)
    if content is None:
        raise ValueError(f"{where} is not {encoding}")
    return content


def _decoded(text: str) -> bytes | None:
    """As Go decodes it: line ends are skipped, padding is required, nothing else is let pass."""
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _check_no_key_twice(name: str, obj: Mapping[str, Any]) -> None:
    if both := sorted((obj.get("binaryData") or {}).keys() & (obj.get("data") or {}).keys()):
        raise ValueError(f"{both[0]!r} is in 'data' and in 'binaryData' of {name}")
