"""The safe part of an error of pydantic-settings."""

from __future__ import annotations

import re

from liveconfig._traceback import summarize

_UNPARSABLE = r'error (?:parsing|getting) value for field "[^"]*" from source "\w+"'


def settings_error(error: BaseException) -> str:
    """Return the safe part of an error: the text of other sources may quote a value."""
    if re.fullmatch(_UNPARSABLE, str(error)):
        return str(error)
    return f"a source of the settings raised {summarize(error)}"
