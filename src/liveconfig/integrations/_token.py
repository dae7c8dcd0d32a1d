"""A token in a header: what the HTTP clients and gRPC share."""

from __future__ import annotations

import re
from typing import Any

from pydantic import SecretStr

from liveconfig import LiveConfigError, Settings
from liveconfig.integrations._fields import secret_reader

HEADER_VALUE = re.compile(r"([!-~]+([ \t]+[!-~]+)*)?")  # RFC 9110 5.5, of which the clients send ASCII


class Token:
    """The token of one field, as the value of a header.

    Attributes:
        live: That of the settings.
        header: The name of the header.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest.
    """

    def __init__(self, settings: Settings, field: str, header: str, scheme: str) -> None:
        self.live: Any = settings.live
        self.header = header
        self._field = field
        self._read = secret_reader(settings, field)
        self._prefix = f"{scheme} " if scheme else ""

    def newest(self) -> SecretStr | None:
        """The value for the header, from the newest snapshot; None while the field is None.

        Raises:
            LiveConfigError: It cannot be sent in a header. The client's own error would show it.
        """
        token = self._read(self.live.latest())
        if token is None:
            return None
        value = SecretStr(self._prefix + token.get_secret_value())
        if not HEADER_VALUE.fullmatch(value.get_secret_value()):
            why = "it ends with a blank, has a line break, or a letter that is not ASCII"
            raise LiveConfigError(f"{self._field} cannot be sent in a header: {why}")
        return value
