"""The safe part of an error of pydantic-settings."""

from __future__ import annotations

import re

from liveconfig._traceback import summarize

_UNPARSABLE = r'error (?:parsing|getting) value for field "([^"]*)" from source "\w+"'


def unparsable_field(error: BaseException) -> str | None:
    """Return the field whose text does not parse; None for another error."""
    found = re.fullmatch(_UNPARSABLE, str(error))
    return None if found is None else found[1]


def settings_error(error: BaseException) -> str:
    """Return the safe part of an error: the text of other sources may quote a value."""
    return f"a source of the settings raised {summarize(error)}" if unparsable_field(error) is None else str(error)
