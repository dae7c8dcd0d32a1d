"""The parsers of documents, by format."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
from collections import ChainMap
from collections.abc import Callable, Sequence
from typing import Any

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from liveconfig import _clock
from liveconfig._loading.document_limits import MAX_DEPTH, DocumentError, check_size, unique
from liveconfig._loading.properties import parse_properties
from liveconfig._loading.yaml import parse_yaml

FORMATS = {
    "yaml": (".yaml", ".yml"),
    "json": (".json",),
    "toml": (".toml",),
    "dotenv": (".env",),
    "properties": (".properties",),
}
"""The endings of names, by format."""

TEXT_FORMATS = ("dotenv", "properties")
"""The formats whose values are texts, which are decoded like keys."""

MAX_EXPANDED = 16 * 1024 * 1024
"""The largest number of characters of an expanded dotenv document: as much as a volume may hold."""


def format_of(name: str) -> str | None:
    """Return the format of a document by the ending of its name; None if the ending is unknown."""
    return next((form for form, endings in FORMATS.items() if name.lower().endswith(endings)), None)


def as_documents(names: Sequence[str], form: str = "yaml") -> str:
    """Write the configuration that names some keys as documents.

    Args:
        names: The keys.
        form: The format of those with an unknown ending.
    """
    if all(format_of(name) for name in names):
        return f"documents={as_code(list(names))}"
    return f"documents={as_code({name: format_of(name) or form for name in names})}"


def as_code(value: list[str] | dict[str, str]) -> str:
    """Write a value as this project writes it in code: with double quotes."""
    return json.dumps(value, ensure_ascii=False)


def parse(form: str, content: bytes) -> dict[str, Any]:
    """Parse a document with several fields: its top level is a mapping.

    Raises:
        DocumentError: It cannot be parsed. The message says why, and on which line if that is known.
    """
    data = parse_any(form, content)
    if data is None and form == "yaml":
        return {}  # an empty document, or one with comments only
    if not isinstance(data, dict):
        raise DocumentError("a document must have a mapping at its top")
    return data


def parse_any(form: str, content: bytes) -> Any:
    """Parse content in one of the formats.

    Raises:
        DocumentError: It cannot be parsed. The message says why, and on which line if that is known. It has no cause
            and no context, because those of the parsers contain the text.
    """
    data, reason, pace = None, None, _clock.Pace()
    try:
        data = _PARSERS[form](content.removeprefix(codecs.BOM_UTF8).decode())
        pace.step()
        check_size(data, escaped=form in TEXT_FORMATS or b"\\" in content)
    except DocumentError as error:
        reason = str(error)
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte {error.start})"
    except RecursionError:
        reason = f"nested more than {MAX_DEPTH} deep"
    except Exception as error:  # noqa: BLE001 - whatever a parser raises may quote the text
        reason = f"cannot be parsed ({type(error).__name__})"
    if reason is not None:
        raise DocumentError(reason)
    return data


_JSON = json.JSONDecoder(object_pairs_hook=unique)


def _json(text: str) -> Any:
    try:
        return _JSON.decode(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"invalid JSON (line {error.lineno}, column {error.colno})") from None


# tomllib's time grows with the square of the parts of a dotted key.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = rf"(?a)(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DEPTH}}}"


def _toml(text: str) -> Any:
    import tomllib  # noqa: PLC0415 - few volumes hold TOML

    if re.search(_DEEP_KEY, text):
        raise RecursionError
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line \d+, column \d+|end of document)\)$", str(error))
        raise DocumentError("invalid TOML" + (place[0].replace("(at ", "(") if place else "")) from None


def _dotenv(text: str) -> dict[str, Any]:
    pairs = []
    for binding in parse_stream(io.StringIO(text, newline=None)):  # reads line ends as the text mode of a file does
        if binding.error:
            raise DocumentError(f"invalid line {binding.original.line}")
        if binding.key is not None and binding.value is not None:  # a name alone counts as absent, as in `.env`
            pairs.append((binding.key, binding.value))
    return _expanded(unique(pairs))


def _expanded(values: dict[str, str]) -> dict[str, Any]:
    """Expand ``${NAME}`` as python-dotenv does for a file: the names before it come first, then the environment."""
    expanded: dict[str, str] = {}
    known, left = ChainMap(expanded, os.environ), MAX_EXPANDED
    for name, value in values.items():
        parts = []
        for atom in parse_variables(value):
            parts.append(atom.resolve(known))
            left -= len(parts[-1])
            if left < 0:
                raise DocumentError(f"more than {MAX_EXPANDED:,} characters once its variables are expanded")
        expanded[name] = "".join(parts)
    return dict(expanded)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "yaml": parse_yaml,
    "json": _json,
    "toml": _toml,
    "dotenv": _dotenv,
    "properties": parse_properties,
}
