"""The bytes of one key -> the input for pydantic, by the rules of pydantic-settings for variables."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from pydantic_settings import EnvSettingsSource

from liveconfig._loading.fields import ABSENT, Node
from liveconfig._loading.limits import DocumentError, check_size
from liveconfig._loading.types import Kind


class DecodeError(Exception):
    """What a volume holds cannot be read as what the fields ask for."""

    def __init__(self, reason: str, fields: tuple[str, ...], *, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = fields
        self.ambiguous = ambiguous


class Decoder:
    """Text -> value, by the rules that pydantic-settings has for variables."""

    def __init__(self, source: EnvSettingsSource) -> None:
        # Beside decoding, the source puts variables such as DB__USER over parts of a value: the volume is above them.
        self._source = copy.copy(source)
        self._source.env_vars = {}
        self._ignore_empty = bool(source.env_ignore_empty)
        self._none = source.env_parse_none_str
        self.verbatim = not self._ignore_empty and self._none is None

    def value(self, node: Node, content: bytes, where: str) -> Any:
        """What pydantic is given for a key's bytes; `ABSENT` where the rules say that it does not count.

        Raises:
            DecodeError: It is not UTF-8, or not the JSON that the field asks for.
        """
        return self._value(node, node.kind, content, where)

    def entry(self, node: Node, content: bytes, where: str) -> Any:
        """The same for one entry of a field that is a mapping: what is not JSON is text there.

        Raises:
            DecodeError: It is not UTF-8.
        """
        with suppress(DecodeError):
            return self._value(node, node.entry_kind, content, where)
        return self._value(node, Kind.TEXT, content, where)

    def _value(self, node: Node, kind: Kind, content: bytes, where: str) -> Any:
        if kind is Kind.BYTES:
            return content
        try:
            # Files made with ``echo`` end in a newline that nobody meant.
            text = content.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            problem = f"{where} is not UTF-8 text (byte {error.start})"
        else:
            if not text and self._ignore_empty:
                return ABSENT
            if self._none is not None and text == self._none:
                return None
            return text if kind is Kind.TEXT else self._decoded(node, text, where)
        raise DecodeError(problem, (node.dotted,))

    def _decoded(self, node: Node, text: str, where: str) -> Any:
        try:
            value = self._source.prepare_field_value(node.label, node.field, text, node.nested_path)
            check_size(value)
        except (ValueError, RecursionError, DocumentError):  # the error holds the text
            value = ABSENT
        if value is ABSENT:
            raise DecodeError(f"{where} is not valid JSON, which the type of {node.dotted!r} asks for", (node.dotted,))
        return value
