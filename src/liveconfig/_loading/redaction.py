"""What may be told of an error of pydantic-settings."""

from __future__ import annotations

import re

from liveconfig._traceback import summarize

_UNPARSABLE = re.compile(r'error (?:parsing|getting) value for field "[^"]*" from source "\w+"')


def settings_error(error: BaseException) -> str:
    """What may be told of pydantic-settings' error: the text of a command line's, or of a class's own, may quote."""
    return str(error) if _UNPARSABLE.fullmatch(str(error)) else f"a source of the settings raised {summarize(error)}"
