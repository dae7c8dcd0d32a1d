"""The bytes of a document -> a mapping, by the ending of its name."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable
from typing import Any

from dotenv.parser import parse_stream

from liveconfig._loading.limits import MAX_DEPTH, DocumentError, check_size, unique
from liveconfig._loading.properties import parse_properties
from liveconfig._loading.yaml import parse_yaml


def parse(name: str, content: bytes) -> dict[str, Any]:
    """Parse a document by the ending of its name.

    Raises:
        DocumentError: What is wrong, and on which line where that is known. No cause and no context: those of the
            parsers hold the text.
    """
    data, reason = {}, None
    try:
        data = _parser(name)(content.removeprefix(codecs.BOM_UTF8).decode())
        reason = _shape(data)
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


def is_text(name: str) -> bool:
    """Whether the values of a document of this name are text, to be read as keys are."""
    return name.endswith((".env", ".properties"))


def _parser(name: str) -> Callable[[str], dict[str, Any]]:
    for endings, parser in _PARSERS:
        if name.lower().endswith(endings):
            return parser
    raise DocumentError("the ending is none of " + ", ".join(ending for endings, _ in _PARSERS for ending in endings))


def _shape(data: Any) -> str | None:
    if not isinstance(data, dict):
        return "a document holds a mapping at its top"
    check_size(data)
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DocumentError(f"invalid JSON (line {error.lineno}, column {error.colno})") from None


# tomllib's time grows with the square of the parts of a dotted key.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DEPTH}}}", re.ASCII)


def _toml(text: str) -> Any:
    import tomllib  # noqa: PLC0415 - few volumes hold TOML

    if _DEEP_KEY.search(text):
        raise RecursionError
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line \d+, column \d+|end of document)\)$", str(error))
        raise DocumentError("invalid TOML" + (place[0].replace("(at ", "(") if place else "")) from None


def _dotenv(text: str) -> dict[str, Any]:
    pairs = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise DocumentError(f"invalid line {binding.original.line}")
        if binding.key is not None and binding.value is not None:  # a name alone gives nothing, as everywhere
            pairs.append((binding.key, binding.value))
    return unique(pairs)


_PARSERS: tuple[tuple[tuple[str, ...], Callable[[str], Any]], ...] = (
    ((".yaml", ".yml"), parse_yaml),
    ((".json",), _json),
    ((".toml",), _toml),
    ((".env",), _dotenv),
    ((".properties",), parse_properties),
)
