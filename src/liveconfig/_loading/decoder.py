"""The decoder of one key: from its bytes to the input for pydantic, as pydantic-settings decodes variables."""

from __future__ import annotations

import os
from typing import Any

from pydantic_settings import EnvSettingsSource

from liveconfig._loading.document_limits import DocumentError, check_size
from liveconfig._loading.documents import parse_any
from liveconfig._loading.fields import Entry, Node, Place
from liveconfig._loading.merging import fresh
from liveconfig._loading.types import ABSENT, Kind
from liveconfig._traceback import raised_by_code, summarize


class DecodeError(Exception):
    """The content of a volume cannot be decoded for its fields.

    Args:
        reason: Why, without any value.
        fields: The fields (or keys) at fault.
        key: The key with the content; empty where it is of no volume.
        ambiguous: Whether two names claim one field.
    """

    def __init__(self, reason: str, fields: tuple[str, ...], *, key: str = "", ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = fields
        self.key = key
        self.ambiguous = ambiguous


class Decoder:
    """Decodes texts by the rules of pydantic-settings for variables.

    Args:
        source: The rules. The source holds no variables: it would merge those such as DB__USER into a value, but the
            volume wins over them.
    """

    def __init__(self, source: EnvSettingsSource) -> None:
        self._source = source
        self._ignore_empty = bool(source.env_ignore_empty)
        self._none = None if source.env_parse_none_str is None else source.env_parse_none_str.encode()
        self.verbatim = not self._ignore_empty and self._none is None

    def ignores(self, content: bytes) -> bool:
        """Whether the rules treat this content as if its key were absent."""
        return self._ignore_empty and not content

    def value(self, step: Node | Entry, key: str, content: bytes, where: str) -> Any:
        """Return the input for pydantic from the content of a key.

        Args:
            step: The place of the value.
            key: The name of the key; its ending can decide the format.
            content: The bytes.
            where: The key, for messages.

        Raises:
            DecodeError: It is not UTF-8, not in the format of the field, or a validator raised.
        """
        place = step.place
        if content == self._none:
            return None
        form = place.form(key)
        if form is not None:
            return self._formatted(place, form, content, where)
        if place.kind is Kind.BYTES:
            return content
        text = self._text(place, content, where)
        if place.kind is Kind.TEXT:
            return text
        return self._entry(place, text, where) if isinstance(step, Entry) else self._decoded(place, text, where)

    def _formatted(self, place: Place, form: str, content: bytes, where: str) -> Any:
        try:
            return fresh(parse_any(form, content))
        except DocumentError as error:
            problem = f"{where}: {error}"
        raise DecodeError(problem, (place.dotted,))

    def _text(self, place: Place, content: bytes, where: str) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            problem = f"{where} is not UTF-8 text (byte {error.start})"
        raise DecodeError(problem, (place.dotted,))

    def _decoded(self, place: Place, text: str, where: str) -> Any:
        value = self._parsed(place, text, place.nested_path, where)
        if value is ABSENT:
            raise DecodeError(
                f"{where} is not valid JSON, which the type of {place.dotted!r} asks for", (place.dotted,)
            )
        return value

    def _entry(self, place: Place, text: str, where: str) -> Any:
        """Decode the value of an entry: text if it is not JSON, or if it is a number and the type allows text."""
        value = self._parsed(place, text, True, where)
        if value is ABSENT or (place.is_union and not isinstance(value, (dict, list))):
            return text
        return value

    def _parsed(self, place: Place, text: str, is_complex: bool, where: str) -> Any:
        process = os.getpid()
        try:
            value = self._source.prepare_field_value(place.label, place.field, text, is_complex)
            check_size(value, escaped="\\" in text)
        except (ValueError, RecursionError, DocumentError):  # the error contains the text
            return ABSENT
        except BaseException as error:  # of a validator: pydantic-settings validates what has a strict type
            if not raised_by_code(error, process):
                raise
            problem = f"{where}: a validator of {place.dotted!r} raised {summarize(error)}"
        else:
            return value
        raise DecodeError(problem, (place.dotted,))
