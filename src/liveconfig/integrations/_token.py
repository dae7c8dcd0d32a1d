"""A token in a header, shared by the HTTP clients and gRPC."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations._fields import secret_reader
from liveconfig.settings import live_of

HEADER_VALUE = re.compile(r"([!-~]+([ \t]+[!-~]+)*)?")  # RFC 9110 5.5, of which the clients send ASCII
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
STANDARD_PORTS = {"http": 80, "https": 443}


class Token:
    """The value of a header, made of the token in one field.

    Attributes:
        live: The `Live` object of the settings.
        header: The name of the header.

    Raises:
        LiveConfigError: There is no such field (the message names the nearest), or no header can have that name.
    """

    def __init__(self, settings: Settings, field: str, header: str, scheme: str) -> None:
        if not HEADER_NAME.fullmatch(header):
            raise LiveConfigError(f"`header` must be the name of a header, such as X-Api-Key, not {header!r}")
        self.live: Any = live_of(settings)
        self.header = header
        self._where = f"{type(settings).__name__}: `{field}`"
        self._read = secret_reader(settings, field)
        self._prefix = f"{scheme} " if scheme else ""

    def newest(self) -> SecretStr | None:
        """Return the value of the header, from the newest snapshot; None while the field is None.

        Raises:
            LiveConfigError: It cannot be sent in a header. The client's own error would show it.
        """
        token = self._read(self.live.latest())
        if token is None:
            return None
        value = SecretStr(self._prefix + token.get_secret_value())
        if not HEADER_VALUE.fullmatch(value.get_secret_value()):
            why = "it begins or ends with a blank, or has a line break or a character that is not ASCII"
            cure = "write the key again without it; `echo` appends a line break, `echo -n` does not"
            raise LiveConfigError(f"{self._where} cannot be sent in a header: {why}: {cure}")
        return value

    def put(self, headers: MutableMapping[str, str]) -> SecretStr | None:
        """Put the newest value into the headers of a request, and return it."""
        value = self.newest()
        if value is not None:
            headers[self.header] = value.get_secret_value()
        return value

    def put_newer(self, headers: MutableMapping[str, str], refused: SecretStr) -> bool:
        """Put the newest value into the headers; whether it is another one than the server refused."""
        return (value := self.put(headers)) is not None and value != refused

    def read_volume(self) -> None:
        """Read the volume now, without waiting for subscribers, and without an early retry of rejected content."""
        self.live.reload(wait=False, retry=False)


class TokenOptions:
    """Goes before a client's own class: what each ``TokenAuth`` is made of."""

    def __init__(
        self,
        settings: Settings,
        token: str = "token",  # noqa: S107 - the name of a field
        *,
        header: str = "Authorization",
        scheme: str = "Bearer",
    ) -> None:
        self._token = Token(settings, token, header, scheme)
        self._prepare()

    def _prepare(self) -> None:
        """Make ready what a client needs beside the token."""


class Place(NamedTuple):
    """The target of a request, as the client itself parses the URL: another parser could be deceived."""

    scheme: str
    host: str | None
    port: int | None

    def same_host(self, other: Place) -> bool:
        """Whether a token for this place may go to the other one: both are the same, or it is the same with TLS."""
        upgrade = Place("http", self.host, 80), Place("https", self.host, 443)
        both = self._with_port(), other._with_port()
        return both[0] == both[1] or both == upgrade

    def _with_port(self) -> Place:
        return self._replace(port=self.port or STANDARD_PORTS.get(self.scheme))
